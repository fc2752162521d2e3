"""Which nodes ONNX Runtime removes before any provider sees the graph.

Followed here: Constant nodes become weights; operations on constants are computed when the session is made, except
DequantizeLinear; Shape of a static shape; Identity; Dropout at inference. The rules are those of ONNX Runtime's
``constant_folding.cc`` and of its eliminations of Level 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.placement.attributes import attribute, integer
from workbench.placement.constants import constant
from workbench.placement.kernels import KernelTable
from workbench.placement.records import CPU

if TYPE_CHECKING:
    import onnx

    from workbench.placement.dataflow import Graph, Op

RANDOM = {"RandomUniform", "RandomNormal", "RandomUniformLike", "RandomNormalLike", "Multinomial", "Bernoulli"}


def fold(graph: Graph, *, optimised: bool) -> None:
    """Mark the operations of a graph, and of its bodies, that ONNX Runtime removes.

    Parameters
    ----------
    optimised : bool
        Whether Level-1 optimisation runs; without it only Constant nodes go.
    """
    outputs = set(graph.outputs)
    kernels = KernelTable.load()
    for op in graph.ops:
        if op.op_type == "Constant" and not op.domain:
            _take_constant(graph, op)
        elif optimised and op.inputs and op.outputs:
            _optimise(graph, op, outputs, kernels)
    _bypass(graph)
    for op in graph.ops:
        for body in op.bodies:
            fold(body, optimised=optimised)


def _bypass(graph: Graph) -> None:
    """Let the readers of what was removed read its input, as ONNX Runtime does; those in bodies too."""
    source: dict[str, str] = {}
    for op in graph.ops:
        if op.removed and not graph.is_constant(op.outputs[0]):
            source[op.outputs[0]] = source.get(op.inputs[0], op.inputs[0])
    if not source:
        return
    for _, op in graph.walk():
        if not op.removed:
            op.inputs = tuple(source.get(name, name) for name in op.inputs)
            op.captured = tuple(source.get(name, name) for name in op.captured)
            op.reads = tuple(source.get(name, name) for name in op.reads)
    for name, real in source.items():
        graph.consumers.setdefault(real, []).extend(graph.consumers.pop(name, ()))


def _optimise(graph: Graph, op: Op, outputs: set[str], kernels: KernelTable) -> None:
    if op.op_type == "Identity" and not op.domain:
        op.removed = _identity(graph, op, outputs)
    elif op.op_type == "Dropout" and not op.domain:
        op.removed = _dropout(graph, op, outputs)
    if not op.removed and (why := _folded(graph, op, kernels)):
        op.removed = why
        graph.constants |= dict.fromkeys(filter(None, op.outputs))


def constant_branches(graph: Graph) -> dict[str, bool]:
    """Return the Ifs whose condition is constant, and its value, by node name."""
    found = {}
    for home, op in graph.walk():
        if op.op_type == "If" and not op.domain and len(op.bodies) == 2 and op.inputs and home.is_constant(op.inputs[0]):
            value = constant(home, op.inputs[0])
            if value is not None and value.size == 1:
                found[op.proto.name] = bool(value.ravel()[0])
    return found


def _take_constant(graph: Graph, op: Op) -> None:
    """Turn a Constant node into a weight."""
    import onnx

    op.removed = "a constant: ONNX Runtime turns it into a weight"
    tensor = None
    for given in op.proto.attribute:
        if given.name == "value":
            tensor = given.t
        elif given.name in ("value_float", "value_int", "value_string"):
            tensor = _tensor([onnx.helper.get_attribute_value(given)], (), given.name)
        elif given.name in ("value_floats", "value_ints", "value_strings"):
            values = list(onnx.helper.get_attribute_value(given))
            tensor = _tensor(values, (len(values),), given.name)
    for output in op.outputs:
        graph.constants[output] = tensor


def _tensor(values: list[Any], shape: tuple[int, ...], kind: str) -> onnx.TensorProto:
    import onnx

    element = {"f": onnx.TensorProto.FLOAT, "i": onnx.TensorProto.INT64, "s": onnx.TensorProto.STRING}[kind[6]]
    return onnx.helper.make_tensor("", element, shape, values)


def _identity(graph: Graph, op: Op, outputs: set[str]) -> str:
    if graph.is_constant(op.inputs[0]):
        return ""
    if op.outputs[0] in outputs:
        writer = graph.producer.get(op.inputs[0])
        alone = len(graph.consumers.get(op.inputs[0], ())) == 1 and op.inputs[0] not in outputs
        if writer is None or not alone:
            return ""
    return "an Identity: ONNX Runtime removes it"


def _dropout(graph: Graph, op: Op, outputs: set[str]) -> str:
    if op.outputs[0] in outputs:
        return ""
    if len(op.outputs) > 1 and (op.outputs[1] in outputs or op.outputs[1] in graph.consumers):
        return ""
    if len(op.inputs) > 2 and op.inputs[2] and not graph.is_constant(op.inputs[2]):
        return ""
    return "a Dropout: ONNX Runtime removes it"


def _folded(graph: Graph, op: Op, kernels: KernelTable) -> str:
    if op.op_type == "Shape" and not op.domain and _static(graph, op):
        return "computed when the session is made: the shape that it reads is static"
    if op.domain or op.bodies or op.op_type in RANDOM or op.op_type == "DequantizeLinear":
        return ""
    for name in op.reads:
        if not graph.is_constant(name):
            return ""
    if not op.reads:
        return ""
    if not kernels.find(CPU, op, graph).found:
        return ""
    return "computed when the session is made: all its inputs are constant"


def _static(graph: Graph, op: Op) -> bool:
    shape = graph.value(op.inputs[0]).shape
    if shape is None:
        return False
    start, end = integer(op.proto, "start", 0), attribute(op.proto, "end")
    return all(isinstance(d, int) for d in shape[start : end.i if end is not None else len(shape)])
