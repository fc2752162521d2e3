"""Between which shapes the tensors inside a model lie, given a range for each of its inputs.

ONNX's shape inference is run with concrete sizes: at the ranges' least, optimum and greatest sizes and, where the model is
small enough, at every combination of least and greatest, because a size inside need not grow with one outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product, zip_longest
from typing import TYPE_CHECKING

from workbench.model.data_dependent import data_dependent
from workbench.model.shape_operands import shape_tensors
from workbench.options.profile import InputRange
from workbench.placement.constants import constant
from workbench.placement.dimensions import sizes_of
from workbench.placement.prepare import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from workbench.model.model import Model
    from workbench.placement.dataflow import Graph

MOST_CORNERS = 16  # of four dimensions that vary, beside the optimum
MOST_NODES = 3000  # of models whose corners are looked at: inference takes about a second there

Shape = tuple[int, ...]
Point = dict[str, Shape]


@dataclass(frozen=True, slots=True)
class TensorRange:
    """What was found of one tensor.

    Attributes
    ----------
    given : InputRange or None
        Its range; ``None`` where it cannot be worked out.
    why_not : str
        Why it cannot, as one clause; empty where it can.
    """

    name: str
    given: InputRange | None
    why_not: str = ""


def tensor_ranges(model: Model, ranges: Sequence[InputRange], wanted: Mapping[str, bool]) -> list[TensorRange]:
    """Work out the ranges of tensors inside a model.

    Parameters
    ----------
    model : Model
        The model.
    ranges : sequence of InputRange
        One for each dynamic input; values for an input whose values decide shapes.
    wanted : mapping of str to bool
        Names of tensors, and whether their values are wanted instead of their shapes.

    Returns
    -------
    list of TensorRange
        In the order of `wanted`.

    Raises
    ------
    InputError
        When the ranges do not fit the model's inputs, or give one symbolic dimension two sizes at once.
    """
    holding = {spec.name for spec in shape_tensors(model)}
    graphs = [_concrete(model, point, holding) for point in points(model, ranges)]
    dependent = data_dependent(model.proto.graph)
    found = []
    for name, values in wanted.items():
        seen = [_values(graph, name) if values else _shape(graph, name) for graph in graphs]
        known = [shape for shape in seen if shape is not None]
        if len(known) < len(seen):
            found.append(TensorRange(name, None, _why_not(name, dependent, graphs[0], values=values)))
        elif len({len(shape) for shape in known}) > 1:
            found.append(TensorRange(name, None, "its rank differs between the least and the greatest sizes"))
        else:
            found.append(_range_of(name, known))
    return found


def points(model: Model, ranges: Sequence[InputRange]) -> list[Point]:
    """Return the shapes to look at: all at opt, at min and at max, and each combination of least and greatest, if they are few.

    A symbolic dimension has one size wherever it stands.
    """
    found = [{given.name: getattr(given, which) for given in ranges} for which in ("opt", "min", "max")]
    labels = {given.name: _labels(model, given) for given in ranges}
    ends: dict[str, tuple[int, int]] = {}
    for given in ranges:
        ends |= dict(zip(labels[given.name], zip(given.min, given.max, strict=True), strict=True))
    free = [label for label, (low, high) in ends.items() if low < high]
    if len(model.nodes) <= MOST_NODES and 2 ** len(free) <= MOST_CORNERS:
        for sizes in product(*[ends[label] for label in free]):
            chosen = {label: low for label, (low, _) in ends.items()} | dict(zip(free, sizes, strict=True))
            found.append({name: tuple(chosen[label] for label in axes) for name, axes in labels.items()})
    return [point for at, point in enumerate(found) if point not in found[:at]]


def _labels(model: Model, given: InputRange) -> tuple[str, ...]:
    """Return a name for each axis of an input: that of its symbolic dimension where it has one."""
    dims = next((spec.shape for spec in model.inputs if spec.name == given.name), None) or ()
    axes = zip_longest(range(len(given.min)), dims[: len(given.min)])
    return tuple(dim if isinstance(dim, str) else f"{given.name}[{axis}]" for axis, dim in axes)


def _concrete(model: Model, point: Point, holding: set[str]) -> Graph:
    """Return the prepared graph of a model whose inputs have these shapes, or hold these values."""
    sizes = sizes_of(model, {name: shape for name, shape in point.items() if name not in holding})
    values = {name: shape for name, shape in point.items() if name in holding}
    return prepare(_with_values(model, values) if values else model, sizes=sizes).graph


def _with_values(model: Model, values: Mapping[str, Shape]) -> Model:
    """Return the model with constants in the place of inputs."""
    import onnx

    from workbench.model.model import Model as Changed

    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for info in [info for info in proto.graph.input if info.name in values]:
        held = values[info.name]
        dims = [len(held)] if info.type.tensor_type.shape.dim else []
        proto.graph.initializer.append(onnx.helper.make_tensor(info.name, info.type.tensor_type.elem_type, dims, held))
        proto.graph.input.remove(info)
    return Changed(model.path, proto, model.in_order)


def _shape(graph: Graph, name: str) -> Shape | None:
    for part in _parts(graph):
        shape = part.value(name).shape
        if shape is not None:
            sizes = tuple(dim for dim in shape if isinstance(dim, int))
            return sizes if len(sizes) == len(shape) else None
    return None


def _values(graph: Graph, name: str) -> Shape | None:
    for part in _parts(graph):
        array = constant(part, name)
        if array is not None and array.dtype.kind in "iu":
            return tuple(int(value) for value in array.ravel())
    return None


def _parts(graph: Graph) -> Iterator[Graph]:
    """Yield a graph and the bodies in it."""
    yield graph
    for op in graph.ops:
        for body in op.bodies:
            yield from _parts(body)


def _why_not(name: str, dependent: set[str], graph: Graph, *, values: bool) -> str:
    if name in dependent:
        return "its size follows from what the inputs hold, not from their shapes"
    if values:
        return "its values are not worked out from the inputs' shapes alone"
    maker = next((part.producer[name] for part in _parts(graph) if name in part.producer), None)
    through = f" through {maker.op_type}" if maker is not None else ""
    return f"ONNX's shape inference does not follow it{through}"


def _range_of(name: str, shapes: Sequence[Shape]) -> TensorRange:
    columns = list(zip(*shapes, strict=True))
    low, high = tuple(map(min, columns)), tuple(map(max, columns))
    if not low:
        return TensorRange(name, None, "it has no dimensions")
    if min(low) < 0:
        return TensorRange(name, None, "a value is negative, which the profile options cannot express")
    return TensorRange(name, InputRange(name=name, min=low, opt=shapes[0], max=high))
