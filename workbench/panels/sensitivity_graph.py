"""The model's graph, coloured by what a search for sensitive nodes found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.figures.palette import ALARM, CPU_COLOUR, SERIES_COLOURS
from workbench.panels import markup
from workbench.panels.netron_model import FOLD_ABOVE, ShownModel, shown_model
from workbench.panels.netron_view import NetronView

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from workbench.model.model import Model
    from workbench.study.sensitivity_records import Sensitivity

KEEP, SUSPICIOUS, LOWERED = "stays in float32", "suspicious", "lowered"
COLOURS = {KEEP: ALARM, SUSPICIOUS: CPU_COLOUR, LOWERED: SERIES_COLOURS[0]}


class SensitivityGraph(widgets.VBox):  # type: ignore[misc]
    """The graph in Netron: nodes to keep, nodes with a cause that can be seen, nodes that can be lowered, and the others.

    Parameters
    ----------
    height : int
        In pixels.
    run_in_thread : callable
        Runs a task on a thread, then a function with its result in the main thread.
    """

    def __init__(self, height: int, run_in_thread: Callable[..., Any]) -> None:
        self.netron = NetronView(height=height, placeholder="The graph is being prepared …")
        self._run_in_thread = run_in_thread
        self._of: Sensitivity | None = None
        legend = "".join(markup.square(colour, name) for name, colour in COLOURS.items())
        super().__init__([widgets.HTML(legend), self.netron])

    def __repr__(self) -> str:
        return f"SensitivityGraph({'nothing' if self._of is None else self._of.model})"

    def clear(self) -> None:
        """Show nothing."""
        self._of = None
        self.netron.clear()

    def show(self, model: Model, found: Sensitivity) -> None:
        """Draw what was found; large models take a while to lay out."""
        if self._of is found:
            return
        self._of = found

        def done(drawn: ShownModel) -> None:
            if self._of is found:
                self.netron.show(drawn, COLOURS, model.path.name)
                self.netron.selected = found.keep[0] if found.keep else ""

        self._run_in_thread(lambda: coloured(shown_model(model, fold=False), found), done)


def coloured(drawn: ShownModel, found: Sensitivity) -> ShownModel:
    """Return a drawn model whose nodes have their class in place of a provider; those that were no candidates have none."""
    classes = {row.node.name: _class_of(row.keep, row.node.causes) for row in found.ranking}
    return replace(drawn, nodes=tuple(replace(node, provider=classes.get(node.name)) for node in drawn.nodes))


def _class_of(keep: bool, causes: tuple[str, ...]) -> str:  # noqa: FBT001  # a field of the row
    return KEEP if keep else SUSPICIOUS if causes else LOWERED


def too_large(model: Model) -> bool:
    """Whether laying out the graph takes so long that it is not drawn unasked."""
    return len(model.nodes) > FOLD_ABOVE
