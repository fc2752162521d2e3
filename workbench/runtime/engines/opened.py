"""An entry of the cache while somebody builds or uses its engines."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Self

from workbench.errors import EngineError
from workbench.options.settings import Settings
from workbench.record import Finding, Record
from workbench.runtime.engines.file_name import is_engine_name
from workbench.runtime.engines.files import read_engine_file
from workbench.runtime.engines.key import SHORT, architecture_of
from workbench.runtime.engines.layout import (
    Checksum,
    Manifest,
    copy_hashed,
    engine_files,
    mark_used,
    next_generation,
    read_manifest,
    remove_generations,
    set_aside,
    unit_of,
    write_manifest,
)
from workbench.runtime.engines.lock import ProcessLock
from workbench.runtime.engines.records import EngineEntry
from workbench.runtime.engines.staging import private_folder, remove_dead
from workbench.runtime.engines.timing import SharedTimings
from workbench.runtime.engines.working_files import (
    WorkingFile,
    changed_files,
    holds,
    is_kept,
    obstacle,
    part_of,
    refuse_torn,
    stamp_of,
)
from workbench.runtime.job import EngineUse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PUBLISH_LOCK_S = 60.0
PLACE = "engine cache"
WITHOUT = "The job goes on without the workbench's engine cache: engines are built, and not kept."


class EntryFacts(Record):
    """What engines are built from, and where; fields as in :class:`~workbench.runtime.engines.records.EngineEntry`."""

    key: str
    model: str
    content_hash: str
    settings: Settings
    provider: Literal["tensorrt", "native"] = "tensorrt"
    onnxruntime: str | None = None
    tensorrt: str | None = None
    gpu: str | None = None
    compute_capability: str | None = None

    @property
    def architecture(self) -> str:
        """Of the GPUs that the engines run on."""
        return architecture_of(self.compute_capability, self.settings)


class Opened:
    """An entry that was opened with :meth:`workbench.runtime.engines.cache.EngineCache.opened`.

    Whatever is in the way of the cache (a full disk, a folder that cannot be written) ends in `findings` and a `folder` that
    is ``None``, never in an error: the engines can be built without it.

    Attributes
    ----------
    folder : Path or None
        A private folder with copies of the engines that are there already; engines are to be written into it, under any names
        and in place. ``None`` where the cache cannot be used.
    timing_file : Path or None
        Where a builder finds the shared timing cache, if there is one, and is to leave its own.
    waited_s : float
        How long another process was waited for.
    had_timing : bool
        Whether there was a timing cache.
    findings : list of Finding
        What the user should know.
    """

    def __init__(self, root: Path, facts: EntryFacts, say: Callable[[str], None] | None = None) -> None:
        self.root, self.facts = root, facts
        self.folder: Path | None = None
        self.timing_file: Path | None = None
        self.waited_s = 0.0
        self.had_timing = False
        self.findings: list[Finding] = []
        self.entry_folder = root / facts.architecture / facts.key[:SHORT]
        self._staging: Path | None = None
        self._generation = ""
        self._before: dict[str, WorkingFile] = {}  # as the files were when the entry was opened
        self._kept: dict[str, WorkingFile] = {}  # as they are in the cache
        self._lock = ProcessLock(root, facts.key[:SHORT], f"building the engines of {facts.model}")
        device = architecture_of(facts.compute_capability)
        self._timings = SharedTimings(root, device, facts.tensorrt or "unknown")
        try:
            self._open(say)
        except (OSError, EngineError) as error:
            self._without(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        self.close()

    @property
    def had_engines(self) -> bool:
        """Whether engines were there already."""
        return any(is_engine_name(name) for name in self._before)

    def uses(self) -> tuple[EngineUse, ...]:
        """Return the engines that are there now, and whether each was built since."""
        if self.folder is None:
            return ()
        try:
            changed = changed_files(self.folder, self._before)
            files = sorted(path for path in self.folder.iterdir() if is_engine_name(path.name))
            uses = [
                EngineUse(name=p.name, bytes=p.stat().st_size, origin="built" if p.name in changed else "cache") for p in files
            ]
        except OSError:
            return ()
        built = {part_of(use.name) for use in uses if use.origin == "built"}
        # One that was built for the same part of the model under another name stands in for the old one.
        return tuple(use for use in uses if use.origin == "built" or part_of(use.name) not in built)

    def publish(self, build_seconds: float, *, more: bool = False) -> None:
        """Make what was built since visible to all, as a new generation of the entry; nothing happens where nothing was.

        Parameters
        ----------
        build_seconds : float
            How long building took.
        more : bool
            Whether more may be built: then processes that wait for these engines go on waiting, if they do.
        """
        try:
            if self.folder is not None and self._staging is not None:
                self._publish(self.folder, self._staging, build_seconds)
        except (OSError, EngineError) as error:
            self._not_kept(error)
        if not more:
            self._lock.release()

    def discard(self, reason: str) -> None:
        """Set the engines aside that were there, because they cannot be used; they are to be built anew.

        Parameters
        ----------
        reason : str
            What was seen.
        """
        if self.folder is None:
            return
        try:
            self.waited_s += self._lock.acquire(timeout_s=PUBLISH_LOCK_S)
            manifest = read_manifest(self.entry_folder)
            if manifest is not None and manifest.generation == self._generation:
                self._set_aside([self.entry_folder], reason)
            for name in [*self._before]:
                (self.folder / name).unlink(missing_ok=True)
                self._forget(name)
        except (OSError, EngineError) as error:
            self._without(error)

    def close(self) -> None:
        """Remove the private folder and let go of the lock; what was not published is lost."""
        if self._staging is not None:
            shutil.rmtree(self._staging, ignore_errors=True)
        self._staging = self.folder = self.timing_file = None
        self._lock.release()

    def _open(self, say: Callable[[str], None] | None) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        remove_dead(self.root)
        self._staging = private_folder(self.root)
        folder, timings = self._staging / "engines", self._staging / "timing"
        folder.mkdir()
        timings.mkdir()
        self.waited_s = self._lock.acquire(say)
        complete = self._copy_in(folder)
        self.had_timing = self._timings.copy_to(timings) is not None
        self.folder, self.timing_file = folder, timings / self._timings.file_name
        if complete:  # nothing has to be built, as far as can be seen: others may read it too
            self._lock.release()

    def _copy_in(self, folder: Path) -> bool:
        """Copy the current generation into the working folder; return whether there was one, and all of it was whole."""
        try:
            manifest = read_manifest(self.entry_folder)
        except EngineError as error:
            self._set_aside([self.entry_folder], error.message)
            return False
        if manifest is None or manifest.entry.key != self.facts.key:
            return False
        self._generation = manifest.generation
        wrong = [(file, reason) for file in manifest.files if (reason := self._copy_one(file, folder))]
        if wrong:
            self._drop(manifest, wrong, folder)
        mark_used(self.entry_folder)
        return not wrong

    def _copy_one(self, file: Checksum, folder: Path) -> str:
        """Copy one file; return what is wrong with it, empty where nothing is."""
        try:
            copied = copy_hashed(self.entry_folder / self._generation / file.name, folder / file.name)
        except FileNotFoundError:
            return f"{file.name} is missing"
        if copied.bytes != file.bytes:
            return f"{file.name} has {copied.bytes:,} bytes in place of {file.bytes:,}"
        if copied.sha256 != file.sha256:
            return f"{file.name} has changed since it was built (SHA-256 {copied.sha256}, not {file.sha256})"
        self._before[file.name] = self._kept[file.name] = WorkingFile(copied, stamp_of(folder / file.name))
        return ""

    def _drop(self, manifest: Manifest, wrong: list[tuple[Checksum, str]], folder: Path) -> None:
        """Set damaged files aside, with those that belong to them, and go on with the others."""
        units = {unit_of(file.name) for file, _ in wrong}
        lost = [file.name for file in manifest.files if unit_of(file.name) in units]
        for name in lost:
            self._forget(name)
            (folder / name).unlink(missing_ok=True)
        reason = "; ".join(why for _, why in wrong)
        kept = tuple(file for file in manifest.files if file.name not in lost)
        engines = tuple(file for file in manifest.entry.files if file.name not in lost)
        if not engines:
            self._set_aside([self.entry_folder], reason)
            return
        entry = manifest.entry.model_copy(update={"files": engines})
        assert self._staging is not None
        write_manifest(self.entry_folder, manifest.model_copy(update={"files": kept, "entry": entry}), self._staging)
        self._set_aside([self.entry_folder / manifest.generation / name for name in lost], reason)

    def _set_aside(self, paths: list[Path], reason: str) -> None:
        facts = self.facts
        versions = f"ONNX Runtime {facts.onnxruntime}, TensorRT {facts.tensorrt}, {facts.architecture}"
        text = f"{reason}\nmodel {facts.model}, {facts.settings.summary()}, {versions}, key {facts.key}"
        moved = set_aside(self.root, paths, facts.key[:SHORT], text)
        meaning = f"It was moved to {moved}, and is built again."
        self.findings.append(Finding(level="warning", where=PLACE, seen=reason, meaning=meaning))

    def _publish(self, folder: Path, staging: Path, build_seconds: float) -> None:
        changed = changed_files(folder, self._kept)
        if changed:
            refuse_torn(folder, changed)
            self._lock.acquire(timeout_s=PUBLISH_LOCK_S)
            self._new_generation(folder, staging, {unit_of(name) for name in changed}, build_seconds)
        if self.timing_file is not None:
            self._timings.publish(self.timing_file, staging)

    def _new_generation(self, folder: Path, staging: Path, units: set[str], build_seconds: float) -> None:
        """Publish the working folder's files of some units, beside what the current generation has of others."""
        self.entry_folder.mkdir(parents=True, exist_ok=True)
        current = read_manifest(self.entry_folder)
        if current is not None:
            units -= self._better(current, folder, units)
        part = staging / "generation"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        mine = [path for path in sorted(folder.iterdir()) if is_kept(path.name) and unit_of(path.name) in units]
        files = {path.name: WorkingFile(copy_hashed(path, part / path.name), stamp_of(path)) for path in mine}
        others = self._others(current, units, part)
        manifest = self._manifest(part, (*(file.checksum for file in files.values()), *others), build_seconds, current)
        part.rename(self.entry_folder / manifest.generation)
        write_manifest(self.entry_folder, manifest, staging)
        remove_generations(self.entry_folder, manifest.generation)
        self._generation = manifest.generation
        self._kept.update(files)
        mark_used(self.entry_folder)

    def _better(self, current: Manifest, folder: Path, units: set[str]) -> set[str]:
        """Return the units that another process has published meanwhile, for ranges that hold ours."""
        theirs = {unit_of(file.name): file for file in current.entry.files if self._sha(file.name) not in (None, file.sha256)}
        return {
            unit_of(name)
            for path in folder.iterdir()
            if is_engine_name(name := path.name)
            and unit_of(name) in units & theirs.keys()
            and holds(theirs[unit_of(name)].bounds, read_engine_file(path).bounds)
        }

    def _sha(self, name: str) -> str | None:
        return self._kept[name].checksum.sha256 if name in self._kept else None

    def _others(self, current: Manifest | None, units: set[str], part: Path) -> list[Checksum]:
        """Take what is not ours from the current generation; what is damaged there is left out."""
        if current is None:
            return []
        found = []
        for file in current.files:
            source = self.entry_folder / current.generation / file.name
            if unit_of(file.name) in units or not source.exists():
                continue
            if copy_hashed(source, part / file.name) == file:
                found.append(file)
            else:
                (part / file.name).unlink()
        return found

    def _manifest(self, part: Path, files: tuple[Checksum, ...], seconds: float, current: Manifest | None) -> Manifest:
        now = datetime.now(UTC)
        entry = EngineEntry(
            **self.facts.model_dump(exclude={"settings"}),
            settings=self.facts.settings,
            created=current.entry.created if current is not None else now,
            last_used=now,
            build_seconds=seconds,
            files=engine_files(part, files),
        )
        return Manifest(generation=next_generation(self.entry_folder), files=files, entry=entry)

    def _forget(self, name: str) -> None:
        self._before.pop(name, None)
        self._kept.pop(name, None)

    def _without(self, error: OSError | EngineError) -> None:
        """Go on without the cache."""
        self.close()
        self.findings.append(Finding(level="warning", where=PLACE, seen=obstacle(self.root, error), meaning=WITHOUT))

    def _not_kept(self, error: OSError | EngineError) -> None:
        meaning = "What was built is in use, and was not kept: it will be built again. What was kept before is as it was."
        self.findings.append(Finding(level="warning", where=PLACE, seen=obstacle(self.root, error), meaning=meaning))
