"""The Precision tab: which precision and how, data, calibration, what accuracy costs, and what breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.panels import markup
from workbench.panels.calibration_view import CalibrationView
from workbench.panels.data_view import DataView
from workbench.panels.panel import Panel
from workbench.panels.precision_choice import PrecisionChoice
from workbench.panels.sensitivity_view import SensitivityView
from workbench.panels.tradeoff_view import TradeoffView

if TYPE_CHECKING:
    from workbench.panels.state import WorkbenchState


class PrecisionPanel(Panel):
    """Lower precision without regret.

    Parameters
    ----------
    state : WorkbenchState
        Whose `lowering` it shows and changes.
    """

    def __init__(self, state: WorkbenchState) -> None:
        self.state = state
        super().__init__("Precision", background=state.background)
        self.choice, self.data = PrecisionChoice(state), DataView(state)
        self.calibration, self.tradeoff = CalibrationView(state), TradeoffView(state)
        self.sensitivity = SensitivityView(state)
        self.empty = widgets.HTML(markup.note("Open a model in the Model tab to choose its precision."))
        for section in self.sections:
            section.add_class("wb-section")
        state.observe(self.redraw(self._draw), "model")
        self.redraw(self._draw)()

    @property
    def sections(self) -> tuple[Panel, ...]:
        """The parts, from the top down."""
        return self.choice, self.data, self.calibration, self.tradeoff, self.sensitivity

    def summary(self) -> str:
        """Return what is chosen."""
        return self.choice.summary()

    def _draw(self, _: object = None) -> None:
        self.body.children = self.sections if self.state.model is not None else (self.empty,)
