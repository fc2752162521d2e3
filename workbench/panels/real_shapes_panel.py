"""A profile proposed from the shapes that requests really had: their histogram, and a button that takes the proposal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.errors import InputError
from workbench.options.propose import Proposal, propose_profile
from workbench.options.seen import read_shapes
from workbench.panels import markup
from workbench.panels.figure_view import FigureView
from workbench.panels.files import table_completions
from workbench.panels.panel import Panel
from workbench.panels.path_field import PathField
from workbench.study.requests import shapes_of_runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.model.model import Model
    from workbench.options.profile import ShapeProfile
    from workbench.panels.state import WorkbenchState
    from workbench.record import Finding

Found = tuple[Proposal, list["Finding"]]


class RealShapesPanel(Panel):
    """Propose a profile from a CSV file or from the kept Runs.

    Parameters
    ----------
    state : WorkbenchState
        Whose model it is for, and whose profile it sets.
    """

    def __init__(self, state: WorkbenchState) -> None:
        self.state = state
        self.proposal: Proposal | None = None
        super().__init__("From real shapes", background=state.background)
        self.path = PathField("CSV file: a column for each dimension, or name,shape", table_completions, self.guard(self.read))
        self.open = widgets.Button(description="Read", layout=widgets.Layout(width="80px"))
        self.open.on_click(self.guard(lambda _: self.read(self.path.value)))
        self.runs = widgets.Button(description="From kept Runs", layout=widgets.Layout(width="140px"))
        self.runs.tooltip = "Take the shapes of the inputs of this model's Runs"
        self.runs.on_click(self.guard(lambda _: self.learn()))
        self.figure: FigureView | None = None  # made when there is something to draw: it brings plotly into the page
        self.told = widgets.HTML()
        self.take = widgets.Button(description="Take this profile", button_style="primary", layout=widgets.Layout(width="150px"))
        self.take.on_click(self.guard(lambda _: self._take(self._proposed().profile)))
        self.take_both = widgets.Button(description="Take two profiles", layout=widgets.Layout(width="150px"))
        self.take_both.tooltip = "ONNX Runtime runs on the first only; TensorRT's own interface chooses"
        self.take_both.on_click(self.guard(lambda _: self._take_both()))
        line, buttons = widgets.HBox([self.path, self.open, self.runs]), widgets.HBox([self.take, self.take_both])
        for each in (line, buttons):
            each.add_class("wb-line")
        self.found = widgets.VBox([self.told, buttons], layout=widgets.Layout(display="none"))
        self.found.add_class("wb-stack")
        self.body.children = (line, self.found)
        state.observe(self.redraw(self._forget), "model")

    def _forget(self, _: object = None) -> None:
        self._show(None)

    def summary(self) -> str:
        """Return what is proposed."""
        return str(self.proposal.profile) if self.proposal is not None else "nothing read"

    def read(self, path: str) -> None:
        """Propose from a CSV file."""
        model = self._model_there()
        if not path.strip():
            raise InputError("No file is named.", remedy="Type the path of a CSV file with the shapes of real requests.")
        self._find(lambda: (propose_profile(model, read_shapes(path.strip(), model)), []))

    def learn(self) -> None:
        """Propose from the kept Runs of this model."""
        model, store = self._model_there(), self.state.store

        def task() -> Found:
            seen, told = shapes_of_runs(store, model)
            return propose_profile(model, seen), told

        self._find(task)

    def _find(self, task: Callable[[], Found]) -> None:
        model = self.state.model

        def done(found: Found) -> None:
            if self.state.model is model:
                self._show(*found)

        self.run_in_thread(task, done)

    def _show(self, proposal: Proposal | None, told: list[Finding] | None = None) -> None:
        self.proposal = proposal
        self.found.layout.display = "none" if proposal is None else ""
        if proposal is None:
            return
        from workbench.figures.shape_histogram import shape_histogram_data, shape_histogram_figure

        figure = shape_histogram_figure(shape_histogram_data(proposal))
        if self.figure is None:
            self.figure = FigureView(figure)
            self.found.children = (self.figure, *self.found.children)
        self.figure.figure = figure
        self.take_both.layout.display = "none" if proposal.split is None else ""
        self.told.value = _text(proposal) + markup.finding_list([*(told or []), *proposal.findings])

    def _take(self, profile: ShapeProfile) -> None:
        self.state.set_profile(profile)

    def _take_both(self) -> None:
        split = self._proposed().split
        if split is not None:
            self._take(split.together)

    def _proposed(self) -> Proposal:
        if self.proposal is None:
            raise InputError("Nothing was read yet.", remedy="Read a CSV file, or take the shapes of kept Runs.")
        return self.proposal

    def _model_there(self) -> Model:
        model: Model | None = self.state.model
        if model is None:
            raise InputError("There is no model yet.", remedy="Open one in the Model tab.")
        return model


def _text(proposal: Proposal) -> str:
    profile = ", ".join(proposal.profile.to_arguments())
    lines = [f"Proposed: {profile}", f"{proposal.at_opt:.0%} of the requests have exactly the optimum's shapes."]
    if proposal.split is not None:
        lines.append(f"Two profiles may serve better. {proposal.split.reason}")
        lines.append("ONNX Runtime runs on the first profile of a session only: make a session for each of them.")
    return markup.bullets(lines)
