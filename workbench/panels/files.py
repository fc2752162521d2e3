"""The model files that a user may pick, and those that she uploads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from workbench.errors import ModelError

SUFFIXES = (".onnx",)
MOST = 200  # entries of a folder that are listed


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder; the size of a file in bytes."""

    name: str
    path: Path
    folder: bool
    size_bytes: int | None = None


def listing(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> tuple[Entry, ...]:
    """Return the folders of a folder, and its files with these endings; each sorted by name, hidden ones left out.

    Raises
    ------
    ModelError
        When the folder cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            entries = [_entry(item) for item in found if not item.name.startswith(".") and _wanted(item, suffixes)]
    except OSError as error:
        raise ModelError(f"{folder}: the folder cannot be read: {error.strerror or error}.", remedy="Check the path.") from error
    return tuple(sorted(entries, key=lambda entry: (not entry.folder, entry.name.lower()))[:MOST])


def array_completions(text: str) -> tuple[str, ...]:
    """Return the folders and ``.npz`` files whose paths begin with what was typed."""
    return completions(text, (".npz",))


def table_completions(text: str) -> tuple[str, ...]:
    """Return the folders and ``.csv`` files whose paths begin with what was typed."""
    return completions(text, (".csv",))


def run_completions(text: str) -> tuple[str, ...]:
    """Return the folders and ``.json`` files whose paths begin with what was typed."""
    return completions(text, (".json",))


def folder_completions(text: str) -> tuple[str, ...]:
    """Return the folders whose paths begin with what was typed."""
    return completions(text, ())


def completions(text: str, suffixes: tuple[str, ...] = SUFFIXES) -> tuple[str, ...]:
    """Return the folders and the files with these endings whose paths begin with what was typed; folders end in a slash."""
    typed = Path(text).expanduser()
    folder = typed if text.endswith(("/", os.sep)) or not text else typed.parent
    begin = "" if folder == typed else typed.name
    try:
        entries = listing(folder, suffixes)
    except ModelError:
        return ()  # half a path is no error
    return tuple(f"{entry.path}{'/' if entry.folder else ''}" for entry in entries if entry.name.startswith(begin))[:50]


def keep_upload(name: str, content: bytes) -> Path:
    """Write an uploaded model into the user's cache, and return its path.

    Raises
    ------
    ModelError
        When it cannot be written.
    """
    folder = platformdirs.user_cache_path("trt-workbench") / "uploads"
    path = folder / Path(name).name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        message = f"{path}: the uploaded model cannot be kept: {error.strerror or error}."
        raise ModelError(message, remedy="Copy it to the Jupyter server instead, and type its path.") from error
    return path


def _wanted(item: os.DirEntry[str], suffixes: tuple[str, ...]) -> bool:
    try:
        return item.is_dir() or item.name.lower().endswith(suffixes)
    except OSError:
        return False  # a link to nowhere


def _entry(item: os.DirEntry[str]) -> Entry:
    folder = item.is_dir()
    return Entry(item.name, Path(item.path), folder, None if folder else item.stat().st_size)
