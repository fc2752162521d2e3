"""Which libraries ONNX Runtime's GPU providers need, release by release.

Source: the release notes and wheels of onnxruntime-gpu 1.17 to 1.31 (DT_NEEDED entries of the provider libraries).
"""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import Version


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
        """Return the file names that the CUDA provider loads."""
        cudart = "libcudart.so.11.0" if self.cuda == 11 else f"libcudart.so.{self.cuda}"
        return (
            cudart,
            f"libcublas.so.{self.cuda}",
            f"libcublasLt.so.{self.cuda}",
            f"libcufft.so.{self.cuda - 1}",
            "libcurand.so.10",
            f"libcudnn.so.{self.cudnn}",
        )

    def tensorrt_libraries(self) -> tuple[str, ...]:
        """Return the file names that the TensorRT provider loads beside those of CUDA."""
        return (f"libnvinfer.so.{self.tensorrt}", f"libnvonnxparser.so.{self.tensorrt}")

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


def needs_of(release: str) -> Needs:
    """Return what a release of onnxruntime-gpu needs; for one outside 1.17 to 1.31, what the nearest needs."""
    version = Version(release)
    tensorrt = 8 if version < Version("1.18") else 10
    if version < Version("1.19"):
        return Needs(cuda=11, cudnn=8, tensorrt=tensorrt)
    return Needs(cuda=12 if version < Version("1.27") else 13, cudnn=9, tensorrt=tensorrt)
