"""The layers of TensorRT's engines: how much of the time is in which precision, and which layers take the most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from workbench.figures.palette import OTHER_COLOUR, REMOVED_COLOUR, SERIES_COLOURS, empty, styled
from workbench.figures.words import counted, escaped, milliseconds, shortened, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.measure.delivered import EngineDelivered
    from workbench.measure.layers import EngineLayer

TITLE = "Layers of TensorRT's engines"
ROW, TOTAL, GAP, OUTSIDE = 22, 34, 44, 150  # pixels: a layer, the bar of all, between them, around them
MOST = 15
MOST_NODES = 12
MOVING, UNTOLD = "moves data", "not told"
COLOURS = {
    "fp32": SERIES_COLOURS[0],
    "fp16": SERIES_COLOURS[2],
    "bf16": SERIES_COLOURS[5],
    "int8": SERIES_COLOURS[4],
    "fp8": SERIES_COLOURS[1],
    "integer": SERIES_COLOURS[6],
    MOVING: REMOVED_COLOUR,
    UNTOLD: "#888888",
}
ALL = "all layers"


@dataclass(frozen=True, slots=True)
class LayerBar:
    """One layer.

    Attributes
    ----------
    key : str
        Which engine and which of its layers, as ``0:12``.
    name, engine : str
        The layer's and its engine's.
    kind : str
        What it computes in, ``moves data`` or ``not told``.
    value : float
        Milliseconds an inference; 1 where the layers were not timed.
    nodes : tuple of str
        The ONNX nodes that it was made of.
    """

    key: str
    name: str
    engine: str
    kind: str
    value: float
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KindTotal:
    """All layers of one kind: how many, and their milliseconds an inference, or their number where they were not timed."""

    kind: str
    layers: int
    value: float


@dataclass(frozen=True, slots=True)
class LayersShown:
    """What the figure shows.

    Attributes
    ----------
    timed : bool
        Whether all engines' layers were timed; else layers are counted.
    kinds : tuple of KindTotal
        The largest first.
    top : tuple of LayerBar
        The slowest first; empty where they were not timed.
    layers : int
        How many there are.
    asked : tuple of str
        The precisions that TensorRT was allowed beside fp32.
    inputs : str
        What they were timed on.
    """

    timed: bool
    kinds: tuple[KindTotal, ...]
    top: tuple[LayerBar, ...]
    layers: int
    asked: tuple[str, ...]
    inputs: str


def kind_of(layer: EngineLayer) -> str:
    """Return what a layer computes in, ``moves data``, or ``not told``."""
    return MOVING if layer.moving else layer.precision or UNTOLD


def key_of(engine: int, layer: int) -> str:
    """Return the key of a layer: the number of its engine, and its own in that engine's order."""
    return f"{engine}:{layer}"


def layers_data(engines: Sequence[EngineDelivered], *, most: int = MOST) -> LayersShown:
    """Return totals by precision, and the slowest layers.

    Parameters
    ----------
    engines : sequence of EngineDelivered
        Of one Run, or one entry of the cache; of several shape profiles the first counts.
    most : int
        How many layers to show at most.
    """
    timed = bool(engines) and all(engine.runs for engine in engines)
    bars = [
        LayerBar(key_of(i, j), layer.name, engine.file, kind_of(layer), (layer.ms or 0.0) if timed else 1.0, layer.nodes)
        for i, engine in enumerate(engines)
        for j, layer in enumerate(engine.layers)
        if layer.profile == 0
    ]
    kinds = [_total(kind, bars) for kind in dict.fromkeys(bar.kind for bar in bars)]
    top = sorted(bars, key=lambda bar: -bar.value)[:most] if timed else []
    return LayersShown(
        timed=timed,
        kinds=tuple(sorted(kinds, key=lambda total: -total.value)),
        top=tuple(top),
        layers=len(bars),
        asked=tuple(dict.fromkeys(precision for engine in engines for precision in engine.found.asked)),
        inputs="; ".join(dict.fromkeys(engine.inputs for engine in engines if engine.inputs)),
    )


def _total(kind: str, bars: Sequence[LayerBar]) -> KindTotal:
    own = [bar for bar in bars if bar.kind == kind]
    return KindTotal(kind, len(own), sum(bar.value for bar in own))


def layers_figure(data: LayersShown) -> go.Figure:
    """Draw one bar of all layers, split by precision, and below it the slowest layers.

    Both have a scale of their own. The bars of single layers carry their key as ``customdata``.
    """
    if not data.layers:
        return empty(TITLE, "No engine was looked into.")
    figure = go.Figure()
    for total in data.kinds:
        _add(figure, total.kind, [total.value], [0], [""], [_whole(data, total)], above=True)
        own = [bar for bar in data.top if bar.kind == total.kind]
        if own:
            places = [data.top.index(bar) for bar in own]
            _add(figure, total.kind, [b.value for b in own], places, [b.key for b in own], [_hover(b) for b in own], above=False)
    return _laid_out(figure, data)


def _add(  # noqa: PLR0913, PLR0917
    figure: go.Figure, kind: str, x: list[float], y: list[int], keys: list[str], texts: list[str], *, above: bool
) -> None:
    axes = {"xaxis": "x2", "yaxis": "y2"} if above else {}
    figure.add_bar(
        x=x,
        y=y,
        orientation="h",
        name=kind,
        legendgroup=kind,
        showlegend=above,
        marker={"color": COLOURS.get(kind, OTHER_COLOUR)},
        customdata=keys,
        hovertext=texts,
        hoverinfo="text",
        **axes,
    )


def _whole(data: LayersShown, total: KindTotal) -> str:
    sum_ = sum(each.value for each in data.kinds)
    share = f" ({total.value / sum_:.0%})" if sum_ else ""
    time = f"<br>{milliseconds(total.value)}{share}" if data.timed else share
    return f"<b>{escaped(total.kind)}</b><br>{counted(total.layers, 'layer')}{time}"


def _hover(bar: LayerBar) -> str:
    more = len(bar.nodes) - MOST_NODES
    nodes = ", ".join(bar.nodes[:MOST_NODES]) + (f" and {more} more" if more > 0 else "")
    made = f"<br>of {wrapped(nodes)}" if nodes else ""
    return f"<b>{wrapped(bar.name)}</b><br>{escaped(bar.kind)}, {milliseconds(bar.value)}{made}"


def _laid_out(figure: go.Figure, data: LayersShown) -> go.Figure:
    asked = f"asked for {'+'.join(data.asked)}" if data.asked else "nothing below fp32 was asked for"
    how = f"timed layer by layer on {data.inputs}" if data.timed else "layers were not timed: their number"
    height = TOTAL + (GAP + ROW * len(data.top) if data.top else 0)
    styled(figure, TITLE, f"{escaped(asked)} · {escaped(how)}", height=OUTSIDE + height, below=24)
    split = TOTAL / height
    unit = "ms an inference" if data.timed else "layers"
    figure.update_layout(
        barmode="stack",
        hovermode="closest",
        bargap=0.25,
        legend={"traceorder": "normal"},
        yaxis2={"domain": [1 - split, 1], "tickvals": [0], "ticktext": [ALL], "range": [-0.6, 0.6], "fixedrange": True},
        xaxis2={"anchor": "y2", "rangemode": "tozero", "title": {"text": "" if data.top else unit}},
    )
    if data.top:
        ticks = {"tickvals": list(range(len(data.top))), "ticktext": [shortened(bar.name, 40) for bar in data.top]}
        domain, ends = [0, ROW * len(data.top) / height], [len(data.top) - 0.4, -0.6]
        figure.update_layout(
            yaxis={"domain": domain, "range": ends, "fixedrange": True, **ticks},
            xaxis={"title": {"text": unit}, "rangemode": "tozero"},
        )
    return figure
