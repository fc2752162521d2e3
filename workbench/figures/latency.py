"""How the latency of one or a few Runs is distributed, and how it went on over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.figures.palette import GROUND, INK, LINE_A_ENTRY, empty, faded, series_colour, styled
from workbench.figures.words import counted, milliseconds, shortened, wrapped
from workbench.study.run import titles_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.record import Evidence
    from workbench.study.run import Run

MOST_BINS = 60
POINTS = 1500  # the most that a line over time is drawn with
MARKS = (("median", "solid"), ("p90", "dash"), ("p99", "dot"))


@dataclass(frozen=True, slots=True)
class LatencySeries:
    """The samples of one Run.

    Attributes
    ----------
    run : str
        Its id.
    samples_ms : tuple of float
        Milliseconds, in the order they were taken.
    percentiles_ms : tuple of float
        Median, p90 and p99.
    shares : tuple of float
        Per cent of the samples in each bin of :class:`LatencyDistribution`.
    beyond : int
        How many samples are slower than the last bin's end.
    device : bool
        Whether inputs and outputs stayed on the GPU; else copies from and to NumPy arrays are part of the samples.
    """

    run: str
    title: str
    evidence: Evidence
    samples_ms: tuple[float, ...]
    percentiles_ms: tuple[float, float, float]
    shares: tuple[float, ...]
    beyond: int
    warnings: tuple[str, ...]
    device: bool = False

    @property
    def origin(self) -> str:
        """How the samples came to be, in a few words."""
        return f"{self.evidence}, GPU buffers" if self.device else self.evidence


@dataclass(frozen=True, slots=True)
class LatencyDistribution:
    """What the figure shows.

    Attributes
    ----------
    edges_ms : tuple of float
        The common edges of the bins; a few very slow samples may lie beyond the last.
    missing : tuple of str
        Why Runs have no series.
    """

    series: tuple[LatencySeries, ...]
    edges_ms: tuple[float, ...]
    missing: tuple[str, ...]


def latency_data(runs: Sequence[Run]) -> LatencyDistribution:
    """Return the latency samples of Runs, binned alike.

    The bins end somewhat above the highest p99: a single hiccup of the machine shall not squeeze all else into a bin.
    """
    named = list(zip(runs, titles_of(runs), strict=True))
    measured = [(run, title) for run, title in named if run.latency is not None]
    missing = tuple(f"{title}: {_why_missing(run)}" for run, title in named if run.latency is None)
    samples = [np.asarray(run.latency.samples_ms) for run, _ in measured if run.latency is not None]
    edges = _edges(samples)
    series = tuple(_series(run, title, values, edges) for (run, title), values in zip(measured, samples, strict=True))
    return LatencyDistribution(series, tuple(edges.tolist()), missing)


def latency_figure(data: LatencyDistribution, *, cumulative: bool = False) -> go.Figure:
    """Draw the distribution, and below it the samples in the order they were taken.

    Parameters
    ----------
    data : LatencyDistribution
        From :func:`latency_data`.
    cumulative : bool
        Draw the share of samples that are as fast or faster, instead of a histogram.
    """
    if not data.series:
        why = "<br>".join(wrapped(text) for text in data.missing) or "No Run is selected."
        return empty("Latency", why)
    figure = make_subplots(rows=2, cols=1, row_heights=[0.62, 0.38], vertical_spacing=0.2)
    single = len(data.series) == 1
    # The labels of a single Run stand above its histogram, or below its cumulative curve.
    tallest = max(max(series.shares) for series in data.series)
    top = 100.0 if cumulative else tallest * (1.5 if single else 1.05)
    for index, series in enumerate(data.series):
        colour = series_colour(index)
        (_add_cumulative if cumulative else _add_histogram)(figure, series, data.edges_ms, colour)
        _add_marks(figure, series, colour, top)
        _add_over_time(figure, series, data.edges_ms[-1], colour)
    if single:
        _label_marks(figure, data, (0.34, 0.22, 0.1) if cumulative else (0.94, 0.83, 0.72))
    return _laid_out(figure, data, cumulative=cumulative)


def _why_missing(run: Run) -> str:
    if run.error is not None:
        return f"no result: {run.error.kind}"
    return "its latency was not measured" if run.status == "ok" else f"no result: {run.status}"


def _edges(samples: list[np.ndarray]) -> np.ndarray:
    """Return the edges of the bins, in milliseconds."""
    if not samples:
        return np.array([0.0, 1.0])
    low = min(values.min() for values in samples)
    tails = [np.percentile(values, [50, 99]) for values in samples]
    high = min(max(values.max() for values in samples), max(p99 + (p99 - median) / 4 for median, p99 in tails))
    if high <= low:  # all samples are equal
        low, high = 0.95 * low, 1.05 * low
    bins = int(np.clip(2 * max(values.size for values in samples) ** 0.5, 10, MOST_BINS))
    return np.asarray(np.linspace(low, high, bins + 1))


def _series(run: Run, title: str, samples: np.ndarray, edges: np.ndarray) -> LatencySeries:
    latency = run.latency
    if latency is None:
        raise ValueError(f"{run.id} has no latency")
    counts, _ = np.histogram(samples, edges)
    return LatencySeries(
        run=run.id,
        title=title,
        evidence=run.evidence,
        samples_ms=latency.samples_ms,
        percentiles_ms=(latency.median_ms, latency.p90_ms, latency.p99_ms),
        shares=tuple((100 * counts / samples.size).tolist()),
        beyond=int((samples > edges[-1]).sum()),
        warnings=latency.warnings,
        device=run.plan.buffers == "device",
    )


def _add_histogram(figure: go.Figure, series: LatencySeries, edges: tuple[float, ...], colour: str) -> None:
    """Add the outline of a histogram; outlines stay readable where several overlap."""
    x = np.repeat(edges, 2)
    y = np.concatenate([[0.0], np.repeat(series.shares, 2), [0.0]])
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": colour, "width": 1.5},
        fill="tozeroy",
        fillcolor=faded(colour, 0.25),
        name=_entry(series),
        legendgroup=series.run,
        hovertemplate="%{y:.1f} % of the samples around %{x:.4g} ms<extra></extra>",
        row=1,
        col=1,
    )


def _add_cumulative(figure: go.Figure, series: LatencySeries, _edges: tuple[float, ...], colour: str) -> None:
    ordered = np.sort(series.samples_ms)
    share = 100 * np.arange(1, ordered.size + 1) / ordered.size
    kept = np.unique(np.linspace(0, ordered.size - 1, min(ordered.size, POINTS)).round().astype(int))
    figure.add_scatter(
        x=ordered[kept],
        y=share[kept],
        mode="lines",
        line={"color": colour, "width": 2, "shape": "hv"},
        name=_entry(series),
        legendgroup=series.run,
        hovertemplate="%{y:.1f} % within %{x:.4g} ms<extra></extra>",
        row=1,
        col=1,
    )


def _add_marks(figure: go.Figure, series: LatencySeries, colour: str, top: float) -> None:
    """Add a vertical line at each of median, p90 and p99."""
    for (name, dash), value in zip(MARKS, series.percentiles_ms, strict=True):
        figure.add_scatter(
            x=[value, value],
            y=[0, top],
            mode="lines",
            line={"color": colour, "width": 1.5, "dash": dash},
            name=f"{name} of {series.title}",
            legendgroup=series.run,
            showlegend=False,
            hovertemplate=f"{name} {milliseconds(value)}<extra></extra>",
            row=1,
            col=1,
        )


def _label_marks(figure: go.Figure, data: LatencyDistribution, heights: tuple[float, ...]) -> None:
    """Write the percentiles of the only series at their lines, each on a height of its own, as they may lie near."""
    series, edges = data.series[0], data.edges_ms
    right_part = edges[0] + 0.75 * (edges[-1] - edges[0])
    for (name, _), value, height in zip(MARKS, series.percentiles_ms, heights, strict=True):
        side = ("right", -4) if value > right_part else ("left", 4)
        figure.add_annotation(
            x=value,
            xref="x",
            y=height,
            yref="y domain",
            text=f"{name} {milliseconds(value)}",
            xanchor=side[0],
            xshift=side[1],
            showarrow=False,
            font={"color": INK, "size": 12},
            bgcolor=faded(GROUND, 0.8),
        )


def _add_over_time(figure: go.Figure, series: LatencySeries, limit: float, colour: str) -> None:
    """Add the samples in order; those beyond `limit` (milliseconds) become triangles at the upper edge."""
    samples = np.asarray(series.samples_ms)
    kept = _thinned(samples)
    common = {"legendgroup": series.run, "showlegend": False, "row": 2, "col": 1}
    figure.add_scatter(
        x=kept + 1,
        y=np.minimum(samples[kept], limit),
        mode="lines+markers" if kept.size <= 300 else "lines",
        line={"color": colour, "width": 1},
        marker={"size": 3, "color": colour},
        name=f"samples of {series.title}",
        customdata=samples[kept],
        hovertemplate="sample %{x}: %{customdata:.4g} ms<extra></extra>",
        **common,
    )
    slow = np.flatnonzero(samples > limit)
    figure.add_scatter(
        x=slow + 1,
        y=np.full(slow.size, limit),
        mode="markers",
        marker={"symbol": "triangle-up", "size": 9, "color": colour},
        name=f"slower samples of {series.title}",
        customdata=samples[slow],
        hovertemplate="sample %{x}: %{customdata:.4g} ms, beyond the axis<extra></extra>",
        **common,
    )


def _thinned(samples: np.ndarray) -> np.ndarray:
    """Return the indices of the samples to draw: all, or the fastest and the slowest of each stretch."""
    if samples.size <= POINTS:
        return np.arange(samples.size)
    stretches = np.array_split(np.arange(samples.size), POINTS // 2)
    ends = {int(s[pick(samples[s])]) for s in stretches for pick in (np.argmin, np.argmax)}
    return np.array(sorted(ends))


def _entry(series: LatencySeries) -> str:
    numbers = ", ".join(f"{name} {milliseconds(value)}" for (name, _), value in zip(MARKS, series.percentiles_ms, strict=True))
    return f"{shortened(series.title)} ({series.origin}): {numbers}"


def _short_warnings(data: LatencyDistribution) -> list[str]:
    """Return a line for each doubtful series: what is wrong with it, not what to do about it."""
    found = [(series.title, ", ".join(text.split(":")[0] for text in series.warnings)) for series in data.series]
    return [f"{title}: {text}" for title, text in found if text]


def _laid_out(figure: go.Figure, data: LatencyDistribution, *, cumulative: bool) -> go.Figure:
    single = data.series[0] if len(data.series) == 1 else None
    title = f"Latency of {shortened(single.title)}" if single else "Latency"
    lines = [f"{single.origin}, {counted(len(single.samples_ms), 'sample')}"] if single else []
    lines += [wrapped(text) for text in (single.warnings if single else _short_warnings(data))]
    lines += [wrapped(text) for text in data.missing]
    beyond = sum(series.beyond for series in data.series)
    slowest = max(max(series.samples_ms) for series in data.series)
    if beyond:
        lines.append(f"{counted(beyond, 'sample')} beyond the axis, up to {milliseconds(slowest)}")
    subtitle = "<br>".join(lines)
    entries = 0 if single else 22 * len(data.series)
    styled(figure, title, subtitle, height=430 + 16 * subtitle.count("<br>") + entries, below=entries)
    high = data.edges_ms[-1]
    figure.update_layout(legend=LINE_A_ENTRY, hovermode="closest")
    figure.update_xaxes(title_text="latency (ms)", range=[data.edges_ms[0], high], row=1, col=1)
    figure.update_yaxes(title_text="samples (%)" if not cumulative else "samples as fast (%)", rangemode="tozero", row=1, col=1)
    figure.update_xaxes(title_text="sample, in the order taken", row=2, col=1)
    figure.update_yaxes(title_text="ms", range=[data.edges_ms[0], high + 0.04 * (high - data.edges_ms[0])], row=2, col=1)
    return figure
