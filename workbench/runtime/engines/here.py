"""What a session finds on this machine, and what an engine needs of the machine that it is loaded on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from workbench.runtime.environment import environment, onnxruntime_release

if TYPE_CHECKING:
    from workbench.runtime.job import Environment

AMPERE = (8, 0)


def session_environment() -> Environment:
    """Return this machine with the versions that a session has here, without loading a library into this process.

    With a GPU, a process of its own loads TensorRT and is asked: the package's version may differ from the library's. That
    takes seconds. Without one no TensorRT can be used.
    """
    from workbench.runtime.doctor.diagnosis import diagnose

    found = environment()
    if not without_gpu(found):
        return diagnose().environment or found
    return found.model_copy(update={"onnxruntime": onnxruntime_release(), "tensorrt": None})


def without_gpu(here: Environment) -> bool:
    """Return whether no NVIDIA GPU was found on a machine."""
    return here.compute_capability is None


def other_architecture(built: str | None, here: Environment, *, portable: bool = False) -> str:
    """Return why an engine of one GPU architecture does not load here; empty where it does, or that is not known.

    Parameters
    ----------
    built : str or None
        ``9.0``, or as a file's name writes it: ``sm90``, or ``sm80+`` for every architecture from Ampere on.
    here : Environment
        This machine.
    portable : bool
        Whether it was built to run on every architecture from Ampere on.
    """
    needed, found = _capability(built), _capability(here.compute_capability)
    if needed is None or found is None:
        return ""
    if portable or str(built).endswith("+"):
        if found >= AMPERE:
            return ""
        return f"It needs compute capability 8.0 or later; this GPU has {_text(found)}."
    return "" if needed == found else f"It is for compute capability {_text(needed)}; this GPU has {_text(found)}."


def other_tensorrt(built: str | None, here: Environment, provider: str = "tensorrt") -> str:
    """Return why an engine of one TensorRT does not load here: a plan needs the version that wrote it. Empty where it does.

    Each provider has a TensorRT of its own, which may have another version than the other's.

    Only major, minor and patch are compared: a library does not tell its build.
    """
    found = here.tensorrt_of(provider)
    if built is None or found is None or _release(built) == _release(found):
        return ""
    return f"TensorRT {built} built it; here is {found}."


def other_onnxruntime(built: str | None, here: Environment) -> str:
    """Return why ONNX Runtime does not find an engine again: its release is part of the name.

    Empty where it does, and on machines without a GPU, which build no engines of their own.
    """
    if without_gpu(here) or built is None or here.onnxruntime is None or built == here.onnxruntime:
        return ""
    return f"ONNX Runtime {built} built it; here is {here.onnxruntime}."


def _capability(text: str | None) -> tuple[int, int] | None:
    """Read ``9.0``, ``sm90``, ``sm120`` or ``sm80+``: the last digit is the minor number."""
    found = re.fullmatch(r"(?:sm)?(\d+)\.?(\d)\+?", text or "")
    return (int(found[1]), int(found[2])) if found else None


def _text(capability: tuple[int, int]) -> str:
    return ".".join(map(str, capability))


def _release(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:3])
