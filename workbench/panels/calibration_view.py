"""Calibration: start, cancel, go on; then each tensor's histogram, thresholds and how its range settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.figures.calibration import histogram_data, histogram_figure, settling_data, settling_figure
from workbench.panels import markup
from workbench.panels.controls import BLANK, button, field, fields, line, shown
from workbench.panels.figure_view import FigureView
from workbench.panels.files import completions
from workbench.panels.panel import Panel
from workbench.panels.path_field import PathField
from workbench.panels.precision_text import calibration_text
from workbench.panels.progress_view import ProgressView
from workbench.panels.table import Column, Row, Table

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from workbench.measure.calibration import Method, TensorCalibration
    from workbench.panels.state import WorkbenchState

HEIGHT = 230
WORDS = {"starting": "starting", "collecting": "samples", "thresholds": "thresholds of tensors"}
NAMED = (
    ("entropy", "entropy"),
    ("percentile 99.99", "percentile"),
    ("minimum, maximum", "minmax"),
    ("distribution", "distribution"),
)


class CalibrationView(Panel):
    """Calibrate, and look into the ranges.

    Parameters
    ----------
    state : WorkbenchState
        Whose calibration.
    """

    def __init__(self, state: WorkbenchState) -> None:
        self.state, self.calibration = state, state.lowering.calibration
        super().__init__("Calibration", background=state.background)
        self._make_plan()
        self._make_explorer()
        self._make_results()
        head = widgets.HTML(
            markup.heading("Calibration", "ranges of the activations for INT8; best not on the data that judge accuracy")
        )
        self.body.children = (head, self.plan, self.controls, self.progress, self.said, self.facts, self.results, self.explorer)
        self.calibration.observe(self.redraw(self._draw), ["found", "method"])
        state.lowering.observe(self.redraw(self._draw_converted), "converted")
        self.calibration.observe(self.redraw(self._draw_tensor), ["found", "tensor"])
        self.calibration.observe(self.redraw(self._draw_activity), ["progress", "said"])
        state.observe(self.redraw(self._draw_activity), "activity")
        state.observe(self.redraw(self._draw_plan), ["model"])
        state.lowering.data.observe(self.redraw(self._draw_plan), ["path", "calibration_path"])
        self.follow(state, "calibration")
        for draw in (self._draw_plan, self._draw, self._draw_tensor, self._draw_activity):
            self.redraw(draw)()

    def summary(self) -> str:
        """Return what is known."""
        return repr(self.calibration)

    def _make_plan(self) -> None:
        calibration, number = self.calibration, widgets.Layout(width="92px")
        self.path = PathField("as under Data", lambda text: completions(text, (".npz",)), self.guard(self._choose))
        self.path.observe(self.guard(lambda change: self._choose(change.new)), "value")
        self.method = widgets.Dropdown(options=NAMED, value=calibration.method, layout=widgets.Layout(width="170px"))
        self.samples = widgets.BoundedIntText(value=calibration.samples, min=0, max=10**9, layout=number)
        self.batch = widgets.BoundedIntText(value=calibration.batch, min=1, max=4096, layout=number)
        self.provider = widgets.Dropdown(options=["cpu", "cuda"], layout=widgets.Layout(width="80px"))
        self.restart = widgets.Checkbox(description="start again", indent=False, layout=widgets.Layout(width="auto"))
        self.restart.tooltip = "Forget what an earlier calibration of the same data found"
        for name in ("method", "samples", "batch", "provider", "restart"):
            control = getattr(self, name)
            control.observe(self.guard(lambda change, name=name: setattr(calibration, name, change.new)), "value")
            calibration.observe(lambda change, control=control: setattr(control, "value", change.new), name)
        self.plan = fields(
            [
                field("Inputs", self.path),
                field("Method", self.method),
                field("Samples (0: all)", self.samples),
                field("At a time", self.batch, "All activations of so many samples are in memory"),
                field("On", self.provider),
                field(BLANK, self.restart),
            ]
        )
        self.start = button("Calibrate", self.guard(lambda _: calibration.start()), icon="play", primary=True)
        self.cancel = button("Cancel", self.guard(lambda _: self.state.cancel()), icon="stop")
        self.controls = line([self.start, self.cancel])
        self.progress = ProgressView(list(WORDS))
        self.said, self.facts = widgets.HTML(), widgets.HTML()

    def _make_explorer(self) -> None:
        columns = [
            Column(title="Tensor", grow=True, ellipsis="start"),
            Column(title="Largest", kind="number", format=".4g", help="Largest magnitude"),
            Column(title="99.9 %", kind="number", format=".4g", help="99.9th percentile of the magnitudes"),
            Column(title="Ratio", kind="number", format=".2f", help="Largest magnitude over the 99.9th percentile"),
            Column(title="Clipped", kind="number", format=".3%", help="Share of the elements beyond the method's threshold"),
            Column(title="Settled", kind="number", format=",d", help="Samples until the range was within 1 % of its final size"),
        ]
        self.table = Table(columns, height=HEIGHT, multiple=False, placeholder="No tensor was seen.")
        self.table.observe(self.guard(self._pick), "selected")
        self.histogram, self.settling = FigureView(), FigureView()
        figures = widgets.HBox([self.histogram, self.settling])
        figures.add_class("wb-explorer")
        self.explorer = widgets.VBox([self.table, figures])
        self.explorer.add_class("wb-stack")

    def _make_results(self) -> None:
        self.file = PathField(
            "calibration.flatbuffers, .json, TensorRT's own, or a folder",
            lambda text: completions(text, (".flatbuffers", ".json", ".cache")),
            self.guard(lambda _: self._write()),
        )
        self.write = button("Write the table", self.guard(lambda _: self._write()))
        self.flags = button("Use it by flags", self.guard(lambda _: self._use()), tooltip="INT8 by its flag, with this table")
        self.quantise = button("Make the Q/DQ model", self.guard(lambda _: self._quantise()), primary=True)
        self.results = line([self.file, self.write, self.flags, self.quantise])

    # Drawing

    def _draw_plan(self, _: object = None) -> None:
        data = self.state.lowering.data
        self.path.value = data.calibration_path
        self._draw_activity()

    def _draw(self, _: object = None) -> None:
        found = self.calibration.found
        shown(self.explorer, found is not None)
        shown(self.results, found is not None)
        self.facts.value = calibration_text(found) if found is not None else ""
        self.table.rows = [Row(tensor.name, _cells(tensor, self.calibration.method)) for tensor in self.calibration.listed()]
        shown(self.flags, self.calibration.table is not None)
        if found is not None and not self.file.value:
            self.file.value = str(self.state.lowering.folder / f"{found.model}.flatbuffers")

    def _draw_tensor(self, _: object = None) -> None:
        seen = self.calibration.seen
        self.table.selected = [seen.name] if seen is not None else []
        self.histogram.figure = histogram_figure(histogram_data(seen)) if seen is not None else None
        self.settling.figure = _settling(seen) if seen is not None else None

    def _draw_activity(self, _: object = None) -> None:
        activity, progress = self.state.activity, self.calibration.progress
        calibrating = activity is not None and activity.task == "calibrating"
        self.start.disabled = activity is not None or self.state.model is None
        self.quantise.disabled = activity is not None
        shown(self.cancel, calibrating)
        self.said.value = markup.notice("info", self.calibration.said)
        if activity is not None and calibrating:
            self.progress.show(f"Calibrating {activity.subject}: {progress or 'starting'}", activity.stages, activity.elapsed_s)
        elif self.progress.running:
            trouble = self.state.trouble
            failed = trouble is not None and trouble.place == "calibration"
            self.progress.end("Cancelled" if self.calibration.said else "Ended" if failed else "Calibrated", failed=failed)

    # What the user does

    def _choose(self, path: str) -> None:
        self.state.lowering.data.calibration_path = path.strip()

    def _pick(self, change: dict[str, list[str]]) -> None:
        if change["new"]:
            self.calibration.tensor = change["new"][0]

    def _write(self) -> None:
        target = self.file.value.strip()
        if target == str(self.state.lowering.folder / f"{self.calibration.found and self.calibration.found.model}.flatbuffers"):
            self.state.lowering.folder.mkdir(parents=True, exist_ok=True)
        files, findings = self.calibration.write(target)
        self._draw()
        odd = f" {findings[0]}" if findings else " Read back, it fits the model."
        self.say(f"Written: {', '.join(str(file) for file in files)}.{odd}", "warning" if findings else "success")

    def _use(self) -> None:
        self.calibration.use_table()
        self.say(f"The settings are now {self.state.settings.summary()}.", "success")

    def _quantise(self) -> None:
        self.state.lowering.convert("int8", place="calibration")

    def _draw_converted(self, _: object = None) -> None:
        """Tell here of a model that was made here: what changed stands at the top."""
        found = self.state.lowering.converted
        if found is not None and self.state.lowering.place == "calibration":
            self.say(f"Written and opened: {found.target}.", "success", "The top of the tab tells what changed.")


def _settling(seen: TensorCalibration) -> go.Figure:
    """Draw how one tensor's range grew; it needs no legend."""
    figure, after = settling_figure(settling_data([seen])), seen.settled_after()
    if figure.data:
        figure.update_layout(showlegend=False)
        figure.layout.title.subtitle.text = f"within 1 % of its final size after {after:,} samples"
        figure.update_yaxes(title_text="% of the final range")
    return figure


def _cells(tensor: TensorCalibration, method: Method) -> tuple[str | float | int | None, ...]:
    threshold = tensor.threshold(method)
    clipped = threshold.clipped if threshold is not None else None
    return tensor.name, tensor.amax, tensor.p999, tensor.outlier_ratio, clipped, tensor.settled_after()
