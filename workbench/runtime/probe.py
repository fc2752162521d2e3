"""What this interpreter can really load; run as a process of its own, because loading a library can end it.

Prints one JSON document on standard output.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
from pathlib import Path
from typing import Any

from workbench.runtime.environment import environment
from workbench.runtime.libraries import needs_of


def main() -> None:
    """Print what was found."""
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    json.dump(_probe(), messages)
    messages.flush()


def _probe() -> dict[str, Any]:
    try:
        ort = importlib.import_module("onnxruntime")
    except ImportError as error:
        return {"environment": environment().model_dump(mode="json"), "onnxruntime_error": str(error)}
    found: dict[str, Any] = {"libraries": {}}
    if "CUDAExecutionProvider" in ort.get_available_providers():
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()
        with contextlib.suppress(ImportError):
            importlib.import_module("tensorrt")
        needs = needs_of(ort.__version__)
        found["libraries"] = {name: _load(name) for name in (*needs.cuda_libraries(), *needs.tensorrt_libraries())}
        folder = Path(str(ort.__file__)).parent / "capi"
        found["providers"] = {
            name: _load(str(folder / f"libonnxruntime_providers_{name}.so")) for name in ("shared", "cuda", "tensorrt")
        }
    found["environment"] = environment().model_dump(mode="json")
    return found


def _load(name: str) -> str:
    """Return why a library cannot be loaded; an empty string when it can."""
    try:
        ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    main()
