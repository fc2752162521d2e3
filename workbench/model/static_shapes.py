"""Make dynamic input dimensions static."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import ModelError
from workbench.model.graph import bodies_of, read_instead

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import onnx


def freeze_inputs(proto: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Give the model's inputs static shapes, and every use of their symbolic dimensions the same numbers.

    Parameters
    ----------
    proto : onnx.ModelProto
        Changed in place.
    shapes : mapping of str to tuple of int
        A shape for each input that is to be static.

    Returns
    -------
    list of str
        What changed, in words.

    Raises
    ------
    ModelError
        When a shape's rank or a static dimension differs from the model's, or one symbolic dimension gets two sizes.
    """
    sizes: dict[str, int] = {}
    changes: list[str] = []
    for info in proto.graph.input:
        shape = shapes.get(info.name)
        if shape is not None and _freeze(info, shape, sizes):
            changes.append(f"Made input {info.name!r} static: {' × '.join(map(str, shape))}.")
    _replace(proto.graph, sizes)
    return changes


def fix_scalars(proto: onnx.ModelProto, values: Iterable[tuple[str, int]]) -> list[str]:
    """Let the graph read constants instead of integer inputs of one element; the inputs stay, but are not read any more.

    Parameters
    ----------
    proto : onnx.ModelProto
        Changed in place.
    values : iterable of (str, int)
        Inputs, and the value that each has from now on.

    Returns
    -------
    list of str
        What changed, in words.
    """
    import onnx

    changes = []
    for name, value in values:
        (info,) = (info for info in proto.graph.input if info.name == name)
        dims = [1] * len(info.type.tensor_type.shape.dim)
        constant = f"{name}_is_{value}"
        kind = info.type.tensor_type.elem_type
        proto.graph.initializer.append(onnx.helper.make_tensor(constant, kind, dims, [value]))
        read_instead(proto.graph, {name: constant})
        changes.append(f"Fixed input {name!r} to {value}: the new model is for this value only, and ignores the input.")
    return changes


def _freeze(info: onnx.ValueInfoProto, shape: tuple[int, ...], sizes: dict[str, int]) -> bool:
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        tensor.shape.SetInParent()
        for _ in shape:
            tensor.shape.dim.add()
    if len(tensor.shape.dim) != len(shape):
        raise ModelError(f"Input {info.name!r} has {len(tensor.shape.dim)} dimensions, the shape {shape} has {len(shape)}.")
    changed = False
    for axis, (dim, size) in enumerate(zip(tensor.shape.dim, shape, strict=True)):
        if dim.HasField("dim_value") and dim.dim_value >= 0:
            if dim.dim_value != size:
                raise ModelError(f"Axis {axis} of input {info.name!r} is {dim.dim_value} in the model, not {size}.")
            continue
        if dim.dim_param and sizes.setdefault(dim.dim_param, size) != size:
            raise ModelError(f"Dimension {dim.dim_param!r} cannot be both {sizes[dim.dim_param]} and {size}.")
        dim.dim_value = size
        changed = True
    return changed


def _replace(graph: onnx.GraphProto, sizes: Mapping[str, int]) -> None:
    for part in (graph.input, graph.output, graph.value_info):
        for info in part:
            for dim in info.type.tensor_type.shape.dim:
                if dim.dim_param in sizes:
                    dim.dim_value = sizes[dim.dim_param]
    for node in graph.node:
        for body in bodies_of(node):
            _replace(body, sizes)
