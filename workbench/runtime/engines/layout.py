"""How the cache's folder is laid out, so that a user finds his way in it.

::

    sm90/1f0c3a…/entry.json               what the engines were built from, and which generation is current
    sm90/1f0c3a…/generation-0001/         the engines, and the .profile files beside them
    timing/sm90-8.6.1/                    kernel timings, shared by all models of that GPU architecture and TensorRT
    set-aside/…/                          what was found damaged, with the reason
    staging/…/  locks/…                   of processes at work
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.errors import EngineError
from workbench.record import Record
from workbench.runtime.engines.file_name import is_engine_name, read_name
from workbench.runtime.engines.files import PROFILE, read_engine_file
from workbench.runtime.engines.records import EngineEntry, EngineFile

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
ENTRY = "entry.json"
USED = "used"  # an empty file; its time is when the entry was used last
SET_ASIDE, TIMING = "set-aside", "timing"
REASON = "reason.txt"
GENERATION = re.compile(r"generation-(\d+)")
BLOCK = 1 << 20


class Checksum(Record):
    """A file as it was published: its name, its size and the SHA-256 (hexadecimal) of its contents."""

    name: str
    bytes: int
    sha256: str


class Manifest(Record):
    """What ``entry.json`` holds.

    Attributes
    ----------
    format : int
        Of this file.
    generation : str
        The folder that is current.
    files : tuple of Checksum
        All files in it.
    entry : EngineEntry
        What they are.
    """

    format: int = FORMAT
    generation: str
    files: tuple[Checksum, ...]
    entry: EngineEntry


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of an entry's folder; ``None`` where there is none.

    Raises
    ------
    EngineError
        When it cannot be read, or is damaged.
    """
    path = folder / ENTRY
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        message = f"{path}: cannot be read: {error.strerror or error}."
        raise EngineError(message, remedy="Check its permissions.") from error
    except ValueError as error:
        message = f"{path}: is damaged, or was written by another version of the workbench."
        raise EngineError(message, remedy="The engines will be built again.") from error
    with suppress(OSError):
        used = datetime.fromtimestamp((folder / USED).stat().st_mtime, UTC)
        newest = max(used, manifest.entry.last_used)
        return manifest.model_copy(update={"entry": manifest.entry.model_copy(update={"last_used": newest})})
    return manifest


def write_manifest(folder: Path, manifest: Manifest, staging: Path) -> None:
    """Put a manifest in its place, at once; `staging` is on the same file system.

    Raises
    ------
    OSError
        When it cannot be written; the one before stays.
    """
    part = staging / ENTRY
    with part.open("wb") as file:
        file.write(manifest.model_dump_json(indent=1).encode())
        file.flush()
        os.fsync(file.fileno())  # the disk may be full, and say so only now
    part.replace(folder / ENTRY)


def mark_used(folder: Path) -> None:
    """Note that an entry is used now."""
    with suppress(OSError):
        (folder / USED).touch()


def copy_hashed(source: Path, target: Path) -> Checksum:
    """Copy a file and return the checksum of what was copied.

    Raises
    ------
    OSError
        When it cannot be read or written.
    """
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as given, target.open("wb") as made:
        while block := given.read(BLOCK):
            digest.update(block)
            made.write(block)
            size += len(block)
    return Checksum(name=target.name, bytes=size, sha256=digest.hexdigest())


def hash_of(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unit_of(name: str) -> str:
    """Return what an engine and the files beside it have in common; they are only worth something together."""
    return read_name(name).stem if is_engine_name(name) else name.removesuffix(PROFILE)


def engine_files(folder: Path, checksums: tuple[Checksum, ...]) -> tuple[EngineFile, ...]:
    """Return what the engines among files say.

    Raises
    ------
    EngineError
        When one cannot be read.
    """
    engines = [given for given in checksums if is_engine_name(given.name)]
    return tuple(read_engine_file(folder / e.name).model_copy(update={"sha256": e.sha256}) for e in engines)


def next_generation(folder: Path) -> str:
    """Return a name that no generation of an entry has, or had left behind."""
    numbers = [int(found[1]) for path in folder.iterdir() if (found := GENERATION.fullmatch(path.name))]
    return f"generation-{max(numbers, default=0) + 1:04}"


def remove_generations(folder: Path, keep: str) -> None:
    """Remove all generations of an entry but one: older ones, and those of a process that died before it made them current."""
    for path in folder.iterdir():
        if GENERATION.fullmatch(path.name) and path.name != keep:
            shutil.rmtree(path, ignore_errors=True)


def set_aside(root: Path, paths: list[Path], name: str, reason: str) -> Path:
    """Move damaged files out of the way, with a text that says why; return where they are now.

    Raises
    ------
    OSError
        When they cannot be moved.
    """
    now = datetime.now(UTC)
    folder = root / SET_ASIDE / f"{now:%Y%m%d-%H%M%S-%f}-{name}"
    folder.mkdir(parents=True)
    for path in paths:
        if path.exists():
            path.rename(folder / path.name)
    (folder / REASON).write_text(f"{now.isoformat(timespec='seconds')}\n{reason}\n", encoding="utf-8")
    return folder
