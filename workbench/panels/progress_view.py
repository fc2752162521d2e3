"""A job's progress: the stages it went through, the one it is in, and how long each has taken. No percentages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anywidget
import traitlets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.panels.activity import StageTime

END = "done"  # the last event, after which nothing takes time
STATIC = Path(__file__).parent / "static"


class ProgressView(anywidget.AnyWidget):
    """Stages with their times; the clock of the present one runs in the browser.

    Attributes
    ----------
    text : str
        What the job is.
    stages : list of (str, float)
        Names and seconds; the last one is going on while `running`.
    expected : list of str
        All stages that may come, in order.
    """

    _esm = STATIC / "progress_view.js"
    _css = STATIC / "progress_view.css"

    text = traitlets.Unicode("").tag(sync=True)
    stages: traitlets.List[list[object]] = traitlets.List().tag(sync=True)
    expected = traitlets.List(traitlets.Unicode()).tag(sync=True)
    elapsed = traitlets.Float(0.0).tag(sync=True)
    running = traitlets.Bool(default_value=False).tag(sync=True)
    failed = traitlets.Bool(default_value=False).tag(sync=True)

    def __init__(self, expected: Sequence[str]) -> None:
        super().__init__(expected=list(expected))

    def __repr__(self) -> str:
        return f"ProgressView({self.text or 'nothing yet'})"

    def show(self, text: str, stages: Sequence[StageTime], elapsed_s: float) -> None:
        """Show a job that is going on."""
        with self.hold_sync():
            self.text, self.elapsed = text, elapsed_s
            self.stages = [[stage.name, stage.seconds] for stage in stages if stage.name != END]
            self.running, self.failed = True, False

    def end(self, text: str, *, failed: bool) -> None:
        """Show how it ended; the stages stay."""
        with self.hold_sync():
            self.text, self.running, self.failed = text, False, failed
