"""The shapes that requests really had: counted, and read from a list or a CSV file."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import InputError, SettingsError, nearest
from workbench.model.shape_operands import shape_tensors, values_of
from workbench.options.shapes import parse_shape
from workbench.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from workbench.model.model import Model

Sizes = tuple[tuple[str, int], ...]
TOLD = 3  # bad lines in one message


class SeenRequest(Record):
    """Requests of equal sizes.

    Attributes
    ----------
    sizes : tuple of (str, int)
        The size of each dynamic dimension, by its symbolic name; ``x[0]`` for axis 0 of input ``x`` where it has none, and
        for value 0 of an input whose values decide shapes. In the model's order; a dimension may be missing.
    count : int
        How many requests.
    """

    sizes: Sizes
    count: int


def dimension_labels(model: Model) -> dict[str, tuple[str, ...]]:
    """Return each dynamic dimension of a model's inputs and where it stands, such as ``{"batch": ("x[0]", "mask[0]")}``.

    Inputs whose values decide shapes stand there with a label for each value.
    """
    places: dict[str, list[str]] = {}
    for spec in model.inputs:
        for axis, dim in enumerate(spec.shape or ()):
            if not isinstance(dim, int):
                places.setdefault(dim or f"{spec.name}[{axis}]", []).append(f"{spec.name}[{axis}]")
    for spec in shape_tensors(model):
        for at in range(values_of(spec)):
            places.setdefault(f"{spec.name}[{at}]", []).append(f"{spec.name}[{at}]")
    return {name: tuple(where) for name, where in places.items()}


def seen_shapes(model: Model, requests: Iterable[Mapping[str, Sequence[int]]]) -> tuple[SeenRequest, ...]:
    """Count requests of equal shapes.

    Parameters
    ----------
    model : Model
        The model.
    requests : iterable of mapping of str to sequence of int
        Of each request the shape of each input, or of some; values instead for inputs whose values decide shapes.

    Raises
    ------
    InputError
        Naming the request, counted from 1, that does not fit the model.
    """
    counted: Counter[Sizes] = Counter()
    for number, request in enumerate(requests, 1):
        try:
            sizes = dict(pair for name, shape in request.items() for pair in sizes_of_input(model, name, shape))
        except InputError as error:
            raise InputError(f"request {number}: {error.message}", remedy=error.remedy) from error
        counted[_ordered(model, sizes)] += 1
    return _seen(counted)


def sizes_of_input(model: Model, name: str, shape: Sequence[int]) -> Iterator[tuple[str, int]]:
    """Yield (dimension, size) for each dynamic dimension of an input that has this shape, or holds these values.

    Raises
    ------
    InputError
        For an unknown input, and a shape that does not fit it.
    """
    spec = next((spec for spec in model.inputs if spec.name == name), None)
    if spec is None:
        known = [each.name for each in model.inputs]
        raise InputError(f"{model.name} has no input {name!r}.", remedy=nearest(name, known) or f"It has {', '.join(known)}.")
    if name in {each.name for each in shape_tensors(model)}:
        yield from ((f"{name}[{at}]", int(value)) for at, value in enumerate(shape))
        return
    if spec.shape is None or len(spec.shape) != len(shape):
        raise InputError(f"input {name!r} has {len(shape)} dimensions; the model's is {spec}.")
    for axis, (dim, size) in enumerate(zip(spec.shape, shape, strict=True)):
        if isinstance(dim, int) and dim != size:
            raise InputError(f"axis {axis} of input {name!r} is {size}; the model fixes it to {dim}.")
        if not isinstance(dim, int):
            if size < 1:
                raise InputError(f"axis {axis} of input {name!r} is {size}; dimensions must be 1 or more.")
            yield dim or f"{name}[{axis}]", int(size)


def read_shapes(path: str | Path, model: Model) -> tuple[SeenRequest, ...]:
    """Read the shapes of requests from a CSV file with a header, which decides what the columns are.

    ``name`` and ``shape``: each row is one input's shape, such as ``x,1x3x224x224``. Else each row is a request, and each
    column a symbolic dimension (``batch``), an axis (``x[0]``), or an input (``x``, with shapes in its cells). In both a
    column ``count`` may say how many requests were alike. Empty cells say nothing.

    Raises
    ------
    InputError
        When the file cannot be read, a column is unknown, or rows are wrong: the message names the first lines.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _read(csv.reader(file), model, path.name)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read as CSV: {reason}.", remedy="Write it as UTF-8, with a header.") from error


def _read(rows: Iterator[list[str]], model: Model, where: str) -> tuple[SeenRequest, ...]:
    header = [cell.strip() for cell in next(rows, [])]
    labels = dimension_labels(model)
    by_input = {"name", "shape"} <= set(header) and not {"name", "shape"} & set(labels)
    if not by_input:
        _check_header(header, model, labels, where)
    counted: Counter[Sizes] = Counter()
    wrong: list[str] = []
    for line, row in enumerate(rows, 2):
        if not any(cell.strip() for cell in row):
            continue
        try:
            cells = _cells(header, row)
            count = _whole(cells.pop("count", ""), "count", default=1) if "count" not in labels else 1
            sizes = _named_row(cells, model) if by_input else _row(cells, model, labels)
        except (InputError, SettingsError) as error:
            wrong.append(f"line {line}: {error.message}")
        else:
            counted[_ordered(model, sizes)] += count
    if wrong:
        more = f" ({len(wrong) - TOLD} more lines are wrong)" if len(wrong) > TOLD else ""
        raise InputError(f"{where}, {' '.join(wrong[:TOLD])}{more}", remedy="Correct these lines, or leave them out.")
    if not counted:
        raise InputError(f"{where}: holds no shapes.", remedy=_columns(model, labels))
    return _seen(counted)


def _check_header(header: list[str], model: Model, labels: Mapping[str, tuple[str, ...]], where: str) -> None:
    axes = {place for places in labels.values() for place in places}
    inputs = [spec.name for spec in model.inputs]
    known = [*labels, *axes, *inputs, "count"]
    unknown = [column for column in header if column not in known and not _fixed_axis(column, model)]
    if unknown or not set(header) - {"count"}:
        what = f"column {unknown[0]!r} is no dimension and no input of {model.name}" if unknown else "has no columns"
        hint = nearest(unknown[0], known) if unknown else ""
        raise InputError(f"{where}: {what}.", remedy=f"{hint} {_columns(model, labels)}".strip())


def _columns(model: Model, labels: Mapping[str, tuple[str, ...]]) -> str:
    wanted = ", ".join(labels) or ", ".join(spec.name for spec in model.inputs)
    return f"The first line names the columns: {wanted}; or name,shape."


def _fixed_axis(column: str, model: Model) -> bool:
    """Whether a column is an axis whose size the model fixes."""
    name, bracket, rest = column.rpartition("[")
    shape = next((spec.shape for spec in model.inputs if spec.name == name), None)
    axis = rest.removesuffix("]")
    return bool(bracket) and rest.endswith("]") and axis.isdecimal() and shape is not None and int(axis) < len(shape)


def _cells(header: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    if len(row) > len(header) and any(cell.strip() for cell in row[len(header) :]):
        raise InputError(f"has {len(row)} cells, the header {len(header)}.")
    return {column: cell.strip() for column, cell in zip(header, row, strict=False)}


def _named_row(cells: Mapping[str, str], model: Model) -> dict[str, int]:
    name, shape = cells.get("name", ""), cells.get("shape", "")
    return dict(sizes_of_input(model, name, parse_shape(shape.replace(" ", ""), f"input {name!r}")))


def _row(cells: Mapping[str, str], model: Model, labels: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    label_of = {place: label for label, places in labels.items() for place in places} | {label: label for label in labels}
    inputs = {spec.name: spec for spec in model.inputs}
    found: dict[str, int] = {}
    for column, cell in cells.items():
        if not cell:
            continue
        if column in label_of:
            pairs: list[tuple[str, int]] = [(label_of[column], _whole(cell, column))]
        elif column in inputs:
            pairs = list(sizes_of_input(model, column, parse_shape(cell.replace(" ", ""), f"input {column!r}")))
        else:
            pairs = []
            _check_fixed(column, _whole(cell, column), model)
        for label, size in pairs:
            if found.setdefault(label, size) != size:
                raise InputError(f"dimension {label!r} is {found[label]} and {size} at once.")
    if not found:
        raise InputError("says nothing of a dynamic dimension.")
    return found


def _check_fixed(column: str, size: int, model: Model) -> None:
    name, _, rest = column.rpartition("[")
    axis = int(rest.removesuffix("]"))
    shape = next(spec.shape for spec in model.inputs if spec.name == name)
    if shape is not None and shape[axis] != size:
        raise InputError(f"{column} is {size}; the model fixes it to {shape[axis]}.")


def _whole(cell: str, column: str, *, default: int | None = None) -> int:
    if not cell and default is not None:
        return default
    if not cell.isdecimal() or int(cell) < 1:
        raise InputError(f"{cell!r} in column {column!r} is no whole number of 1 or more.")
    return int(cell)


def _ordered(model: Model, sizes: Mapping[str, int]) -> Sizes:
    return tuple((label, sizes[label]) for label in dimension_labels(model) if label in sizes)


def _seen(counted: Mapping[Sizes, int]) -> tuple[SeenRequest, ...]:
    return tuple(SeenRequest(sizes=sizes, count=count) for sizes, count in counted.items())
