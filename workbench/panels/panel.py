"""What all panels share: a title, a status line, and the boundary where exceptions end."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import ipywidgets as widgets

from workbench.errors import WorkbenchError
from workbench.panels import markup
from workbench.panels.background import Background
from workbench.panels.style import stylesheet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import traitlets

    from workbench.panels.activity import Place
    from workbench.panels.jobs import Jobs

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)


class Panel(widgets.VBox):  # type: ignore[misc]
    """A part of the app: a title, a status line and a body.

    An exception in a callback would only reach the notebook's log. So every callback of a panel goes through
    :meth:`guard` or :meth:`redraw`, and what it raises is shown in the status line of the panel that caused it.

    Parameters
    ----------
    title : str
        Shown where the panel stands alone; the app hides it, as its tab has the same.
    body : sequence of Widget
        What the panel holds.
    background : Background or None
        Where long tasks run; threads of its own where it is ``None``.

    Attributes
    ----------
    failure : BaseException or None
        What went wrong last; ``None`` again when the user does the next thing.
    """

    def __init__(self, title: str, body: Sequence[widgets.Widget] = (), *, background: Background | None = None) -> None:
        self.title = title
        self.failure: BaseException | None = None
        self.background = background or Background()
        self.status = widgets.HTML()
        self.body = widgets.VBox(list(body))
        self.body.add_class("wb-body")
        self.status.add_class("wb-status")
        self._title = widgets.HTML(markup.heading(title))
        self._title.add_class("wb-panel-title")
        super().__init__([stylesheet(), self._title, self.status, self.body])
        self.add_class("wb-panel")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.summary()})"

    def summary(self) -> str:
        """Return in a few words what the panel shows."""
        return self.title

    def say(self, message: str, level: str = "info", remedy: str = "") -> None:
        """Show a line in the status; an empty message clears it."""
        self.status.value = markup.notice(level, message, remedy)

    def fail(self, error: BaseException) -> None:
        """Show an error: what failed and what to do about it; anything unforeseen is called a bug, and logged."""
        self.failure = error
        if isinstance(error, WorkbenchError):
            self.say(error.message, "error", error.remedy)
            return
        logger.error("%s: unforeseen error in a callback", self.title, exc_info=error)
        self.say(f"bug: {type(error).__name__}: {error}", "error", "Please report it; the notebook's log has the traceback.")

    def guard(self, action: Callable[P, T]) -> Callable[P, T | None]:
        """Return what the user does as a callback that never raises; it begins with a clear status.

        What it raises is shown in the status.
        """

        @functools.wraps(action)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T | None:
            if self.failure is not None:
                self.failure = None
                self.say("")
            return self._try(action, *args, **kwargs)

        return guarded

    def redraw(self, action: Callable[P, T]) -> Callable[P, T | None]:
        """Return a drawing action as a callback that never raises; unlike :meth:`guard` it leaves the status alone."""
        return functools.wraps(action)(functools.partial(self._try, action))

    def _try(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return action(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  the one place where every exception ends
            self.fail(error)
            return None

    def follow(self, jobs: Jobs, place: Place) -> None:
        """Show the trouble of those jobs that this panel started."""

        def told(change: traitlets.Bunch) -> None:
            if change.new is not None and change.new.place == place:
                self.fail(change.new.error)
            elif change.new is None and self.failure is not None:
                self.failure = None
                self.say("")

        jobs.observe(told, "trouble")

    def run_in_thread(self, task: Callable[[], T], done: Callable[[T], object]) -> None:
        """Run `task` on a thread, then `done` with its result in the main thread; errors of both are shown."""
        self.background.run(task, self.redraw(done), self.fail)
