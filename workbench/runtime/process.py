"""How the kernel starts a Python process that is sure to find this package, and nothing of the current folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

TORCH_LIBRARIES = "WORKBENCH_TORCH_LIBRARY_PATH"


def python_module(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this package with the kernel's own interpreter."""
    # -P: files in the current folder must not stand in for the modules that the process imports
    return [sys.executable, "-P", "-m", name, *arguments]


def python_environment() -> dict[str, str]:
    """Return this process's environment, with the folder of this package on the module path."""
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def start_module(name: str, *arguments: str, log: IO[bytes], cwd: Path | str) -> subprocess.Popen[bytes]:
    """Start a module of this package in a process group of its own, in a folder, with all that it prints in a log."""
    return subprocess.Popen(
        python_module(name, *arguments),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=cwd,
        env=python_environment(),
        start_new_session=True,
    )


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a process group that :func:`start_module` started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()


def how_it_ended(code: int, log: IO[bytes]) -> str:
    """Return how a process with this exit code ended, and the last line that it printed."""
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
    last = last_line(log)
    return f"{how}; its last words: {last[:300]}" if last else how


def last_line(log: IO[bytes]) -> str:
    """Return the last line that a process printed, empty where it printed none."""
    log.seek(0)
    return next(iter(log.read().decode(errors="replace").strip().splitlines()[-1:]), "")


def library_environment(family: str) -> dict[str, str]:
    """Return the environment of a worker: ``WORKBENCH_TORCH_LIBRARY_PATH`` stands in for PyTorch's ``LD_LIBRARY_PATH``, if set.

    PyTorch finds its CUDA libraries by itself, but those of ``LD_LIBRARY_PATH``, meant for ONNX Runtime, come before them.
    """
    environment = python_environment()
    own = environment.get(TORCH_LIBRARIES)
    if family == "torch" and own is not None:
        environment["LD_LIBRARY_PATH"] = own
    return environment


def scratch_of(log: Path) -> Path:
    """Return the folder for a worker's temporary files, by its log: who removes the log of a dead worker removes it too."""
    return log.with_suffix(".files")
