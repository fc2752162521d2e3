"""The workbench's own cache of engines: what is built once for a model and its settings is there for every process.

ONNX Runtime writes engines in place, without a lock, and reads what it finds. Here a build happens in a private folder and is
published by a rename; a hit is copied, because ONNX Runtime writes into its folder again when ranges of shapes grow.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from workbench.errors import EngineError
from workbench.runtime.engines.key import SHORT
from workbench.runtime.engines.layout import ENTRY, TIMING, Manifest, read_manifest
from workbench.runtime.engines.lock import ProcessLock
from workbench.runtime.engines.opened import EntryFacts, Opened
from workbench.runtime.engines.staging import private_folder
from workbench.runtime.engines.timing import SharedTimings, TimingCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from workbench.runtime.engines.records import EngineEntry

__all__ = ["EngineCache", "EntryFacts", "Opened"]

VARIABLE = "WORKBENCH_CACHE"


class EngineCache:
    """Engines and timing caches in one folder, for all notebooks and shells of a user.

    Parameters
    ----------
    folder : Path or str, optional
        The folder; by default what the environment variable ``WORKBENCH_CACHE`` names, else ``engines`` in the user's cache
        folder. It is made when the first engine is built. Best on a local disk, whose locks hold between all its users.
    """

    def __init__(self, folder: Path | str | None = None) -> None:
        default = os.environ.get(VARIABLE) or platformdirs.user_cache_path("trt-workbench") / "engines"
        self.folder = Path(folder if folder is not None else default).expanduser().absolute()

    def __repr__(self) -> str:
        return f"EngineCache({str(self.folder)!r})"

    def entries(self) -> list[EngineEntry]:
        """Return what is in the cache, the one used last first; what cannot be read is left out, and set aside at its next use.

        Raises
        ------
        EngineError
            When the folder is there and cannot be read.
        """
        found = [manifest.entry for _, manifest in self._manifests()]
        return sorted(found, key=lambda entry: entry.last_used, reverse=True)

    def find(self, key: str) -> EngineEntry | None:
        """Return the entry with a key; ``None`` where there is none."""
        found = self._find(key)
        return found[1].entry if found else None

    def folder_of(self, key: str) -> Path | None:
        """Return the folder where an entry's engines are now, to read them; ``None`` where there is none.

        A process that publishes other engines for the key removes it.
        """
        found = self._find(key)
        return found[0] / found[1].generation if found else None

    def opened(self, facts: EntryFacts, say: Callable[[str], None] | None = None) -> Opened:
        """Open an entry to use its engines or to build them; nothing here knows of ONNX Runtime.

        Where there are no engines yet, the entry is locked until they are published or the entry is closed: a second process
        that wants the same waits here, and then finds them. ::

            with cache.opened(facts) as opened:
                if opened.folder is None: ...       # no cache: build elsewhere; opened.findings says why
                plan = opened.folder / "model.plan"
                if not opened.had_engines: ...      # write it, with opened.timing_file as timing cache to read and to leave
                opened.publish(seconds)             # now others see it
                opened.uses()                       # what was built, and what was there

        Parameters
        ----------
        facts : EntryFacts
            What the engines are built from; `key` is :func:`workbench.runtime.engines.key.engine_key` of it.
        say : callable or None
            Told, now and then, which other process is waited for.
        """
        return Opened(self.folder, facts, say)

    def remove(self, keys: Iterable[str]) -> list[EngineEntry]:
        """Remove entries; return those that were removed.

        One that is just being built, or cannot be removed, stays. Processes that use the others' engines are not disturbed:
        they have copies.
        """
        removed = []
        for key in keys:
            found = self._find(key)
            if found is not None:
                with suppress(OSError):
                    self._remove(found[0])
                    removed.append(found[1].entry)
        return removed

    def timing_folder(self, architecture: str, tensorrt: str) -> Path:
        """Return the folder of the timing cache of a GPU architecture, such as ``sm90``, and a version of TensorRT."""
        return SharedTimings(self.folder, architecture, tensorrt).folder

    def timing_caches(self) -> list[TimingCache]:
        """Return the shared timing caches."""
        found = []
        for folder in sorted((self.folder / TIMING).glob("*")):
            architecture, _, tensorrt = folder.name.partition("-")
            timing = SharedTimings(self.folder, architecture, tensorrt).read()
            found += [timing] if timing is not None else []
        return found

    def _remove(self, folder: Path) -> None:
        with ProcessLock(self.folder, folder.name, "removing engines") as lock:
            lock.acquire(timeout_s=0)
            staging = private_folder(self.folder)
            try:
                folder.rename(staging / folder.name)  # gone at once, for everybody
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    def _find(self, key: str) -> tuple[Path, Manifest] | None:
        for folder, manifest in self._manifests(f"*/{key[:SHORT]}"):
            if manifest.entry.key == key:
                return folder, manifest
        return None

    def _manifests(self, pattern: str = "*/*") -> Iterator[tuple[Path, Manifest]]:
        """Yield the entries' folders and manifests that can be read."""
        if self.folder.exists() and not self.folder.is_dir():
            raise EngineError(f"{self.folder}: the engine cache is a file.", remedy="Name a folder (--cache).")
        try:
            folders = sorted(path.parent for path in self.folder.glob(f"{pattern}/{ENTRY}"))
        except OSError as error:
            message = f"{self.folder}: the engine cache cannot be read: {error.strerror or error}."
            raise EngineError(message, remedy="Check its permissions, or name another folder (--cache).") from error
        for folder in folders:
            if folder.parent.name.startswith(("sm", "unknown")):
                try:
                    manifest = read_manifest(folder)
                except EngineError:
                    continue
                if manifest is not None:
                    yield folder, manifest
