"""A model made ready to run, whoever runs it: what a job needs of ONNX Runtime, of TensorRT itself and of PyTorch alike."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

    from workbench.errors import JobError
    from workbench.measure.profile import Profile
    from workbench.model.model import Model
    from workbench.placement.records import Placement
    from workbench.runtime.job import Cache, EngineUse, Plan
    from workbench.runtime.native.look import Looked

TIMED_AT_LEAST = 10

Feeds = dict[str, "np.ndarray"]


@dataclass(frozen=True, slots=True)
class Built:
    """What there was and what was built to make a model ready; fields as in :class:`~workbench.runtime.job.Build`."""

    cache: Cache = "cold"
    engines: tuple[EngineUse, ...] = ()
    key: str | None = None
    waited_s: float = 0.0
    timing_cache: bool = False


class Prepared(ABC):
    """A model made ready to run.

    Attributes
    ----------
    placement : Placement or None
        Who runs its nodes; ``None`` where that cannot be asked.
    errors : tuple of type
        What :meth:`run` and :meth:`time` may raise beside the workbench's own errors.
    """

    placement: Placement | None
    errors: tuple[type[BaseException], ...]

    @abstractmethod
    def run(self, feeds: Feeds) -> list[Any]:
        """Run once, NumPy arrays in and out; the outputs come in the model's order."""

    def time(self, feeds: Feeds, plan: Plan, stage: Callable[[str], None]) -> list[float]:
        """Return the latency of single inferences in milliseconds, NumPy arrays in and out, after warm-up.

        Parameters
        ----------
        feeds : dict of str to ndarray
            The inputs.
        plan : Plan
            How often, and for how long.
        stage : callable
            Called with ``warm-up`` and ``measuring`` as they begin.
        """
        return time_calls(lambda: self.run(feeds), plan, stage)

    def profile(self, feeds: Feeds, plan: Plan, folder: Path) -> Profile | None:  # noqa: ARG002
        """Return how long each node takes; ``None`` where there is no way to tell.

        Parameters
        ----------
        feeds, plan
            As for :meth:`time`.
        folder : Path
            A temporary folder to be made for traces, and removed.
        """
        return None

    def look(self, model: Model, plan: Plan, feeds: Feeds, *, budget_s: float) -> Looked:  # noqa: ARG002
        """Return what its engines compute in; what is in the way is a finding, and nothing is raised.

        Parameters
        ----------
        model : Model
            The model.
        plan, feeds
            As for :meth:`time`.
        budget_s : float
            Seconds that it may take.
        """
        from workbench.runtime.native.look import Looked

        return Looked()

    def origin(self) -> Built:
        """Return what there was and what was built, up to now."""
        return Built()

    def keep(self, seconds: float, *, more: bool = False) -> None:  # noqa: B027  # most build nothing
        """Keep what was built since the last time; called when the model is ready, after its first run and at the end.

        Parameters
        ----------
        seconds : float
            How long making it ready took, the first run with it.
        more : bool
            Whether a run is still to come, in which more may be built.
        """

    def failed(self, error: JobError) -> None:  # noqa: B027  # most learn nothing from it
        """Take note of why the first run failed: something that was kept may be the cause."""

    def close(self) -> None:  # noqa: B027  # most have nothing to let go of
        """Let go of memory and processes."""


def time_calls(call: Callable[[], object], plan: Plan, stage: Callable[[str], None]) -> list[float]:
    """Return how long single calls take, in milliseconds, after warm-up; parameters as in :meth:`Prepared.time`."""
    stage("warm-up")
    deadline = time.perf_counter() + plan.seconds
    for _ in range(plan.warmup):
        call()
        if time.perf_counter() > deadline:
            break
    stage("measuring")
    samples: list[float] = []
    deadline = time.perf_counter() + plan.seconds
    while len(samples) < plan.iterations and (len(samples) < TIMED_AT_LEAST or time.perf_counter() < deadline):
        began = time.perf_counter_ns()
        call()
        samples.append((time.perf_counter_ns() - began) / 1e6)
    return samples
