"""The model's graph in Netron, coloured by who runs each node; each engine can be folded into one node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.figures.palette import provider_colour
from workbench.panels import markup
from workbench.panels.netron_model import FOLD_ABOVE, ShownModel, shown_model
from workbench.panels.netron_view import NetronView
from workbench.placement.records import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from workbench.model.model import Model
    from workbench.placement.records import Placement

COLOURS = {provider: provider_colour(provider) for provider in PROVIDERS}


class GraphView(widgets.VBox):  # type: ignore[misc]
    """A placement's graph.

    Parameters
    ----------
    height : int
        Of the whole, in pixels.
    run_in_thread : callable
        Runs a task on a thread, then a function with its result in the main thread.
    guard : callable
        Makes a callback safe.

    Attributes
    ----------
    netron : NetronView
        The page itself.
    shown : ShownModel or None
        What it draws.
    """

    def __init__(self, height: int, run_in_thread: Callable[..., None], guard: Callable[..., Any]) -> None:
        self.shown: ShownModel | None = None
        self._run_in_thread = run_in_thread
        self._of: tuple[Model, Placement] | None = None
        self._drawing = False
        self._node = ""
        self.netron = NetronView(height=height - 34, placeholder="The graph is being prepared …")
        self.fold = widgets.ToggleButton(description="One node per engine", icon="object-group")
        self.fold.layout.width = "auto"
        self.fold.observe(guard(self._choose_fold), "value")
        self.about = widgets.HTML()
        line = widgets.HBox([self.fold, self.about])
        line.add_class("wb-line")
        line.add_class("wb-graph-line")
        super().__init__([line, self.netron])

    def __repr__(self) -> str:
        return f"GraphView({self.shown.folded if self.shown else 0} engines folded)"

    def clear(self) -> None:
        """Show nothing."""
        self.shown = self._of = None
        self.netron.clear()

    def show(self, model: Model, placement: Placement) -> None:
        """Draw a placement; another model is folded if it is large, the same one stays as the user had it."""
        if self._of is None or self._of[0] is not model:
            self._drawing = True  # setting the toggle is no choice
            self.fold.value = len(model.nodes) > FOLD_ABOVE
            self._drawing = False
        self._of = (model, placement)
        engines = placement.engines()
        self.fold.layout.display = "" if engines else "none"
        self.fold.tooltip = f"Draw each of the {engines:,} TensorRT engines as one node, to be opened by a click on its ⓕ"
        self._draw()

    def select(self, node: str) -> None:
        """Highlight the drawn node that stands for a node of the model."""
        self._node = node
        if self.shown is not None:
            self.netron.selected = self.shown.shown_for(node)

    def clicked_members(self) -> tuple[str, ...]:
        """Return the model's nodes that the clicked node stands for; nothing where it is what was selected before."""
        drawn = self.netron.selected
        if self.shown is None or not drawn or drawn == self.shown.shown_for(self._node):
            return ()
        return self.shown.members_of(drawn)

    def _choose_fold(self, _: object) -> None:
        if not self._drawing:
            self._draw()

    def _draw(self) -> None:
        if self._of is None:
            return
        wanted, fold = self._of, self.fold.value
        model, placement = wanted

        def done(shown: ShownModel) -> None:
            if self._of is not wanted or self.fold.value != fold:
                return
            self.shown = shown
            self.netron.show(shown, COLOURS, model.path.name)
            self.netron.selected = shown.shown_for(self._node)
            self.about.value = markup.note(_about(shown, len(model.nodes)))

        self._run_in_thread(lambda: shown_model(model, placement, fold=fold), done)


def _about(shown: ShownModel, nodes: int) -> str:
    """Return how many nodes are drawn, and a warning where laying them out takes long."""
    drawn = len(shown.nodes)
    if shown.folded:
        return f"{drawn:,} nodes drawn for {nodes:,}"
    return f"{drawn:,} nodes; drawing them takes a while" if drawn > FOLD_ABOVE else f"{drawn:,} nodes"
