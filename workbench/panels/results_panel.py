"""The Results tab: every kept Run; one in detail, two compared, more side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.figures.accuracy import accuracy_data, accuracy_figure
from workbench.figures.latency import latency_data, latency_figure
from workbench.figures.runs import runs_data, runs_figure
from workbench.figures.tradeoff import tradeoff_data, tradeoff_figure
from workbench.figures.words import counted
from workbench.panels import markup
from workbench.panels.accuracy_view import AccuracyView
from workbench.panels.amounts import size_text
from workbench.panels.build_panel import outcome_text
from workbench.panels.figure_view import FigureView
from workbench.panels.files import run_completions
from workbench.panels.layers_view import LayersView
from workbench.panels.panel import Panel
from workbench.panels.path_field import PathField
from workbench.panels.runs_elsewhere import keep_file, keep_recorded
from workbench.panels.table import Column, Row, Table

if TYPE_CHECKING:
    from datetime import datetime

    import traitlets

    from workbench.panels.state import WorkbenchState
    from workbench.study import store
    from workbench.study.compare import Comparison
    from workbench.study.run import Run

STATUS = {"ok": "#009E73", "failed": "#D55E00", "crashed": "#D55E00", "cancelled": "#BBBBBB", "timeout": "#E69F00"}
MOST = 12  # Runs that are drawn at once


class ResultsPanel(Panel):
    """The Runs of all times.

    Parameters
    ----------
    state : WorkbenchState
        Whose Runs it shows; what is selected are the state's `chosen`.
    """

    def __init__(self, state: WorkbenchState) -> None:
        self.state = state
        self.runs: list[Run] = []
        super().__init__("Results", background=state.background)
        columns = [
            Column(title="Time"),
            Column(title="Model", filter=True),
            Column(title="Name", grow=True),
            Column(title="Provider", filter=True),
            Column(title="Precision"),
            Column(title="Status", kind="chip", colours=STATUS, filter=True),
            Column(title="Median (ms)", kind="number", format=",.3f"),
        ]
        self.table = Table(columns, height=240, placeholder="No run yet: start one in the Build & measure tab.")
        self.table.observe(self.guard(lambda change: setattr(state, "chosen", tuple(change.new))), "selected")
        self._make_tools()
        self.sentence = widgets.HTML()
        self.latency, self.accuracy, self.several = FigureView(), FigureView(), FigureView()
        self.right, self.facts, self.tradeoff = AccuracyView(self.guard), widgets.HTML(), FigureView()
        self.layers = LayersView(state, self.guard)
        shown = (self.sentence, self.latency, self.several, self.tradeoff, self.accuracy, self.right, self.layers, self.facts)
        self.body.children = (self.table, self.tools, self.elsewhere, *shown)
        state.observe(self.redraw(self._draw_rows), "rows")
        state.observe(self.redraw(self._draw), "chosen")
        state.observe(self.redraw(self._draw), "last")
        for figure in (self.several, self.tradeoff):
            figure.observe(self.guard(self._click), "clicked")
        self.follow(state, "results")
        self.redraw(state.refresh_rows)()
        self.redraw(self._draw_rows)()
        self.redraw(self._draw)()

    def summary(self) -> str:
        """Return how many Runs there are."""
        return f"{len(self.state.rows)} runs, {len(self.state.chosen)} selected"

    def _make_tools(self) -> None:
        self.hint = widgets.HTML()
        self.label = widgets.Text(placeholder="Name", layout=widgets.Layout(width="260px"), continuous_update=False)
        self.rename = widgets.Button(description="Rename", layout=widgets.Layout(width="90px"))
        self.rename.on_click(self.guard(lambda _: self._rename()))
        self.take = widgets.Button(description="Open settings", layout=widgets.Layout(width="130px"))
        self.take.tooltip = "Take over the settings and the plan of this run"
        self.take.on_click(self.guard(lambda _: self._open()))
        self.refresh = widgets.Button(description="Refresh", layout=widgets.Layout(width="90px"))
        self.refresh.tooltip = "Read the store again: another notebook or shell may have added runs"
        self.refresh.on_click(self.guard(lambda _: self.state.refresh_rows()))
        self.tools = widgets.HBox([self.label, self.rename, self.take, self.hint, self.refresh])
        self.tools.add_class("wb-line")
        self._make_elsewhere()

    def _make_elsewhere(self) -> None:
        """Make the fold for Runs that were made on other machines."""
        self.file = PathField("runs.json", run_completions, self.guard(lambda _: self._import_file()))
        self.open_file = widgets.Button(description="Open", layout=widgets.Layout(width="80px"))
        self.open_file.tooltip = "Keep the runs of this file, which `workbench runs --export` or `workbench run --json` wrote"
        self.open_file.on_click(self.guard(lambda _: self._import_file()))
        self.recorded = widgets.Button(description="Show recorded GPU runs", layout=widgets.Layout(width="220px"))
        self.recorded.tooltip = "Runs of the sample models, and of torchvision's, that were recorded on an NVIDIA H200"
        self.recorded.on_click(self.guard(lambda _: self._tell_kept(keep_recorded(self.state))))
        line = widgets.HBox([self.file, self.open_file, self.recorded])
        line.add_class("wb-line")
        self.elsewhere = widgets.Accordion(children=(line,), titles=("Runs from elsewhere",))

    # What the user does

    def _rename(self) -> None:
        if self.runs:
            self.state.set_run_label(self.runs[0].id, self.label.value.strip())
            self._draw()

    def _open(self) -> None:
        if self.runs:
            self.state.open_run(self.runs[0])
            self.say(f"The settings of {self.runs[0].title} are open in the other tabs.", "success")

    def _import_file(self) -> None:
        self._tell_kept(keep_file(self.state, self.file.value.strip()))
        self.file.value = ""

    def _tell_kept(self, count: int) -> None:
        told = f"{counted(count, 'run')} {'is' if count == 1 else 'are'} new" if count else "All of these runs were kept already"
        self.say(f"{told}, marked as recorded; {len(self.state.chosen)} of them are selected.", "success")

    def _click(self, change: traitlets.Bunch) -> None:
        if isinstance(change.new.customdata, str):
            self.state.chosen = (change.new.customdata,)

    # Drawing

    def _draw_rows(self, _: object = None) -> None:
        self.table.rows = [Row(row.id, _cells(row)) for row in self.state.rows]
        self.table.selected = list(self.state.chosen)

    def _draw(self, _: object = None) -> None:
        self.table.selected = list(self.state.chosen)
        self.runs = sorted(self.state.get_runs(self.state.chosen[:MOST]), key=lambda run: run.created)
        count = len(self.runs)
        one = count == 1
        for tool in (self.label, self.rename, self.take):
            tool.layout.display = "" if one else "none"
        self.label.value = self.runs[0].label if one else ""
        self.hint.value = markup.note(_hint(len(self.state.chosen)))
        self.sentence.value = self._sentence()
        self._show(self.latency, 1 <= count <= 2, lambda: latency_figure(latency_data(self.runs)))
        self._show(self.several, count > 1, lambda: runs_figure(runs_data(self.runs)))
        self._show(self.accuracy, any(run.accuracy for run in self.runs), lambda: accuracy_figure(accuracy_data(self.runs)))
        compared = count > 1 and any(run.accuracy and run.latency for run in self.runs)
        self._show(self.tradeoff, compared, lambda: tradeoff_figure(tradeoff_data(self.runs)))
        self.right.show(self.runs[0] if one else None)
        self.layers.show(self.runs[0].delivered if one else ())
        self.facts.value = _facts(self.runs[0]) if one else ""

    def _sentence(self) -> str:
        if len(self.runs) == 1:
            return outcome_text(self.runs[0], doubts=False)
        if len(self.runs) == 2:
            older, newer = self.runs
            return _comparison(self.state.compare(older.id, newer.id), older, newer)
        return ""

    def _show(self, view: FigureView, wanted: bool, make: object) -> None:  # noqa: FBT001  # with each call on a line
        view.layout.display = "" if wanted else "none"
        view.figure = make() if wanted and callable(make) else None


def _hint(chosen: int) -> str:
    if chosen == 0:
        return "Select a run to see it; with Ctrl or Shift, two to compare them, more to see them side by side."
    if chosen > MOST:
        return f"The first {MOST} of the {chosen} selected runs are drawn."
    return ""


def _cells(row: store.Row) -> tuple[str | float | None, ...]:
    precision = row.precision if row.provider == "tensorrt" else None
    return _time(row.created), row.model, row.label or None, row.provider, precision, row.status, row.median_ms


def _time(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _comparison(comparison: Comparison, a: Run, b: Run) -> str:
    level = "success" if comparison.trusted else "warning"
    head = markup.lines(level, comparison.verdict, comparison.caveats)
    names = markup.note(f"A, {_time(a.created)}: {comparison.a_title}") + markup.note(
        f"B, {_time(b.created)}: {comparison.b_title}"
    )
    rows = [(setting.name, setting.a or "default", setting.b or "default") for setting in comparison.differences]
    table = markup.grid(("Setting", "A", "B"), rows) if rows else markup.note("The settings are the same.")
    return f"{head}{names}{table}{markup.note(comparison.method)}"


def _facts(run: Run) -> str:
    """Return what a reader needs to repeat a Run: settings, inputs, environment."""
    environment = run.environment
    pairs = [("Run", run.id), ("Settings", run.settings.summary())]
    pairs += [(f"Input {used.name}", f"{used.dtype} {'×'.join(map(str, used.shape))}, {used.origin}") for used in run.inputs]
    if environment is not None:
        known = {
            "ONNX Runtime": environment.onnxruntime,
            "TensorRT": environment.tensorrt,
            "GPU": environment.gpu,
            "CPU": environment.cpu,
        }
        pairs += [(name, value) for name, value in known.items() if value]
        pairs += [("Host", f"{environment.host}, {environment.cores} cores, {size_text(environment.memory_bytes)}")]
    if run.memory is not None:
        pairs.append(("Peak memory of the worker", size_text(run.memory.host_peak_bytes)))
    return markup.heading("How it was made") + markup.facts(pairs)
