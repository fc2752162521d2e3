"""The Placement tab: who runs each node, and why; strip, table and graph show the same selection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.figures.palette import provider_colour, provider_label
from workbench.figures.placement import placement_data, placement_figure
from workbench.panels import markup
from workbench.panels.figure_view import Click, FigureView
from workbench.panels.netron_model import ShownModel, shown_model
from workbench.panels.netron_view import NetronView
from workbench.panels.panel import Panel
from workbench.panels.table import Column, Row, Table
from workbench.placement.records import PROVIDERS, TENSORRT
from workbench.placement.verdict import verdict_of

if TYPE_CHECKING:
    import traitlets

    from workbench.figures.placement import PlacementStrip
    from workbench.panels.state import WorkbenchState
    from workbench.placement.records import PlacedNode, Placement

RELEASES = ("8.6", "10.1", "10.16", "11.1")
COLOURS = {provider_label(provider): provider_colour(provider) for provider in (*PROVIDERS, None)}
EVIDENCE = {
    "predicted": "From the rules of TensorRT's ONNX parser; no session was made.",
    "measured": "Read from a session on this machine.",
    "recorded": "Read from a kept Run.",
}
HEIGHT = 470


class PlacementPanel(Panel):
    """Who runs each node.

    Parameters
    ----------
    state : WorkbenchState
        Whose placement it shows; a selected node is the state's `node`.
    """

    def __init__(self, state: WorkbenchState) -> None:
        self.state = state
        self._strip: PlacementStrip | None = None
        self._graph: ShownModel | None = None
        super().__init__("Placement", background=state.background)
        self._make_line()
        self._make_views()
        self.empty = widgets.HTML(markup.note("Open a model in the Model tab to see who runs its nodes."))
        state.observe(self.redraw(self._draw), ["predicted", "measured", "evidence", "model"])
        state.observe(self.redraw(self._draw_line), ["activity", "settings"])
        state.observe(self.redraw(self._draw_selection), "node")
        self.follow(state, "placement")
        self.redraw(self._draw)()
        self.redraw(self._draw_line)()

    def summary(self) -> str:
        """Return what the placement says in short."""
        placement = self.state.placement
        return f"{placement.evidence}, {len(placement.nodes)} nodes" if placement else "no placement"

    def _make_line(self) -> None:
        self.release = widgets.Dropdown(options=RELEASES, value=self.state.tensorrt, layout=widgets.Layout(width="80px"))
        self.release.observe(self.guard(self._choose_release), "value")
        self.predict = widgets.Button(description="Predict", layout=widgets.Layout(width="90px"))
        self.predict.tooltip = "Say who would run each node, without a session"
        self.predict.on_click(self.guard(lambda _: self.state.predict()))
        self.measure = widgets.Button(description="Measure", layout=widgets.Layout(width="90px"))
        self.measure.on_click(self.guard(lambda _: self.state.measure_placement()))
        self.choice = widgets.ToggleButtons(options=[("Predicted", "predicted"), ("Measured", "measured")])
        self.choice.style.button_width = "90px"
        self.choice.observe(self.guard(lambda change: setattr(self.state, "evidence", change.new)), "value")
        self.hint = widgets.HTML()
        label = widgets.HTML(markup.note("TensorRT"))
        self.line = widgets.HBox([label, self.release, self.predict, self.measure, self.choice, self.hint])
        self.line.add_class("wb-line")

    def _make_views(self) -> None:
        self.verdict = widgets.HTML()
        self.strip = FigureView(height=280)
        self.strip.observe(self.guard(self._click_strip), "clicked")
        columns = [
            Column(title="Node", ellipsis="start"),
            Column(title="Operator"),
            Column(title="Provider", kind="chip", colours=COLOURS, filter=True),
            Column(title="Reason", grow=True),
            Column(title="Engine", kind="number", format="d", help="Number of the fused TensorRT engine"),
        ]
        self.table = Table(columns, height=HEIGHT - 34, placeholder="No nodes.")
        self.table.observe(self.guard(self._select_row), "selected")
        self.graph = NetronView(height=HEIGHT, placeholder="The graph is being prepared …")
        self.graph.observe(self.guard(self._select_in_graph), "selected")
        self.graph.observe(self.redraw(self._draw_detail), "absent")
        self.detail = widgets.HTML()
        left, right = widgets.VBox([self.table]), widgets.VBox([self.graph])
        self.pair = widgets.HBox([left, right])
        self.pair.add_class("wb-pair")
        self.views = (self.verdict, self.strip, self.detail, self.pair)

    # Drawing

    def _draw(self, _: object = None) -> None:
        state = self.state
        self.choice.value = state.evidence
        placement = state.placement
        self._draw_line()
        if state.model is None:
            self.body.children = (self.empty,)
            return
        self.body.children = (self.line, *self.views) if placement else (self.line,)
        if placement is None:
            self._graph = None
            self.graph.clear()
            return
        self.verdict.value = _verdict(placement)
        # The notes stand below the verdict: in the figure they would push the strip down.
        self._strip = placement_data(placement.model_copy(update={"notes": ()}))
        engines = _engine_numbers(placement)
        self.table.rows = [Row(node.name, _cells(node, engines)) for node in placement.nodes]
        self._draw_selection()
        self._draw_graph(placement)

    def _draw_graph(self, placement: Placement) -> None:
        model = self.state.model
        if model is None:
            return

        def done(shown: ShownModel) -> None:
            if placement is not self.state.placement or model is not self.state.model:
                return
            self._graph = shown
            colours = {provider: provider_colour(provider) for provider in PROVIDERS}
            self.graph.show(shown, colours, model.path.name)
            self.graph.selected = shown.shown_for(self.state.node)

        self.run_in_thread(lambda: shown_model(model, placement), done)

    def _draw_line(self, _: object = None) -> None:
        state = self.state
        self.predict.disabled = self.measure.disabled = state.busy
        provider = state.settings.provider
        self.measure.tooltip = f"Make a session on {provider} and read who runs each node"
        # A choice between two is one only where there are two.
        self.choice.layout.display = "" if state.predicted is not None and state.measured is not None else "none"
        busy = {"predicting": "Predicting …", "placing": f"Making a session on {provider} …"}
        self.hint.value = markup.note(busy.get(state.activity.task, "") if state.activity else "")

    def _draw_selection(self, _: object = None) -> None:
        if self._strip is None or self.state.placement is None:
            return
        node = self.state.node
        names = [placed.name for placed in self.state.placement.nodes]
        at = names.index(node) if node in names else None
        self.strip.figure = placement_figure(self._strip, at)
        if node not in self.table.selected:
            self.table.selected = [node] if at is not None else []
        if self._graph is not None:
            self.graph.selected = self._graph.shown_for(node)
        self._draw_detail()

    def _draw_detail(self, _: object = None) -> None:
        placement = self.state.placement
        placed = next((n for n in placement.nodes if n.name == self.state.node), None) if placement else None
        if placed is None:
            self.detail.value = markup.note("Select a node in the strip, the table or the graph.")
            return
        folded = self._graph is not None and self.graph.absent
        extra = " Netron draws it inside the node that uses it." if folded else ""
        self.detail.value = markup.notice("info", f"{placed.name} · {placed.op_type} · {_where(placed)}: {placed.reason}{extra}")

    # What the user does

    def _choose_release(self, change: traitlets.Bunch) -> None:
        self.state.tensorrt = change.new
        self.state.predict()

    def _click_strip(self, change: traitlets.Bunch) -> None:
        click: Click = change.new
        placement = self.state.placement
        if placement is None or not isinstance(click.customdata, (list, tuple)):
            return
        first, last = click.customdata
        self.table.selected = [node.name for node in placement.nodes[first : last + 1]]

    def _select_row(self, change: traitlets.Bunch) -> None:
        if change.new and self.state.node not in change.new:
            self.state.node = change.new[0]

    def _select_in_graph(self, change: traitlets.Bunch) -> None:
        if self._graph is None or not change.new or change.new == self._graph.shown_for(self.state.node):
            return
        members = self._graph.members_of(change.new)
        self.table.selected = list(members)


def _verdict(placement: Placement) -> str:
    verdict = verdict_of(placement)
    badge = markup.badge(placement.evidence, placement.evidence, EVIDENCE[placement.evidence])
    return markup.verdict(verdict.answer, verdict.sentence, verdict.action, badge) + markup.notes(placement.notes)


def _engine_numbers(placement: Placement) -> dict[int, int]:
    """Return the number of each TensorRT group, from 1 as in the strip."""
    groups = [index for index, group in enumerate(placement.groups) if group.provider == TENSORRT]
    return {group: number for number, group in enumerate(groups, 1)}


def _cells(node: PlacedNode, engines: dict[int, int]) -> tuple[str | int | None, ...]:
    engine = None if node.group is None else engines.get(node.group)
    return node.name, node.op_type, provider_label(node.provider), node.reason, engine


def _where(node: PlacedNode) -> str:
    return provider_label(node.provider)
