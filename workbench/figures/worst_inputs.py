"""The inputs on which a Run is worst, so that one can look at them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.errors import WorkbenchError
from workbench.figures.palette import QUIET_INK, empty, styled
from workbench.figures.words import escaped, wrapped
from workbench.model.model import Model
from workbench.runtime.data.dataset import open_dataset

if TYPE_CHECKING:
    from workbench.runtime.data.dataset import Dataset
    from workbench.study.run import Run

MOST, COLUMNS, CELL = 10, 5, 150
LONGEST_LINE = 4096  # values of a vector that are drawn
TITLE = "Worst inputs"


@dataclass(frozen=True, slots=True)
class ShownInput:
    """One input.

    Attributes
    ----------
    index : int
        Which sample of the data, from 0.
    what : str
        Why it is shown.
    array : ndarray
        Its values: a picture of shape (height, width) or (height, width, 3), or a vector.
    """

    index: int
    what: str
    array: np.ndarray


@dataclass(frozen=True, slots=True)
class WorstInputs:
    """What the figure shows; where there is nothing, `message` says why."""

    inputs: tuple[ShownInput, ...]
    origin: str
    message: str = ""


def worst_indices(run: Run, *, most: int = MOST) -> list[tuple[int, str]]:
    """Return the samples that a Run is wrong on, first those that its reference has right; without labels the farthest.

    Parameters
    ----------
    run : Run
        In any state.
    most : int
        How many.

    Returns
    -------
    list of tuple of int and str
        The sample's number, and what is wrong with it.
    """
    if run.task is not None and run.task.wrong:
        lost = run.task.only_reference or 0
        return [(index, "wrong here only" if at < lost else "wrong") for at, index in enumerate(run.task.wrong[:most])]
    output = next((row for row in run.accuracy if row.over_inputs is not None and not row.not_real), None)
    if output is None or output.over_inputs is None:
        return []
    worst = output.over_inputs.worst[:most]
    return [(w.index, "not finite" if w.rel_l2 is None else f"relative L2 {w.rel_l2:.2g}") for w in worst]


def worst_inputs_data(run: Run, *, most: int = MOST) -> WorstInputs:
    """Read the inputs on which a Run is worst, where model and data still are; parameters as for :func:`worst_indices`."""
    found = worst_indices(run, most=most)
    if run.plan.data is None or not found:
        reason = "was not run on data" if run.plan.data is None else "is wrong on no input"
        return WorstInputs((), "", f"{run.title} {reason}.")
    try:
        dataset = open_dataset(run.plan.data, Model.load(run.model.path))
        shown = tuple(_shown(dataset, index, what) for index, what in found)
    except WorkbenchError as error:  # moved or changed since
        return WorstInputs((), "", str(error))
    return WorstInputs(shown, dataset.origin)


def _shown(dataset: Dataset, index: int, what: str) -> ShownInput:
    label = "" if dataset.labels is None else f", label {np.asarray(dataset.labels[index]).tolist()}"
    return ShownInput(index, f"{what}{label}", picture(dataset.sample(index)[dataset.names[0]]))


def picture(array: np.ndarray) -> np.ndarray:
    """Return an input as it can be drawn: the first of a batch as a picture, or its values one after the other."""
    first = np.asarray(array[0] if array.ndim > 1 else array)
    if first.ndim == 3 and first.shape[0] in (1, 3):
        first = np.moveaxis(first, 0, -1)
    if first.ndim == 3 and first.shape[-1] in (1, 3):
        return first[:, :, 0] if first.shape[-1] == 1 else _scaled(first)
    return first if first.ndim == 2 else first.reshape(-1)[:LONGEST_LINE]


def _scaled(image: np.ndarray) -> np.ndarray:
    """Return colours from 0 to 255, whatever was done to them before."""
    low, high = float(image.min()), float(image.max())
    scaled: np.ndarray = ((image - low) / (high - low or 1.0) * 255).astype(np.uint8)
    return scaled


def worst_inputs_figure(data: WorstInputs) -> go.Figure:
    """Draw the inputs side by side, the worst first."""
    if not data.inputs:
        return empty(TITLE, wrapped(data.message))
    rows = math.ceil(len(data.inputs) / COLUMNS)
    titles = [f"sample {shown.index}<br>{escaped(shown.what)}" for shown in data.inputs]
    spacing = {"horizontal_spacing": 0.02, "vertical_spacing": min(0.3, 0.5 / rows)}
    figure = make_subplots(rows=rows, cols=COLUMNS, subplot_titles=titles, **spacing)
    for at, shown in enumerate(data.inputs):
        place = {"row": at // COLUMNS + 1, "col": at % COLUMNS + 1}
        figure.add_trace(_trace(shown.array), **place)
        if shown.array.ndim > 1:
            figure.update_yaxes(autorange="reversed", scaleanchor=f"x{at + 1 if at else ''}", **place)
    styled(figure, TITLE, f"of {escaped(data.origin)}", height=90 + rows * (CELL + 50))
    figure.layout.margin.t += 30
    figure.update_xaxes(showticklabels=False, ticks="", showline=False, showgrid=False, constrain="domain")
    figure.update_yaxes(showticklabels=False, ticks="", showline=False, showgrid=False, constrain="domain")
    figure.for_each_annotation(lambda note: note.update(font={"size": 11, "color": QUIET_INK}))
    return figure


def _trace(array: np.ndarray) -> go.Heatmap | go.Image | go.Scatter:
    if array.ndim == 3:
        return go.Image(z=array)
    if array.ndim == 2:
        return go.Heatmap(z=array, colorscale="Greys", showscale=False)
    return go.Scatter(y=array, mode="lines", line={"width": 1}, showlegend=False)
