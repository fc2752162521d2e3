"""Where a job ran: versions, processor, GPU, driver and the libraries that were really loaded."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
import socket
import sys
from pathlib import Path

import psutil

from workbench.runtime.job import Environment

PACKAGES = (
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "tensorrt",
    "tensorrt-cu12",
    "tensorrt-cu13",
    "trt-workbench",
    "torch",
)
RUNTIME_PACKAGES = ("onnxruntime-gpu", "onnxruntime")
LIBRARIES = re.compile(r"/lib(onnxruntime|nvinfer|nvonnxparser|cudart|cudnn|cublas|cufft|curand|nvrtc|cuda)[^/]*\.so[^/]*$")


def environment(tensorrt: str | None = None) -> Environment:
    """Return the environment of this process; onnxruntime is asked only where it is loaded already.

    Parameters
    ----------
    tensorrt : str or None
        The version of TensorRT that another process holds for this one; that in this process counts where there is none.
    """
    packages = installed_packages()
    runtime = sys.modules.get("onnxruntime")
    gpu = _gpu()
    return Environment(
        host=socket.gethostname(),
        platform=platform.platform(),
        python=platform.python_version(),
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else psutil.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        onnxruntime=runtime.__version__ if runtime else None,
        onnxruntime_package=next((p for p in RUNTIME_PACKAGES if p in packages), None),
        providers=tuple(runtime.get_available_providers()) if runtime else (),
        tensorrt=tensorrt or tensorrt_version(),
        libraries=loaded_libraries(),
        packages=packages,
        **gpu,
    )


def installed_packages() -> dict[str, str]:
    """Return the versions of the packages that matter to a measurement."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def onnxruntime_release() -> str | None:
    """Return the installed release of ONNX Runtime without importing it; ``None`` where there is none."""
    packages = installed_packages()
    return next((packages[p] for p in RUNTIME_PACKAGES if p in packages), None)


def loaded_libraries() -> tuple[str, ...]:
    """Return the file names of the runtime libraries mapped into this process; Linux only, elsewhere empty."""
    with contextlib.suppress(OSError):
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
        paths = {line.split(maxsplit=5)[5] for line in maps.splitlines() if line.count("/")}
        return tuple(sorted({Path(p).resolve().name for p in paths if LIBRARIES.search(p)}))
    return ()


def tensorrt_version() -> str | None:
    """Return the version of the TensorRT library in this process, asked of the library itself; ``None`` without one."""
    import ctypes

    name = next((lib for lib in loaded_libraries() if lib.startswith("libnvinfer.so")), None)
    if name is None:
        return None
    soname = ".".join(name.split(".")[:3])
    ask = getattr(ctypes.CDLL(soname), "getInferLibVersion", None)
    if ask is None:
        return None
    number = int(ask())
    # NvInferVersion.h: major * 1000 + minor * 100 + patch up to TensorRT 9, major * 10000 + ... from 10 on
    scale = 10000 if number >= 100_000 else 1000
    return f"{number // scale}.{number % scale // 100}.{number % 100}"


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpu() -> dict[str, str | int | None]:
    """Return what the NVIDIA driver says of the first GPU; nothing where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        cuda = pynvml.nvmlSystemGetCudaDriverVersion_v2()
        major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
        return {
            "gpu": _text(pynvml.nvmlDeviceGetName(handle)),
            "gpu_memory_bytes": int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
            "driver": _text(pynvml.nvmlSystemGetDriverVersion()),
            "cuda": f"{cuda // 1000}.{cuda % 1000 // 10}",
            "compute_capability": f"{major}.{minor}",
        }
    except pynvml.NVMLError:
        return {}


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
