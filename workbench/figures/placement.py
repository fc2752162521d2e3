"""Who runs each node, as a strip in topological order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from workbench.figures.palette import (
    GROUND,
    INK,
    PREDICTED_PATTERN,
    TENSORRT_COLOUR,
    empty,
    faded,
    provider_colour,
    provider_label,
    styled,
    text_colour,
)
from workbench.figures.words import counted, escaped, shortened, wrapped
from workbench.placement.records import PROVIDERS, TENSORRT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.placement.records import PlacedNode, Placement
    from workbench.record import Evidence

ONE_CELL_A_NODE = 2000
CELLS_APART = 200
ROUNDED = 0.999  # plotly.js widens opaque bars to a pixel at least, and rounds others to whole pixels
SHARES, STRIP, ENGINES = 2.0, 1.0, 0.4


@dataclass(frozen=True, slots=True)
class Segment:
    """Neighbouring nodes drawn as one cell.

    Attributes
    ----------
    first, last : int
        Indices into the placement's nodes, both included.
    provider : str or None
        ``None`` where ONNX Runtime removed the nodes.
    engine : int or None
        Number of the TensorRT engine, from 1; ``None`` elsewhere.
    hover : str
        What the cell tells.
    """

    first: int
    last: int
    provider: str | None
    engine: int | None
    hover: str

    @property
    def length(self) -> int:
        """How many nodes it stands for."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Share:
    """How many nodes a provider runs; `percent` of the placed nodes, ``None`` for those that were removed."""

    provider: str | None
    nodes: int
    percent: float | None


@dataclass(frozen=True, slots=True)
class PlacementStrip:
    """A placement as it is drawn.

    Attributes
    ----------
    segments : tuple of Segment
        The cells, from the first node to the last: one a node below 2,000 nodes, else one a run of equal neighbours.
    runs : tuple of Segment
        The runs of neighbours in the same TensorRT engine.
    shares : tuple of Share
        TensorRT, CUDA, CPU, other providers, and removed nodes last.
    message : str
        Why there is no strip; empty when there is one.
    """

    model: str
    evidence: Evidence
    runtime: str
    nodes: int
    engines: int
    segments: tuple[Segment, ...]
    runs: tuple[Segment, ...]
    shares: tuple[Share, ...]
    notes: tuple[str, ...]
    message: str = ""


def placement_data(placement: Placement) -> PlacementStrip:
    """Return what the strip of a placement shows."""
    numbers = _engine_numbers(placement)
    merged = len(placement.nodes) >= ONE_CELL_A_NODE
    return PlacementStrip(
        model=placement.model,
        evidence=placement.evidence,
        runtime=_runtime(placement),
        nodes=len(placement.nodes),
        engines=placement.engines(),
        segments=tuple(_segments(placement, numbers, merged=merged)),
        runs=tuple(s for s in _segments(placement, numbers, merged=True) if s.engine is not None),
        shares=tuple(_shares(placement)),
        notes=placement.notes,
        message=_message(placement),
    )


def placement_figure(data: PlacementStrip, selected: int | None = None) -> go.Figure:
    """Draw the strip.

    The cells carry ``customdata`` ``[first, last]``, the indices of the nodes that they stand for. The last trace,
    ``selected``, marks one node.

    Parameters
    ----------
    data : PlacementStrip
        From :func:`placement_data`.
    selected : int, optional
        Index of the node to mark.
    """
    heading = f"{data.evidence.capitalize()} placement of {shortened(data.model)}"
    if data.message:
        return empty(heading, data.message, data.runtime)
    figure = go.Figure()
    # Where cells are narrower than a pixel, what is drawn later wins: the rarer providers, so that no node of theirs is lost.
    for rank, share in sorted(enumerate(data.shares), key=lambda item: (item[1].provider is not None, -item[1].nodes)):
        _add_cells(figure, data, share, rank)
    _add_shares(figure, data.shares)
    _add_engines(figure, data)
    mark = {"symbol": "triangle-down", "size": 14, "color": INK, "line": {"color": GROUND, "width": 1}}
    at = [] if selected is None else [selected + 0.5]
    figure.add_scatter(
        x=at, y=[STRIP + 0.4] * len(at), mode="markers", marker=mark, name="selected", hoverinfo="skip", showlegend=False
    )
    return _laid_out(figure, data, heading)


def _add_cells(figure: go.Figure, data: PlacementStrip, share: Share, rank: int) -> None:
    """Add a provider's cells."""
    cells = [segment for segment in data.segments if segment.provider == share.provider]
    name = f"{provider_label(share.provider)}: {counted(share.nodes, 'node')}"
    name += "" if share.percent is None else f", {_percent(share.percent)}"
    common = share.provider is None or share.nodes == max(s.nodes for s in data.shares if s.provider is not None)
    colour = provider_colour(share.provider)
    marker = _marker(data, faded(colour, ROUNDED) if common else colour)
    pattern = PREDICTED_PATTERN if data.evidence == "predicted" else ""
    marker["pattern"] = {"shape": pattern, "fgcolor": faded(GROUND, 0.75), "fillmode": "overlay", "size": 7, "solidity": 0.15}
    _add_bars(figure, cells, name, STRIP, {"marker": marker, "width": 0.55, "legendrank": 1000 + rank})


def _add_shares(figure: go.Figure, shares: tuple[Share, ...]) -> None:
    """Add a bar divided between the providers by their share of the placed nodes."""
    start = 0.0
    for share in shares:
        if share.percent is None:
            continue
        label = f"{provider_label(share.provider)} {_percent(share.percent)}"
        figure.add_bar(
            name=f"share of {provider_label(share.provider)}",
            base=[start],
            x=[share.percent],
            y=[SHARES],
            xaxis="x2",
            width=0.5,
            orientation="h",
            marker={"color": provider_colour(share.provider), "line": {"width": 0}},
            text=[label if share.percent >= 12 else ""],
            textposition="inside",
            insidetextanchor="middle",
            textfont={"color": text_colour(share.provider), "size": 13},
            hoverinfo="text",
            hovertext=[f"{label}: {counted(share.nodes, 'node')}"],
            showlegend=False,
        )
        start += share.percent


def _add_engines(figure: go.Figure, data: PlacementStrip) -> None:
    """Add the TensorRT engines under the strip; neighbours differ in shade, so that their border shows."""
    if not data.runs:
        return
    dark, light = faded(TENSORRT_COLOUR, ROUNDED), faded(TENSORRT_COLOUR, 0.55)
    marker = _marker(data, [dark if (run.engine or 0) % 2 else light for run in data.runs])
    _add_bars(figure, list(data.runs), "TensorRT engines", ENGINES, {"marker": marker, "width": 0.2, "showlegend": False})


def _add_bars(figure: go.Figure, cells: list[Segment], name: str, y: float, look: dict[str, Any]) -> None:
    figure.add_bar(
        name=name,
        base=[cell.first for cell in cells],
        x=[cell.length for cell in cells],
        y=[y] * len(cells),
        orientation="h",
        customdata=[[cell.first, cell.last] for cell in cells],
        hoverinfo="text",
        hovertext=[cell.hover for cell in cells],
        **look,
    )


def _marker(data: PlacementStrip, colour: str | list[str]) -> dict[str, Any]:
    """Return how cells look: apart from each other where there is room."""
    return {"color": colour, "line": {"width": 1 if data.nodes <= CELLS_APART else 0, "color": GROUND}}


def _laid_out(figure: go.Figure, data: PlacementStrip, heading: str) -> go.Figure:
    engines = f", {counted(data.engines, 'TensorRT engine')}" if data.engines else ""
    hint = "hatched: predicted, not measured" if data.evidence == "predicted" else ""
    source = " · ".join(filter(None, (data.runtime, hint)))
    notes = [wrapped(note, 110) for note in data.notes[:2]]
    subtitle = "<br>".join(filter(None, (source, f"{counted(data.nodes, 'node')}{engines}", *notes)))
    styled(figure, heading, subtitle, height=270 + 16 * subtitle.count("<br>"), below=34)
    ticks = {SHARES: "share of nodes", STRIP: "nodes"} | ({ENGINES: "engines"} if data.runs else {})
    figure.update_layout(
        barmode="overlay",
        bargap=0,
        hovermode="closest",
        xaxis={"range": [0, data.nodes], "title": {"text": "position in topological order"}, "showgrid": False},
        xaxis2={"range": [0, 100], "overlaying": "x", "visible": False, "fixedrange": True},
        yaxis={"range": [0.2 if data.runs else 0.6, 2.35], "fixedrange": True, "showgrid": False, "showline": False, "ticks": ""},
    )
    return figure.update_yaxes(tickmode="array", ticklabelstandoff=6, tickvals=list(ticks), ticktext=list(ticks.values()))


def _segments(placement: Placement, numbers: dict[int, int], *, merged: bool) -> Iterator[Segment]:
    """Yield the cells, in order; `merged` joins neighbours with the same provider and TensorRT engine."""

    def place(item: tuple[int, PlacedNode]) -> tuple[str | None, int | None, int]:
        index, node = item
        engine = numbers.get(node.group) if node.group is not None else None
        return node.provider, engine, 0 if merged else index

    for (provider, engine, _), members in groupby(enumerate(placement.nodes), place):
        items = list(members)
        where = provider_label(provider) + (f", engine {engine}" if engine is not None else "")
        hover = _hover([node for _, node in items], where, items[0][0])
        yield Segment(items[0][0], items[-1][0], provider, engine, hover)


def _hover(nodes: list[PlacedNode], where: str, first: int) -> str:
    if len(nodes) == 1:
        head = f"<b>{shortened(nodes[0].name, 90)}</b><br>{escaped(nodes[0].op_type)} · {where}"
    else:
        commonest = Counter(node.op_type for node in nodes).most_common(5)
        operators = ", ".join(f"{escaped(op)} ×{count:,}" for op, count in commonest)
        head = f"<b>{len(nodes):,} nodes, {first:,} to {first + len(nodes) - 1:,}</b> · {where}<br>{operators}"
    reasons = list(dict.fromkeys(node.reason for node in nodes if node.reason))
    more = f"<br>and {counted(len(reasons) - 1, 'other reason')}" if len(reasons) > 1 else ""
    return head + (f"<br>{wrapped(reasons[0])}{more}" if reasons else "")


def _engine_numbers(placement: Placement) -> dict[int, int]:
    """Return the number of each TensorRT group, from 1 in the order of the groups."""
    groups = [index for index, group in enumerate(placement.groups) if group.provider == TENSORRT]
    return {group: number for number, group in enumerate(groups, 1)}


def _shares(placement: Placement) -> Iterator[Share]:
    counts = Counter(node.provider for node in placement.nodes)
    removed = counts.pop(None, 0)
    total = counts.total()
    known = [provider for provider in PROVIDERS if provider in counts]
    for provider in [*known, *sorted(set(counts) - set(known), key=str)]:
        yield Share(provider, counts[provider], 100 * counts[provider] / total)
    if removed:
        yield Share(None, removed, None)


def _percent(value: float) -> str:
    """Return a percentage that says 100 % only of all nodes, and 0 % only of none."""
    return f"{min(max(value, 0.1), 99.9):.1f} %" if 0 < value < 100 else f"{value:.0f} %"


def _runtime(placement: Placement) -> str:
    versions = placement.runtime
    named = (("ONNX Runtime", versions.onnxruntime), ("TensorRT", versions.tensorrt))
    return ", ".join(f"{name} {escaped(version)}" for name, version in named if version)


def _message(placement: Placement) -> str:
    if placement.nodes:
        return ""
    error = placement.error
    if error is None:
        return "There is no placement: the model has no nodes."
    return f"There is no placement ({error.kind}).<br>" + wrapped(f"{error.message} {error.remedy}")
