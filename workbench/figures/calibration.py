"""Calibration as figures: a tensor's histogram with each method's threshold, outliers, and how ranges settle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from workbench.figures.palette import ALARM, CUDA_COLOUR, INK, LINE_A_ENTRY, empty, faded, series_colour, styled
from workbench.figures.words import counted, escaped, shortened
from workbench.measure.calibration import METHODS, SETTLED, outliers_first

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.measure.calibration import TensorCalibration

MOST_TENSORS = 20
MOST_CURVES = 7  # as many as there are colours
ROW = 24  # pixels of a bar
DASHES: dict[str, str] = dict(zip(METHODS, ("solid", "dash", "dot", "dashdot"), strict=True))


@dataclass(frozen=True, slots=True)
class ThresholdLine:
    """A method's threshold, and which share of the elements lies beyond it, from 0 to 1."""

    method: str
    amax: float
    clipped: float


@dataclass(frozen=True, slots=True)
class TensorHistogram:
    """What was seen of one tensor.

    Attributes
    ----------
    tensor : str
        Its name.
    centres : tuple of float
        The middle of each bin; empty bins at the ends are left out.
    width : float
        Of a bin.
    counts : tuple of int
        Elements in each bin.
    lines : tuple of ThresholdLine
        The thresholds.
    low, high : float
        Least and greatest number; NaN where none was seen.
    """

    tensor: str
    centres: tuple[float, ...]
    width: float
    counts: tuple[int, ...]
    lines: tuple[ThresholdLine, ...]
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class OutlierBar:
    """How far a tensor's largest magnitude is above the 99.9th percentile of all of them."""

    tensor: str
    ratio: float
    amax: float
    percentile: float


@dataclass(frozen=True, slots=True)
class SettlingCurve:
    """The share of the final range that the first samples had shown."""

    tensor: str
    samples: tuple[int, ...]
    shares: tuple[float, ...]
    settled_after: int


def histogram_data(tensor: TensorCalibration) -> TensorHistogram:
    """Return a tensor's histogram, without the empty bins at its ends, and its thresholds."""
    lines = tuple(ThresholdLine(t.method, t.amax, t.clipped) for t in tensor.thresholds)
    if tensor.limit is None or tensor.low is None or tensor.high is None:
        return TensorHistogram(tensor.name, (), 0.0, (), (), float("nan"), float("nan"))
    counts = np.asarray(tensor.counts)
    edges = np.linspace(-tensor.limit, tensor.limit, counts.size + 1)
    filled = np.flatnonzero(counts)
    kept = slice(filled[0], filled[-1] + 1)
    centres = (edges[:-1] + edges[1:])[kept] / 2
    width = float(edges[1] - edges[0])
    return TensorHistogram(
        tensor.name, tuple(centres.tolist()), width, tuple(counts[kept].tolist()), lines, tensor.low, tensor.high
    )


def histogram_figure(data: TensorHistogram) -> go.Figure:
    """Draw the histogram on a logarithmic scale, so that single outliers show, with the thresholds as lines."""
    title = f"Range of {shortened(data.tensor)}"
    if not data.counts:
        return empty(title, "No finite number of this tensor was seen.")
    figure = go.Figure()
    figure.add_bar(
        x=data.centres,
        y=data.counts,
        width=data.width,
        marker={"color": faded(CUDA_COLOUR, 0.55), "line": {"width": 0}},
        name="elements",
        showlegend=False,
        hovertemplate="%{y:,} elements around %{x:.4g}<extra></extra>",
    )
    for index, line in enumerate(data.lines):
        _add_threshold(figure, line, data, index)
    subtitle = f"{counted(sum(data.counts), 'element')} from {data.low:.4g} to {data.high:.4g} · lines: where each method clips"
    styled(figure, title, subtitle, height=360 + 18 * len(data.lines), below=24 + 18 * len(data.lines))
    figure.update_layout(bargap=0, legend=LINE_A_ENTRY)
    figure.update_xaxes(title_text="value")
    return figure.update_yaxes(type="log", title_text="elements", dtick=1)


def _add_threshold(figure: go.Figure, line: ThresholdLine, data: TensorHistogram, index: int) -> None:
    """Add a line at each end of a method's range that the numbers reach."""
    ends = [end for end in (-line.amax, line.amax) if (end < 0) == (data.low < 0) or (end > 0 and data.high > 0)]
    top = max(data.counts)
    x = [value for end in ends for value in (end, end, None)]
    y = [value for _ in ends for value in (0.5, top, None)]
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": series_colour(index + 1), "width": 2, "dash": DASHES.get(line.method, "solid")},
        name=f"{line.method}: ±{line.amax:.4g}, {line.clipped:.3%} clipped",
        hovertemplate=f"{line.method} ±{line.amax:.4g}<br>{line.clipped:.3%} of the elements lie beyond<extra></extra>",
    )


def outlier_data(tensors: Sequence[TensorCalibration], most: int = MOST_TENSORS) -> tuple[OutlierBar, ...]:
    """Return the tensors whose ranges outliers decide, the worst first."""
    return tuple(
        OutlierBar(t.name, t.outlier_ratio, t.amax, t.p999)
        for t in outliers_first(tensors)[:most]
        if t.outlier_ratio is not None and t.amax is not None and t.p999 is not None
    )


def outlier_figure(data: Sequence[OutlierBar]) -> go.Figure:
    """Draw a bar for each tensor: how many times the 99.9th percentile its largest magnitude is."""
    title = "Outliers"
    if not data:
        return empty(title, "No tensor with a range was seen.")
    figure = go.Figure()
    figure.add_bar(
        x=[bar.ratio for bar in data],
        y=list(range(len(data))),
        orientation="h",
        marker={"color": [ALARM if bar.ratio > 8 else CUDA_COLOUR for bar in data]},
        text=[f"{bar.ratio:.1f}" for bar in data],
        textposition="outside",
        cliponaxis=False,
        hovertext=[
            f"<b>{escaped(bar.tensor)}</b><br>largest {bar.amax:.4g}, 99.9th percentile {bar.percentile:.4g}" for bar in data
        ],
        hoverinfo="text",
        showlegend=False,
    )
    subtitle = "largest magnitude over the 99.9th percentile · red: more than 8, three bits spent on a thousandth of the numbers"
    styled(figure, title, subtitle, height=130 + ROW * len(data))
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(data))),
        ticktext=[shortened(bar.tensor) for bar in data],
        range=[len(data) - 0.5, -0.5],
        fixedrange=True,
    )
    return figure.update_xaxes(title_text="times", rangemode="tozero", range=[0, 1.12 * max(bar.ratio for bar in data)])


def settling_data(tensors: Sequence[TensorCalibration], most: int = MOST_CURVES) -> tuple[SettlingCurve, ...]:
    """Return how the ranges grew, of the tensors that settled last."""
    curves = []
    for tensor in tensors:
        after = tensor.settled_after()
        if after is None or not tensor.settling[-1].amax:
            continue
        final = tensor.settling[-1].amax
        samples = tuple(point.samples for point in tensor.settling)
        curves.append(SettlingCurve(tensor.name, samples, tuple(p.amax / final for p in tensor.settling), after))
    return tuple(sorted(curves, key=lambda curve: -curve.settled_after)[:most])


def settling_figure(data: Sequence[SettlingCurve]) -> go.Figure:
    """Draw each tensor's range over the number of samples, as a share of the final one."""
    title = "How many samples until the ranges settle"
    if not data:
        return empty(title, "No tensor with a range was seen.")
    figure = go.Figure()
    for index, curve in enumerate(data):
        figure.add_scatter(
            x=curve.samples,
            y=[100 * share for share in curve.shares],
            mode="lines+markers",
            marker={"size": 4},
            line={"color": series_colour(index), "shape": "hv", "width": 1.5},
            name=f"{shortened(curve.tensor)}: {counted(curve.settled_after, 'sample')}",
            hovertemplate="%{y:.1f} % after %{x:,} samples<extra></extra>",
        )
    figure.add_hline(y=100 * SETTLED, line={"color": INK, "width": 1, "dash": "dot"})
    last = max(curve.settled_after for curve in data)
    subtitle = f"all within {1 - SETTLED:.0%} of the final range after {counted(last, 'sample')} · those that settled last"
    styled(figure, title, subtitle, height=340 + 18 * len(data), below=24 + 18 * len(data))
    figure.update_layout(legend=LINE_A_ENTRY)
    figure.update_xaxes(type="log", title_text="samples")
    return figure.update_yaxes(title_text="% of the final range", range=[0, 105])
