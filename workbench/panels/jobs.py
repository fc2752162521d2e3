"""One job at a time: it begins, tells what it is doing, and ends in a result or in trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from workbench.errors import WorkbenchError
from workbench.panels.activity import Activity, Place, Task, Trouble
from workbench.runtime.engines.cache import EngineCache

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from workbench.panels.background import Background
    from workbench.runtime.job import Event
    from workbench.runtime.worker import Worker

LOG_LINES = 400
SHORT = ("loading", "predicting")


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
    cache : EngineCache or None
        Where TensorRT's engines come from and are kept: the user's own cache; assign another, or ``None`` to do without.
    """

    activity = traitlets.Instance(Activity, allow_none=True)
    log = traitlets.Tuple(())
    trouble = traitlets.Instance(Trouble, allow_none=True)

    def __init__(self, worker: Worker, background: Background, **traits: Any) -> None:  # noqa: ANN401  # their own types
        super().__init__(**traits)
        self.worker = worker
        self.background = background
        self.cache: EngineCache | None = EngineCache()
        self._cancelled: threading.Event | None = None
        self._next: Callable[[], None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a job is going on."""
        return self.activity is not None

    def wait(self, timeout_s: float = 120.0) -> bool:
        """Wait until all jobs have ended; for cells and scripts. Returns whether that was in time."""
        return self.background.wait(timeout_s)

    def cancel(self) -> None:
        """End the job: one with an event of its own by that, else the worker's, whose Run says ``cancelled``."""
        if self.activity is not None and self._cancelled is not None:
            self._cancelled.set()
        else:
            self.worker.cancel()

    def perform(  # noqa: PLR0913
        self,
        task: Task,
        subject: str,
        place: Place,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        *,
        cancelled: threading.Event | None = None,
    ) -> None:
        """Do a job on a thread.

        Parameters
        ----------
        task, subject : str
            What kind of job it is, and what it is about.
        place : str
            Where its trouble is shown.
        work : callable
            The job; called on a thread.
        done : callable
            Called with its result in the main thread.
        cancelled : threading.Event, optional
            What :meth:`cancel` sets; the worker is cancelled without one.

        Raises
        ------
        WorkbenchError
            When another job is going on.
        """
        self._begin(task, subject, cancelled)
        self._run(place, work, done)

    def tell(self, event: Event) -> None:
        """Take an event of the job that is going on; may be called on its thread."""
        self.background.main.call(lambda: self._note(event))

    def _soon(self, begin: Callable[[], None]) -> None:
        """Begin a job now, or when the short one has ended that nobody asked for by itself; the latest such wish counts."""
        if self.activity is not None and self.activity.task in SHORT:
            self._next = begin
        else:
            begin()

    def _begin(self, task: Task, subject: str, cancelled: threading.Event | None = None) -> None:
        if self.activity is not None:
            remedy = "Wait until it has ended, or cancel it."
            raise WorkbenchError(f"The workbench is {self.activity.task} {self.activity.subject} just now.", remedy=remedy)
        self.trouble = None
        self._cancelled = cancelled
        self.activity = Activity(task, subject)

    def _run(self, place: Place, task: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run a task on a thread; its trouble belongs to `place`."""

        def end(result: Any) -> None:  # noqa: ANN401  # whatever the task returns
            self.activity = None
            try:
                done(result)
            except WorkbenchError as error:
                self._fail(place, error)
            self._go_on()

        def failed(error: BaseException) -> None:
            self.activity = None
            self._fail(place, error)
            self._go_on()

        self.background.run(task, end, failed)

    def _go_on(self) -> None:
        """Begin what was wished for meanwhile."""
        begin, self._next = self._next, None
        if begin is not None:
            self._soon(begin)

    def _fail(self, place: Place, error: BaseException) -> None:
        self.trouble = Trouble(place, error)

    def _note(self, event: Event) -> None:
        if self.activity is None:
            return
        self.activity = self.activity.after(event)
        if event.message:
            self.log = (*self.log, *event.message.splitlines())[-LOG_LINES:]
