"""The engines in sight: those of our cache and those of a user's own folder, each with what is thought of it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workbench.errors import EngineError, nearest
from workbench.options.effective import Effective
from workbench.record import Record
from workbench.runtime.engines.files import read_engine_file, read_folder
from workbench.runtime.engines.judge import Judgement, judge_entry, judge_file
from workbench.runtime.engines.ranges import bounds_text
from workbench.runtime.engines.records import EngineFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.runtime.engines.cache import EngineCache
    from workbench.runtime.engines.records import EngineEntry
    from workbench.runtime.job import Environment

SHORT = 12  # digits of a key that are shown


class ListedEngine(Record):
    """The engines of one entry of our cache, or one file of a folder.

    Attributes
    ----------
    name : str
        The entry's key, or the file's name.
    source : str
        ``cache`` for ours, ``folder`` for a file of a user's own.
    folder : str
        Where the files lie.
    model : str
        The model's name; empty where only ONNX Runtime's names tell.
    settings : str
        Those that built it, in short; empty where they are not known.
    precision : str
        What TensorRT was allowed: ``fp32``, ``fp16``, ``int8+fp16``.
    ranges : tuple of str
        The inputs' ranges; empty for static shapes, and where they are not known.
    architecture, tensorrt, onnxruntime, gpu : str or None
        What it was built for and with, as far as is known.
    bytes : int
        What it takes on disk.
    created, last_used : datetime or None
        UTC; for a file, when it was written, and ``None``.
    build_seconds : float or None
        How long making the session took.
    files : tuple of EngineFile
        The engines.
    judgement : Judgement
        Whether a session would use it.
    """

    name: str
    source: Literal["cache", "folder"]
    folder: str
    model: str = ""
    settings: str = ""
    precision: str
    ranges: tuple[str, ...] = ()
    architecture: str | None = None
    tensorrt: str | None = None
    onnxruntime: str | None = None
    gpu: str | None = None
    bytes: int
    created: datetime | None = None
    last_used: datetime | None = None
    build_seconds: float | None = None
    files: tuple[EngineFile, ...]
    judgement: Judgement

    @property
    def title(self) -> str:
        """What to call it in a list: the beginning of the key, or the file's name."""
        return self.name[:SHORT] if self.source == "cache" else self.name


def list_cache(
    cache: EngineCache, environment: Environment, *, model: Model | None = None, settings: Settings | None = None
) -> list[ListedEngine]:
    """Return the entries of our cache, the one used last first.

    Parameters
    ----------
    cache : EngineCache
        The cache.
    environment, model, settings
        As for :func:`workbench.runtime.engines.judge.judge_entry`.

    Raises
    ------
    EngineError
        When the cache's folder cannot be read.
    """
    return [listed_entry(e, cache, judge_entry(e, environment, model=model, settings=settings)) for e in cache.entries()]


def list_folder(
    folder: Path, environment: Environment, *, model: Model | None = None, settings: Settings | None = None
) -> list[ListedEngine]:
    """Return the engines of a folder that plain ONNX Runtime, or anybody else, wrote; parameters as in :func:`list_cache`.

    Raises
    ------
    EngineError
        When the folder cannot be read.
    """
    files = read_folder(folder)
    return [listed_file(f, folder, judge_file(f, environment, model=model, settings=settings)) for f in files]


def find_engine(
    wanted: str, cache: EngineCache, environment: Environment, *, model: Model | None = None, settings: Settings | None = None
) -> ListedEngine:
    """Return one engine, its files' contents checked.

    Parameters
    ----------
    wanted : str
        The beginning of an entry's key, or the path of an engine file.
    cache, environment, model, settings
        As for :func:`list_cache`.

    Raises
    ------
    EngineError
        When there is no such file or key, or several keys begin so.
    """
    path = Path(wanted).expanduser()
    if path.is_file():
        file = read_engine_file(path)
        return listed_file(file, path.parent, judge_file(file, environment, model=model, settings=settings))
    entries = cache.entries()
    found = [entry for entry in entries if entry.key.startswith(wanted)] if wanted else []
    if len(found) != 1:
        raise _not_one(wanted, cache, [entry.key[:SHORT] for entry in found], [entry.key[:SHORT] for entry in entries])
    folder = cache.folder_of(found[0].key)
    judgement = judge_entry(found[0], environment, model=model, settings=settings, folder=folder)
    return listed_entry(found[0], cache, judgement)


def listed_entry(entry: EngineEntry, cache: EngineCache, judgement: Judgement) -> ListedEngine:
    """Return what a list shows of an entry."""
    return ListedEngine(
        name=entry.key,
        source="cache",
        folder=str(cache.folder_of(entry.key) or ""),
        model=entry.model,
        settings=entry.settings.summary(),
        precision="+".join(Effective(entry.settings).precisions) or "fp32",
        ranges=_ranges(entry.files),
        architecture=entry.compute_capability,
        tensorrt=entry.tensorrt,
        onnxruntime=entry.onnxruntime,
        gpu=entry.gpu,
        bytes=entry.bytes,
        created=entry.created,
        last_used=entry.last_used,
        build_seconds=entry.build_seconds,
        files=entry.files,
        judgement=judgement,
    )


def listed_file(file: EngineFile, folder: Path, judgement: Judgement) -> ListedEngine:
    """Return what a list shows of a file."""
    return ListedEngine(
        name=file.name,
        source="folder",
        folder=str(folder),
        precision="+".join(file.precisions) or ("fp32" if file.model_hash else ""),
        ranges=_ranges([file]),
        architecture=file.architecture,
        tensorrt=file.tensorrt,
        bytes=file.bytes,
        created=file.modified,
        files=(file,),
        judgement=judgement,
    )


def _ranges(files: Iterable[EngineFile]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(bounds_text(bounds) for file in files for bounds in file.bounds))


def _not_one(wanted: str, cache: EngineCache, found: list[str], known: list[str]) -> EngineError:
    if found:
        message = f"{cache.folder}: several engines have a key that begins with {wanted!r}: {', '.join(found)}."
        return EngineError(message, remedy="Give more of the key.")
    message = f"{wanted!r}: no such file, and no engine in {cache.folder} has a key that begins so."
    return EngineError(message, remedy=nearest(wanted, known) or "`workbench engines` lists them.")
