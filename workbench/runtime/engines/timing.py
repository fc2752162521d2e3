"""Timing caches: how long TensorRT's kernels took on a GPU, shared by all models that are built there.

TensorRT takes a timing from there instead of measuring again, which makes later builds several times faster.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.record import Record
from workbench.runtime.engines.layout import TIMING, copy_hashed, hash_of, set_aside
from workbench.runtime.engines.lock import ProcessLock

if TYPE_CHECKING:
    from pathlib import Path

RECORD = "timing.json"
LOCK_S = 30.0


class TimingCache(Record):
    """A shared timing cache.

    Attributes
    ----------
    architecture, tensorrt : str
        Of which GPUs and which TensorRT.
    file : str
        Its file, in its folder.
    bytes : int
        Its size.
    sha256 : str
        Of its contents.
    updated : datetime
        UTC.
    """

    architecture: str
    tensorrt: str
    file: str
    bytes: int
    sha256: str
    updated: datetime


class SharedTimings:
    """The timing cache of one GPU architecture and one version of TensorRT.

    Parameters
    ----------
    root : Path
        The cache's folder.
    architecture : str
        Such as ``sm90``.
    tensorrt : str
        Its version.
    """

    def __init__(self, root: Path, architecture: str, tensorrt: str) -> None:
        self.root = root
        self.architecture, self.tensorrt = architecture, tensorrt
        self.folder = root / TIMING / f"{architecture}-{tensorrt}"

    @property
    def file_name(self) -> str:
        """What ONNX Runtime calls the file (GetTimingCachePath in tensorrt_execution_provider_utils.h)."""
        return f"TensorrtExecutionProvider_cache_{self.architecture}.timing"

    def read(self) -> TimingCache | None:
        """Return what is there; ``None`` where there is none, or what there is cannot be read."""
        try:
            return TimingCache.model_validate_json((self.folder / RECORD).read_bytes())
        except (OSError, ValueError):
            return None

    def copy_to(self, folder: Path) -> str | None:
        """Put a private copy into a folder; return its SHA-256, or ``None`` where there is none that is whole.

        Raises
        ------
        OSError
            When it cannot be written.
        """
        with self._lock() as lock:
            lock.acquire(timeout_s=LOCK_S)
            found = self.read()
            if found is None or self._kept(found) < 0:
                return None
            copied = copy_hashed(self.folder / found.file, folder / self.file_name)
            if copied.sha256 == found.sha256:
                return copied.sha256
            (folder / self.file_name).unlink()
            wrong = [self.folder / found.file, self.folder / RECORD]
            set_aside(self.root, wrong, self.folder.name, f"{found.file}: SHA-256 {copied.sha256}, not {found.sha256}.")
            return None

    def publish(self, path: Path, staging: Path) -> bool:
        """Make a timing cache the shared one, unless there is a larger; return whether it was.

        Parameters
        ----------
        path : Path
            What a build left.
        staging : Path
            A folder of this process on the same file system.

        Raises
        ------
        OSError
            When it cannot be written; the one before stays.
        """
        if not path.is_file() or path.stat().st_size == 0:
            return False
        with self._lock() as lock:
            lock.acquire(timeout_s=LOCK_S)
            before = self.read()
            if before is not None and (self._kept(before) >= path.stat().st_size or before.sha256 == hash_of(path)):
                return False
            self._replace(path, staging)
            return True

    def _replace(self, path: Path, staging: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        part = staging / "part.timing"
        copied = copy_hashed(path, part)
        # Named by its contents: the record, put in place at once, never speaks of another file than it was written for.
        name = f"{copied.sha256[:16]}.timing"
        part.replace(self.folder / name)
        found = TimingCache(
            architecture=self.architecture,
            tensorrt=self.tensorrt,
            file=name,
            bytes=copied.bytes,
            sha256=copied.sha256,
            updated=datetime.now(UTC),
        )
        record = staging / RECORD
        record.write_text(found.model_dump_json(indent=1), encoding="utf-8")
        record.replace(self.folder / RECORD)
        for other in self.folder.glob("*.timing"):  # the one before, and what a process left that died in between
            if other.name != name:
                other.unlink(missing_ok=True)

    def _kept(self, before: TimingCache) -> int:
        """Return the size of the shared file, or -1 where it has gone."""
        try:
            return (self.folder / before.file).stat().st_size
        except OSError:
            return -1

    def _lock(self) -> ProcessLock:
        return ProcessLock(self.root, f"timing-{self.folder.name}", f"looking at the timing cache of {self.folder.name}")
