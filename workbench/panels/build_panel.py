"""The Build & measure tab: what to find out, the run itself, and its log."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.figures.words import milliseconds
from workbench.panels import markup
from workbench.panels.amounts import duration_text
from workbench.panels.files import array_completions
from workbench.panels.options_panel import effect_card
from workbench.panels.panel import Panel
from workbench.panels.path_field import PathField
from workbench.panels.progress_view import ProgressView
from workbench.runtime.job import STAGES, Plan
from workbench.study.expect import told_build

if TYPE_CHECKING:
    from workbench.panels.state import WorkbenchState
    from workbench.study.run import Run

SHOWN_LINES = 60
TENSORRT_LINE = re.compile(r"tensorrt|\bTRT\b", re.IGNORECASE)


class BuildPanel(Panel):
    """Plan a run, start it, watch it, cancel it.

    Parameters
    ----------
    state : WorkbenchState
        Whose Plan it changes and whose jobs it shows.
    """

    def __init__(self, state: WorkbenchState) -> None:
        self.state = state
        self._drawing = False
        super().__init__("Build & measure", background=state.background)
        self.what = widgets.HTML()
        self.effect = widgets.HTML()
        self.expected = widgets.HTML()
        self._make_plan()
        self._make_buttons()
        self.progress = ProgressView([stage for stage in STAGES if stage not in ("waiting", "done")])
        self.says = widgets.HTML()
        self.outcome = widgets.HTML()
        self.lines = widgets.HTML()
        self.body.children = (
            self.what,
            self.effect,
            self.expected,
            self.plan,
            self.line,
            self.progress,
            self.says,
            self.outcome,
            self.lines,
        )
        state.observe(self.redraw(self._draw), ["model", "settings", "built", "diagnosis"])
        state.observe(self.redraw(self._expect), ["model", "settings", "last"])
        state.engines.observe(self.redraw(self._draw_expected), ["expectation", "doubt"])
        state.observe(self.redraw(self._draw_plan), "plan")
        state.observe(self.redraw(self._draw_activity), "activity")
        state.observe(self.redraw(self._draw_outcome), "last")
        state.observe(self.redraw(self._draw_log), "log")
        self.follow(state, "build")
        for draw in (self._draw, self._draw_plan, self._draw_activity, self._draw_outcome, self._draw_log):
            self.redraw(draw)()
        self.redraw(self._expect)()
        self.redraw(state.diagnose)()

    def summary(self) -> str:
        """Return what goes on."""
        return self.state.activity.stage if self.state.activity else "idle"

    def _make_plan(self) -> None:
        width = widgets.Layout(width="92px")
        self.latency = widgets.Checkbox(description="latency", indent=False, layout=widgets.Layout(width="auto"))
        self.accuracy = widgets.Checkbox(description="accuracy", indent=False, layout=widgets.Layout(width="auto"))
        self.accuracy.tooltip = "Compare the outputs with the CPU's, without graph optimisation"
        self.times = widgets.Checkbox(description="time nodes", indent=False, layout=widgets.Layout(width="auto"))
        self.times.tooltip = "Find out in a further short session how long each node takes; without a cache it builds once more"
        self.layers = widgets.Checkbox(description="engine layers", indent=False, layout=widgets.Layout(width="auto"))
        self.layers.tooltip = "Look into TensorRT's engines; done anyway where one was built for a precision below fp32"
        self.device = widgets.Checkbox(description="GPU buffers", indent=False, layout=widgets.Layout(width="auto"))
        self.device.tooltip = "Measure with inputs and outputs that stay on the GPU, without copies from and to NumPy"
        self.warmup = widgets.BoundedIntText(min=0, max=100_000, layout=width)
        self.iterations = widgets.BoundedIntText(min=1, max=1_000_000, layout=width)
        self.seconds = widgets.BoundedFloatText(min=0.1, max=3600, step=0.5, layout=width)
        self.timeout = widgets.BoundedFloatText(min=1, max=864_000, step=60, layout=width)
        self.inputs = PathField("random values", array_completions, lambda _: self.guard(self._plan_edited)())
        self.inputs.observe(self.guard(self._plan_edited), "value")
        self.label = widgets.Text(placeholder="model and settings", layout=widgets.Layout(width="auto", flex="1 1 auto"))
        self.label.observe(self.guard(lambda change: setattr(self.state, "label", change.new)), "value")
        self.state.observe(lambda change: setattr(self.label, "value", change.new), "label")
        boxes = (self.latency, self.accuracy, self.times, self.layers, self.device)
        for field in (*boxes, self.warmup, self.iterations, self.seconds, self.timeout):
            field.observe(self.guard(self._plan_edited), "value")
        first = [
            _field("Measure", widgets.HBox(list(boxes))),
            _field("Warm-up runs", self.warmup, "Inferences before the timed ones, at least"),
            _field("Timed runs, at most", self.iterations),
            _field("Seconds, at most", self.seconds, "Timing ends after this long, once ten inferences are timed"),
            _field("Time limit (s)", self.timeout, "The worker is ended when one stage takes longer"),
        ]
        second = [_field("Inputs (.npz)", self.inputs), _field("Name of the run", self.label)]
        rows = [widgets.HBox(first), widgets.HBox(second)]
        for row in rows:
            row.add_class("wb-fields")
        self.plan = widgets.VBox(rows)
        self.plan.add_class("wb-plan")

    def _make_buttons(self) -> None:
        self.start = widgets.Button(description="Run", button_style="primary", icon="play", layout=widgets.Layout(width="110px"))
        self.start.on_click(self.guard(lambda _: self.state.start_run()))
        self.cancel = widgets.Button(description="Cancel", icon="stop", layout=widgets.Layout(width="110px"))
        self.cancel.on_click(self.guard(lambda _: self.state.cancel()))
        self.can = widgets.HTML()
        self.line = widgets.HBox([self.start, self.cancel, self.can])
        self.line.add_class("wb-line")

    def _plan_edited(self, _: object = None) -> None:
        if self._drawing:
            return
        edited = {
            "latency": self.latency.value,
            "accuracy": self.accuracy.value,
            "profile": self.times.value,
            # not ticked: the Plan decides by itself, unless it was told not to
            "layers": self.layers.value or (False if self.state.plan.layers is False else None),
            "warmup": self.warmup.value,
            "iterations": self.iterations.value,
            "seconds": self.seconds.value,
            "timeout_s": self.timeout.value,
            "buffers": "device" if self.device.value else "host",
            "inputs": self.inputs.value.strip() or None,
        }
        self.state.plan = Plan(**(dict(self.state.plan) | edited))  # what no field shows stays, such as the seed

    def _draw_plan(self, _: object = None) -> None:
        plan = self.state.plan
        shown = {
            self.latency: plan.latency,
            self.accuracy: plan.accuracy,
            self.times: plan.profile,
            self.layers: bool(plan.layers),
            self.device: plan.buffers == "device",
            self.warmup: plan.warmup,
            self.iterations: plan.iterations,
            self.seconds: plan.seconds,
            self.timeout: plan.timeout_s,
            self.inputs: plan.inputs or "",
        }
        self._drawing = True  # setting a field is no edit
        for field, value in shown.items():
            field.value = value
        self._drawing = False

    def _draw(self, _: object = None) -> None:
        state = self.state
        profile = ", ".join(state.settings.profile.to_arguments())
        pairs = [("Model", state.model.path.name if state.model else "none open"), ("Settings", state.settings.summary())]
        self.what.value = markup.facts([*pairs, ("Shape profile", profile or "none")])
        change = state.change()
        self.effect.value = effect_card(change) if change is not None and change.options else ""
        self.can.value = markup.note(_missing(state))
        self.start.disabled = state.busy or state.model is None

    def _expect(self, _: object = None) -> None:
        self.state.engines.expect()

    def _draw_expected(self, _: object = None) -> None:
        engines = self.state.engines
        text = engines.expectation.text if engines.expectation is not None else engines.doubt
        self.expected.value = markup.notice("info", text)

    def _draw_activity(self, _: object = None) -> None:
        activity = self.state.activity
        self.start.disabled = activity is not None or self.state.model is None
        self.cancel.disabled = activity is None or activity.task not in ("running", "placing")
        if activity is not None and activity.task == "running":
            self.outcome.value = ""
            self.progress.show(f"Running {activity.subject}", activity.stages, activity.elapsed_s)
        elif self.progress.running:
            self.progress.end("Ended", failed=self.state.trouble is not None)

    def _draw_outcome(self, _: object = None) -> None:
        run = self.state.last
        self.outcome.value = "" if run is None or self.state.busy else outcome_text(run)
        if run is not None and self.progress.stages:
            self.progress.end(run.title, failed=run.status != "ok")

    def _draw_log(self, _: object = None) -> None:
        self.says.value = markup.note(last_word(self.state.log)) if self.state.busy else ""
        self.lines.value = markup.log(self.state.log[-SHOWN_LINES:], len(self.state.log), unfolded=self.state.busy)


def last_word(log: tuple[str, ...]) -> str:
    """Return the last line that TensorRT logged, else the last of all; empty for no line."""
    said = [line for line in log if line.strip()]
    return next((line for line in reversed(said) if TENSORRT_LINE.search(line)), said[-1] if said else "").strip()


def outcome_text(run: Run, *, doubts: bool = True) -> str:
    """Return in a few lines what came of a Run; `doubts` are about its samples, which the latency figure tells too."""
    if run.error is not None:
        card = markup.notice("error", f"{run.status}: {run.error.message}", run.error.remedy)
        return card + built_text(run) + markup.log(run.error.log, len(run.error.log))
    pairs = []
    if run.latency is not None:
        pairs += [
            ("Median, GPU buffers" if run.plan.buffers == "device" else "Median", milliseconds(run.latency.median_ms)),
            ("p99", milliseconds(run.latency.p99_ms)),
            ("Runs a second", f"{run.latency.throughput_per_s:,.0f}"),
            ("Samples", f"{run.latency.samples:,}"),
        ]
    if run.build is not None:
        pairs.append(("Session and build", f"{duration_text(run.build.seconds)} ({run.build.cache})"))
    pairs += [("Largest difference", worst_difference(run))] if run.accuracy else []
    told = run.latency.warnings if run.latency and doubts else ()
    cards = "".join(markup.notice("warning", doubt) for doubt in told)
    badge = markup.badge(run.evidence, run.evidence)
    return (
        f'<div class="wb-outcome">{badge}{markup.facts(pairs)}</div>{cards}{markup.finding_list(run.findings)}{built_text(run)}'
    )


def built_text(run: Run) -> str:
    """Return how the session came to be, folded behind its first sentence; empty where none was made."""
    sentences = told_build(run)
    return markup.folded(sentences[0], markup.bullets(sentences[1:])) if sentences else ""


def worst_difference(run: Run) -> str:
    """Return the largest absolute difference of any output from the reference."""
    known = [output.max_abs for output in run.accuracy if output.max_abs is not None]
    if all(output.identical for output in run.accuracy):
        return "none"
    return f"{max(known):.3g}" if known else "not comparable"


def _field(label: str, field: widgets.Widget, tooltip: str = "") -> widgets.VBox:
    if tooltip:
        field.tooltip = tooltip
    box = widgets.VBox([widgets.HTML(markup.label(label)), field])
    box.add_class("wb-field")
    return box


def _missing(state: WorkbenchState) -> str:
    """Return why the chosen provider cannot run here; empty where it can, or nothing is known yet."""
    diagnosis, provider = state.diagnosis, state.settings.provider
    if diagnosis is None or diagnosis.can.get(provider, True):
        return ""
    why = diagnosis.why_not.get(provider, "")
    return f"No job on {provider} can be done here{f': {why}' if why else ''}. `workbench doctor` says what to install."
