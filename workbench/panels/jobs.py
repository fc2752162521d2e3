"""One job at a time: it begins, tells what it is doing, and ends in a result or in trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from workbench.errors import WorkbenchError
from workbench.panels.activity import Activity, Place, Task, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.panels.background import Background
    from workbench.runtime.job import Event
    from workbench.runtime.worker import Worker

LOG_LINES = 400


class Jobs(traitlets.HasTraits):
    """The part of the state that speaks of jobs.

    Parameters
    ----------
    worker : Worker
        What runs jobs.
    background : Background
        Where they wait for it.

    Attributes
    ----------
    activity : Activity or None
        The job that is going on.
    log : tuple of str
        The last lines of the job's log.
    trouble : Trouble or None
        What went wrong last, and where to show it.
    """

    activity = traitlets.Instance(Activity, allow_none=True)
    log = traitlets.Tuple(())
    trouble = traitlets.Instance(Trouble, allow_none=True)

    def __init__(self, worker: Worker, background: Background, **traits: Any) -> None:  # noqa: ANN401  # their own types
        super().__init__(**traits)
        self.worker = worker
        self.background = background

    @property
    def busy(self) -> bool:
        """Whether a job is going on."""
        return self.activity is not None

    def wait(self, timeout_s: float = 120.0) -> bool:
        """Wait until all jobs have ended; for cells and scripts. Returns whether that was in time."""
        return self.background.wait(timeout_s)

    def cancel(self) -> None:
        """End the worker's job; its Run says ``cancelled``."""
        self.worker.cancel()

    def _begin(self, task: Task, subject: str) -> None:
        if self.activity is not None:
            remedy = "Wait until it has ended, or cancel it."
            raise WorkbenchError(f"The workbench is {self.activity.task} {self.activity.subject} just now.", remedy=remedy)
        self.trouble = None
        self.activity = Activity(task, subject)

    def _run(self, place: Place, task: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run a task on a thread; its trouble belongs to `place`."""

        def end(result: Any) -> None:  # noqa: ANN401  # whatever the task returns
            self.activity = None
            try:
                done(result)
            except WorkbenchError as error:
                self._fail(place, error)

        def failed(error: BaseException) -> None:
            self.activity = None
            self._fail(place, error)

        self.background.run(task, end, failed)

    def _fail(self, place: Place, error: BaseException) -> None:
        self.trouble = Trouble(place, error)

    def _tell(self, event: Event) -> None:
        """Take an event from the worker's thread."""
        self.background.main.call(lambda: self._note(event))

    def _note(self, event: Event) -> None:
        if self.activity is None:
            return
        self.activity = self.activity.after(event)
        if event.message:
            self.log = (*self.log, *event.message.splitlines())[-LOG_LINES:]
