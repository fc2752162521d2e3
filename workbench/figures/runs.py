"""The latency of many Runs side by side, and which of them cannot be compared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import plotly.graph_objects as go

from workbench.figures.palette import ALARM, GROUND, REMOVED_COLOUR, empty, provider_colour, provider_label, styled
from workbench.figures.words import escaped, milliseconds, shortened, wrapped
from workbench.placement.records import CPU, CUDA, TENSORRT
from workbench.study.run import titles_of
from workbench.study.target import DEFAULT_TARGET, Target, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.measure.accuracy import OutputAccuracy
    from workbench.record import Evidence
    from workbench.study.run import Run

LOG_FROM = 15.0  # ratio of slowest to fastest from which a linear axis would hide the fast ones
ROW = 30
PROVIDERS = {"tensorrt": TENSORRT, "cuda": CUDA, "cpu": CPU}

Order = Literal["given", "fastest"]


@dataclass(frozen=True, slots=True)
class RunRow:
    """One Run as it is drawn.

    Attributes
    ----------
    id, title : str
        Of the Run.
    provider : str
        What was asked for.
    percentiles_ms : tuple of float or None
        5, 25, 50, 75 and 95 per cent of the samples; ``None`` where there is no latency.
    differs : str
        How its outputs differ badly from the reference; empty where they do not, or were not compared.
    note : str
        Why there is no latency; empty where there is one.
    """

    id: str
    title: str
    provider: str
    evidence: Evidence
    percentiles_ms: tuple[float, float, float, float, float] | None
    differs: str
    note: str

    @property
    def median_ms(self) -> float:
        """The median; infinity where there is none."""
        return self.percentiles_ms[2] if self.percentiles_ms else float("inf")


@dataclass(frozen=True, slots=True)
class RunsLatency:
    """The rows of the figure, from the top down."""

    rows: tuple[RunRow, ...]


def runs_data(runs: Sequence[Run], order: Order = "given", *, target: Target = DEFAULT_TARGET) -> RunsLatency:
    """Return the rows of Runs.

    Parameters
    ----------
    runs : sequence of Run
        In any state.
    order : str
        ``given``, or ``fastest`` first; then come those whose outputs differ, and last those without latency.
    target : Target
        What outputs must meet for a latency to count; those that do not are greyed, with the reason.
    """
    rows = [_row(run, title, target) for run, title in zip(runs, titles_of(runs), strict=True)]
    if order == "fastest":
        rows.sort(key=lambda row: (row.percentiles_ms is None, bool(row.differs), row.median_ms))
    return RunsLatency(tuple(rows))


def runs_figure(data: RunsLatency, *, log: bool | None = None) -> go.Figure:
    """Draw a row for each Run: the median as a dot, its middle half and middle 90 % as lines.

    Each dot carries the Run's id as ``customdata``.

    Parameters
    ----------
    data : RunsLatency
        From :func:`runs_data`.
    log : bool, optional
        Whether the axis is logarithmic; by default when the Runs differ much.
    """
    if not data.rows:
        return empty("Latency of Runs", "There are no Runs yet.")
    figure = go.Figure()
    for key in dict.fromkeys(_key(row) for row in data.rows if row.percentiles_ms):
        rows = [(at, row) for at, row in enumerate(data.rows) if row.percentiles_ms and _key(row) == key]
        _add_spread(figure, rows, key)
        _add_medians(figure, rows, key)
    _add_notes(figure, data)
    return _laid_out(figure, data, log=log)


def differs_badly(accuracy: Sequence[OutputAccuracy]) -> str:
    """Return how outputs differ so much from the reference's that their speed says nothing; empty where they do not.

    Parameters
    ----------
    accuracy : sequence of OutputAccuracy
        Of a Run; empty where it was not compared.
    """
    found = judge(accuracy, None)
    return "" if found.ok else found.why


def _row(run: Run, title: str, target: Target) -> RunRow:
    percentiles, note = None, ""
    if run.latency is not None:
        p5, p25, p50, p75, p95 = np.percentile(run.latency.samples_ms, [5, 25, 50, 75, 95]).tolist()
        percentiles = (p5, p25, p50, p75, p95)
    elif run.error is not None:
        note = f"no result: {run.error.kind}"
    else:
        note = "latency not measured" if run.status == "ok" else f"no result: {run.status}"
    provider = PROVIDERS.get(run.settings.provider, run.settings.provider)
    accepted = judge(run.accuracy, run.task, target)
    return RunRow(run.id, title, provider, run.evidence, percentiles, "" if accepted.ok else accepted.why, note)


_Key = tuple[str, "Evidence", bool]


def _key(row: RunRow) -> _Key:
    """Return what rows of one look have in common: provider, evidence, and whether their outputs differ."""
    return ("", "measured", True) if row.differs else (row.provider, row.evidence, False)


def _look(key: _Key) -> tuple[str, str]:
    """Return the name and the colour of a key."""
    provider, evidence, differs = key
    if differs:
        return "outputs differ", REMOVED_COLOUR
    return f"{provider_label(provider)}, {evidence}", provider_colour(provider)


def _add_spread(figure: go.Figure, rows: list[tuple[int, RunRow]], key: _Key) -> None:
    """Add the middle 90 % as a thin line, the middle half as a thick one."""
    name, colour = _look(key)
    for low, high, width, label in ((0, 4, 1.5, "5 to 95 %"), (1, 3, 8, "25 to 75 %")):
        x: list[float | None] = []
        y: list[int | None] = []
        for at, row in rows:
            if row.percentiles_ms:
                x += [row.percentiles_ms[low], row.percentiles_ms[high], None]
                y += [at, at, None]
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines",
            line={"color": colour, "width": width},
            opacity=1 if width < 8 else 0.45,
            name=f"{name}: {label}",
            legendgroup=name,
            showlegend=False,
            hoverinfo="skip",
        )


def _add_medians(figure: go.Figure, rows: list[tuple[int, RunRow]], key: _Key) -> None:
    name, colour = _look(key)
    recorded = key[1] == "recorded"
    figure.add_scatter(
        x=[row.median_ms for _, row in rows],
        y=[at for at, _ in rows],
        mode="markers",
        marker={"size": 11, "color": GROUND if recorded else colour, "line": {"color": colour, "width": 2}},
        name=name,
        legendgroup=name,
        customdata=[row.id for _, row in rows],
        hovertext=[_hover(row) for _, row in rows],
        hoverinfo="text",
    )


def _hover(row: RunRow) -> str:
    if row.percentiles_ms is None:
        return ""
    p5, p25, p50, p75, p95 = (milliseconds(value) for value in row.percentiles_ms)
    differs = f"<br>outputs differ: {escaped(row.differs)}" if row.differs else ""
    head = f"<b>{wrapped(row.title)}</b><br>{escaped(row.id)} · {provider_label(row.provider)}, {row.evidence}"
    return f"{head}<br>median {p50}<br>25 to 75 %: {p25} to {p75}<br>5 to 95 %: {p5} to {p95}{differs}"


def _add_notes(figure: go.Figure, data: RunsLatency) -> None:
    """Write the median beside each row, or why there is none."""
    for at, row in enumerate(data.rows):
        text = milliseconds(row.median_ms) if row.percentiles_ms else row.note
        text += f", differs: {_briefly(row)}" if row.differs else ""
        alarming = bool(row.differs) or (row.percentiles_ms is None and row.note.startswith("no result"))
        place: dict[str, Any] = {"x": 1.0, "xref": "paper", "xanchor": "left", "xshift": 10, "y": at, "yref": "y"}
        figure.add_annotation(
            text=text,
            showarrow=False,
            font={"size": 12, "color": ALARM if alarming else None},
            **place,
        )


def _briefly(row: RunRow) -> str:
    """Return how outputs differ, without which of them."""
    return row.differs.split(" in ")[0]


def _laid_out(figure: go.Figure, data: RunsLatency, *, log: bool | None) -> go.Figure:
    entries = len({_key(row) for row in data.rows if row.percentiles_ms})
    below = 24 * math.ceil(entries / 3)
    subtitle = "dot: median · thick: middle half · thin: middle 90 %" if entries else ""
    styled(figure, "Latency of Runs", subtitle, height=130 + ROW * len(data.rows) + below, below=below)
    longest = max(len(row.note) or 12 + (len(_briefly(row)) + 11 if row.differs else 0) for row in data.rows)
    figure.update_layout(hovermode="closest", showlegend=entries > 0, margin={"r": 16 + 7 * longest})
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(data.rows))),
        ticktext=[shortened(row.title, 36) for row in data.rows],
        range=[len(data.rows) - 0.5, -0.5],
        fixedrange=True,
        ticklabelstandoff=4,
    )
    return figure.update_xaxes(**_axis(data, log=log))


def _axis(data: RunsLatency, *, log: bool | None) -> dict[str, Any]:
    """Return an axis that holds every spread, from zero or logarithmic."""
    drawn = [row.percentiles_ms for row in data.rows if row.percentiles_ms]
    if not drawn:
        return {"visible": False, "range": [0, 1]}
    low, high = min(p[0] for p in drawn), max(p[4] for p in drawn)
    if high / low >= LOG_FROM if log is None else log:
        ends = [math.log10(low) - 0.1, math.log10(high) + 0.1]
        ticks = [digit * 10.0**power for power in range(math.floor(ends[0]), math.ceil(ends[1])) for digit in (1, 2, 5)]
        axis = {"type": "log", "range": ends, "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}
        return {"title": {"text": "latency (ms), logarithmic"}, "tickmode": "array", **axis}
    return {"title": {"text": "latency (ms)"}, "range": [0, 1.06 * high]}
