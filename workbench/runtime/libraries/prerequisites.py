"""What a session on an NVIDIA GPU needs beside ONNX Runtime, looked at before it is made.

With a library missing, ONNX Runtime ends the process (1.17), says only on standard output that it runs elsewhere, or makes a
session on the CPU with a warning in the log. So worker and doctor look first, and name what is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from packaging.version import Version

from workbench.errors import JobError
from workbench.record import Record
from workbench.runtime.environment import installed_packages, tensorrt_version
from workbench.runtime.libraries.capability import unsupported_by_cuda, unsupported_by_tensorrt
from workbench.runtime.libraries.driver import Driver, read_driver
from workbench.runtime.libraries.linking import needed_by, undefined_in
from workbench.runtime.libraries.needs import DRIVER, OF_NVIDIA, Library, Needs, needs_of_files
from workbench.runtime.libraries.preload import load_library, preload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.options.settings import Settings

TITLES = {"cuda": "ONNX Runtime's CUDA provider", "tensorrt": "ONNX Runtime's TensorRT provider"}
PARTS = {"cuda": ("cuda",), "tensorrt": ("tensorrt", "cuda")}  # whose libraries a session on each provider loads
TENSORRT_PACKAGES = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12", "tensorrt-cu11")
ELSEWHERE = (
    "TensorRT and CUDA need a machine with an NVIDIA GPU and its driver; here, `workbench placement MODEL --predict` predicts."
)


class ProviderLibrary(Record):
    """One of ONNX Runtime's provider libraries.

    Attributes
    ----------
    provider : str
        ``cuda`` or ``tensorrt``.
    path : str
        Its file.
    needs : tuple of Library
        What it asks for of NVIDIA, but the driver.
    undefined : tuple of str
        Symbols that the libraries found do not have: they are of another release than it was built with.
    """

    provider: str
    path: str
    needs: tuple[Library, ...] = ()
    undefined: tuple[str, ...] = ()


class Installation(Record):
    """What is installed of ONNX Runtime, CUDA and TensorRT, as one process found it.

    Attributes
    ----------
    release : str
        Of ONNX Runtime.
    cuda, cudnn, tensorrt : int
        The major versions that it wants.
    """

    release: str
    cuda: int
    cudnn: int
    tensorrt: int
    driver: Driver
    providers: tuple[ProviderLibrary, ...] = ()
    later: tuple[Library, ...] = ()
    tensorrt_found: str | None = None
    packages: dict[str, str]

    @property
    def needs(self) -> Needs:
        """The major versions that it wants."""
        return Needs(cuda=self.cuda, cudnn=self.cudnn, tensorrt=self.tensorrt)

    def parts(self, provider: str) -> list[ProviderLibrary]:
        """Return the provider libraries that a session on a provider loads, its own first."""
        return [part for name in PARTS[provider] for part in self.providers if part.provider == name]


class Obstacle(NamedTuple):
    """Why no session can be made on a provider, and what to do about it."""

    message: str
    remedy: str


def read_installation(ort: Any, provider: str = "tensorrt") -> Installation:  # noqa: ANN401
    """Load what a provider needs into this process, and return what was found; nothing of ONNX Runtime's own is loaded.

    Parameters
    ----------
    ort : module
        onnxruntime.
    provider : str
        ``cuda``, or ``tensorrt`` for the libraries of both.
    """
    folder = Path(str(ort.__file__)).parent / "capi"
    files = [(name, folder / f"libonnxruntime_providers_{name}.so") for name in PARTS[provider]]
    asked = [(name, path, _of_nvidia(path)) for name, path in files if path.exists()]
    needs = needs_of_files(ort.__version__, [library for _, _, names in asked for library in names])
    preload(ort, needs, provider)
    driver = read_driver()
    providers = tuple(_provider_library(*each, bind=driver.cuda is not None) for each in asked)
    loaded = {library.name for part in providers for library in part.needs}
    later = tuple(load_library(name) for name in needs.cuda_libraries() if asked and name not in loaded)
    return Installation(
        release=ort.__version__,
        cuda=needs.cuda,
        cudnn=needs.cudnn,
        tensorrt=needs.tensorrt,
        driver=driver,
        providers=providers,
        later=later,
        tensorrt_found=tensorrt_version(),
        packages=installed_packages(),
    )


def _of_nvidia(path: Path) -> tuple[str, ...]:
    return tuple(name for name in needed_by(path) if OF_NVIDIA.match(name) and name != DRIVER)


def _provider_library(provider: str, path: Path, names: tuple[str, ...], *, bind: bool) -> ProviderLibrary:
    libraries = tuple(load_library(name) for name in names)
    undefined: tuple[str, ...] = ()
    if bind and libraries and not any(library.error for library in libraries):
        undefined = undefined_in(path, [str(Path(library.path).parent) for library in libraries if library.path])
    return ProviderLibrary(provider=provider, path=str(path), needs=libraries, undefined=undefined)


def require(ort: Any, settings: Settings) -> None:  # noqa: ANN401
    """Load what the Settings' provider needs, and refuse to go on without it.

    Raises
    ------
    JobError
        Of the kind ``provider``: which library, driver or GPU is missing, and the line that installs it.
    """
    provider = settings.provider
    if provider not in PARTS:
        return
    device = settings.provider_options.get("device_id", 0)
    found = obstacles(read_installation(ort, provider), provider, int(device))
    if found:
        message = f"{TITLES[provider]} cannot run here: {'; '.join(each.message for each in found)}."
        remedies = dict.fromkeys(each.remedy for each in found if each.remedy)
        raise JobError(message, kind="provider", remedy=" ".join(remedies))


def obstacles(found: Installation, provider: str, device: int = 0) -> list[Obstacle]:
    """Return all that prevents a session on a provider; empty when nothing is known to.

    Parameters
    ----------
    found : Installation
        From :func:`read_installation`.
    provider : str
        ``cuda`` or ``tensorrt``.
    device : int
        Which GPU.
    """
    return [*_gpu(found, provider, device), *_packages(found, provider), *_missing(found, provider), *_unfit(found, provider)]


def _gpu(found: Installation, provider: str, device: int) -> list[Obstacle]:
    driver = found.driver
    if driver.error:
        return [Obstacle(f"no NVIDIA GPU or driver was found: {driver.error}", ELSEWHERE)]
    made = []
    if driver.cuda is not None and Version(driver.cuda).major < found.cuda:
        text = f"the NVIDIA driver runs CUDA {driver.cuda} at most, and onnxruntime-gpu {found.release} needs CUDA {found.cuda}"
        made.append(Obstacle(text, found.needs.install_driver()))
    if device >= len(driver.gpus):
        text = f"device_id is {device}, and the driver finds {len(driver.gpus)} GPU(s), counted from 0"
        return [*made, Obstacle(text, "Choose one of them; CUDA_VISIBLE_DEVICES may hide others.")]
    gpu = driver.gpus[device]
    if gpu.compute_capability is not None:
        reasons = [unsupported_by_cuda(gpu.compute_capability, found.cuda)]
        if provider == "tensorrt" and found.tensorrt_found is not None:
            reasons.append(unsupported_by_tensorrt(gpu.compute_capability, found.tensorrt_found))
        remedy = "Use another GPU, or a release of onnxruntime-gpu that was built for this one."
        made += [Obstacle(f"{gpu.name}: {reason}", remedy) for reason in reasons if reason]
    return made


def _packages(found: Installation, provider: str) -> list[Obstacle]:
    """Tell of a tensorrt package of another major release, where the right libraries are not found elsewhere."""
    other = other_tensorrt(found)
    if provider != "tensorrt" or other is None:
        return []
    missing = any(library.error for library in _needed(found, provider) if found.needs.is_tensorrt(library.name))
    return [other] if missing else []


def other_tensorrt(found: Installation) -> Obstacle | None:
    """Return what is wrong with the installed tensorrt package's major version; ``None`` where nothing is, or there is none."""
    name = next((package for package in TENSORRT_PACKAGES if package in found.packages), None)
    if name is None or Version(found.packages[name]).major == found.tensorrt:
        return None
    text = (
        f"TensorRT {found.packages[name]} is installed; onnxruntime-gpu {found.release} loads TensorRT {found.tensorrt} "
        f"(libnvinfer.so.{found.tensorrt})"
    )
    installed = " ".join(package for package in TENSORRT_PACKAGES if package in found.packages)
    return Obstacle(text, f"pip uninstall -y {installed}; {found.needs.install_tensorrt()}")


def _needed(found: Installation, provider: str) -> list[Library]:
    libraries = [library for part in found.parts(provider) for library in part.needs]
    return list({library.name: library for library in libraries}.values())


def _missing(found: Installation, provider: str) -> list[Obstacle]:
    made = []
    missing = [library for library in _needed(found, provider) if library.error]
    for of_tensorrt in (False, True):
        ours = [library for library in missing if found.needs.is_tensorrt(library.name) == of_tensorrt]
        if ours:
            made.append(Obstacle(_told(ours), found.needs.install(ours[0].name, found.release)))
    return made


def _told(missing: Sequence[Library]) -> str:
    absent = [library.name for library in missing if library.error == "not found"]
    others = [f"{library.name} cannot be loaded ({library.error})" for library in missing if library.error != "not found"]
    if absent:
        others.insert(0, f"{', '.join(absent)} {'is' if len(absent) == 1 else 'are'} not found")
    return ", ".join(others)


def _unfit(found: Installation, provider: str) -> list[Obstacle]:
    made = []
    for part in found.parts(provider):
        if part.undefined:
            more = f" and {len(part.undefined) - 1} more" if len(part.undefined) > 1 else ""
            where = ", ".join(
                f"{lib.name}{f' {lib.version}' if lib.version else ''} ({lib.path})" for lib in _suspects(found, part)
            )
            text = f"{Path(part.path).name} needs {part.undefined[0]}{more}, which the libraries found do not have: {where}"
            install = found.needs.install(part.needs[0].name if part.provider == "cuda" else "libnvinfer", found.release)
            made.append(Obstacle(text, install))
    return made


def _suspects(found: Installation, part: ProviderLibrary) -> list[Library]:
    return [library for library in part.needs if found.needs.is_tensorrt(library.name) == (part.provider == "tensorrt")]
