"""Private folders inside the cache: what is written there is seen after a rename only, and goes when its process has died."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import time
from contextlib import suppress
from pathlib import Path

import psutil

STAGING = "staging"
TOLERANCE_S = 2.0  # psutil derives start times from the clock, which may be set meanwhile
FOREIGN_AGE_S = 7 * 24 * 3600.0  # of another computer's processes nothing is known but how old their folders are
NAMESPACE = Path("/proc/self/ns/pid")


def private_folder(root: Path) -> Path:
    """Make a folder for this process alone, on the same file system as the cache.

    Raises
    ------
    OSError
        When it cannot be made.
    """
    started = psutil.Process().create_time()
    name = f"{_computer()}-{os.getpid()}-{started * 100:.0f}-{secrets.token_hex(4)}"
    folder = root / STAGING / name
    folder.mkdir(parents=True)
    return folder


def remove_dead(root: Path) -> list[Path]:
    """Remove the private folders of processes that live no longer; return which."""
    try:
        folders = list((root / STAGING).iterdir())
    except OSError:
        return []
    dead = [folder for folder in folders if not _may_live(folder)]
    for folder in dead:
        shutil.rmtree(folder, ignore_errors=True)
    return dead


def _may_live(folder: Path) -> bool:
    """Whether the process that made a folder may still be there; what has another name is left alone."""
    computer, *numbers, _ = ("-" * 3 + folder.name).rsplit("-", 3)
    if len(numbers) != 2 or not all(number.isdigit() for number in numbers):
        return True
    if computer.lstrip("-") != _computer():
        with suppress(OSError):
            return time.time() - folder.stat().st_mtime < FOREIGN_AGE_S
        return True
    pid, started = int(numbers[0]), int(numbers[1]) / 100
    try:
        process = psutil.Process(pid)
        return bool(process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - started) < TOLERANCE_S)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _computer() -> str:
    """Return what tells process numbers apart: the host, and the container, which counts its own processes."""
    name = "".join(letter if letter.isalnum() else "_" for letter in socket.gethostname())
    with suppress(OSError):
        return f"{name}.{NAMESPACE.stat().st_ino}"
    return name
