"""Which sizes real requests had, and the profile proposed from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.figures.palette import ALARM, CUDA_COLOUR, INK, QUIET_INK, empty, faded, styled
from workbench.figures.words import counted, shortened

if TYPE_CHECKING:
    from workbench.options.propose import DimensionProposal, Proposal

MOST_BARS = 60
PANEL, GAP = 200, 92  # pixels of one dimension, and of what lies between two
NEAR = 0.12  # share of the axis below which two labels would overlap


@dataclass(frozen=True, slots=True)
class SizeHistogram:
    """The sizes of one dimension.

    Attributes
    ----------
    name : str
        The dimension, and where it stands.
    low, high : tuple of int
        First and last size of each bar.
    counts : tuple of int
        Requests in each bar.
    min, opt, max : int
        The proposal.
    percentile_99 : int or None
        Where few requests beyond it widen the range; ``None`` where they do not.
    at_opt : float
        Share (0 to 1) of requests at the optimum.
    """

    name: str
    low: tuple[int, ...]
    high: tuple[int, ...]
    counts: tuple[int, ...]
    min: int
    opt: int
    max: int
    percentile_99: int | None
    at_opt: float


@dataclass(frozen=True, slots=True)
class ShapeHistogram:
    """The sizes of all dynamic dimensions; `requests` counts what they are of."""

    dimensions: tuple[SizeHistogram, ...]
    requests: int


def shape_histogram_data(proposal: Proposal) -> ShapeHistogram:
    """Return what is drawn of a proposal: a bar for each size, or for equal steps where there are more than 60 sizes."""
    return ShapeHistogram(tuple(_histogram(dimension) for dimension in proposal.dimensions), proposal.requests)


def shape_histogram_figure(data: ShapeHistogram) -> go.Figure:
    """Draw one histogram for each dimension, with min, opt and max marked; dashed: the 99th percentile, where it matters."""
    if not data.dimensions:
        return empty("Shapes of requests", "No requests were seen.")
    count = len(data.dimensions)
    figure = make_subplots(
        rows=count, cols=1, vertical_spacing=min(0.6 / count, GAP / (PANEL * count)), subplot_titles=[" "] * count
    )
    for row, dimension in enumerate(data.dimensions, 1):
        _add_bars(figure, dimension, row)
        _add_marks(figure, dimension, row)
    titles = [f"<b>{shortened(d.name, 60)}</b>  {d.at_opt:.0%} of requests at opt" for d in data.dimensions]
    for annotation, title in zip(figure.layout.annotations, titles, strict=False):
        annotation.update(text=title, x=0, xanchor="left", font={"size": 12}, yshift=8)
    told = f"{counted(data.requests, 'request')} · lines: proposed min, opt and max"
    if any(dimension.percentile_99 is not None for dimension in data.dimensions):
        told += " · dashed: 99 % of requests do not exceed it"
    styled(figure, "Shapes of requests", told, height=90 + PANEL * count)
    figure.update_layout(bargap=0, hovermode="closest", margin={"t": 92})
    return figure


def _histogram(dimension: DimensionProposal) -> SizeHistogram:
    low, high, counts = _bars(dimension.sizes)
    return SizeHistogram(
        name=dimension.name if dimension.places == (dimension.name,) else f"{dimension.name}: {', '.join(dimension.places)}",
        low=low,
        high=high,
        counts=counts,
        min=dimension.min,
        opt=dimension.opt,
        max=dimension.max,
        percentile_99=dimension.percentile_99 if dimension.outliers else None,
        at_opt=dimension.at_opt,
    )


def _bars(sizes: tuple[tuple[int, int], ...]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    first, last = sizes[0][0], sizes[-1][0]
    step = 1 if len(sizes) <= MOST_BARS else -(-(last - first + 1) // MOST_BARS)
    found: dict[int, int] = {}
    for size, count in sizes:
        found[(size - first) // step] = found.get((size - first) // step, 0) + count
    starts = tuple(first + at * step for at in found)
    return starts, tuple(min(start + step - 1, last) for start in starts), tuple(found.values())


def _add_bars(figure: go.Figure, dimension: SizeHistogram, row: int) -> None:
    pairs = list(zip(dimension.low, dimension.high, strict=True))
    widest = max(dimension.high[-1] - dimension.low[0] + 1, 1)
    figure.add_bar(
        x=[(low + high) / 2 for low, high in pairs],
        y=list(dimension.counts),
        width=[max(high - low + 1, widest / 120) for low, high in pairs],
        marker={"color": faded(CUDA_COLOUR, 0.55), "line": {"width": 0}},
        hovertext=[
            f"{low:,}{f' to {high:,}' if high > low else ''}: {counted(count, 'request')}"
            for (low, high), count in zip(pairs, dimension.counts, strict=True)
        ],
        hoverinfo="text",
        name=dimension.name,
        showlegend=False,
        row=row,
        col=1,
    )
    figure.update_yaxes(title_text="requests", rangemode="tozero", fixedrange=True, nticks=4, row=row, col=1)
    figure.update_xaxes(title_text="", tickformat=",", row=row, col=1)


def _add_marks(figure: go.Figure, dimension: SizeHistogram, row: int) -> None:
    """Mark the proposal; what is the same stands at one line."""
    names: dict[int, list[str]] = {}
    for name in ("min", "opt", "max"):
        names.setdefault(getattr(dimension, name), []).append(name)
    lines: list[tuple[int, str, dict[str, Any]]] = [
        (at, f"{' = '.join(which)} {at:,}", {"color": INK, "width": 2 if "opt" in which else 1}) for at, which in names.items()
    ]
    if dimension.percentile_99 is not None and dimension.percentile_99 not in names:
        at = dimension.percentile_99
        lines.append((at, f"99 % {at:,}", {"color": ALARM, "width": 1, "dash": "dash"}))
    top, middle = max(dimension.counts), (dimension.low[0] + dimension.high[-1]) / 2
    span, before, level = max(dimension.high[-1] - dimension.low[0], 1), None, 0
    for at, text, line in sorted(lines, key=lambda one: one[0]):
        # labels of neighbours stand one over the other
        level = level + 1 if before is not None and at - before < NEAR * span else 0
        before = at
        figure.add_scatter(
            x=[at, at], y=[0, top * 1.12], mode="lines", line=line, hoverinfo="skip", showlegend=False, name=text, row=row, col=1
        )
        figure.add_annotation(
            x=at,
            y=top * 1.12,
            text=text,
            showarrow=False,
            yanchor="bottom",
            yshift=13 * level,
            xanchor="left" if at < middle else "right" if at > middle else "center",
            font={"size": 11, "color": line["color"] if line["color"] == ALARM else QUIET_INK},
            row=row,
            col=1,
        )
