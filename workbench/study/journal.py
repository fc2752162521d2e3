"""A file of answers that cost time, one a line, so that a search that was interrupted goes on where it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import ValidationError

from workbench.errors import StoreError
from workbench.record import Record
from workbench.runtime.lowering.trials import SetMeasured

if TYPE_CHECKING:
    from pathlib import Path


class Tried(Record):
    """A set of nodes that was kept, and what came of it."""

    keep: tuple[str, ...]
    measured: SetMeasured


class Journal:
    """What was tried for one question; each answer is written before the next is asked.

    Parameters
    ----------
    path : Path or None
        The file, made where there is none; ``None`` to keep the answers in memory only. A last line that was cut off is
        left out.

    Raises
    ------
    StoreError
        When the file cannot be read or written.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.known: dict[frozenset[str], SetMeasured] = {}
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            data = path.read_bytes() if path.exists() else b""
            if data and not data.endswith(b"\n"):  # cut off while it was written
                data = data[: data.rfind(b"\n") + 1]
                path.write_bytes(data)
        except OSError as error:
            raise self._trouble(error) from error
        for line in data.splitlines():
            self._remember(line)

    def _remember(self, line: bytes) -> None:
        try:
            tried = Tried.model_validate(json.loads(line))
        except (ValueError, ValidationError):  # of another version: then it is measured again
            return
        self.known[frozenset(tried.keep)] = tried.measured

    def add(self, keep: frozenset[str], measured: SetMeasured) -> None:
        """Write an answer down."""
        self.known[keep] = measured
        if self.path is None:
            return
        line = Tried(keep=tuple(sorted(keep)), measured=measured).model_dump_json() + "\n"
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise self._trouble(error) from error

    def _trouble(self, error: OSError) -> StoreError:
        message = f"{self.path}: the journal of the search cannot be used: {error.strerror or error}."
        return StoreError(message, remedy="Check the disk and the permissions, or name another store (--store).")
