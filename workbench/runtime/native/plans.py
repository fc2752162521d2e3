"""Where a plan comes from and goes to: the workbench's engine cache, and the timing caches beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.options.effective import Effective
from workbench.record import Finding
from workbench.runtime.engines.cache import EngineCache, EntryFacts, Opened
from workbench.runtime.engines.key import engine_key
from workbench.runtime.job import EngineUse
from workbench.runtime.libraries.driver import read_driver
from workbench.runtime.prepared import Built

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.runtime.job import Cache, Job

PLAN = "native.engine"


@dataclass
class Plans:
    """What is kept of a build.

    Attributes
    ----------
    opened : Opened or None
        The entry in the workbench's cache; ``None`` without one.
    timing_path : Path or None
        The user's own timing cache, by ONNX Runtime's options.
    loaded : bool
        Whether the plan came from the cache.
    had_timing : bool
        Whether the build had a timing cache to begin with.
    """

    opened: Opened | None
    timing_path: Path | None
    loaded: bool = False
    had_timing: bool = False

    def cached(self) -> Path | None:
        """Return the plan that is there already, if there is one."""
        folder = self.opened.folder if self.opened is not None else None
        path = folder / PLAN if folder is not None else None
        return path if path is not None and path.is_file() else None

    def place(self) -> Path | None:
        """Return where to write a plan that was built."""
        folder = self.opened.folder if self.opened is not None else None
        return folder / PLAN if folder is not None else None

    def timing(self) -> bytes | None:
        """Return the timing cache to begin with, empty to begin a new one; ``None`` where none is wanted."""
        path = self._timing_path()
        if path is None:
            return None
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            data = b""
        self.had_timing = bool(data)
        return data

    def keep_timing(self, data: bytes) -> None:
        """Put a new timing cache in place at once.

        Raises
        ------
        OSError
            When it cannot be written.
        """
        path = self._timing_path()
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            staged.write_bytes(data)
            staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)

    def origin(self, plan_bytes: int, seconds: float | None) -> Built:
        """Return what there was and what was built.

        Parameters
        ----------
        plan_bytes : int
            The engine's size.
        seconds : float or None
            How long TensorRT took to build it; ``None`` where it was there.
        """
        cache: Cache = "engine" if self.loaded else "timing" if self.had_timing else "cold"
        use = EngineUse(name=PLAN, bytes=plan_bytes, origin="cache" if self.loaded else "built", seconds=seconds)
        if self.opened is None:
            return Built(cache, (use,), timing_cache=self.had_timing)
        return Built(cache, (use,), self.opened.facts.key, self.opened.waited_s, self.had_timing)

    def findings(self) -> tuple[Finding, ...]:
        """Return what the user should know of the cache."""
        return tuple(self.opened.findings) if self.opened is not None else ()

    def keep(self, seconds: float) -> None:
        """Let others see what was built."""
        if self.opened is not None:
            self.opened.publish(seconds)

    def close(self) -> None:
        """Let go of the cache."""
        if self.opened is not None:
            self.opened.close()

    def _timing_path(self) -> Path | None:
        if self.timing_path is not None:
            return self.timing_path
        return self.opened.timing_file if self.opened is not None else None


def open_plans(  # noqa: PLR0913
    job: Job, model: Model, settings: Settings, *, tensorrt: str, compute_capability: str, say: Callable[[str], None]
) -> Plans:
    """Open what a job may use and keep.

    Parameters
    ----------
    job : Job
        Its `cache` is the folder of the workbench's cache.
    model : Model
        The model.
    settings : Settings
        Those of the job, with the shapes that the engine is built for.
    tensorrt, compute_capability : str
        TensorRT's version, and the GPU's compute capability.
    say : callable
        Told which other process is waited for.
    """
    timing = _own_timing(settings, compute_capability)
    if job.cache is None:
        return Plans(None, timing)
    content = model.content_hash()
    facts = EntryFacts(
        key=engine_key(
            content, model.path.name, settings, onnxruntime=None, tensorrt=tensorrt, compute_capability=compute_capability
        ),
        model=model.path.name,
        content_hash=content,
        settings=settings,
        provider="native",
        tensorrt=tensorrt,
        gpu=_gpu_name(int(Effective(settings).value("device_id") or 0)),
        compute_capability=compute_capability,
    )
    return Plans(EngineCache(job.cache).opened(facts, say), timing)


def _own_timing(settings: Settings, compute_capability: str) -> Path | None:
    """Return the user's timing cache.

    The name is ONNX Runtime's (GetTimingCachePath in tensorrt_execution_provider_utils.h): the contents are TensorRT's own in
    both, so that each profits from the other's builds.
    """
    now = Effective(settings)
    if not now.on("trt_timing_cache_enable"):
        return None
    folder = str(now.value("trt_timing_cache_path") or now.value("trt_engine_cache_path") or "")
    return Path(folder) / f"TensorrtExecutionProvider_cache_sm{compute_capability.replace('.', '')}.timing"


def _gpu_name(device: int) -> str | None:
    gpus = read_driver().gpus
    return gpus[device].name if device < len(gpus) else None
