"""The doctor's checks of the GPU, its driver, and the libraries that CUDA's and TensorRT's providers need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packaging.version import Version

from workbench.runtime.doctor.checks import Check
from workbench.runtime.libraries.capability import unsupported_by_cuda, unsupported_by_tensorrt
from workbench.runtime.libraries.needs import DRIVERS
from workbench.runtime.libraries.prerequisites import PARTS, TENSORRT_PACKAGES, other_tensorrt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.runtime.job import Environment
    from workbench.runtime.libraries.driver import Gpu
    from workbench.runtime.libraries.needs import Library
    from workbench.runtime.libraries.prerequisites import Installation, ProviderLibrary

NO_GPU = "no NVIDIA GPU, or no driver: TensorRT and CUDA cannot run here; placement is predicted instead"
State = Literal["ok", "warning", "missing"]


def gpu_checks(found: Installation | None, environment: Environment | None) -> list[Check]:
    """Return the checks of the driver and of each GPU."""
    if found is None or found.driver.error:
        return [_without(found, environment)]
    return [_driver(found, environment), *(_gpu(found, gpu) for gpu in found.driver.gpus)]


def _without(found: Installation | None, environment: Environment | None) -> Check:
    """Tell of no GPU; or, where ONNX Runtime has no use for one, of the one that NVML knows."""
    if found is None and environment is not None and environment.gpu is not None:
        text = f"{environment.gpu}, compute capability {environment.compute_capability}, driver {environment.driver}"
        return Check(area="GPU", name="NVIDIA GPU", state="ok", found=f"{text} (CUDA {environment.cuda})")
    why = f" ({found.driver.error})" if found is not None and found.driver.cuda is not None else ""
    return Check(area="GPU", name="NVIDIA GPU", state="missing", found=f"{NO_GPU}{why}")


def _driver(found: Installation, environment: Environment | None) -> Check:
    number = environment.driver if environment is not None and environment.driver else "driver"
    cuda = found.driver.cuda
    text = f"{number}, runs CUDA {cuda} and older" if cuda else number
    if cuda is not None and Version(cuda).major < found.cuda:
        text += f"; onnxruntime-gpu {found.release} needs CUDA {found.cuda}, so driver {DRIVERS.get(found.cuda, '')} or later"
        return Check(area="GPU", name="NVIDIA driver", state="missing", found=text, remedy=found.needs.install_driver())
    return Check(area="GPU", name="NVIDIA driver", state="ok", found=text)


def _gpu(found: Installation, gpu: Gpu) -> Check:
    capability = gpu.compute_capability
    if capability is None:
        return Check(area="GPU", name="NVIDIA GPU", state="ok", found=f"{gpu.name}, compute capability unknown")
    text = f"{gpu.name}, compute capability {capability}"
    reasons = [unsupported_by_cuda(capability, found.cuda)]
    if found.tensorrt_found is not None:
        reasons.append(unsupported_by_tensorrt(capability, found.tensorrt_found))
    told = "; ".join([text, *filter(None, reasons)])
    return Check(area="GPU", name="NVIDIA GPU", state="missing" if any(reasons) else "ok", found=told)


def library_checks(found: Installation) -> list[Check]:
    """Return the checks of all libraries that the providers need, each once, and of the tensorrt package."""
    checks = [*_needed(found), *(_check(found, library, "warning") for library in found.later)]
    checks += [_unfit(found, part) for part in found.providers if part.undefined]
    checks.sort(key=lambda check: check.area != "CUDA")
    return [*checks, *_package(found)]


def _needed(found: Installation) -> Iterator[Check]:
    seen = set()
    for provider in PARTS["tensorrt"]:
        for library in (library for part in found.providers if part.provider == provider for library in part.needs):
            if library.name not in seen:
                seen.add(library.name)
                yield _check(found, library, "missing")


def _check(found: Installation, library: Library, absent: State) -> Check:
    area = "TensorRT" if found.needs.is_tensorrt(library.name) else "CUDA"
    if not library.error:
        return Check(area=area, name=library.name, state="ok", found=_origin(library))
    later = "; loaded only when a model needs it" if absent == "warning" else ""
    remedy = found.needs.install(library.name, found.release)
    return Check(area=area, name=library.name, state=absent, found=f"{library.error}{later}", remedy=remedy)


def _origin(library: Library) -> str:
    """Return version and origin of a library: its package, else its folder."""
    origin = library.package or (str(Path(library.path).parent) if library.path else None)
    return ", ".join(filter(None, (library.version, origin))) or "loads"


def _unfit(found: Installation, part: ProviderLibrary) -> Check:
    more = f" and {len(part.undefined) - 1} more" if len(part.undefined) > 1 else ""
    of_tensorrt = part.provider == "tensorrt"
    text = f"the libraries found are of another release: {part.undefined[0]}{more} is not in them"
    remedy = found.needs.install_tensorrt() if of_tensorrt else found.needs.install_cuda(found.release)
    name = f"{part.provider} provider"
    return Check(area="TensorRT" if of_tensorrt else "CUDA", name=name, state="missing", found=text, remedy=remedy)


def _package(found: Installation) -> list[Check]:
    """Compare the major version of the tensorrt package with the one that ONNX Runtime loads."""
    name = next((package for package in TENSORRT_PACKAGES if package in found.packages), None)
    if name is None:
        return []
    other = other_tensorrt(found)
    if other is None:
        return [Check(area="TensorRT", name=name, state="ok", found=found.packages[name])]
    # another major release does no harm where the right one is found elsewhere
    elsewhere = found.tensorrt_found is not None and Version(found.tensorrt_found).major == found.tensorrt
    return [
        Check(
            area="TensorRT",
            name=name,
            state="warning" if elsewhere else "missing",
            found=other.message,
            remedy="" if elsewhere else other.remedy,
        )
    ]
