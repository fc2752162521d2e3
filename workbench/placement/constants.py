"""Values of small constants: what a decision on axes, zero points or an If's condition needs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.placement.attributes import integer, integers

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.placement.dataflow import Graph, Op

LARGEST = 4096  # elements; shapes, axes and conditions are far smaller
DEEPEST = 100  # operations one after the other; shape arithmetic takes some ten
Array = np.ndarray[Any, Any]


def constant(graph: Graph, name: str, depth: int = 0) -> Array | None:
    """Return a constant's value; ``None`` for what is not constant, too large, kept in a file, or not computed here.

    Parameters
    ----------
    graph : Graph
        Where the name is read; the graphs around it are searched too.
    depth : int
        How many operations on constants the value has already been followed through.
    """
    home: Graph | None = graph
    while home is not None and name not in home.constants:
        if name in home.producer or name in home.inputs:
            return None
        home = home.parent
    if home is None:
        return None
    tensor = home.constants[name]
    if tensor is None:
        if name not in home.evaluated:
            home.evaluated[name] = _computed(home, name, depth) if depth < DEEPEST else None
        return home.evaluated[name]
    if tensor.data_location == tensor.EXTERNAL or math.prod(tensor.dims) > LARGEST:
        return None
    import onnx

    try:
        return onnx.numpy_helper.to_array(tensor)
    except (ValueError, TypeError):  # fewer bytes than its shape needs, or a type that NumPy has not
        return None


def _computed(graph: Graph, name: str, depth: int) -> Array | None:
    op = graph.producer.get(name)
    if op is None or op.domain or op.op_type not in EVALUATORS or len(op.outputs) != 1:
        return None
    if op.op_type == "Shape":
        return _shape(graph, op) if op.inputs else None
    arrays = [constant(graph, i, depth + 1) if i else None for i in op.inputs]
    if not arrays or any(array is None for array, i in zip(arrays, op.inputs, strict=True) if i):
        return None
    try:
        with np.errstate(all="ignore"):
            return np.asarray(EVALUATORS[op.op_type](op, *arrays))
    except (ValueError, TypeError, IndexError, KeyError, ZeroDivisionError):  # a model that no runtime could run either
        return None


def _shape(graph: Graph, op: Op) -> Array | None:
    shape = graph.value(op.inputs[0]).shape
    if shape is None:
        return None
    shape = shape[slice(integer(op.proto, "start", 0), integer(op.proto, "end", len(shape)))]
    return np.array(shape, np.int64) if all(isinstance(d, int) for d in shape) else None


def _axes(op: Op, axes: Array | None) -> tuple[int, ...] | None:
    given = integers(op.proto, "axes") if axes is None else tuple(axes.ravel().tolist())
    return tuple(int(a) for a in given) if given is not None else None


def _unsqueeze(op: Op, data: Array, axes: Array | None = None) -> Array:
    return np.expand_dims(data, _axes(op, axes) or ())


def _squeeze(op: Op, data: Array, axes: Array | None = None) -> Array:
    return np.squeeze(data, _axes(op, axes))


def _slice(op: Op, data: Array, *limits: Array | None) -> Array:
    given: list[Any] = [None if a is None else a.tolist() for a in limits]
    if not given:  # up to opset 9 they are attributes
        given = [integers(op.proto, name) for name in ("starts", "ends", "axes")]
    starts, ends, axes, steps = (*given, None, None)[:4]
    cut: list[slice] = [slice(None)] * data.ndim
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        step = steps[i] if steps else 1
        cut[axes[i] if axes else i] = slice(start, end if end > -(2**31) else None, step)
    return data[tuple(cut)]


def _cast(op: Op, data: Array) -> Array:
    import onnx

    return data.astype(onnx.helper.tensor_dtype_to_np_dtype(integer(op.proto, "to", 1)))


def _divide(_: Op, a: Array, b: Array) -> Array:
    return np.trunc(a / b).astype(a.dtype) if a.dtype.kind in "iu" else a / b


def _reduce(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(op: Op, data: Array, axes: Array | None = None) -> Array:
        return np.asarray(function(data, axis=_axes(op, axes), keepdims=bool(integer(op.proto, "keepdims", 1))))

    return run


def _filled(op: Op, shape: Array) -> Array:
    import onnx

    if math.prod(shape.tolist()) > LARGEST:
        raise ValueError("too large to be of use as a shape")
    given = next((a.t for a in op.proto.attribute if a.name == "value"), None)
    value = np.zeros(1, np.float32) if given is None else onnx.numpy_helper.to_array(given)
    return np.full(shape.tolist(), value.ravel()[0], value.dtype)


def _expanded(_: Op, data: Array, shape: Array) -> Array:
    target = np.broadcast_shapes(data.shape, tuple(shape.tolist()))
    if math.prod(target) > LARGEST:
        raise ValueError("too large to be of use as a shape")
    return np.broadcast_to(data, target)


EVALUATORS: dict[str, Callable[..., Any]] = {
    "Shape": _shape,
    "Identity": lambda _, a: a,
    "ConstantOfShape": _filled,
    "Expand": _expanded,
    "Sqrt": lambda _, a: np.sqrt(a),
    "Floor": lambda _, a: np.floor(a),
    "Ceil": lambda _, a: np.ceil(a),
    "Add": lambda _, a, b: a + b,
    "Sub": lambda _, a, b: a - b,
    "Mul": lambda _, a, b: a * b,
    "Div": _divide,
    "Equal": lambda _, a, b: a == b,
    "Greater": lambda _, a, b: a > b,
    "GreaterOrEqual": lambda _, a, b: a >= b,
    "Less": lambda _, a, b: a < b,
    "LessOrEqual": lambda _, a, b: a <= b,
    "And": lambda _, a, b: a & b,
    "Or": lambda _, a, b: a | b,
    "Not": lambda _, a: ~a,
    "Neg": lambda _, a: -a,
    "Where": lambda _, c, a, b: np.where(c, a, b),
    "Min": lambda _, *a: np.minimum.reduce(a),
    "Max": lambda _, *a: np.maximum.reduce(a),
    "Size": lambda _, a: np.int64(a.size),
    "Gather": lambda op, a, i: np.take(a, i, axis=integer(op.proto, "axis", 0)),
    "Concat": lambda op, *a: np.concatenate(a, axis=integer(op.proto, "axis", 0)),
    "Reshape": lambda _, a, s: a.reshape(s.tolist()),
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Slice": _slice,
    "Cast": _cast,
    "Range": lambda _, a, b, c: np.arange(a, b, c),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
}
