"""A Run's accuracy in words, and the inputs it is worst on once somebody wants to see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from workbench.figures.worst_inputs import worst_indices, worst_inputs_data, worst_inputs_figure
from workbench.panels.accuracy_text import accuracy_text
from workbench.panels.figure_view import FigureView

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.study.run import Run


class AccuracyView(widgets.VBox):  # type: ignore[misc]
    """Text, a button, and a figure that is made when the button is pressed: it reads the data.

    Parameters
    ----------
    guard : callable
        Wraps what a click does, so that an error is shown and goes no further.
    """

    def __init__(self, guard: Callable[[Callable[..., None]], Any]) -> None:
        self.run: Run | None = None
        self.text = widgets.HTML()
        self.look = widgets.Button(description="Show the worst inputs", layout=widgets.Layout(width="190px"))
        self.look.tooltip = "Read the data, and draw the inputs that are wrong or farthest from the reference"
        self.look.on_click(guard(lambda _: self._look()))
        self.figure = FigureView()
        super().__init__((self.text, self.look, self.figure))
        self.show(None)

    def show(self, run: Run | None) -> None:
        """Show a Run; ``None`` for none."""
        self.run = run
        self.text.value = "" if run is None else accuracy_text(run)
        can_look = run is not None and run.plan.data is not None and bool(worst_indices(run))
        self.look.layout.display = "" if can_look else "none"
        self.figure.figure = None
        self.figure.layout.display = "none"

    def _look(self) -> None:
        if self.run is not None:
            self.figure.figure = worst_inputs_figure(worst_inputs_data(self.run))
            self.figure.layout.display = ""
