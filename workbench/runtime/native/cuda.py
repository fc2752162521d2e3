"""The CUDA runtime library, through ctypes: memory, streams and graphs, every status checked.

Function names, types and numbers: CUDA Runtime API, driver_types.h and cuda_runtime_api.h, the same in CUDA 11.4 to 13.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_ulonglong, c_void_p
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.runtime.native.messages import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

SONAMES = ("libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0", "libcudart.so")
TO_DEVICE, TO_HOST = 1, 2  # cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost
NON_BLOCKING = 1  # cudaStreamNonBlocking
RELAXED = 2  # cudaStreamCaptureModeRelaxed
CAPABILITY = (75, 76)  # cudaDevAttrComputeCapabilityMajor and Minor
OUT_OF_MEMORY = 2  # cudaErrorMemoryAllocation
NO_GPU = {35: "driver", 100: "gpu"}  # cudaErrorInsufficientDriver, cudaErrorNoDevice

SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cudaRuntimeGetVersion": (POINTER(c_int),),
    "cudaGetDeviceCount": (POINTER(c_int),),
    "cudaSetDevice": (c_int,),
    "cudaDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cudaGetLastError": (),
    "cudaMalloc": (POINTER(c_void_p), c_size_t),
    "cudaFree": (c_void_p,),
    "cudaMemcpyAsync": (c_void_p, c_void_p, c_size_t, c_int, c_void_p),
    "cudaStreamCreateWithFlags": (POINTER(c_void_p), c_uint),
    "cudaStreamSynchronize": (c_void_p,),
    "cudaStreamDestroy": (c_void_p,),
    "cudaStreamBeginCapture": (c_void_p, c_int),
    "cudaStreamEndCapture": (c_void_p, POINTER(c_void_p)),
    "cudaGraphInstantiateWithFlags": (POINTER(c_void_p), c_void_p, c_ulonglong),
    "cudaGraphLaunch": (c_void_p, c_void_p),
    "cudaGraphExecDestroy": (c_void_p,),
    "cudaGraphDestroy": (c_void_p,),
}


class CudaError(Refused):
    """A CUDA call failed; the message holds the call, the error's name, number and text."""

    def __init__(self, call: str, code: int, name: str, text: str) -> None:
        kind = "memory" if code == OUT_OF_MEMORY else "provider" if code in NO_GPU else "run"
        remedy = "Use smaller shapes, or free memory on the GPU." if kind == "memory" else ""
        super().__init__(f"{call} failed: {name} ({code}): {text}.", kind=kind, remedy=remedy)
        self.code = code


class Cuda:
    """One CUDA runtime library, and the calls that are needed of it.

    Parameters
    ----------
    library : ctypes.CDLL
        A libcudart.
    path : str
        The name that it was found under.
    """

    def __init__(self, library: ctypes.CDLL, path: str) -> None:
        self.library, self.path = library, path
        for name, types in SIGNATURES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = types, c_int
        for name in ("cudaGetErrorName", "cudaGetErrorString"):
            function = getattr(library, name)
            function.argtypes, function.restype = (c_int,), c_char_p

    def call(self, name: str, *arguments: Any, about: str = "") -> None:  # noqa: ANN401  # C's types
        """Call a function of the library.

        Raises
        ------
        CudaError
            When its status is another than success.
        """
        code = int(getattr(self.library, name)(*arguments))
        if code:
            texts = [self.library.cudaGetErrorName(code), self.library.cudaGetErrorString(code)]
            named, text = ((found or b"unknown").decode(errors="replace") for found in texts)
            self.library.cudaGetLastError()  # forgets it: a later call must not report it again
            raise CudaError(f"{name}({about})", code, named, text)

    def integer(self, name: str, *arguments: int) -> int:
        """Return what a function writes through its first argument."""
        found = c_int()
        self.call(name, byref(found), *arguments)
        return found.value

    def handle(self, name: str, *arguments: Any, about: str = "") -> int:  # noqa: ANN401  # C's types
        """Return the address or handle that a function writes through its first argument."""
        found = c_void_p()
        self.call(name, byref(found), *arguments, about=about)
        return found.value or 0

    def compute_capability(self, device: int) -> str:
        """Return a GPU's compute capability, such as ``9.0``."""
        return ".".join(str(self.integer("cudaDeviceGetAttribute", attribute, device)) for attribute in CAPABILITY)

    def to_device(self, address: int, array: np.ndarray, stream: int) -> None:
        """Copy a contiguous array to the GPU, in a stream."""
        about = f"{array.nbytes:,} bytes to the GPU"
        self.call("cudaMemcpyAsync", address, array.ctypes.data, array.nbytes, TO_DEVICE, stream, about=about)

    def to_host(self, array: np.ndarray, address: int, stream: int) -> None:
        """Copy into a contiguous array from the GPU, in a stream."""
        about = f"{array.nbytes:,} bytes from the GPU"
        self.call("cudaMemcpyAsync", array.ctypes.data, address, array.nbytes, TO_HOST, stream, about=about)


class Buffer:
    """Memory on the GPU that grows as it is asked for more; at least 256 bytes, as TensorRT takes no null address."""

    def __init__(self, cuda: Cuda) -> None:
        self.cuda, self.address, self.bytes = cuda, 0, 0

    def reserve(self, count: int) -> int:
        """Return the address of at least so many bytes; what was there before may be lost."""
        count = max(256, count)
        if count > self.bytes:
            self.free()
            self.address = self.cuda.handle("cudaMalloc", count, about=f"{count:,} bytes")
            self.bytes = count
        return self.address

    def free(self) -> None:
        """Give the memory back."""
        if self.address:
            address, self.address, self.bytes = self.address, 0, 0
            self.cuda.call("cudaFree", address)


class Graph:
    """Work of a stream, recorded once to be launched again."""

    def __init__(self, cuda: Cuda, stream: int, work: Callable[[], None]) -> None:
        self.cuda, self.stream = cuda, stream
        cuda.call("cudaStreamBeginCapture", stream, RELAXED)
        graph = c_void_p()
        try:
            work()
        except Refused:
            cuda.library.cudaStreamEndCapture(stream, byref(graph))  # it reports the same failure once more
            cuda.library.cudaGetLastError()
            raise
        cuda.call("cudaStreamEndCapture", stream, byref(graph))
        self.graph = graph.value or 0
        self.executable = cuda.handle("cudaGraphInstantiateWithFlags", self.graph, 0)

    def launch(self) -> None:
        """Do the work once more, in the stream."""
        self.cuda.call("cudaGraphLaunch", self.executable, self.stream)

    def close(self) -> None:
        """Let go of it."""
        self.cuda.call("cudaGraphExecDestroy", self.executable)
        self.cuda.call("cudaGraphDestroy", self.graph)


def load_cuda() -> Cuda:
    """Find and load the CUDA runtime library, and make sure that it finds a GPU.

    Where several are installed, the first that the driver is new enough for is taken.

    Raises
    ------
    Refused
        Of kind ``provider``, saying why none of them works.
    """
    failures: list[str] = []
    for name in dict.fromkeys(_candidates()):
        try:
            cuda = Cuda(ctypes.CDLL(name), name)
            count = cuda.integer("cudaGetDeviceCount")
        except (OSError, AttributeError, CudaError) as error:
            failures.append(f"{name}: {error.message if isinstance(error, CudaError) else error}")
            continue
        if count:
            return cuda
        failures.append(f"{name}: finds no GPU")
    # a library that loads says more than one that is not there
    failures.sort(key=lambda text: "No such file" in text or "cannot open shared object" in text)
    raise Refused(f"CUDA cannot be used: {failures[0]}", kind="provider", remedy="Run `workbench doctor`.")


def _candidates() -> Iterator[str]:
    """Yield names to load: what this process has already, what the loader finds, and what Python packages brought."""
    yield from _loaded()
    yield from SONAMES
    for folder in sys.path:
        yield from (str(path) for path in sorted(Path(folder).glob("nvidia/*/lib/libcudart.so*"), reverse=True))
    found = ctypes.util.find_library("cudart")
    if found:
        yield found


def _loaded() -> Iterator[str]:
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    yield from (path for line in lines if "/libcudart.so" in (path := line.split(maxsplit=5)[-1]))
