"""What NVIDIA's driver library says of the GPUs; asked in worker and probe processes only.

NVML does not exist on every machine that CUDA runs on (Jetson with older JetPacks), the driver library does.
"""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING, Any

from workbench.record import Record
from workbench.runtime.libraries.needs import DRIVER

if TYPE_CHECKING:
    from collections.abc import Callable

NAME_BYTES = 256
MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR of cuda.h


class Gpu(Record):
    """A GPU that CUDA can use; `compute_capability` is ``None`` where the driver does not say."""

    name: str
    compute_capability: str | None = None


class Driver(Record):
    """NVIDIA's driver.

    Attributes
    ----------
    error : str
        Why CUDA cannot be used; empty when it can.
    cuda : str or None
        The newest CUDA that the driver runs, such as ``13.0``.
    gpus : tuple of Gpu
        In CUDA's order: what ``device_id`` counts.
    """

    error: str = ""
    cuda: str | None = None
    gpus: tuple[Gpu, ...] = ()


def read_driver(load: Callable[[str], Any] = ctypes.CDLL) -> Driver:
    """Ask the driver.

    Parameters
    ----------
    load : callable
        Loads a library by its name.
    """
    try:
        library = load("nvcuda.dll" if sys.platform == "win32" else DRIVER)
    except OSError as error:
        told = f"{DRIVER} is not found" if "cannot open shared object file" in str(error) else str(error)
        return Driver(error=told)
    cuda = _cuda(library)
    status = library.cuInit(0)
    if status:
        name = _error_name(library, status)
        reason = "the NVIDIA driver finds no GPU" if name == "CUDA_ERROR_NO_DEVICE" else "the NVIDIA driver does not start"
        return Driver(error=f"{reason} (cuInit: {name})", cuda=cuda)
    count = ctypes.c_int()
    library.cuDeviceGetCount(ctypes.byref(count))
    if not count.value:
        return Driver(error="the NVIDIA driver finds no GPU", cuda=cuda)
    return Driver(cuda=cuda, gpus=tuple(_gpu(library, index) for index in range(count.value)))


def _cuda(library: Any) -> str | None:  # noqa: ANN401
    version = ctypes.c_int()
    if library.cuDriverGetVersion(ctypes.byref(version)) or not version.value:
        return None
    return f"{version.value // 1000}.{version.value % 1000 // 10}"


def _error_name(library: Any, status: int) -> str:  # noqa: ANN401
    name = ctypes.c_char_p()
    known = library.cuGetErrorName(status, ctypes.byref(name)) == 0 and name.value
    return name.value.decode() if known and name.value else f"error {status}"


def _gpu(library: Any, index: int) -> Gpu:  # noqa: ANN401
    device, name = ctypes.c_int(), ctypes.create_string_buffer(NAME_BYTES)
    library.cuDeviceGet(ctypes.byref(device), index)
    library.cuDeviceGetName(name, NAME_BYTES, device)
    numbers = []
    for attribute in (MAJOR, MINOR):
        value = ctypes.c_int()
        if library.cuDeviceGetAttribute(ctypes.byref(value), attribute, device):
            return Gpu(name=name.value.decode(errors="replace"))
        numbers.append(value.value)
    return Gpu(name=name.value.decode(errors="replace"), compute_capability=f"{numbers[0]}.{numbers[1]}")
