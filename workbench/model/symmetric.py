"""Turn uint8 quantization with zero point 128 into int8 with zero point 0: the same numbers, in a type TensorRT takes.

QuantizeLinear gives ``saturate(round(x / scale) + zero)``. Taking 128 from the zero point takes 128 from the result and
from the range that it saturates at, so that DequantizeLinear gives exactly what it gave before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx

UINT8, INT8 = 2, 3  # TensorProto.DataType
MIDDLE = 128
# Operators that only move elements: their first input and all outputs have one type
MOVES = {"Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze", "Gather", "Split"}


@dataclass(slots=True)
class _Island:
    """Tensors of one quantized type, the quantizers at their ends, and the weights among them."""

    tensors: set[str]
    ends: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[str] = field(default_factory=list)
    possible: bool = True


def to_int8(proto: onnx.ModelProto, folder: str) -> list[str]:
    """Make int8 of uint8 tensors between QuantizeLinear and DequantizeLinear whose zero points are all 128.

    Parameters
    ----------
    proto : onnx.ModelProto
        Changed in place. Only its main graph is looked at.
    folder : str
        Where its external data lies.

    Returns
    -------
    list of str
        What changed, in words.
    """
    graph = proto.graph
    if not any(node.op_type == "DequantizeLinear" for node in graph.node):
        return []
    weights = {tensor.name: tensor for tensor in graph.initializer}
    zero_points = {name for name, tensor in weights.items() if _small(tensor) and _all_middle(tensor, folder)}
    islands = [island for island in _islands(graph, weights, zero_points) if island.possible and island.ends]
    for island in islands:
        _convert(graph, island, weights, folder)
    if not islands:
        return []
    count = sum(len(island.tensors) for island in islands)
    return [f"Made {count} uint8 tensors with zero point 128 int8 with zero point 0: the same numbers."]


def _small(tensor: onnx.TensorProto) -> bool:
    """Whether a tensor may be a zero point: one number, or one for each channel."""
    return tensor.data_type == UINT8 and len(tensor.dims) <= 1


def _all_middle(tensor: onnx.TensorProto, folder: str) -> bool:
    return bool((_values(tensor, folder) == MIDDLE).all())


def _values(tensor: onnx.TensorProto, folder: str) -> Any:  # noqa: ANN401
    from onnx import numpy_helper

    return numpy_helper.to_array(tensor, base_dir=folder)


def _islands(graph: onnx.GraphProto, weights: dict[str, onnx.TensorProto], zero_points: set[str]) -> list[_Island]:
    """Return what hangs together: tensors that moving operators connect, with all quantizers that touch them."""
    from workbench.model.graph import reads_of

    found: dict[str, _Island] = {}
    fixed = {info.name for info in (*graph.input, *graph.output)}

    def island(name: str) -> _Island:
        if name not in found:
            found[name] = _Island({name}, weights=[name] if name in weights else [], possible=name not in fixed)
        return found[name]

    for node in graph.node:
        if node.op_type == "QuantizeLinear" and not node.domain:
            _touch(island(node.output[0]), node, zero_points)
        elif node.op_type == "DequantizeLinear" and not node.domain:
            _touch(island(node.input[0]), node, zero_points)
        elif node.op_type in MOVES and not node.domain:
            for output in node.output:
                _join(found, island(node.input[0]), island(output))
            for name in node.input[1:]:
                island(name).possible = False
        else:
            for name in (*reads_of(node), *filter(None, node.output)):
                island(name).possible = False
    return list({id(each): each for each in found.values()}.values())


def _touch(island: _Island, node: onnx.NodeProto, zero_points: set[str]) -> None:
    island.ends.append(node)
    plain = not any(given.name == "output_dtype" and given.i for given in node.attribute)
    island.possible &= plain and len(node.input) > 2 and node.input[2] in zero_points


def _join(found: dict[str, _Island], one: _Island, other: _Island) -> None:
    if one is other:
        return
    one.tensors |= other.tensors
    one.ends += other.ends
    one.weights += other.weights
    one.possible &= other.possible
    for name in other.tensors:
        found[name] = one


def _convert(graph: onnx.GraphProto, island: _Island, weights: dict[str, onnx.TensorProto], folder: str) -> None:
    from onnx import numpy_helper

    for node in island.ends:
        zero = f"{node.input[2]}_int8"
        if zero not in weights:
            shape = tuple(weights[node.input[2]].dims)
            graph.initializer.append(numpy_helper.from_array(np.zeros(shape, np.int8), zero))
            weights[zero] = graph.initializer[-1]
        node.input[2] = zero
    for name in island.weights:
        values = _values(weights[name], folder).astype(np.int16) - MIDDLE
        weights[name].CopyFrom(numpy_helper.from_array(values.astype(np.int8), name))
    for info in graph.value_info:
        if info.name in island.tensors and info.type.tensor_type.elem_type == UINT8:
            info.type.tensor_type.elem_type = INT8
