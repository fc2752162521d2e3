"""Which precision, and which way to it: with what this GPU and these versions support, and the models made so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.panels import markup
from workbench.panels.controls import button, line, shown
from workbench.panels.lowering import LOWERED
from workbench.panels.panel import Panel
from workbench.panels.precision_text import advice_notes, advice_table, converted_text
from workbench.panels.progress_view import ProgressView

if TYPE_CHECKING:
    import traitlets

    from workbench.panels.state import WorkbenchState

PRECISIONS = (("FP32", "fp32"), ("FP16", "fp16"), ("BF16", "bf16"), ("INT8", "int8"))
WAYS = (("By flags", "flags"), ("In the graph", "graph"))


class PrecisionChoice(Panel):
    """Choose a precision and the way to it.

    Parameters
    ----------
    state : WorkbenchState
        Whose `lowering` it shows.
    """

    def __init__(self, state: WorkbenchState) -> None:
        self.state, self.lowering = state, state.lowering
        self._drawing = False
        super().__init__("Which precision, and how", background=state.background)
        self.versions, self.table, self.notes, self.obstacle = (widgets.HTML() for _ in range(4))
        self._make_line()
        self.progress = ProgressView(["starting", "converting", "comparing"])
        self.outcome = widgets.HTML()
        parts = (self.versions, self.table, self.family_line, self.line, self.obstacle, self.notes, self.progress, self.outcome)
        self.body.children = parts
        self.lowering.observe(self.redraw(self._draw), ["precision", "way", "family"])
        self.lowering.calibration.observe(self.redraw(self._draw), ["found", "table"])
        self.lowering.observe(self.redraw(self._draw_outcome), "converted")
        state.observe(self.redraw(self._draw), ["model", "settings", "diagnosis"])
        state.observe(self.redraw(self._draw_activity), "activity")
        self.follow(state, "precision")
        for draw in (self._draw, self._draw_activity, self._draw_outcome, state.diagnose):
            self.redraw(draw)()

    def summary(self) -> str:
        """Return what is chosen."""
        return f"{self.lowering.precision}, {self.lowering.way}"

    def _make_line(self) -> None:
        self.family = widgets.Dropdown(layout=widgets.Layout(width="320px"))
        self.family.observe(self.guard(self._open), "value")
        self.family_note = widgets.HTML()
        self.family_line = line([widgets.HTML(markup.label("Model")), self.family, self.family_note])
        self.precision = widgets.ToggleButtons(options=PRECISIONS)
        self.way = widgets.ToggleButtons(options=WAYS)
        self.precision.style.button_width, self.way.style.button_width = "70px", "110px"
        self.precision.observe(self.guard(self._choose), "value")
        self.way.observe(self.guard(self._choose_way), "value")
        self.act = button("Set", self.guard(lambda _: self._take()), primary=True)
        self.cancel = button("Cancel", self.guard(lambda _: self.state.cancel()), icon="stop")
        self.line = line([self.precision, self.way, self.act, self.cancel])

    def _draw(self, _: object = None) -> None:
        lowering = self.lowering
        self.versions.value = markup.heading("Precision", _versions(self.state))
        advice = [lowering.advice(precision) for precision in LOWERED]
        self.table.value = advice_table(advice, gpu=_has_gpu(self.state))
        chosen = next((each for each in advice if each.precision == lowering.precision), None)
        self._drawing = True  # setting a control is no choice
        self.precision.value, self.way.value = lowering.precision, lowering.way
        self.family.options = tuple((path.name, path) for path in lowering.family)
        if self.state.model is not None and self.state.model.path in lowering.family:
            self.family.value = self.state.model.path
        self._drawing = False
        shown(self.way, chosen is not None)
        self.notes.value = advice_notes(chosen, lowering.way) if chosen is not None else ""
        why = lowering.obstacle(lowering.precision, lowering.way)
        self.obstacle.value = markup.note(why)
        self.act.disabled = bool(why) or self.state.busy
        self.act.description = _action(lowering.precision, lowering.way)
        count = len(lowering.family)
        self.family_note.value = markup.note(f"{count} models of one family" if count > 1 else "")

    def _draw_activity(self, _: object = None) -> None:
        activity = self.state.activity
        self.act.disabled = activity is not None or bool(self.lowering.obstacle(self.lowering.precision, self.lowering.way))
        self.family.disabled = activity is not None
        converting = activity is not None and activity.task == "converting"
        shown(self.cancel, converting)
        if activity is not None and converting:
            self.outcome.value = ""
            self.progress.show(f"Converting {activity.subject}", activity.stages, activity.elapsed_s)
        elif self.progress.running:
            self.progress.end("Converted" if self.state.trouble is None else "Ended", failed=self.state.trouble is not None)

    def _draw_outcome(self, _: object = None) -> None:
        found = self.lowering.converted
        self.outcome.value = converted_text(found) if found is not None else ""

    # What the user does

    def _choose(self, change: traitlets.Bunch) -> None:
        if self._drawing:
            return
        with self.lowering.hold_trait_notifications():
            self.lowering.precision = change.new
            self.lowering.way = self.lowering.recommended(change.new)

    def _choose_way(self, change: traitlets.Bunch) -> None:
        if not self._drawing:
            self.lowering.way = change.new

    def _open(self, change: traitlets.Bunch) -> None:
        if not self._drawing and change.new is not None:
            self.lowering.open(change.new)

    def _take(self) -> None:
        converts = self.lowering.way == "graph" and self.lowering.precision != "fp32"
        self.lowering.take()
        if not converts:
            self.say(f"The settings are now {self.state.settings.summary()}.", "success")


def _has_gpu(state: WorkbenchState) -> bool | None:
    here = state.lowering.environment
    return here.gpu is not None if here is not None else None


def _action(precision: str, way: str) -> str:
    if precision == "fp32":
        return "Set FP32"
    return f"Set the flag for {precision.upper()}" if way == "flags" else f"Make the {precision.upper()} model"


def _versions(state: WorkbenchState) -> str:
    """Return what the advice is for."""
    here = state.lowering.environment
    release = f"ONNX Runtime {state.release}" if state.release else "no ONNX Runtime is installed; the newest known is assumed"
    if here is None:
        return f"{release}; looking for the GPU …" if state.diagnosis is None else release
    capability = f", compute capability {here.compute_capability}" if here.compute_capability else ""
    gpu = f"{here.gpu}{capability}" if here.gpu else "no NVIDIA GPU here"
    assumed = state.lowering.advice("fp16").tensorrt
    tensorrt = f"TensorRT {here.tensorrt}" if here.tensorrt else f"TensorRT {assumed} is assumed, none is installed"
    return f"{release}; {tensorrt}; {gpu}"
