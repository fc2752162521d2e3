"""The files of a working folder: what is new in it, what may be torn, and what is in the way."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import EngineError
from workbench.runtime.engines.file_name import is_engine_name, read_name
from workbench.runtime.engines.files import PROFILE
from workbench.runtime.engines.layout import Checksum, hash_of

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.runtime.engines.records import InputBounds

ROOM = 1 << 20  # bytes; with less left on the disk, what was written last may be cut off


@dataclass(frozen=True, slots=True)
class WorkingFile:
    """A file of the working folder that the cache has, too: its checksum, and its size and time (ns) when it was taken."""

    checksum: Checksum
    stamp: tuple[int, int]


def holds(outer: tuple[InputBounds, ...], inner: tuple[InputBounds, ...]) -> bool:
    """Return whether one engine works for all shapes that another works for."""
    found = {(bounds.name, bounds.profile, bounds.axes, bounds.values): bounds for bounds in outer}
    for bounds in inner:
        wide = found.get((bounds.name, bounds.profile, bounds.axes, bounds.values))
        if wide is None or len(wide.min) != len(bounds.min):
            return False
        if any(w > b for w, b in zip(wide.min, bounds.min, strict=True)):
            return False
        if any(w < b for w, b in zip(wide.max, bounds.max, strict=True)):
            return False
    return True


def changed_files(folder: Path, before: dict[str, WorkingFile]) -> set[str]:
    """Return the names of a folder's engines, and of the files beside them, that are new or other than they were."""
    changed = set()
    for path in folder.iterdir():
        if not is_kept(path.name):
            continue
        file = before.get(path.name)
        if file is None or (file.stamp != stamp_of(path) and hash_of(path) != file.checksum.sha256):
            changed.add(path.name)
    return changed


def is_kept(name: str) -> bool:
    """Return whether a file of a working folder belongs into the cache: an engine, or the ranges beside it."""
    return is_engine_name(name) or name.endswith(PROFILE)


def stamp_of(path: Path) -> tuple[int, int]:
    """Return a file's size in bytes, and when it was written last, in nanoseconds."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def part_of(name: str) -> tuple[int | None, tuple[str, ...], str]:
    """Return which part of a model an engine is for; a name that does not say stands for itself."""
    found = read_name(name)
    return found.subgraph, found.precisions, name if found.subgraph is None else ""


def refuse_torn(folder: Path, names: set[str]) -> None:
    """Raise OSError where the disk is so full that a builder, which does not look, may have written half a file."""
    if shutil.disk_usage(folder).free < ROOM:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    for name in sorted(names):
        if (folder / name).stat().st_size == 0:
            raise OSError(errno.ENOSPC, "it is empty: the disk was full, or its builder failed", str(folder / name))


def obstacle(root: Path, error: OSError | EngineError) -> str:
    """Return in one sentence what is in the way."""
    if isinstance(error, EngineError):
        return error.message
    if isinstance(error, TimeoutError):
        return str(error)
    reasons = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EACCES: "it cannot be written: permission denied",
        errno.EPERM: "it cannot be written: not permitted",
        errno.EROFS: "it cannot be written: the file system is read-only",
        errno.ENOENT: "it was deleted meanwhile",
        errno.ENOSYS: "its file system has no locks",
    }
    where = error.filename or root
    return f"{where}: {reasons.get(error.errno or 0, error.strerror or str(error))}"
