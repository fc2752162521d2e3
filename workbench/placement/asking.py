"""A part of a graph as a model of its own: what ONNX Runtime gives to TensorRT's parser when it asks about that part."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.model.graph import bodies_of
from workbench.placement.constants import constant
from workbench.placement.dataflow import ELEMENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import onnx

    from workbench.placement.dataflow import Graph, Op

MOST = 1 << 30  # bytes of weights; protobuf ends at 2 GiB
OWN_WEIGHTS = 4  # the first IR version in which a weight need not be an input too
CODES = {name: code for code, name in ELEMENTS.items()}


class TooLarge(Exception):
    """The part's weights are too large for one protobuf message."""


def model_of(run: Sequence[Op], graph: Graph, opsets: Mapping[str, int], ir_version: int) -> bytes:
    """Return a run of operations as a serialized model, its nodes in the run's order.

    Large weights are zeros: the parser looks at the values of small ones only.

    Raises
    ------
    TooLarge
        When the weights take more than 1 GiB.
    """
    import onnx

    model = onnx.ModelProto(ir_version=max(ir_version, OWN_WEIGHTS))
    unnamed = {op.domain for op in run} - opsets.keys()  # ONNX Runtime imports these by itself
    for domain, version in (*opsets.items(), *((domain, 1) for domain in sorted(unnamed))):
        model.opset_import.add(domain=domain, version=version)
    model.graph.name = "part"
    written = {name for op in run for name in op.outputs if name}
    _fill(model.graph, run, graph)
    weights = {tensor.name for tensor in model.graph.initializer}
    needed = dict.fromkeys(name for op in run for name in op.reads if name not in written and name not in weights)
    model.graph.input.extend(_info(name, graph) for name in needed)
    model.graph.output.extend(_info(name, graph) for name in _results(run, graph))
    data: bytes = model.SerializeToString()
    return data


def _fill(proto: onnx.GraphProto, ops: Sequence[Op], graph: Graph) -> None:
    """Put operations into a graph, and the weights that they read; only those of the graph itself are weights there."""
    proto.node.extend(_node(op) for op in ops)
    size = 0
    for name in dict.fromkeys(name for op in ops for name in op.reads if name in graph.constants):
        tensor = _weight(name, graph)
        if tensor is None:
            continue
        size += len(tensor.raw_data)
        if size > MOST:
            raise TooLarge
        proto.initializer.append(tensor)


def _node(op: Op) -> onnx.NodeProto:
    import onnx

    node = onnx.NodeProto()
    node.CopyFrom(op.proto)
    node.domain = op.domain
    node.input[:] = op.inputs
    for inner, body in zip(bodies_of(node), op.bodies, strict=True):
        del inner.node[:]
        del inner.initializer[:]
        _fill(inner, body.live(), body)
        _join_outputs(inner, body)
    return node


def _join_outputs(proto: onnx.GraphProto, body: Graph) -> None:
    """Write those of a body's outputs again whose writer ONNX Runtime removes."""
    import onnx

    for name in body.outputs:
        op = body.producer.get(name)
        if op is None or not op.removed:
            continue
        tensor = _weight(name, body) if name in body.constants else None
        if tensor is not None:
            proto.initializer.append(tensor)
        elif op.inputs:
            proto.node.append(onnx.helper.make_node("Identity", [op.inputs[0]], [name], name=f"{op.name}/again"))


def _weight(name: str, graph: Graph) -> onnx.TensorProto | None:
    """Return a constant under its name, zeros where its value is not at hand; ``None`` where not even its shape is."""
    import onnx

    tensor = graph.constants[name]
    if tensor is not None and tensor.data_location != tensor.EXTERNAL:
        copy = onnx.TensorProto()
        copy.CopyFrom(tensor)
        copy.name = name
        return copy
    array = constant(graph, name) if tensor is None else None
    if array is not None:
        return onnx.numpy_helper.from_array(array, name)
    value = graph.value(name)
    sizes = [dim for dim in value.shape or () if isinstance(dim, int)]
    if value.shape is None or len(sizes) != len(value.shape) or value.element not in CODES or value.element == "string":
        return None
    return _zeros(name, CODES[value.element], sizes)


def _zeros(name: str, code: int, sizes: Sequence[int]) -> onnx.TensorProto:
    import onnx

    from workbench.placement.checks import BITS

    count = -(-math.prod(sizes) * BITS.get(code, 8) // 8)
    if count > MOST:
        raise TooLarge
    return onnx.TensorProto(name=name, data_type=code, dims=sizes, raw_data=bytes(count))


def _results(run: Sequence[Op], graph: Graph) -> Iterable[str]:
    """Return what a run writes for others: for operations outside it, or for the caller."""
    inside = set(run)
    for op in run:
        for name in filter(None, op.outputs):
            users = [u for u in graph.consumers.get(name, ()) if not u.removed or not set(u.outputs).isdisjoint(graph.outputs)]
            if name in graph.outputs or not users or any(user not in inside for user in users):
                yield name


def _info(name: str, graph: Graph) -> onnx.ValueInfoProto:
    import onnx

    value = graph.value(name)
    info = onnx.ValueInfoProto(name=name)
    if not value.element:
        _copy_type(info, name, graph)
    else:
        tensor = info.type.tensor_type
        tensor.elem_type = CODES[value.element]
        if value.shape is not None:
            tensor.shape.SetInParent()
            for size in value.shape:
                dim = tensor.shape.dim.add()
                if isinstance(size, int):
                    dim.dim_value = size
                elif size is not None:
                    dim.dim_param = size
    return info


def _copy_type(info: onnx.ValueInfoProto, name: str, graph: Graph) -> None:
    """Give a value of unknown element type the type that its graph or one around says, such as a sequence; else float."""
    home: Graph | None = graph
    while home is not None:
        if name in home.infos:
            info.type.CopyFrom(home.infos[name].type)
            return
        home = home.parent
    # ONNX Runtime always knows the type, of removed operators too; onnx does not, and most tensors are floats.
    info.type.tensor_type.elem_type = CODES["float"]
