"""The layers of engines, in a Run's results and beside an engine on disk alike: by precision, and each in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from workbench.figures.layers import COLOURS, key_of, kind_of, layers_data, layers_figure
from workbench.panels import markup
from workbench.panels.figure_view import FigureView
from workbench.panels.table import Column, Row, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import traitlets

    from workbench.measure.delivered import EngineDelivered
    from workbench.measure.layers import EngineLayer
    from workbench.panels.state import WorkbenchState

MOST_NODES = 6


class LayersView(widgets.VBox):  # type: ignore[misc]
    """What engines compute in; a layer that is selected selects its ONNX nodes in the state, and so in the graph.

    Parameters
    ----------
    state : WorkbenchState
        Whose selection follows.
    guard : callable
        Wraps what a click does, so that an error is shown and goes no further.
    """

    def __init__(self, state: WorkbenchState, guard: Callable[[Callable[..., None]], Any]) -> None:
        self.state = state
        self.engines: tuple[EngineDelivered, ...] = ()
        self._layers: dict[str, EngineLayer] = {}
        self.head, self.text, self.figure, self.told = widgets.HTML(), widgets.HTML(), FigureView(), widgets.HTML()
        columns = [
            Column(title="Layer", grow=True),
            Column(title="Type", filter=True),
            Column(title="Computes in", kind="chip", colours=COLOURS, filter=True),
            Column(title="Time (ms)", kind="number", format=",.4f"),
            Column(title="Share", kind="number", format=".1%", help="Of the time of all layers"),
            Column(title="ONNX nodes"),
            Column(title="Kernel", help="TensorRT's tactic, where the engine tells it"),
            Column(title="Engine", ellipsis="start", filter=True, width=120),
        ]
        self.table = Table(columns, height=300, multiple=False, placeholder="No layers.")
        self.table.observe(guard(self._select), "selected")
        self.figure.observe(guard(self._click), "clicked")
        super().__init__((self.head, self.text, self.figure, self.table, self.told))
        self.add_class("wb-stack")
        self.show(())

    def show(self, engines: Sequence[EngineDelivered]) -> None:
        """Show engines; an empty sequence for none, and then nothing is seen."""
        self.engines = tuple(engines)
        self.layout.display = "" if engines else "none"
        self.told.value = ""
        data = layers_data(self.engines)
        self.figure.figure = layers_figure(data) if engines else None
        self.head.value = markup.heading("Layers", "select one to see its nodes in the Placement tab") if engines else ""
        self.text.value = "".join(_engine_text(engine, several=len(self.engines) > 1) for engine in self.engines)
        self._layers = {
            key_of(i, j): layer
            for i, engine in enumerate(self.engines)
            for j, layer in enumerate(engine.layers)
            if layer.profile == 0
        }
        whole = sum(layer.ms or 0.0 for layer in self._layers.values())
        keys = sorted(self._layers, key=lambda key: -(self._layers[key].ms or 0.0))
        self.table.rows = [Row(key, self._cells(key, whole)) for key in keys]

    def _cells(self, key: str, whole: float) -> tuple[str | float | None, ...]:
        layer, engine = self._layers[key], self.engines[int(key.partition(":")[0])]
        share = layer.ms / whole if layer.ms is not None and whole else None
        more = len(layer.nodes) - MOST_NODES
        nodes = ", ".join(layer.nodes[:MOST_NODES]) + (f" and {more} more" if more > 0 else "")
        return layer.name, layer.type or None, kind_of(layer), layer.ms, share, nodes or None, layer.tactic or None, engine.file

    def _click(self, change: traitlets.Bunch) -> None:
        if change.new.customdata in self._layers:
            self.table.selected = [change.new.customdata]

    def _select(self, change: traitlets.Bunch) -> None:
        layer = self._layers.get(change.new[0]) if change.new else None
        if layer is None:
            self.told.value = ""
            return
        known = {node.name for node in self.state.model.nodes} if self.state.model is not None else set()
        mine = tuple(node for node in layer.nodes if node in known)
        if mine:
            self.state.picked, self.state.node = mine, mine[0]
        self.told.value = markup.notice("info", _layer_text(layer, mine))


def _engine_text(engine: EngineDelivered, *, several: bool) -> str:
    name = f"{engine.file}: " if several else ""
    asked = f"asked for {'+'.join(engine.found.asked)}; " if engine.found.asked else ""
    warnings = "".join(markup.notice("warning", warning.seen, warning.action) for warning in engine.warnings)
    return markup.notice("info", f"{name}{asked}delivered: {engine.found.sentence()}") + warnings


def _layer_text(layer: EngineLayer, mine: Sequence[str]) -> str:
    types = f"{', '.join(filter(None, layer.inputs)) or 'nothing'} in, {', '.join(filter(None, layer.outputs)) or 'nothing'} out"
    facts = [types if layer.type else "the engine tells its name only", f"weights in {layer.weights}" if layer.weights else ""]
    selected = f"selected: {', '.join(mine)}" if mine else "none of its nodes is in the open model"
    return f"{layer.name}: {'; '.join(filter(None, facts))}; {selected}"
