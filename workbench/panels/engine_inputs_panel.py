"""The inputs of the engines: which of them a shape profile must name, and a button that adds what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.panels import markup
from workbench.panels.fold import Fold
from workbench.panels.panel import Panel
from workbench.study.shapes import ShapesReport, shapes_report

if TYPE_CHECKING:
    from workbench.panels.state import WorkbenchState
    from workbench.placement.records import Placement

SHOWN = 60


class EngineInputsPanel(Panel):
    """What a profile must name beside the model's inputs, in the light of the placement that is known.

    Parameters
    ----------
    state : WorkbenchState
        Whose model, placement and profile it shows.
    """

    def __init__(self, state: WorkbenchState) -> None:
        self.state = state
        self.report: ShapesReport | None = None
        super().__init__("Inputs of the engines", background=state.background)
        self.note = widgets.HTML()
        self.complete = widgets.Button(description="Complete the profile", icon="plus", layout=widgets.Layout(width="170px"))
        self.complete.tooltip = "Add the ranges of the tensors between engines, worked out from the inputs' ranges"
        self.complete.on_click(self.guard(lambda _: self._complete()))
        self.table = widgets.HTML()
        self.findings = widgets.HTML()
        self.fold = Fold("Inputs of the engines", [self.table])
        line = widgets.HBox([self.note, self.complete])
        line.add_class("wb-line")
        self.body.children = (line, self.findings, self.fold)
        state.observe(self.redraw(self._look), ["model", "settings", "predicted", "measured"])
        self.redraw(self._look)()

    def summary(self) -> str:
        """Return how many inputs are missing in the profile."""
        return f"{len(self.report.missing)} missing" if self.report is not None else "nothing known"

    def placement(self) -> Placement | None:
        """Return the placement that the engines are of: the measured one, else the predicted."""
        for known in (self.state.measured, self.state.predicted):
            if known is not None and known.outcome == "ok" and all(group.nodes for group in known.groups):
                return known
        return None

    def _look(self, _: object = None) -> None:
        """Look at the profile on a thread: shape inference of a large model takes its time."""
        model, settings, placement = self.state.model, self.state.settings, self.placement()
        if model is None or placement is None or settings.provider != "tensorrt":
            self._show(None)
            return

        def done(report: ShapesReport) -> None:
            if (self.state.model, self.state.settings, self.placement()) == (model, settings, placement):
                self._show(report)

        self.run_in_thread(lambda: shapes_report(model, settings, placement), done)

    def _complete(self) -> None:
        model, settings, placement = self.state.model, self.state.settings, self.placement()
        if model is None or placement is None:
            return

        def done(report: ShapesReport) -> None:
            if (self.state.model, self.state.settings) != (model, settings):
                return
            if report.completed is not None and report.completed != settings.profile:
                self.state.set_profile(report.completed)
            self._show(report)

        self.run_in_thread(lambda: shapes_report(model, settings, placement, complete=True), done)

    def _show(self, report: ShapesReport | None) -> None:
        self.report = report
        dynamic = report is not None and any(each.named for each in report.inputs)
        self.layout.display = "" if dynamic else "none"
        if report is None or not dynamic:
            return
        missing = set(report.missing)
        self.note.value = markup.note(_told(report))
        self.complete.layout.display = "" if missing else "none"
        self.findings.value = markup.finding_list([f for f in report.findings if f.level != "info"])
        self.fold.toggle.description = f"Inputs of the {report.engines} engine{'s' * (report.engines != 1)}, {report.evidence}"
        rows = [
            (
                str(each.engine + 1),
                each.name,
                str(each).removeprefix(f"{each.name}: "),
                "the caller" if each.origin == "input" else "the graph",
                _need(each.dynamic, each.shape_tensor) + (" – missing" if each.name in missing else ""),
            )
            for each in report.inputs[:SHOWN]
        ]
        more = len(report.inputs) - len(rows)
        self.table.value = markup.grid(("Engine", "Input", "Type and shape", "Comes from", "A profile names"), rows) + (
            markup.note(f"and {more:,} more") if more else ""
        )


def _told(report: ShapesReport) -> str:
    inside = sum(each.named and each.origin == "tensor" for each in report.inputs)
    if not report.profile:
        return (
            "" if not inside else "A profile would have to name tensors between the engines too; without one nothing is needed."
        )
    if report.missing:
        count = len(report.missing)
        return f"The profile does not name {count} input{'s' * (count != 1)} of TensorRT's engines."
    return "The profile names all that ONNX Runtime wants."


def _need(dynamic: bool, values: bool) -> str:  # noqa: FBT001  # two facts of a row
    return "its values" if values else "its shape" if dynamic else "nothing: it is fixed"
