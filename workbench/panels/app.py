"""The workbench in a notebook: its tabs over one state."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.handover.snippet import cell_text
from workbench.panels import markup
from workbench.panels.code_view import CodeView
from workbench.panels.model_panel import ModelPanel
from workbench.panels.panel import Panel
from workbench.panels.state import WorkbenchState
from workbench.samples.catalogue import sample_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.runtime.job import Plan
    from workbench.study.store import Store

MODEL_VARIABLE = "WORKBENCH_MODEL"  # what `workbench lab MODEL` sets
FIRST_MODEL = "digits"
DOING = {
    "loading": "Opening",
    "predicting": "Predicting",
    "placing": "Measuring the placement of",
    "readying": "Making ready",
    "running": "Running",
    "converting": "Converting",
    "calibrating": "Calibrating",
    "searching": "Searching what breaks",
}
TAB_OF = {"model": 0, "placement": 1, "options": 2, "shapes": 2, "build": 3, "results": 4, "engines": 6}
TAB_OF |= dict.fromkeys(("precision", "data", "calibration", "accuracy", "sensitivity"), 5)


class Workbench(Panel):
    """The workbench: pick a model, see who runs its nodes, change settings, measure, compare.

    Parameters
    ----------
    model : str, Path, Model or None
        What to open. The one that ``workbench lab`` was given, or the digits sample, where it is ``None``.
    settings : Settings or None
        To begin with; plain ones on the best provider that is installed where it is ``None``.
    plan : Plan or None
        What a run finds out.
    store : Store, str, Path or None
        Where Runs are kept; the user's own store where it is ``None``.
    state : WorkbenchState or None
        A state to show, instead of one made from the other arguments.

    Attributes
    ----------
    state : WorkbenchState
        All that the panels show; change it from a cell and they follow.
    """

    def __init__(
        self,
        model: str | Path | Model | None = None,
        settings: Settings | None = None,
        *,
        plan: Plan | None = None,
        store: Store | str | Path | None = None,
        state: WorkbenchState | None = None,
    ) -> None:
        self.state = state or WorkbenchState(settings, store=_store(store))
        super().__init__("Workbench", background=self.state.background)
        self._panels: dict[int, Panel] = {}
        self._make_head()
        self.tabs = widgets.Tab([widgets.VBox() for _ in TABS], titles=[title for title, _ in TABS])
        self.tabs.add_class("wb-tabs")
        self.body.children = (self.head, self.drawer, self.tabs)
        self.add_class("wb-app")
        self.tabs.observe(self.redraw(lambda change: self._build(change.new)), "selected_index")
        self.state.observe(self.redraw(self._go), "wanted")
        self.state.observe(self.redraw(self._draw_head), ["model", "settings", "plan", "activity"])
        self.tabs.selected_index = 0
        self._build(0)
        self.redraw(self._open)(model, settings, plan)
        self.redraw(self._draw_head)()

    def summary(self) -> str:
        """Return what is open."""
        return self.state.summary()

    @property
    def settings(self) -> Settings:
        """The Settings; assign others, made in a cell, to open them in the panels."""
        settings: Settings = self.state.settings
        return settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self.state.settings = settings

    def cell(self) -> str:
        """Return the text of a notebook cell that opens the workbench in this state."""
        return cell_text(self.state.model.path if self.state.model else None, self.state.settings, self.state.plan)

    def panel(self, title: str) -> Panel:
        """Return a tab's panel by its title, such as ``Placement``; it is made where it was not seen yet."""
        return self._build([name for name, _ in TABS].index(title))

    def _make_head(self) -> None:
        self.about = widgets.HTML()
        self.about.add_class("wb-about")
        self.python = widgets.ToggleButton(description="Python cell", icon="code", layout=widgets.Layout(width="120px"))
        self.python.tooltip = "Show this state as a Python cell"
        self.python.observe(self.guard(self._draw_head), "value")
        self.head = widgets.HBox([self.about, self.python])
        self.head.add_class("wb-head")
        self.code = CodeView()
        self.drawer = widgets.VBox([self.code], layout=widgets.Layout(display="none"))

    def _open(self, model: str | Path | Model | None, settings: Settings | None, plan: Plan | None) -> None:
        """Open the model; the Settings and the Plan that were given are not changed by that."""
        from workbench.model.model import Model

        state = self.state
        if model is None and state.model is None:
            model = os.environ.get(MODEL_VARIABLE) or sample_path(FIRST_MODEL)

        def restore(_: object) -> None:
            state.unobserve(restore, "model")
            state.settings = settings or state.settings
            state.plan = plan or state.plan

        state.observe(restore, "model")
        if isinstance(model, Model):
            state.set_model(model)
        elif model is not None:
            state.load_model(model)

    def _build(self, index: int | None) -> Panel:
        """Return the panel of a tab, made the first time that it is seen: the first tab shall not wait for the others."""
        index = index or 0
        if index not in self._panels:
            self._panels[index] = TABS[index][1](self.state)
            children = list(self.tabs.children)
            children[index] = self._panels[index]
            self.tabs.children = children
        return self._panels[index]

    def _go(self, _: object = None) -> None:
        """Open the tab that a panel asked for."""
        if self.state.wanted:
            self.tabs.selected_index = TAB_OF[self.state.wanted]
            self.state.wanted = ""

    def _draw_head(self, _: object = None) -> None:
        state = self.state
        self.about.value = markup.head(
            state.model.path.name if state.model else "no model",
            str(state.settings.summary()),
            f"{DOING[state.activity.task]} {state.activity.subject} …" if state.activity else "",
        )
        self.drawer.layout.display = "" if self.python.value else "none"
        if self.python.value:
            self.code.text = self.cell()


def _store(store: Store | str | Path | None) -> Store | None:
    from workbench.study.store import Store

    return Store(store) if isinstance(store, (str, Path)) else store


def _placement(state: WorkbenchState) -> Panel:
    from workbench.panels.placement_panel import PlacementPanel

    return PlacementPanel(state)


def _options(state: WorkbenchState) -> Panel:
    from workbench.panels.options_panel import OptionsPanel
    from workbench.panels.shapes_panel import ShapesPanel

    return OptionsPanel(state, ShapesPanel(state))


def _build_and_measure(state: WorkbenchState) -> Panel:
    from workbench.panels.build_panel import BuildPanel

    return BuildPanel(state)


def _results(state: WorkbenchState) -> Panel:
    from workbench.panels.results_panel import ResultsPanel

    return ResultsPanel(state)


def _precision(state: WorkbenchState) -> Panel:
    from workbench.panels.precision_panel import PrecisionPanel

    return PrecisionPanel(state)


def _engines(state: WorkbenchState) -> Panel:
    from workbench.panels.engines_panel import EnginesPanel

    return EnginesPanel(state)


# Each panel's module is imported when its tab is opened first: plotly and the figures are not needed before.
TABS: tuple[tuple[str, Callable[[WorkbenchState], Panel]], ...] = (
    ("Model", ModelPanel),
    ("Placement", _placement),
    ("Options & shapes", _options),
    ("Build & measure", _build_and_measure),
    ("Results", _results),
    ("Precision", _precision),
    ("Engines", _engines),
)
