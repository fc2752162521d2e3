"""How far each output is from the reference's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.figures.palette import ALARM, LINE_A_ENTRY, QUIET_INK, empty, series_colour, styled
from workbench.figures.words import escaped, shortened, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.measure.accuracy import OutputAccuracy
    from workbench.study.run import Run

Metric = Literal["max_abs", "rel_l2", "sqnr_db"]
METRICS: tuple[tuple[Metric, str], ...] = (
    ("max_abs", "largest difference"),
    ("rel_l2", "relative L2"),
    ("sqnr_db", "SQNR (dB)"),
)
ROW = 34


@dataclass(frozen=True, slots=True)
class AccuracyCell:
    """One metric of one output; where `value` is ``None``, `text` says why."""

    metric: Metric
    value: float | None
    text: str


@dataclass(frozen=True, slots=True)
class AccuracyRow:
    """One output of one Run; `note` says what was left out of the comparison."""

    output: str
    cells: tuple[AccuracyCell, ...]
    note: str
    hover: str


@dataclass(frozen=True, slots=True)
class AccuracySeries:
    """The outputs of one Run."""

    run: str
    title: str
    rows: tuple[AccuracyRow, ...]


@dataclass(frozen=True, slots=True)
class OutputsAccuracy:
    """What the figure shows.

    Attributes
    ----------
    outputs : tuple of str
        Names, from the top down.
    references : tuple of str
        What the outputs were compared with; more than one where Runs differ in it.
    missing : tuple of str
        Why Runs have no series.
    """

    outputs: tuple[str, ...]
    series: tuple[AccuracySeries, ...]
    references: tuple[str, ...]
    missing: tuple[str, ...]


def accuracy_data(runs: Sequence[Run]) -> OutputsAccuracy:
    """Return the accuracy of the outputs of Runs, all of the same model."""
    compared = [run for run in runs if run.accuracy]
    series = tuple(AccuracySeries(run.id, run.title, tuple(_row(output) for output in run.accuracy)) for run in compared)
    return OutputsAccuracy(
        outputs=tuple(dict.fromkeys(row.output for one in series for row in one.rows)),
        series=series,
        references=tuple(dict.fromkeys(output.reference for run in compared for output in run.accuracy)),
        missing=tuple(f"{run.title}: {_why_missing(run)}" for run in runs if not run.accuracy),
    )


def accuracy_figure(data: OutputsAccuracy) -> go.Figure:
    """Draw a row for each output and a column for each metric; differences stand on logarithmic axes."""
    if not data.series:
        why = "<br>".join(wrapped(text) for text in data.missing) or "No Run is selected."
        return empty("Accuracy of outputs", why)
    titles = [title for _, title in METRICS]
    figure = make_subplots(rows=1, cols=3, shared_yaxes=True, horizontal_spacing=0.03, subplot_titles=titles)
    for index, series in enumerate(data.series):
        heights = _heights(data, index)
        for column in range(len(METRICS)):
            _add_column(figure, series, heights, column, series_colour(index))
    return _laid_out(figure, data)


def _why_missing(run: Run) -> str:
    if run.error is not None:
        return f"no result: {run.error.kind}"
    return "its outputs were not compared" if run.status == "ok" else f"no result: {run.status}"


def _row(output: OutputAccuracy) -> AccuracyRow:
    cells = tuple(_cell(output, metric, first=at == 0) for at, (metric, _) in enumerate(METRICS))
    partial = output.note if output.max_abs is not None else ""
    figures = [f"{name} {value:.4g}" for name, value in _numbers(output) if value is not None]
    lines = [f"<b>{shortened(output.output, 80)}</b> against {escaped(output.reference)}", *figures]
    lines += ["identical"] if output.identical else _beyond(output)
    lines += [f"{output.nan:,} NaN, {output.inf:,} infinite"] if output.nan or output.inf else []
    lines += [wrapped(output.note)] if output.note else []
    return AccuracyRow(output.output, cells, partial, "<br>".join(lines))


def _beyond(output: OutputAccuracy) -> list[str]:
    """Return what is known beyond the distances: quantiles, tolerance, agreement, and how inputs differ."""
    lines = []
    if output.quantiles is not None:
        lines.append(f"99 % of the differences below {output.quantiles.p99:.3g}")
    if output.tolerance is not None:
        lines.append(f"would pass with rtol and atol of {output.tolerance.both:.3g}")
    if output.argmax_agreement is not None:
        lines.append(f"largest element at the same place in {output.argmax_agreement:.2%} of the rows")
    over = output.over_inputs
    if over is not None and over.mean_rel_l2 is not None:
        ends = f" ({over.interval.low:.3g} to {over.interval.high:.3g})" if over.interval is not None else ""
        lines.append(f"mean relative L2 over {over.samples:,} inputs {over.mean_rel_l2:.3g}{ends}")
        lines.append(f"worst inputs {', '.join(str(worst.index) for worst in over.worst)}")
    return lines


def _numbers(output: OutputAccuracy) -> tuple[tuple[str, float | None], ...]:
    return (
        ("largest difference", output.max_abs),
        ("mean difference", output.mean_abs),
        ("relative L2", output.rel_l2),
        ("cosine", output.cosine),
        ("SQNR, dB", output.sqnr_db),
    )


def _cell(output: OutputAccuracy, metric: Metric, *, first: bool) -> AccuracyCell:
    """Return one metric; what holds for the whole output is said in the first column only."""
    value = getattr(output, metric)
    if output.identical:
        return AccuracyCell(metric, None, "identical" if first else "")
    if output.max_abs is None:
        return AccuracyCell(metric, None, (output.note or "not compared") if first else "")
    if value is None:
        equal = output.max_abs == 0
        return AccuracyCell(metric, None, "no difference" if equal else "reference is zero")
    if value == 0 and metric != "sqnr_db":  # a logarithmic axis has no place for it
        return AccuracyCell(metric, None, "0")
    return AccuracyCell(metric, float(value), "")


def _heights(data: OutputsAccuracy, index: int) -> dict[str, float]:
    """Return where a series lies in the row of each output: the series share the row's height."""
    count = len(data.series)
    offset = 0.7 * ((index + 0.5) / count - 0.5)
    return {output: at + offset for at, output in enumerate(data.outputs)}


def _add_column(figure: go.Figure, series: AccuracySeries, heights: dict[str, float], column: int, colour: str) -> None:
    place = {"row": 1, "col": column + 1}
    drawn = [row for row in series.rows if row.cells[column].value is not None]
    figure.add_scatter(
        x=[row.cells[column].value for row in drawn],
        y=[heights[row.output] for row in drawn],
        mode="markers",
        marker={"size": 10, "color": colour},
        name=shortened(series.title),
        legendgroup=series.run,
        showlegend=column == 0,
        hovertext=[row.hover for row in drawn],
        hoverinfo="text",
        **place,
    )
    axis = "" if column == 0 else str(column + 1)
    for row in series.rows:
        cell = row.cells[column]
        if cell.text:
            good = cell.text in ("identical", "no difference", "0")
            figure.add_annotation(
                text=shortened(cell.text, 60),
                x=0.02,
                xref=f"x{axis} domain",
                xanchor="left",
                y=heights[row.output],
                yref=f"y{axis}",
                showarrow=False,
                font={"size": 12, "color": colour if good else ALARM},
                hovertext=row.hover,
            )


def _laid_out(figure: go.Figure, data: OutputsAccuracy) -> go.Figure:
    several = len(data.series) > 1
    title = "Accuracy of outputs" if several else f"Accuracy of {shortened(data.series[0].title)}"
    against = f"compared with {escaped(', '.join(data.references))} · difference: less is better, SQNR: more"
    lines = [against, *(wrapped(text) for text in data.missing)]
    subtitle = "<br>".join(lines)
    noted = any(row.note for series in data.series for row in series.rows)
    tall = max(ROW + 18 * noted, 22 * len(data.series) + 12)
    below = 22 * len(data.series) if several else 0
    height = 150 + tall * len(data.outputs) + below + 16 * subtitle.count("<br>")
    styled(figure, title, subtitle, height=height, below=below)
    figure.layout.margin.t += 22  # the titles of the columns
    figure.update_layout(hovermode="closest", legend=LINE_A_ENTRY)
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(data.outputs))),
        ticktext=[_label(data, output) for output in data.outputs],
        range=[len(data.outputs) - 0.5, -0.5],
        fixedrange=True,
    )
    figure.update_yaxes(ticklabelstandoff=4, row=1, col=1)
    for column in (2, 3):
        figure.update_yaxes(ticks="", row=1, col=column)
    for column, (metric, _) in enumerate(METRICS, 1):
        values = [c.value for s in data.series for r in s.rows if (c := r.cells[column - 1]).value is not None]
        figure.update_xaxes(**_axis(metric, values), row=1, col=column)
    figure.for_each_annotation(lambda a: a.update(font={"size": 12, "color": QUIET_INK}) if a.yref == "paper" else None)
    return figure


def _axis(metric: Metric, values: list[float]) -> dict[str, object]:
    """Return the axis of a column: whole decades around the values, or none where there are no values."""
    if not values:
        return {"showticklabels": False, "ticks": "", "range": [0, 1], "showgrid": False}
    if metric == "sqnr_db":
        return {"range": [min(0.0, *values) - 3, max(values) * 1.08 + 3]}
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    step = max(1, math.ceil((high - low) / 3))
    return {"type": "log", "range": [low - 0.4, high + 0.4], "tick0": low, "dtick": step, "tickformat": ".0e"}


def _label(data: OutputsAccuracy, output: str) -> str:
    """Return an output's name, and below it what was left out of the comparison."""
    notes = dict.fromkeys(row.note for series in data.series for row in series.rows if row.output == output and row.note)
    small = "".join(f"<br><span style='color:{ALARM};font-size:11px'>{wrapped(note, 30)}</span>" for note in notes)
    return shortened(output, 36) + small
