"""Which nodes break lower precision: their numbers, the error they add, and which must stay in float32."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.figures.palette import ALARM, QUIET_INK, REMOVED_COLOUR, SERIES_COLOURS, empty, styled
from workbench.figures.words import escaped, shortened, wrapped
from workbench.measure.halving import LARGEST

if TYPE_CHECKING:
    from workbench.study.sensitivity_records import RankedNode, Sensitivity

MOST = 24
ROW = 24
COLUMNS = ("largest magnitude", "error added (relative L2)")
LIMITS = {"fp16": LARGEST["fp16"]}  # bfloat16's is float32's, which no finite number passes
TITLE = "What breaks lower precision"


@dataclass(frozen=True, slots=True)
class SensitivityRow:
    """One node.

    Attributes
    ----------
    node, op_type : str
        Its name and operator.
    keep : bool
        Whether it must stay in float32.
    hard : bool
        Whether numbers become infinite or NaN.
    largest : float or None
        Largest magnitude that it reads or writes in float32.
    growth : float or None
        The error that it adds; ``None`` where it adds none, or none that is finite.
    hover : str
        All that is known of it.
    """

    node: str
    op_type: str
    keep: bool
    hard: bool
    largest: float | None
    growth: float | None
    hover: str


@dataclass(frozen=True, slots=True)
class SensitivityRows:
    """What the figure shows: the most suspicious nodes, from the top down.

    Attributes
    ----------
    limit : float or None
        The largest number of the precision, where float32 numbers can pass it.
    hidden : int
        How many candidates are not drawn.
    sentence : str
        What was found.
    """

    rows: tuple[SensitivityRow, ...]
    limit: float | None
    hidden: int
    sentence: str


def sensitivity_data(found: Sensitivity, *, most: int = MOST) -> SensitivityRows:
    """Return the rows of a search.

    Parameters
    ----------
    found : Sensitivity
        What a search found.
    most : int
        Nodes to draw.
    """
    rows = tuple(_row(ranked) for ranked in found.ranking[:most])
    return SensitivityRows(rows, LIMITS.get(found.lowering.to), len(found.ranking) - len(rows), found.sentence)


def sensitivity_figure(data: SensitivityRows) -> go.Figure:
    """Draw a row for each node: its largest number against the limit, and the error that it adds.

    Each dot carries the node's name as ``customdata``.
    """
    if not data.rows:
        return empty(TITLE, wrapped(data.sentence))
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.04, subplot_titles=COLUMNS)
    for keep, name, colour in ((True, "stays in float32", ALARM), (False, "lowered", SERIES_COLOURS[0])):
        _add(figure, data, [row.largest for row in data.rows], keep=keep, name=name, colour=colour, column=1)
        _add(figure, data, [row.growth for row in data.rows], keep=keep, name=name, colour=colour, column=2)
    if data.limit is not None:
        figure.add_vline(x=data.limit, line={"color": QUIET_INK, "dash": "dash", "width": 1}, row=1, col=1)
        place = {"x": math.log10(data.limit), "xref": "x", "xanchor": "left", "y": 0, "yref": "y domain", "yanchor": "bottom"}
        figure.add_annotation(text=f"{data.limit:,.0f}", showarrow=False, font={"size": 11, "color": QUIET_INK}, **place)
    return _laid_out(figure, data)


def _row(ranked: RankedNode) -> SensitivityRow:
    node = ranked.node
    lines = [f"<b>{shortened(node.name, 80)}</b> {escaped(node.op_type)}"]
    lines += [f"largest magnitude {node.largest:.4g}"] if node.largest is not None else []
    lines += [f"error of its outputs {node.error:.3g}, added here {node.growth:.3g}"] if node.error is not None else []
    lines += [wrapped(cause) for cause in node.causes]
    lines += [f"kept alone in float32: {escaped(str(ranked.alone))}"] if ranked.alone is not None else []
    return SensitivityRow(
        node=node.name,
        op_type=node.op_type,
        keep=ranked.keep,
        hard=node.hard,
        largest=node.largest or None,
        growth=node.growth or None,
        hover="<br>".join(lines),
    )


def _add(  # noqa: PLR0913
    figure: go.Figure, data: SensitivityRows, values: list[float | None], *, keep: bool, name: str, colour: str, column: int
) -> None:
    drawn = [(at, row, value) for at, (row, value) in enumerate(zip(data.rows, values, strict=True)) if value]
    drawn = [(at, row, value) for at, row, value in drawn if row.keep == keep]
    if not drawn and column == 2:
        return
    figure.add_scatter(
        x=[value for _, _, value in drawn],
        y=[at for at, _, _ in drawn],
        mode="markers",
        marker={"size": 9, "color": colour, "symbol": ["diamond" if row.hard else "circle" for _, row, _ in drawn]},
        name=name,
        legendgroup=name,
        showlegend=column == 1 and bool(drawn),
        customdata=[row.node for _, row, _ in drawn],
        hovertext=[row.hover for _, row, _ in drawn],
        hoverinfo="text",
        row=1,
        col=column,
    )


def _laid_out(figure: go.Figure, data: SensitivityRows) -> go.Figure:
    hidden = f"<br>{data.hidden:,} further nodes are not drawn" if data.hidden else ""
    marks = "<br>diamond: numbers become infinite or NaN" if any(row.hard for row in data.rows) else ""
    subtitle = wrapped(data.sentence) + marks + hidden
    styled(figure, TITLE, subtitle, height=160 + ROW * len(data.rows) + 16 * subtitle.count("<br>"), below=26)
    figure.layout.margin.t += 22  # the titles of the columns
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(data.rows))),
        ticktext=[_label(row) for row in data.rows],
        range=[len(data.rows) - 0.5, -0.5],
        fixedrange=True,
    )
    figure.update_yaxes(ticks="", row=1, col=2)
    magnitudes = [row.largest for row in data.rows if row.largest] + ([data.limit] if data.limit else [])
    figure.update_xaxes(**_axis(magnitudes), row=1, col=1)
    figure.update_xaxes(**_axis([row.growth for row in data.rows if row.growth]), row=1, col=2)
    figure.for_each_annotation(lambda a: a.update(font={"size": 12, "color": QUIET_INK}) if a.yref == "paper" else None)
    return figure


def _label(row: SensitivityRow) -> str:
    name = shortened(row.node, 40)
    return f"<b style='color:{ALARM}'>{name}</b>" if row.keep else name


def _axis(values: list[float]) -> dict[str, object]:
    """Return a logarithmic axis of whole decades around the values."""
    if not values:
        return {"showticklabels": False, "ticks": "", "range": [0, 1], "showgrid": False, "linecolor": REMOVED_COLOUR}
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    step = max(1, math.ceil((high - low) / 4))
    return {"type": "log", "range": [low - 0.3, high + 0.3], "tick0": low, "dtick": step, "tickformat": ".0e"}
