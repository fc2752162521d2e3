"""The verdict, and its next step: a button where the app can take it, and the command where it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.panels import markup
from workbench.panels.code_view import CodeView

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workbench.placement.verdict import Verdict

LEVELS = {"YES": "success", "MAYBE": "warning", "NO": "error"}


@dataclass(frozen=True, slots=True)
class NextStep:
    """A step that a button takes.

    Attributes
    ----------
    take : callable
        What a click does.
    """

    label: str
    icon: str
    help: str
    take: Callable[[], object]


class VerdictCard(widgets.VBox):  # type: ignore[misc]
    """YES, MAYBE or NO in one sentence, and what to do next."""

    def __init__(self) -> None:
        self.text = widgets.HTML()
        self.buttons: tuple[widgets.Button, ...] = ()
        self.command = CodeView()
        self.command.add_class("wb-code-line")
        self.steps = widgets.HBox()
        self.steps.add_class("wb-steps")
        super().__init__([self.text, self.steps])
        self.add_class("wb-card")
        self._level = ""

    def __repr__(self) -> str:
        return f"VerdictCard({len(self.buttons)} steps)"

    def show(self, verdict: Verdict, badge: str, source: str) -> None:
        """Show a verdict; `badge` is HTML of :func:`markup.badge`, `source` the releases that it speaks of."""
        level = LEVELS[verdict.answer]
        if level != self._level:
            self.remove_class(f"wb-{self._level}")
            self.add_class(f"wb-{level}")
            self._level = level
        advice = f"{verdict.advice}:" if verdict.command else verdict.advice
        self.text.value = markup.verdict(verdict.answer, verdict.sentence, advice, badge, source)
        self.command.text = verdict.command

    def offer(self, steps: Sequence[NextStep], guard: Callable[[Callable[..., object]], Callable[..., object]]) -> None:
        """Offer steps, the first as the one to take; `guard` makes their callbacks safe."""
        self.buttons = tuple(_button(step, guard, first=at == 0) for at, step in enumerate(steps))
        told = (self.command,) if self.command.text else ()
        self.steps.children = (*self.buttons, *told)
        self.steps.layout.display = "" if self.steps.children else "none"


def _button(step: NextStep, guard: Callable[[Callable[..., object]], Callable[..., object]], *, first: bool) -> widgets.Button:
    button = widgets.Button(description=step.label, icon=step.icon, tooltip=step.help, layout=widgets.Layout(width="auto"))
    button.button_style = "primary" if first else ""
    button.on_click(guard(lambda _: step.take()))
    return button
