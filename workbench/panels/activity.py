"""What the workbench is doing, and what went wrong: records that the state hands to the views."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from workbench.runtime.job import Event

Place = Literal[
    "model",
    "placement",
    "options",
    "shapes",
    "build",
    "results",
    "precision",
    "data",
    "calibration",
    "accuracy",
    "sensitivity",
    "engines",
]
Task = Literal["loading", "predicting", "placing", "readying", "running", "converting", "calibrating", "searching"]


@dataclass(frozen=True, slots=True)
class StageTime:
    """A stage of a job and how long it has taken so far, in seconds."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Activity:
    """A job that is going on.

    Attributes
    ----------
    task : str
        What kind of job it is.
    subject : str
        What it is about, such as the model's name.
    stages : tuple of StageTime
        The stages so far; the last is going on.
    elapsed_s : float
        Seconds since it began.
    """

    task: Task
    subject: str
    stages: tuple[StageTime, ...] = ()
    elapsed_s: float = 0.0

    @property
    def stage(self) -> str:
        """What it is doing now; empty before the first event."""
        return self.stages[-1].name if self.stages else ""

    def after(self, event: Event) -> Activity:
        """Return this activity as it stands after an event of the worker."""
        done = sum(stage.seconds for stage in self.stages[:-1])
        if self.stage == event.stage:
            now = (*self.stages[:-1], StageTime(event.stage, event.elapsed_s - done))
        else:
            past = (*self.stages[:-1], replace(self.stages[-1], seconds=event.elapsed_s - done)) if self.stages else ()
            now = (*past, StageTime(event.stage, event.elapsed_s - sum(stage.seconds for stage in past)))
        return replace(self, stages=now, elapsed_s=event.elapsed_s)


@dataclass(frozen=True, slots=True, eq=False)
class Trouble:
    """An error of a job, and the panel whose button started it."""

    place: Place
    error: BaseException
