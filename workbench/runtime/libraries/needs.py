"""Which libraries ONNX Runtime's GPU providers need, release by release.

Source: the release notes and wheels of onnxruntime-gpu 1.17 to 1.31 (DT_NEEDED entries of the provider libraries).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version

from workbench.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable

# CUDA's minor version compatibility, table 1: docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
DRIVERS = {11: 450, 12: 525, 13: 580}
OF_NVIDIA = re.compile(r"lib(cu|nv)")
DRIVER = "libcuda.so.1"
MAJOR = re.compile(r"lib(?P<library>cudart|cudnn|nvinfer)\.so\.(?P<major>\d+)")


class Library(Record):
    """A library that a provider needs, as this process found it.

    Attributes
    ----------
    name : str
        The name that the provider asks for, such as ``libcublas.so.13``.
    error : str
        Why it cannot be loaded; empty when it can.
    path : str or None
        The file that was loaded.
    package : str or None
        The Python package that the file came with, such as ``nvidia-cublas``.
    version : str or None
        What the library, or else its package, says.
    """

    name: str
    error: str = ""
    path: str | None = None
    package: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Needs:
    """What a release of onnxruntime-gpu was built with.

    Attributes
    ----------
    cuda, cudnn, tensorrt : int
        Major versions.
    """

    cuda: int
    cudnn: int
    tensorrt: int

    def cuda_libraries(self) -> tuple[str, ...]:
        """Return the file names that the CUDA provider loads, those first that others need."""
        cudart = "libcudart.so.11.0" if self.cuda == 11 else f"libcudart.so.{self.cuda}"
        return (
            cudart,
            f"libcublasLt.so.{self.cuda}",
            f"libcublas.so.{self.cuda}",
            f"libcufft.so.{self.cuda - 1}",
            "libcurand.so.10",
            f"libcudnn.so.{self.cudnn}",
        )

    def helpers(self) -> tuple[str, ...]:
        """Return the file names that those of :meth:`cuda_libraries` may load."""
        nvrtc = "libnvrtc.so.11.2" if self.cuda == 11 else f"libnvrtc.so.{self.cuda}"
        return (nvrtc,) if self.cuda == 11 else (nvrtc, f"libnvJitLink.so.{self.cuda}")

    def tensorrt_libraries(self) -> tuple[str, ...]:
        """Return the file names that the TensorRT provider loads beside those of CUDA."""
        plugins = (f"libnvinfer_plugin.so.{self.tensorrt}",) if self.tensorrt == 8 else ()
        return (f"libnvinfer.so.{self.tensorrt}", *plugins, f"libnvonnxparser.so.{self.tensorrt}")

    def is_tensorrt(self, name: str) -> bool:
        """Whether a library comes with TensorRT, not with CUDA."""
        return name.startswith(("libnvinfer", "libnvonnxparser"))

    def install(self, name: str, release: str) -> str:
        """Return the line that installs a library."""
        return self.install_tensorrt() if self.is_tensorrt(name) else self.install_cuda(release)

    def install_cuda(self, release: str) -> str:
        """Return the line that installs CUDA's libraries."""
        if Version(release) >= Version("1.21"):
            return f"pip install 'onnxruntime-gpu[cuda,cudnn]=={release}'"
        suffix = f"cu{self.cuda}"
        names = ("cuda-runtime", "cublas", "cufft", "curand", "cuda-nvrtc")
        cudnn = f"'nvidia-cudnn-{suffix}=={self.cudnn}.*'"
        return "pip install " + " ".join([*(f"nvidia-{name}-{suffix}" for name in names), cudnn])

    def install_tensorrt(self) -> str:
        """Return the line that installs TensorRT's libraries."""
        if self.tensorrt == 8:
            return "pip install 'tensorrt==8.6.1'"
        # 10.14.1 is what 1.24 and later were compiled against; an older minor release is called through newer tables
        return f"pip install 'tensorrt-cu{self.cuda}>=10.14,<11'"

    def install_driver(self) -> str:
        """Return what brings a driver that runs this CUDA."""
        return f"Install NVIDIA's driver {DRIVERS[self.cuda]} or later."


def needs_of_files(release: str, names: Iterable[str]) -> Needs:
    """Return what an installed onnxruntime needs, by the libraries that its own name; the rest as its release does.

    Builds of others, such as those for Jetson, may want another CUDA than the release's wheel.

    Parameters
    ----------
    release : str
        Its version.
    names : iterable of str
        File names that its provider libraries ask for.
    """
    found = {match["library"]: int(match["major"]) for name in names if (match := MAJOR.match(name))}
    usual = needs_of(release)
    return Needs(
        cuda=found.get("cudart", usual.cuda),
        cudnn=found.get("cudnn", usual.cudnn),
        tensorrt=found.get("nvinfer", usual.tensorrt),
    )


def needs_of(release: str) -> Needs:
    """Return what a release of onnxruntime-gpu needs; for one outside 1.17 to 1.31, what the nearest needs."""
    version = Version(release)
    tensorrt = 8 if version < Version("1.18") else 10
    if version < Version("1.19"):
        return Needs(cuda=11, cudnn=8, tensorrt=tensorrt)
    return Needs(cuda=12 if version < Version("1.27") else 13, cudnn=9, tensorrt=tensorrt)
