"""Which inputs are used by calibration, accuracy and sensitivity, and what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.panels import markup
from workbench.panels.controls import BLANK, button, field, fields, shown
from workbench.panels.data_choice import METRICS
from workbench.panels.files import array_completions
from workbench.panels.panel import Panel
from workbench.panels.path_field import PathField
from workbench.panels.precision_text import data_text
from workbench.panels.preprocessing_fields import PreprocessingFields

if TYPE_CHECKING:
    from workbench.panels.state import WorkbenchState

NO_DATA = "Without data one random input is compared; calibration and task accuracy need data."


class DataView(Panel):
    """Choose data.

    Parameters
    ----------
    state : WorkbenchState
        Whose data.
    """

    def __init__(self, state: WorkbenchState) -> None:
        self.state, self.data = state, state.lowering.data
        super().__init__("Data", background=state.background)
        self.path = PathField(".npz file, or folder of images", array_completions, self.guard(lambda _: self._use()))
        self.labels = widgets.Text(placeholder="key or file", layout=widgets.Layout(width="150px"), continuous_update=False)
        self.metric = widgets.Combobox(
            options=METRICS,
            placeholder="none",
            ensure_option=False,
            layout=widgets.Layout(width="150px"),
            continuous_update=False,
        )
        for control in (self.labels, self.metric):
            control.observe(self.guard(lambda _: self._edited()), "value")
        self.use = button("Use", self.guard(lambda _: self._use()), tooltip="Look into the data, and use them below")
        row = fields(
            [
                field("Inputs (.npz or folder of images)", self.path),
                field("Labels", self.labels, "A key of the .npz or a file; empty for label(s), target(s), y, or image folders"),
                field("Metric", self.metric, "top1, top5, or a function metric(y_true, y_pred) as package.module:function"),
                field(BLANK, self.use),
            ]
        )
        self.images = PreprocessingFields(self.guard(self._declare))
        self.formula = widgets.HTML(markup.note("Each image becomes (pixel × scale − mean) / deviation."))
        self.about = widgets.HTML()
        self.body.children = (widgets.HTML(markup.heading("Data")), row, self.images, self.formula, self.about)
        self.data.observe(self.redraw(self._draw), ["path", "labels", "metric", "preprocessing", "opened"])
        self.follow(state, "data")
        self.redraw(self._draw)()
        self.redraw(self.data.watch)()

    def summary(self) -> str:
        """Return which data are used."""
        return self.data.path or "no data"

    def _draw(self, _: object = None) -> None:
        data = self.data
        self.path.value, self.labels.value, self.metric.value = data.path, data.labels, data.metric
        folder = data.folder
        shown(self.images, folder)
        shown(self.formula, folder)
        self.images.show(data.preprocessing)
        opened = data.opened
        self.about.value = data_text(opened) if opened is not None else markup.note("" if data.path else NO_DATA)

    def _edited(self) -> None:
        if (self.labels.value, self.metric.value) != (self.data.labels, self.data.metric):
            self._use()

    def _use(self) -> None:
        self.data.choose(self.path.value, self.labels.value, self.metric.value)

    def _declare(self) -> None:
        self.data.preprocessing = self.images.read()
        self.data.look()
