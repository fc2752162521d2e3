"""Check that the Q/DQ nodes of a model are what TensorRT takes, whoever put them there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.model.graph import nodes_of
from workbench.model.signature import opsets_of
from workbench.record import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import onnx

    from workbench.model.graph import Node

INT8, INT32 = 3, 6  # TensorProto.DataType
NARROW = (17, 19, 22, 23)  # float8 and four bits: rules of their own
QUANTISERS = ("QuantizeLinear", "DequantizeLinear")
MOST = 5


def quantised_weights(model: onnx.ModelProto) -> frozenset[str]:
    """Return the names by which TensorRT may list the weights that a model keeps in 8 bits.

    A weight is listed by its own name where it is stored in 8 bits, or where ONNX Runtime has folded its QuantizeLinear; else by
    that node's.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    found: set[str] = set()
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[0] in weights:
            found |= {node.name, node.output[0]}
        elif node.op_type == "DequantizeLinear" and node.input[0] in weights:
            found.add(node.input[0])
    return frozenset(filter(None, found))


def check_qdq(model: onnx.ModelProto) -> list[Finding]:
    """Return what TensorRT would refuse or do badly.

    Looked at in the main graph: the type and the zero points (int8, 0), scales (constant, finite, above zero), the axis of
    weights' scales, activations with more than one scale, and biases that are quantised.

    Parameters
    ----------
    model : onnx.ModelProto
        With its weights in it.
    """
    nodes = [node for node in nodes_of(model.graph) if not node.parent]
    graph = _Graph(
        {tensor.name: tensor for tensor in model.graph.initializer},
        {name: node for node in nodes for name in node.proto.output},
        opsets_of(model).get("", 0),
    )
    quantisers = [node for node in nodes if node.op_type in QUANTISERS and not node.domain]
    seen: list[tuple[str, str]] = []
    for node in quantisers:
        seen += [(what, node.name) for what in _numbers(node, graph)]
    for node in nodes:
        if node.op_type not in QUANTISERS:
            seen += [(what, node.name) for what in _axes(node, graph)]
    return [_finding(what, [name for said, name in seen if said == what]) for what in dict.fromkeys(what for what, _ in seen)]


@dataclass(frozen=True, slots=True)
class _Graph:
    weights: dict[str, onnx.TensorProto]
    makers: dict[str, Node]
    opset: int

    def array(self, name: str) -> np.ndarray | None:
        from onnx import numpy_helper

        tensor = self.weights.get(name)
        maker = self.makers.get(name)
        if tensor is None and maker is not None and maker.op_type == "Constant":
            tensor = next((a.t for a in maker.proto.attribute if a.name == "value"), None)
        return None if tensor is None else np.asarray(numpy_helper.to_array(tensor))

    def constant(self, name: str) -> bool:
        """Whether a tensor is constant, or a constant that was quantised."""
        maker = self.makers.get(name)
        if maker is not None and maker.op_type in QUANTISERS:
            return self.constant(maker.proto.input[0])
        return name in self.weights or (maker is not None and maker.op_type == "Constant")


REMEDIES = {
    "the zero point is not 0": "TensorRT quantises symmetrically: calibrate with symmetric ranges.",
    "the quantised type is not int8": "TensorRT takes int8; `workbench ready` turns uint8 with zero point 128 into it.",
    "it dequantises int32, as for a bias": "TensorRT wants biases in float: quantise without them (QuantizeBias=False).",
    "the scale is not constant": "Quantise with static ranges.",
    "a scale is zero, negative or not finite": "Calibrate again, with data that reach this tensor.",
    "an activation has more than one scale": "Give activations one scale; only weights have one for each channel.",
    "the weight's scales are not along its output channels": "Conv takes axis 0, ConvTranspose 1, MatMul the last.",
    "the weight is not quantised, the activation is": "Quantise both: TensorRT runs the node in float otherwise.",
}


def _finding(what: str, names: list[str]) -> Finding:
    shown = ", ".join(names[:MOST]) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")
    return Finding(level="warning", where=shown, seen=what, action=REMEDIES[what])


def _numbers(node: Node, graph: _Graph) -> Iterator[str]:
    """Yield what is wrong with a quantiser's type, zero point and scale."""
    proto = node.proto
    kind = _kind(proto, graph)
    if kind in NARROW:
        return
    if kind == INT32:
        yield "it dequantises int32, as for a bias"
        return
    if kind is not None and kind != INT8:
        yield "the quantised type is not int8"
    zero = graph.array(proto.input[2]) if len(proto.input) > 2 and proto.input[2] else None
    if zero is not None and kind == INT8 and zero.any():
        yield "the zero point is not 0"
    scale = graph.array(proto.input[1])
    if scale is None:
        yield "the scale is not constant"
        return
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        yield "a scale is zero, negative or not finite"
    if scale.size > 1 and not graph.constant(proto.input[0]):
        yield "an activation has more than one scale"


def _kind(proto: onnx.NodeProto, graph: _Graph) -> int | None:
    """Return the quantised element type; ``None`` where it does not stand in the file."""
    named = next((int(a.i) for a in proto.attribute if a.name == "output_dtype" and a.i), None)
    if proto.op_type == "QuantizeLinear" and named:
        return named
    zero = proto.input[2] if len(proto.input) > 2 else ""
    for name in (zero, proto.input[0] if proto.op_type == "DequantizeLinear" else ""):
        if name in graph.weights:
            return int(graph.weights[name].data_type)
        maker = graph.makers.get(name)
        if maker is not None and maker.op_type == "Constant":
            return next((int(a.t.data_type) for a in maker.proto.attribute if a.name == "value"), None)
    return 2 if proto.op_type == "QuantizeLinear" and not zero else None  # without a zero point it gives uint8


def _axes(node: Node, graph: _Graph) -> Iterator[str]:
    """Yield what is wrong with the quantised operands of a convolution or a matrix product."""
    if node.op_type not in ("Conv", "ConvTranspose", "MatMul", "Gemm"):
        return
    sources = [graph.makers.get(name) for name in node.proto.input[:2]]
    quantised = [maker is not None and maker.op_type == "DequantizeLinear" for maker in sources]
    if quantised == [True, False] and graph.constant(node.proto.input[1]):
        yield "the weight is not quantised, the activation is"
    maker = sources[1] if len(sources) > 1 else None
    if maker is None or not quantised[1]:
        return
    scale = graph.array(maker.proto.input[1])
    if scale is None or scale.size < 2:
        return
    axis = next((int(a.i) for a in maker.proto.attribute if a.name == "axis"), 1)
    rank = _rank(maker, graph)
    if (axis + rank if axis < 0 and rank else axis) not in _right(node, rank):
        yield "the weight's scales are not along its output channels"


def _rank(maker: Node, graph: _Graph) -> int:
    """Return the rank of the weight behind a DequantizeLinear; 0 where it is not known."""
    name = maker.proto.input[0]
    before = graph.makers.get(name)
    if before is not None and before.op_type == "QuantizeLinear":
        name = before.proto.input[0]
    array = graph.array(name)
    return 0 if array is None else array.ndim


def _right(node: Node, rank: int) -> Iterable[int]:
    if node.op_type == "Gemm":
        return (0,) if any(a.name == "transB" and a.i for a in node.proto.attribute) else (1,)
    return {"Conv": (0,), "ConvTranspose": (1,)}.get(node.op_type, (max(rank - 1, 1),))
