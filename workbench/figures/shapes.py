"""The ranges of a shape profile."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from workbench.figures.palette import CUDA_COLOUR, GROUND, empty, faded, styled
from workbench.figures.words import counted, escaped, shortened

if TYPE_CHECKING:
    from workbench.model.model import Model
    from workbench.options.profile import InputRange, ShapeProfile

ROW = 32


@dataclass(frozen=True, slots=True)
class AxisRange:
    """One axis of one input that may vary; `label` names both."""

    label: str
    min: int
    opt: int
    max: int


@dataclass(frozen=True, slots=True)
class ProfileRanges:
    """The axes that vary, and how many do not."""

    axes: tuple[AxisRange, ...]
    fixed: int


def shapes_data(profile: ShapeProfile, model: Model | None = None) -> ProfileRanges:
    """Return the axes of a shape profile.

    Parameters
    ----------
    profile : ShapeProfile
        An input that it names twice has two profiles.
    model : Model, optional
        Gives the axes their names.
    """
    seen: dict[str, int] = {}
    axes: list[AxisRange] = []
    fixed = 0
    for given in profile.ranges:
        seen[given.name] = seen.get(given.name, 0) + 1
        for axis, (low, opt, high) in enumerate(zip(given.min, given.opt, given.max, strict=True)):
            if low == high:
                fixed += 1
                continue
            several = len(profile.of(given.name)) > 1
            label = f"{given.name}, {_axis_name(given, axis, model)}" + (f" (profile {seen[given.name]})" if several else "")
            axes.append(AxisRange(label, low, opt, high))
    return ProfileRanges(tuple(axes), fixed)


def shapes_figure(data: ProfileRanges) -> go.Figure:
    """Draw each axis from min to max on a scale of powers of two, with a dot at opt."""
    if not data.axes:
        return empty("Shape profile", "All axes are fixed." if data.fixed else "No shape profile is set.")
    figure = go.Figure()
    rows = list(range(len(data.axes)))
    _add_bars(figure, data.axes)
    figure.add_scatter(
        x=[axis.opt for axis in data.axes],
        y=rows,
        mode="markers+text",
        marker={"size": 12, "color": CUDA_COLOUR, "line": {"color": GROUND, "width": 1.5}},
        text=[f"{axis.opt:,}" if axis.min < axis.opt < axis.max else "" for axis in data.axes],
        textposition="top center",
        name="opt",
        hovertext=[f"<b>{escaped(a.label)}</b><br>min {a.min:,}, opt {a.opt:,}, max {a.max:,}" for a in data.axes],
        hoverinfo="text",
    )
    return _laid_out(figure, data)


def _add_bars(figure: go.Figure, axes: tuple[AxisRange, ...]) -> None:
    """Add a bar from min to max for each axis, with both numbers at its ends."""
    x = [value for axis in axes for value in (axis.min, axis.max, None)]
    y = [value for row in range(len(axes)) for value in (row, row, None)]
    line = {"color": faded(CUDA_COLOUR, 0.35), "width": 10}
    figure.add_scatter(x=x, y=y, mode="lines", line=line, name="min to max", hoverinfo="skip")
    for name, side in (("min", "left"), ("max", "right")):
        values = [getattr(axis, name) for axis in axes]
        figure.add_scatter(
            x=values,
            y=list(range(len(axes))),
            mode="text",
            text=[f"\u2003{value:,}\u2003" for value in values],
            textposition=f"middle {side}",
            name=name,
            showlegend=False,
            hoverinfo="skip",
        )


def _axis_name(given: InputRange, axis: int, model: Model | None) -> str:
    """Return the model's own name of an axis, or its position."""
    shapes = [spec.shape for spec in model.inputs if spec.name == given.name] if model else []
    if shapes and shapes[0] is not None and axis < len(shapes[0]) and isinstance(shapes[0][axis], str):
        return str(shapes[0][axis])
    return f"axis {axis}"


def _laid_out(figure: go.Figure, data: ProfileRanges) -> go.Figure:
    fixed = f" · {counted(data.fixed, 'fixed axis', 'fixed axes')} not shown" if data.fixed else ""
    styled(figure, "Shape profile", f"bar: min to max · dot: opt{fixed}", height=130 + ROW * len(data.axes))
    low, high = min(a.min for a in data.axes), max(a.max for a in data.axes)
    powers = [2**power for power in range(low.bit_length() - 1, high.bit_length() + 1)]
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(data.axes))),
        ticktext=[shortened(axis.label) for axis in data.axes],
        range=[len(data.axes) - 0.5, -0.75],
        fixedrange=True,
        ticklabelstandoff=4,
    )
    margin = 0.06 * math.log10(high / low) + 0.1
    return figure.update_xaxes(
        type="log",
        title_text="size (doubling from line to line)",
        tickmode="array",
        tickformat=",",
        tickvals=powers[:: math.ceil(len(powers) / 14)],
        range=[math.log10(low) - margin, math.log10(high) + margin],
    )
