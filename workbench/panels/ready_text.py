"""What came of making a model ready, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.panels import markup
from workbench.panels.amounts import duration_text

if TYPE_CHECKING:
    from workbench.study.ready_records import Readied

LEVELS = {"ready": "success", "as it is": "info", "settings": "info", "failed": "warning", "cancelled": "busy"}

EQUAL = {True: "All outputs are equal to the original's.", False: "Outputs differ from the original's.", None: ""}


def ready_text(readied: Readied) -> str:
    """Return the outcome, what changed in the file, and the steps folded away."""
    card = markup.lines(LEVELS[readied.outcome], f"{readied.message} {EQUAL[readied.equal]}".strip(), readied.changes)
    steps = [(step.words, step.outcome, duration_text(step.seconds), step.why) for step in readied.steps]
    table = markup.grid(("Step", "Outcome", "Time", "Why"), steps)
    return card + (markup.folded(f"{len(steps)} steps in {duration_text(readied.seconds)}", table) if steps else "")
