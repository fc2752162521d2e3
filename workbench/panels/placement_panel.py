"""The Placement tab: who runs each node, why, at what cost, and what if; all its views show the same selection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.figures.palette import provider_colour, provider_label
from workbench.figures.placement import placement_data, placement_figure
from workbench.panels import markup
from workbench.panels.cost_text import cost_text
from workbench.panels.figure_view import Click, FigureView
from workbench.panels.graph_view import GraphView
from workbench.panels.next_steps import next_steps
from workbench.panels.panel import Panel
from workbench.panels.questions import cost_at_optimum
from workbench.panels.ready_text import ready_text
from workbench.panels.reasons_view import ReasonsView
from workbench.panels.table import Column, Row, Table
from workbench.panels.verdict_card import VerdictCard
from workbench.panels.what_if_panel import WhatIfPanel
from workbench.placement.reasons import shared_reasons
from workbench.placement.records import PROVIDERS, TENSORRT
from workbench.placement.support import RELEASES
from workbench.placement.verdict import verdict_of
from workbench.study.bound import bound_of_run

if TYPE_CHECKING:
    from collections.abc import Iterable

    import plotly.graph_objects as go
    import traitlets

    from workbench.figures.placement import PlacementStrip
    from workbench.panels.state import WorkbenchState
    from workbench.placement.cost import Cost
    from workbench.placement.records import PlacedNode, Placement

COLOURS = {provider_label(provider): provider_colour(provider) for provider in (*PROVIDERS, None)}
EVIDENCE = {
    "predicted": "From the rules of TensorRT's ONNX parser; no session was made.",
    "measured": "Read from a session on this machine.",
    "recorded": "Read from a kept Run.",
}
SHOWN = {"predicted": "Predicted", "what-if": "What if", "measured": "Measured"}
HEIGHT = 470
STRIP_HEIGHT = 208


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
        self._drawing = False
        self._priced: tuple[Placement, Cost] | None = None
        super().__init__("Placement", background=state.background)
        self._make_line()
        self._make_views()
        self.empty = widgets.HTML(markup.note("Open a model in the Model tab to see who runs its nodes."))
        state.observe(self.redraw(self._draw), ["predicted", "measured", "supposed", "evidence", "model"])
        state.observe(self.redraw(self._draw_line), ["activity", "settings", "tensorrt"])
        state.observe(self.redraw(self._draw_cost_line), "last")
        state.observe(self.redraw(self._draw_steps), ["diagnosis", "settings", "readied"])
        state.questions.observe(self.redraw(self._draw_steps), "proposal")
        state.observe(self.redraw(self._draw_selection), "node")
        state.observe(self.redraw(self._draw_picked), "picked")
        self.follow(state, "placement")
        self.redraw(self._draw)()
        self.redraw(self._draw_line)()
        self.redraw(self._draw_picked)()

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
        self.choice = widgets.ToggleButtons(options=[(SHOWN[name], name) for name in SHOWN])
        self.choice.style.button_width = "90px"
        self.choice.observe(self.guard(self._choose_evidence), "value")
        self.cancel = widgets.Button(description="Cancel", icon="stop", layout=widgets.Layout(width="90px"))
        self.cancel.on_click(self.guard(lambda _: self.state.cancel()))
        self.hint = widgets.HTML()
        label = widgets.HTML(markup.note("TensorRT"))
        self.line = widgets.HBox([label, self.release, self.predict, self.measure, self.choice, self.cancel, self.hint])
        self.line.add_class("wb-line")

    def _make_views(self) -> None:
        self.card = VerdictCard()
        self.verdict = self.card.text
        self.notes = widgets.HTML()
        self.cost = widgets.HTML()
        self.strip = FigureView(height=STRIP_HEIGHT)
        self.strip.observe(self.guard(self._click_strip), "clicked")
        self.what_if = WhatIfPanel(self.state, self._select)
        self.reasons = ReasonsView(self.guard(self._select))
        columns = [
            Column(title="Node", ellipsis="start"),
            Column(title="Operator"),
            Column(title="Provider", kind="chip", colours=COLOURS, filter=True),
            Column(title="Reason", grow=True),
            Column(title="Engine", kind="number", format="d", help="Number of the fused TensorRT engine"),
        ]
        self.table = Table(columns, height=HEIGHT - 34, placeholder="No nodes.")
        self.table.observe(self.guard(self._select_row), "selected")
        self.graph_view = GraphView(HEIGHT, self.run_in_thread, self.guard)
        self.graph = self.graph_view.netron
        self.graph.observe(self.guard(self._select_in_graph), "selected")
        self.graph.observe(self.redraw(self._draw_detail), "absent")
        self.detail = widgets.HTML()
        self.pair = widgets.HBox([widgets.VBox([self.table]), self.graph_view])
        self.pair.add_class("wb-pair")
        self.readied = widgets.HTML()
        summary = widgets.VBox([self.readied, self.card, self.cost, self.notes])
        summary.add_class("wb-summary")
        self.views = (summary, self.strip, self.what_if, self.reasons, self.detail, self.pair)

    # Drawing

    def _draw(self, _: object = None) -> None:
        state = self.state
        self._draw_choice()
        placement = state.placement
        self._draw_line()
        if state.model is None:
            self.body.children = (self.empty,)
            return
        self.body.children = (self.line, *self.views) if placement else (self.line,)
        if placement is None:
            self.graph_view.clear()
            return
        self._draw_verdict(placement)
        self._draw_cost(placement)
        # The notes stand below the verdict: in the figure they would push the strip down.
        self._strip = placement_data(placement.model_copy(update={"notes": ()}))
        self.strip.layout.display = "none" if placement.outcome == "error" else ""  # nobody runs anything
        elsewhere = "not on TensorRT" if placement.runtime.tensorrt else "not on the first provider"
        self.reasons.show(shared_reasons(placement), elsewhere)
        engines = _engine_numbers(placement)
        self.table.rows = [Row(node.name, _cells(placement, node, engines)) for node in placement.nodes]
        self._draw_selection()
        self.graph_view.show(state.model, placement)

    def _draw_choice(self) -> None:
        """Offer the placements that are there; a choice is one only where there are two."""
        state = self.state
        there = {"predicted": state.predicted, "what-if": state.supposed, "measured": state.measured}
        names = [name for name, placement in there.items() if placement is not None or name == state.evidence]
        options = tuple((SHOWN[name], name) for name in names)
        self._drawing = True  # setting the options picks one by itself
        if self.choice.options != options:
            self.choice.options = options
        self.choice.value = state.evidence
        self._drawing = False
        self.choice.layout.display = "" if len(options) > 1 else "none"

    def _draw_verdict(self, placement: Placement) -> None:
        badge = markup.badge(placement.evidence, placement.evidence, EVIDENCE[placement.evidence])
        if self.state.evidence == "what-if":
            badge += markup.badge("what if", "plain", "Not what the Settings say now")
        versions = placement.runtime
        named = (("ONNX Runtime", versions.onnxruntime), ("TensorRT", versions.tensorrt))
        source = ", ".join(f"{name} {version}" for name, version in named if version)
        self.card.show(verdict_of(placement), badge, source)
        self.notes.value = markup.notes(placement.notes)
        self._draw_steps()

    def _draw_steps(self, _: object = None) -> None:
        placement, readied = self.state.placement, self.state.readied
        self.readied.value = ready_text(readied) if readied is not None else ""
        if placement is not None:
            self.card.offer(next_steps(self.state, verdict_of(placement), placement), self.guard)

    def _draw_cost(self, placement: Placement) -> None:
        model, profile = self.state.model, self.state.settings.profile
        self._priced = None
        self._draw_cost_line()
        if model is None or placement.outcome == "error":
            return

        def done(cost: Cost) -> None:
            if placement is self.state.placement:
                self._priced = placement, cost
                self._draw_cost_line()

        self.run_in_thread(lambda: cost_at_optimum(placement, model, profile), done)

    def _draw_cost_line(self, _: object = None) -> None:
        """Show the cost, and with the placement of the last Run what its node times bound."""
        if self._priced is None:
            self.cost.value = ""
            return
        placement, cost = self._priced
        run = self.state.last
        timed = run is not None and run.placement == placement
        self.cost.value = cost_text(cost, bound_of_run(run) if run is not None and timed else None)

    def _draw_line(self, _: object = None) -> None:
        state = self.state
        self.predict.disabled = self.measure.disabled = state.busy
        self.release.value = state.tensorrt
        provider = state.settings.provider
        self.measure.tooltip = f"Make a session on {provider} and read who runs each node"
        activity = state.activity
        self.cancel.layout.display = "" if activity is not None and activity.task in ("placing", "readying") else "none"
        busy = {
            "predicting": "Predicting …",
            "placing": f"Making a session on {provider} …",
            "readying": f"Making the model ready: {activity.stage} …" if activity else "",
        }
        self.hint.value = markup.note(busy.get(activity.task, "") if activity else "")

    def _draw_selection(self, _: object = None) -> None:
        if self._strip is None or self.state.placement is None:
            return
        node = self.state.node
        names = [placed.name for placed in self.state.placement.nodes]
        at = names.index(node) if node in names else None
        self.strip.figure = _compact(placement_figure(self._strip, at), self._strip)
        if node not in self.table.selected:
            self.table.selected = [node] if at is not None else []
        self.graph_view.select(node)
        self._draw_detail()

    def _draw_picked(self, _: object = None) -> None:
        if self.state.picked:
            self._select(self.state.picked)

    def _draw_detail(self, _: object = None) -> None:
        placement = self.state.placement
        placed = next((n for n in placement.nodes if n.name == self.state.node), None) if placement else None
        if placed is None:
            self.detail.value = markup.note("Select a node in the strip, the table or the graph.")
            return
        extra = " Netron draws it inside the node that uses it." if self.graph_view.shown and self.graph.absent else ""
        self.detail.value = markup.notice("info", f"{placed.name} · {placed.op_type} · {_where(placed)}: {placed.reason}{extra}")

    # What the user does

    def _choose_evidence(self, change: traitlets.Bunch) -> None:
        if not self._drawing:
            self.state.evidence = change.new

    def _choose_release(self, change: traitlets.Bunch) -> None:
        if change.new != self.state.tensorrt:
            self.state.tensorrt = change.new
            self.state.predict()

    def _click_strip(self, change: traitlets.Bunch) -> None:
        click: Click = change.new
        placement = self.state.placement
        if placement is None or not isinstance(click.customdata, (list, tuple)):
            return
        first, last = click.customdata
        self._select(node.name for node in placement.nodes[first : last + 1])

    def _select(self, names: Iterable[str]) -> None:
        """Select nodes everywhere; the first of them is the one that is told about."""
        self.table.selected = list(names)

    def _select_row(self, change: traitlets.Bunch) -> None:
        if change.new and self.state.node not in change.new:
            self.state.node = change.new[0]

    def _select_in_graph(self, _: traitlets.Bunch) -> None:
        members = self.graph_view.clicked_members()
        if members:
            self._select(members)


def _compact(figure: go.Figure, strip: PlacementStrip) -> go.Figure:
    """Leave out what the verdict says already; a figure that only tells why there is no strip stays."""
    if strip.message:
        return figure
    figure.update_layout(title=None, margin_t=4, height=STRIP_HEIGHT)
    return figure


def _engine_numbers(placement: Placement) -> dict[int, int]:
    """Return the number of each TensorRT group, from 1 as in the strip."""
    groups = [index for index, group in enumerate(placement.groups) if group.provider == TENSORRT]
    return {group: number for number, group in enumerate(groups, 1)}


def _cells(placement: Placement, node: PlacedNode, engines: dict[int, int]) -> tuple[str | int | None, ...]:
    engine = None if node.group is None else engines.get(node.group)
    provider = None if placement.outcome == "error" else provider_label(node.provider)
    return node.name, node.op_type, provider, node.reason, engine


def _where(node: PlacedNode) -> str:
    return provider_label(node.provider)
