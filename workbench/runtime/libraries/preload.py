"""Loads CUDA's and TensorRT's libraries from where Python packages put them; in worker and probe processes only.

``onnxruntime.preload_dlls`` does that for CUDA from 1.21 on, and never for TensorRT. A library that is in the process already
is taken by its name when ONNX Runtime's providers are loaded: that is all it needs.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.metadata
import importlib.util
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.runtime.libraries.needs import Library

if TYPE_CHECKING:
    from workbench.runtime.libraries.needs import Needs

LINKMAP = 2  # RTLD_DI_LINKMAP of dlfcn.h
PACKAGES = re.compile(r"nvidia[-_]|tensorrt")
PROPERTIES = ("cublas", "cublasLt", "cufft", "curand")  # their GetProperty function gives major, minor and patch
ABSENT = "not found"


class _LinkMap(ctypes.Structure):
    """The beginning of struct link_map of link.h."""

    _fields_ = (("address", ctypes.c_void_p), ("name", ctypes.c_char_p))


def preload(ort: Any, needs: Needs, provider: str) -> None:  # noqa: ANN401
    """Load what a provider needs, where it is; what is missing is told by :func:`load_library`.

    Parameters
    ----------
    ort : module
        onnxruntime.
    needs : Needs
        The major versions that it wants.
    provider : str
        ``cuda`` or ``tensorrt``; nothing is loaded for others.
    """
    if provider not in ("cuda", "tensorrt"):
        return
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
    folders = _folders("nvidia", "*/lib")
    for name in (*needs.helpers(), *needs.cuda_libraries()):
        _load_from(folders, name)
    if provider == "tensorrt":
        preload_tensorrt(needs)


def preload_tensorrt(needs: Needs) -> None:
    """Load TensorRT's libraries from their Python package, unless it is of another major release or the system has its own."""
    wanted = needs.tensorrt_libraries()
    if _loads(wanted[0]):
        return
    folders = _folders("tensorrt_libs")
    if not any((folder / wanted[0]).exists() for folder in folders):
        return
    with contextlib.suppress(ImportError, OSError):
        importlib.import_module("tensorrt_libs")  # loads them, and what they need
    for name in wanted:
        _load_from(folders, name)


def load_library(name: str) -> Library:
    """Load a library by its name, as a provider will, and tell where it was found.

    Parameters
    ----------
    name : str
        Its file name, such as ``libcublas.so.13``.
    """
    try:
        library = ctypes.CDLL(name)
    except OSError as error:
        return Library(name=name, error=_why(str(error), name))
    path = _path(library)
    package, release = package_of(path) if path else (None, None)
    return Library(name=name, path=path, package=package, version=_version(library, name) or release)


def package_of(path: str) -> tuple[str | None, str | None]:
    """Return the name and the version of the Python package that a library came with; ``None`` twice for no package."""
    for file, name, version in _packaged_libraries():
        if file == path:
            return name, version
    return None, None


@cache
def _packaged_libraries() -> tuple[tuple[str, str, str], ...]:
    """Return the path, package and version of each library in NVIDIA's Python packages."""
    found = []
    for package in importlib.metadata.distributions():
        name = str(package.metadata["Name"] or "")
        if PACKAGES.match(name.lower()):
            files = [file for file in package.files or () if ".so" in file.name and file.name.startswith("lib")]
            found += [(str(Path(str(file.locate())).resolve()), name, package.version) for file in files]
    return tuple(found)


def _folders(package: str, below: str = "") -> list[Path]:
    """Return the folders of an installed package, which is not imported; with a pattern, those below that match it."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return []
    places = [Path(place) for place in (spec.submodule_search_locations if spec is not None else None) or ()]
    return [folder for place in places for folder in sorted(place.glob(below))] if below else places


def _load_from(folders: list[Path], name: str) -> None:
    if _loaded(name):
        return
    for folder in folders:
        if (folder / name).exists():
            with contextlib.suppress(OSError):  # told when it is loaded by its name
                ctypes.CDLL(str(folder / name))
                return


def _loaded(name: str) -> bool:
    """Whether a library of this name is in the process already."""
    with contextlib.suppress(OSError):
        ctypes.CDLL(name, mode=getattr(os, "RTLD_NOLOAD", 0))
        return True
    return False


def _loads(name: str) -> bool:
    with contextlib.suppress(OSError):
        ctypes.CDLL(name)
        return True
    return False


def _why(error: str, name: str) -> str:
    """Return the loader's words in brief; a missing file that the library itself needs is named."""
    missing = re.match(r"(?P<file>\S+): cannot open shared object file", error)
    if missing is None:
        return error
    return ABSENT if missing["file"] == name else f"it needs {missing['file']}, which is not found"


def _path(library: ctypes.CDLL) -> str | None:
    """Return the file of a loaded library; ``None`` where the system's loader does not tell."""
    dlinfo = getattr(ctypes.CDLL(None), "dlinfo", None)
    if dlinfo is None:
        return None
    entry = ctypes.POINTER(_LinkMap)()
    if dlinfo(ctypes.c_void_p(library._handle), LINKMAP, ctypes.byref(entry)):  # noqa: SLF001  # ctypes has no other way
        return None
    text = entry.contents.name
    return str(Path(os.fsdecode(text)).resolve()) if text else None


def _version(library: Any, name: str) -> str | None:  # noqa: ANN401
    """Return the version that a library itself tells; ``None`` where it does not."""
    short = name.removeprefix("lib").partition(".")[0]
    if short in PROPERTIES:
        return _property(library, f"{short}GetProperty")
    if short == "cudart":
        return _cuda(library)
    number = {"cudnn": "cudnnGetVersion", "nvinfer": "getInferLibVersion"}.get(short)
    function = getattr(library, number, None) if number else None
    return dotted(int(function())) if function is not None else None


def dotted(number: int) -> str:
    """Return a version number as text.

    cudnn_version.h and NvInferVersion.h: major * 1000 + minor * 100 + patch, from cuDNN 9 and TensorRT 10 on
    major * 10000 + minor * 100 + patch.
    """
    scale = 10000 if number >= 90_000 else 1000
    return f"{number // scale}.{number % scale // 100}.{number % 100}"


def _property(library: Any, name: str) -> str | None:  # noqa: ANN401
    function = getattr(library, name, None)
    if function is None:
        return None
    parts = []
    for which in range(3):
        value = ctypes.c_int()
        if function(which, ctypes.byref(value)):
            return None
        parts.append(str(value.value))
    return ".".join(parts)


def _cuda(library: Any) -> str | None:  # noqa: ANN401
    function, value = getattr(library, "cudaRuntimeGetVersion", None), ctypes.c_int()
    if function is None or function(ctypes.byref(value)):
        return None
    return f"{value.value // 1000}.{value.value % 1000 // 10}"
