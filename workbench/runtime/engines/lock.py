"""A lock between processes that the system lets go of when its holder dies, and a note of who holds it."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOCKS = "locks"
TELL_S = 15.0  # between two lines that say what is waited for
POLL_S = 0.1


class ProcessLock:
    """A lock between processes.

    Parameters
    ----------
    root : Path
        The cache's folder.
    name : str
        What is locked.
    purpose : str
        What the holder does, in words, such as ``building the engines of m.onnx``.
    """

    def __init__(self, root: Path, name: str, purpose: str) -> None:
        self.path = root / LOCKS / f"{name}.lock"
        self.purpose = purpose
        self._lock = FileLock(self.path, thread_local=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._lock.is_locked

    def acquire(self, say: Callable[[str], None] | None = None, timeout_s: float | None = None) -> float:
        """Wait for the lock and take it; return the seconds that it took, 0.0 where nobody held it.

        Parameters
        ----------
        say : callable or None
            Told for whom it waits, at first and every few seconds.
        timeout_s : float or None
            How long to wait at most; without end where it is ``None``.

        Raises
        ------
        TimeoutError
            Saying who holds it.
        OSError
            When the folder cannot be written, or has no locks.
        """
        if self.held:
            return 0.0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        waited = 0.0
        while not self._take(0.0 if waited == 0.0 else TELL_S if timeout_s is None else min(TELL_S, timeout_s)):
            waited = max(time.monotonic() - began, 1e-9)
            if timeout_s is not None and waited >= timeout_s:
                raise TimeoutError(f"{self.path.stem} is locked: {self.holder()}")
            if say is not None:
                say(self.holder())
        self._sign()
        return time.monotonic() - began if waited else 0.0

    def release(self) -> None:
        """Let go of it."""
        if self.held:
            with suppress(OSError):
                self._note.unlink(missing_ok=True)
            self._lock.release()

    def holder(self) -> str:
        """Return who holds the lock and why, as far as the holder's note says."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            who, since = f"process {note['pid']} on {note['host']} is {note['purpose']}", time.time() - float(note["since"])
        except (OSError, ValueError, KeyError, TypeError):
            return "another process is at work on it"
        return f"{who}, for {max(since, 0):.0f} s so far"

    @property
    def _note(self) -> Path:
        return self.path.with_suffix(".holder")

    def _take(self, timeout_s: float) -> bool:
        try:
            self._lock.acquire(timeout=timeout_s, poll_interval=POLL_S)
        except Timeout:
            return False
        return True

    def _sign(self) -> None:
        note = {"pid": os.getpid(), "host": socket.gethostname(), "purpose": self.purpose, "since": time.time()}
        with suppress(OSError):  # the note is a courtesy
            self._note.write_text(json.dumps(note), encoding="utf-8")
