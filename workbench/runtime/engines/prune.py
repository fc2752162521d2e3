"""Removing engines by rule: first what would go and how much that frees, then, if wanted, for good."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import EngineError, ModelError
from workbench.measure.amounts import size_text
from workbench.record import Record
from workbench.runtime.engines.here import other_architecture, other_tensorrt
from workbench.runtime.engines.layout import SET_ASIDE
from workbench.runtime.engines.records import EngineEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from workbench.runtime.engines.cache import EngineCache
    from workbench.runtime.job import Environment


class Rules(Record):
    """Which engines are to go; a rule that is not set removes nothing, and an engine goes by any of the others.

    Attributes
    ----------
    older_than, unused_for : timedelta or None
        Built longer ago than this; not used for longer than this.
    gone : bool
        Of models whose file has gone, or has other content now.
    other_machine : bool
        Built by another TensorRT, or for another GPU architecture, than this machine has. On a machine without a GPU the
        architecture counts for nothing.
    set_aside : bool
        Set aside because they were damaged.
    over : int or None
        Bytes that the rest may take; beyond them, those not used for longest go.
    """

    older_than: timedelta | None = None
    unused_for: timedelta | None = None
    gone: bool = False
    other_machine: bool = False
    set_aside: bool = False
    over: int | None = None

    def __bool__(self) -> bool:
        return self != Rules()


class ModelFile(Record):
    """A model's file, and the hash of what was in it when it was run."""

    path: str
    content_hash: str


class Removal(Record):
    """The engines of one entry that go, or what was set aside.

    Attributes
    ----------
    key : str
        Of the entry; the folder's name for what was set aside.
    model : str
        The model's name; empty where it is not known.
    bytes : int
        What that frees.
    because : str
        The rules that it falls under.
    """

    key: str
    model: str
    bytes: int
    because: str


class Pruning(Record):
    """What goes and what stays.

    Attributes
    ----------
    dry_run : bool
        Whether nothing was removed.
    removals : tuple of Removal
        What goes: what would, in a dry run, and what has gone otherwise.
    kept, kept_bytes : int
        How many entries stay, and what they take.
    problems : tuple of str
        Sentences: what could not be removed.
    """

    dry_run: bool
    removals: tuple[Removal, ...]
    kept: int
    kept_bytes: int
    problems: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """What is freed."""
        return sum(removal.bytes for removal in self.removals)


def choose_removals(
    entries: Sequence[EngineEntry],
    rules: Rules,
    *,
    here: Environment,
    models: Sequence[ModelFile] = (),
    now: datetime | None = None,
) -> list[Removal]:
    """Return the entries that fall under a rule, in their order.

    Parameters
    ----------
    entries : sequence of EngineEntry
        All entries of a cache.
    rules : Rules
        Which are to go.
    here : Environment
        This machine.
    models : sequence of ModelFile
        Where the models were when they were run. A model of which no file is named here counts as still there.
    now : datetime, optional
        The time to count from.
    """
    moment = now or datetime.now(UTC)
    gone = _gone(models) if rules.gone else lambda _: ""
    because = [_because(entry, rules, here, moment) + list(filter(None, [gone(entry.content_hash)])) for entry in entries]
    if rules.over is not None:
        for position in _beyond(entries, because, rules.over):
            because[position].append(f"not used for longest, over the limit of {size_text(rules.over)}")
    pairs = zip(entries, because, strict=True)
    return [Removal(key=e.key, model=e.model, bytes=e.bytes, because="; ".join(why)) for e, why in pairs if why]


def prune(  # noqa: PLR0913
    cache: EngineCache,
    rules: Rules,
    *,
    here: Environment,
    models: Sequence[ModelFile] = (),
    dry_run: bool = True,
    only: Collection[str] | None = None,
) -> Pruning:
    """Remove the engines that fall under a rule, each entry under its lock; or only say which, in a dry run.

    Parameters
    ----------
    cache : EngineCache
        Whose engines.
    rules, here, models
        As for :func:`choose_removals`.
    dry_run : bool
        Whether to leave everything as it is.
    only : collection of str, optional
        Keys of the removals that a user has seen and agreed to; others are left.
    """
    entries = cache.entries()
    removals = choose_removals(entries, rules, here=here, models=models)
    removals += _set_aside(cache.folder) if rules.set_aside else []
    removals = [removal for removal in removals if only is None or removal.key in only]
    problems = [] if dry_run else [(each.key, why) for each in removals if (why := _remove(cache, each))]
    staying = {key for key, _ in problems}
    gone = {removal.key for removal in removals} - staying
    kept = [entry for entry in entries if entry.key not in gone]
    return Pruning(
        dry_run=dry_run,
        removals=tuple(removal for removal in removals if removal.key in gone),
        kept=len(kept),
        kept_bytes=sum(entry.bytes for entry in kept),
        problems=tuple(why for _, why in problems),
    )


def _remove(cache: EngineCache, removal: Removal) -> str:
    """Remove one of them; return why that could not be done."""
    aside = cache.folder / SET_ASIDE / removal.key
    try:
        if aside.is_dir():
            shutil.rmtree(aside)
        else:
            cache.remove([removal.key])
    except (EngineError, OSError) as error:
        return str(error)
    return ""


def _set_aside(root: Path) -> list[Removal]:
    """Return what was set aside; no session uses it."""
    try:
        folders = sorted((root / SET_ASIDE).iterdir())
    except OSError:
        return []
    found = []
    for folder in folders:
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        found.append(Removal(key=folder.name, model="", bytes=size, because="set aside as damaged"))
    return found


def _because(entry: EngineEntry, rules: Rules, here: Environment, now: datetime) -> list[str]:
    """Return the rules about one entry alone that it falls under."""
    age, idle = now - entry.created, now - entry.last_used
    found = []
    if rules.older_than is not None and age > rules.older_than:
        found.append(f"built {age.days} days ago")
    if rules.unused_for is not None and idle > rules.unused_for:
        found.append(f"not used for {idle.days} days")
    if rules.other_machine:
        portable = bool(entry.settings.provider_options.get("trt_engine_hw_compatible"))
        why = (
            other_tensorrt(entry.tensorrt, here, entry.provider),
            other_architecture(entry.compute_capability, here, portable=portable),
        )
        found += [reason.removesuffix(".") for reason in why if reason]
    return found


def _gone(models: Sequence[ModelFile]) -> Callable[[str], str]:
    """Return what says why a model, by its content, is not there any more; empty where it is, or may be."""
    from workbench.model.model import Model

    present: dict[str, str] = {}

    def content_at(path: str) -> str:
        if path not in present:
            try:
                present[path] = Model.load(path).content_hash()
            except ModelError:
                present[path] = ""
        return present[path]

    def judge(content_hash: str) -> str:
        paths = [model.path for model in models if model.content_hash == content_hash]
        if not paths or any(content_at(path) == content_hash for path in paths):
            return ""
        changed = any(Path(path).exists() for path in paths)
        return "the model's file has other content now" if changed else "the model's file has gone"

    return judge


def _beyond(entries: Sequence[EngineEntry], because: list[list[str]], limit: int) -> list[int]:
    """Return the positions of those that must go besides, so that the rest takes no more than the limit."""
    staying = [position for position, why in enumerate(because) if not why]
    total = sum(entries[position].bytes for position in staying)
    found = []
    for position in sorted(staying, key=lambda at: entries[at].last_used):
        if total <= limit:
            break
        found.append(position)
        total -= entries[position].bytes
    return found
