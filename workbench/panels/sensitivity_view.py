"""What breaks lower precision: the search, what it found, and what is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.figures.sensitivity import sensitivity_data, sensitivity_figure
from workbench.panels import markup
from workbench.panels.code_view import CodeView
from workbench.panels.controls import BLANK, button, field, fields, line, shown
from workbench.panels.figure_view import FigureView
from workbench.panels.fold import Fold
from workbench.panels.panel import Panel
from workbench.panels.precision_text import sensitivity_text, tools_text
from workbench.panels.progress_view import ProgressView
from workbench.panels.sensitivity_graph import SensitivityGraph, too_large
from workbench.panels.tradeoff_view import target_text

if TYPE_CHECKING:
    import traitlets

    from workbench.panels.state import WorkbenchState

GRAPH_HEIGHT = 420


class SensitivityView(Panel):
    """Search for the nodes to keep in float32.

    Parameters
    ----------
    state : WorkbenchState
        Whose model; a click on a node's dot makes it the state's `node`.
    """

    def __init__(self, state: WorkbenchState) -> None:
        self.state, self.search = state, state.lowering.search
        super().__init__("What breaks it", background=state.background)
        self._make_plan()
        self._make_results()
        head = widgets.HTML(markup.heading("What breaks it", "the smallest set of nodes to keep in float32 for a target to hold"))
        self.body.children = (head, self.plan, self.controls, self.progress, self.answer, self.actions, self.pair, self.tools)
        self.search.observe(self.redraw(self._draw), "found")
        state.observe(self.redraw(self._draw), "model")
        state.lowering.observe(self.redraw(self._draw_converted), "converted")
        self.search.observe(self.redraw(self._draw_activity), "trial")
        self.search.observe(self.redraw(self._draw_plan), "to")
        state.observe(self.redraw(self._draw_activity), ["activity", "model"])
        self.figure.observe(self.guard(self._click), "clicked")
        self.follow(state, "sensitivity")
        for draw in (self._draw_plan, self._draw, self._draw_activity):
            self.redraw(draw)()

    def summary(self) -> str:
        """Return what was found."""
        return self.search.found.status if self.search.found else "not searched"

    def _make_plan(self) -> None:
        search, number = self.search, widgets.Layout(width="92px")
        self.to = widgets.Dropdown(options=[(name.upper(), name) for name in ("fp16", "bf16", "int8")], layout=number)
        self.provider = widgets.Dropdown(options=["cpu", "cuda", "tensorrt"], layout=widgets.Layout(width="100px"))
        self.target = widgets.Text(continuous_update=False, layout=widgets.Layout(width="240px"))
        self.samples = widgets.BoundedIntText(value=search.samples, min=0, max=10**9, layout=number)
        self.limit_s = widgets.BoundedFloatText(value=search.limit_s, min=1, max=864_000, step=60, layout=number)
        self.clip = widgets.Checkbox(description="clip weights", indent=False, layout=widgets.Layout(width="auto"))
        self.clip.tooltip = "Bring weights beyond the precision's range to its end instead of infinity"
        for name in ("to", "provider", "target", "samples", "limit_s", "clip"):
            control = getattr(self, name)
            control.observe(self.guard(lambda change, name=name: setattr(search, name, change.new)), "value")
            search.observe(lambda change, control=control: setattr(control, "value", change.new), name)
        self.plan = fields(
            [
                field("Lower to", self.to),
                field("On", self.provider, "On the CPU every rounding of half precision is emulated"),
                field("Target", self.target, "rel_l2=0.01, cosine=0.999, sqnr=30 or top1-drop=0.5; several with commas between"),
                field("Samples (0: usual)", self.samples, "Inputs that each set is run on: 16, or 1000 with labels"),
                field("Time limit (s)", self.limit_s, "The best set so far is given then"),
                field(BLANK, self.clip),
            ]
        )
        self.start = button("Search", self.guard(lambda _: search.start()), icon="search", primary=True)
        self.start.tooltip = "Answers are kept: a search that was stopped goes on where it was"
        self.cancel = button("Cancel", self.guard(lambda _: self.state.cancel()), icon="stop")
        self.controls = line([self.start, self.cancel])
        self.progress = ProgressView(["making ready", "trying sets"])

    def _make_results(self) -> None:
        self.answer = widgets.HTML()
        self.pick = button("Select on the graph", self.guard(lambda _: self.search.pick()))
        self.pick.tooltip = "Select these nodes in the Placement tab's table and graph"
        self.make = button("Make the model with these in float32", self.guard(lambda _: self._make()), primary=True)
        self.actions = line([self.make, self.pick])
        self.figure = FigureView()
        self.graph = SensitivityGraph(GRAPH_HEIGHT, self.run_in_thread)
        self.pair = widgets.VBox([self.figure, self.graph])
        self.pair.add_class("wb-stack")
        self.code = CodeView()
        self.tools = Fold("As text, for other tools", [self.code])

    # Drawing

    def _draw_plan(self, _: object = None) -> None:
        self.target.placeholder = target_text(self.search.usual_target())
        shown(self.clip, self.search.to != "int8")

    def _draw(self, _: object = None) -> None:
        found, model = self.search.found, self.state.model
        for part in (self.pair, self.actions):
            shown(part, found is not None)
        self.answer.value = sensitivity_text(found) if found is not None else ""
        self.figure.figure = sensitivity_figure(sensitivity_data(found)) if found is not None else None
        here = found is not None and model is not None and model.name == found.model  # and not one made of it
        keep = found is not None and found.holds and bool(found.keep)
        shown(self.pick, keep and here)
        self.make.description = "Make the model with these in float32" if keep else "Make the model"
        shown(self.make, found is not None and found.holds and here)
        shown(self.tools, keep)
        self.code.text = tools_text(found) if found is not None else ""
        draw = found is not None and bool(found.ranking) and model is not None and here and not too_large(model)
        shown(self.graph, draw)
        if found is not None and model is not None and draw:
            self.graph.show(model, found)
        else:
            self.graph.clear()

    def _draw_activity(self, _: object = None) -> None:
        activity, trial = self.state.activity, self.search.trial
        searching = activity is not None and activity.task == "searching"
        self.start.disabled = self.make.disabled = activity is not None
        self.start.disabled = self.start.disabled or self.state.model is None
        shown(self.cancel, searching)
        if activity is not None and searching:
            told = str(trial) if trial is not None else "the reference is computed"
            self.progress.show(f"Searching in {activity.subject}: {told}", activity.stages, activity.elapsed_s)
        elif self.progress.running:
            trouble = self.state.trouble
            failed = trouble is not None and trouble.place == "sensitivity"
            self.progress.end("Ended" if failed else "Searched", failed=failed)

    # What the user does

    def _click(self, change: traitlets.Bunch) -> None:
        if isinstance(change.new.customdata, str):
            self.state.node = change.new.customdata
            self.graph.netron.selected = change.new.customdata

    def _make(self) -> None:
        found = self.search.found
        if found is not None:
            self.state.lowering.convert(found.lowering.to, keep=found.keep, clip=found.lowering.clip, place="sensitivity")

    def _draw_converted(self, _: object = None) -> None:
        """Tell here of a model that was made here: what changed stands at the top."""
        found = self.state.lowering.converted
        if found is not None and self.state.lowering.place == "sensitivity":
            self.say(f"Written and opened: {found.target}.", "success", "The top of the tab tells what changed.")
