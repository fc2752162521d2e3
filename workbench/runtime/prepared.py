"""A model made ready to run, whoever runs it: what a job needs of ONNX Runtime, of TensorRT itself and of PyTorch alike."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

    from workbench.measure.profile import Profile
    from workbench.placement.records import Placement
    from workbench.runtime.job import Plan

TIMED_AT_LEAST = 10

Feeds = dict[str, "np.ndarray"]


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
