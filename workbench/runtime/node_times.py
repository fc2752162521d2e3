"""A short session with ONNX Runtime's profiler on, beside the one whose latency is measured: profiling slows it down."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.measure.profile import Profile, profile_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.runtime.prepared import Feeds

WARMUP = 3  # the first inference allocates, and may build engines
RUNS = 20
MOST_EVENTS = 400_000  # the profiler keeps 1,000,000, and nodes in loops write more than one an inference


def profile_nodes(make: Callable[[Path], Any], nodes: int, feeds: Feeds, *, seconds: float, folder: Path) -> Profile:
    """Make a session with the profiler on, run it some times, and return where the time goes.

    Parameters
    ----------
    make : callable
        Makes the session, with the profiler on, given the beginning of its trace's path.
    nodes : int
        How many nodes the model has; more of them mean fewer inferences.
    feeds : dict of str to ndarray
        The arrays it runs on.
    seconds : float
        No further inference is begun after so long; one is always profiled.
    folder : Path
        A temporary folder to be made for the trace, and removed.

    Raises
    ------
    OSError
        When the trace cannot be written or read.
    ValueError
        When the profiler wrote no complete trace, as on a full disk.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        session = make(folder / "trace")
        runs = max(1, min(RUNS, MOST_EVENTS // max(1, nodes) - WARMUP))
        for _ in range(WARMUP):
            session.run(None, feeds)
        deadline = time.perf_counter() + seconds
        for _ in range(runs):
            session.run(None, feeds)
            if time.perf_counter() > deadline:
                break
        return profile_of(Path(session.end_profiling()).read_bytes(), warmup=WARMUP)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
