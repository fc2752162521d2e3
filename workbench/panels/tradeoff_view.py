"""Accuracy against latency: the Runs of a model and of those converted from it, with the target that they must meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.figures.tradeoff import tradeoff_data, tradeoff_figure
from workbench.figures.words import counted
from workbench.panels import markup
from workbench.panels.build_panel import outcome_text
from workbench.panels.controls import BLANK, button, field, fields, line, shown
from workbench.panels.figure_view import FigureView
from workbench.panels.panel import Panel
from workbench.panels.progress_view import ProgressView
from workbench.runtime.job import STAGES
from workbench.study.family import converted_to
from workbench.study.target import NAMES, Target, acceptable

if TYPE_CHECKING:
    import traitlets

    from workbench.panels.state import WorkbenchState
    from workbench.study.run import Run

MEASURES = (("task accuracy", "task"), ("relative L2", "rel_l2"))
HALF_ON_CPU = (
    "A CPU computes half precision in float32 and drops roundings between nodes: an overflow does not show in its runs. The "
    "comparison after a conversion, and the search below, have every rounding in place."
)
MOST_TOLD = 6  # Runs that miss the target and are named


class TradeoffView(Panel):
    """Draw the family's Runs, and measure the model that is open.

    Parameters
    ----------
    state : WorkbenchState
        Whose Runs; a click on a point chooses it, as in the Results tab.
    """

    def __init__(self, state: WorkbenchState) -> None:
        self.state, self.lowering = state, state.lowering
        self._drawing = False
        super().__init__("Accuracy against latency", background=state.background)
        self._make_line()
        self.progress = ProgressView([stage for stage in STAGES if stage not in ("waiting", "done")])
        self.figure = FigureView(height=420)
        self.figure.observe(self.guard(self._click), "clicked")
        self.missed, self.chosen, self.left_out = widgets.HTML(), widgets.HTML(), widgets.HTML()
        head = widgets.HTML(markup.heading("Accuracy against latency", "this model and those converted from it"))
        self.body.children = (head, self.line, self.progress, self.figure, self.left_out, self.missed, self.chosen)
        state.observe(self.redraw(self._read), ["model", "rows"])
        state.observe(self.redraw(self._draw_activity), "activity")
        state.observe(self.redraw(self._draw_chosen), "chosen")
        self.lowering.observe(self.redraw(self._draw), ["runs", "target"])
        self.follow(state, "accuracy")
        self.redraw(state.refresh_rows)()
        for draw in (self._read, self._draw, self._draw_activity, self._draw_chosen):
            self.redraw(draw)()

    def summary(self) -> str:
        """Return how many Runs there are."""
        return f"{len(self.lowering.runs)} runs"

    def _make_line(self) -> None:
        self.target = widgets.Text(continuous_update=False, layout=widgets.Layout(width="auto", flex="1 1 auto"))
        self.target.value = target_text(self.lowering.target)
        self.target.observe(self.guard(self._set_target), "value")
        self.measure = widgets.Dropdown(options=MEASURES, layout=widgets.Layout(width="140px"))
        self.measure.observe(self.redraw(self._draw), "value")
        self.run = button("Measure this model", self.guard(lambda _: self.lowering.measure()), icon="play", primary=True)
        self.run.tooltip = "Latency and accuracy with the current settings, on the data above"
        self.cancel = button("Cancel", self.guard(lambda _: self.state.cancel()), icon="stop")
        hint = f"{', '.join(NAMES)}: those that are given must hold; task_drop alone decides where it is known"
        self.measure_field = field("Shown", self.measure)
        row = [field("Target", self.target, hint), self.measure_field, field(BLANK, line([self.run, self.cancel]))]
        self.line = fields(row)

    def _read(self, _: object = None) -> None:
        self.lowering.read_runs()

    def _set_target(self, change: traitlets.Bunch) -> None:
        self.lowering.target = Target.parse(change.new) if change.new.strip() else Target()

    def _draw(self, _: object = None) -> None:
        runs, target = self.lowering.runs, self.lowering.target
        if not self.target.value.strip() or Target.parse(self.target.value) != target:
            self.target.value = target_text(target)
        tasked = [run for run in runs if run.task is not None and run.latency is not None]
        shown(self.measure_field, bool(tasked))
        by_task = bool(tasked) and self.measure.value == "task"
        metric = tasked[0].task.metric if tasked and tasked[0].task else ""
        drawn = [run for run in runs if _has(run, metric if by_task else None)]
        self.figure.figure = tradeoff_figure(tradeoff_data(drawn, target=target, measure="task" if by_task else "rel_l2"))
        hidden = len(runs) - len(drawn)
        what = f"{metric} of the data" if by_task else "outputs compared with the original's"
        self.left_out.value = markup.note(f"{counted(hidden, 'run')} without latency or {what} left out." if hidden else "")
        self.left_out.value += markup.note(HALF_ON_CPU) if any(_half_on_cpu(run) for run in drawn) else ""
        self._draw_missed(drawn)

    def _draw_missed(self, drawn: list[Run]) -> None:
        """Name the grey ones, and why they do not count."""
        found = [(run, acceptable(run, self.lowering.target)) for run in drawn]
        missed = [f"{run.title}: {accepted.why}" for run, accepted in found if not accepted.ok]
        more = [f"and {len(missed) - MOST_TOLD} more"] if len(missed) > MOST_TOLD else []
        head = f"{counted(len(missed), 'run')} miss{'es' if len(missed) == 1 else ''} the target ({self.lowering.target})"
        self.missed.value = markup.lines("warning", head, [*missed[:MOST_TOLD], *more]) if missed else ""

    def _draw_activity(self, _: object = None) -> None:
        activity = self.state.activity
        self.run.disabled = activity is not None or self.state.model is None
        running = activity is not None and activity.task == "running"
        shown(self.cancel, running)
        if activity is not None and running:
            self.progress.show(f"Running {activity.subject}", activity.stages, activity.elapsed_s)
        elif self.progress.running:
            self.progress.end("Measured", failed=self.state.trouble is not None)

    def _draw_chosen(self, _: object = None) -> None:
        """Tell of the Run that is chosen, where it is one of these."""
        ids = {run.id for run in self.lowering.runs} | ({self.state.last.id} if self.state.last else set())
        one = self.state.chosen[0] if len(self.state.chosen) == 1 and self.state.chosen[0] in ids else None
        run = self.state.get_runs([one])[0] if one is not None else None
        self.chosen.value = markup.heading(run.title, f"run {run.id}") + outcome_text(run, doubts=False) if run else ""

    def _click(self, change: traitlets.Bunch) -> None:
        if isinstance(change.new.customdata, str):
            self.state.chosen = (change.new.customdata,)


def _has(run: Run, metric: str | None) -> bool:
    """Whether a Run has its place in the figure: by its task where a metric is given, else by its outputs."""
    if run.latency is None:
        return False
    return run.task is not None and run.task.metric == metric if metric is not None else bool(run.accuracy)


def _half_on_cpu(run: Run) -> bool:
    return run.settings.provider == "cpu" and converted_to(run.model.name) in ("fp16", "bf16")


def target_text(target: Target) -> str:
    """Return a target as :meth:`workbench.study.target.Target.parse` reads it."""
    given = [(name, getattr(target, name)) for name in NAMES]
    return ", ".join(f"{name}={value:g}" for name, value in given if value is not None)
