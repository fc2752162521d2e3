"""Compute in float32 what a model computes in float64. This changes numbers: it is done only where asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import ModelError
from workbench.model.external import model_tensors
from workbench.model.graph import bodies_of, nodes_in

if TYPE_CHECKING:
    import onnx

FLOAT, DOUBLE = 1, 11  # TensorProto.DataType
TYPED = ("to", "dtype", "output_dtype", "stash_type")  # attributes that hold an element type


def to_float32(proto: onnx.ModelProto, folder: str) -> list[str]:
    """Turn float64 into float32 throughout; inputs and outputs of the model keep their type, through casts.

    Parameters
    ----------
    proto : onnx.ModelProto
        Changed in place.
    folder : str
        Where its external data lies.

    Returns
    -------
    list of str
        What changed, in words.

    Raises
    ------
    ModelError
        When a weight is beyond float32's range.
    """
    tensors = [tensor for tensor in model_tensors(proto) if tensor.data_type == DOUBLE]
    for tensor in tensors:
        _convert(tensor, folder)
    typed = [a for n in nodes_in(proto) for a in n.attribute if a.name in TYPED and a.i == DOUBLE]
    for attribute in typed:
        attribute.i = FLOAT
    edges = _edges(proto.graph)
    _infos(proto.graph)
    if not tensors and not typed and not edges:
        return []
    said = [f"Computes in float32 what was float64 ({len(tensors)} weights, {len(typed)} casts): numbers change."]
    return said + [f"Casts float64 {what} at the edge." for what in edges]


def _convert(tensor: onnx.TensorProto, folder: str) -> None:
    from onnx import external_data_helper, numpy_helper

    if tensor.data_location == tensor.EXTERNAL:
        external_data_helper.load_external_data_for_tensor(tensor, folder)
    values = numpy_helper.to_array(tensor)
    finite = values[np.isfinite(values)]
    if finite.size and np.abs(finite).max() > np.finfo(np.float32).max:
        raise ModelError(
            f"Weight {tensor.name!r} holds numbers beyond float32's range.",
            remedy="Keep float64: such nodes run on CUDA or the CPU.",
        )
    name = tensor.name
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(values, dtype=np.float32), name))


def _edges(graph: onnx.GraphProto) -> list[str]:
    """Cast at the model's float64 inputs and outputs; return which."""
    weights = {tensor.name for tensor in graph.initializer}
    given = [i for i in graph.input if i.type.tensor_type.elem_type == DOUBLE and i.name not in weights]
    made = [o for o in graph.output if o.type.tensor_type.elem_type == DOUBLE]
    taken = {name for node in graph.node for name in (*node.input, *node.output)} | weights
    renamed = {info.name: _free(f"{info.name}_float32", taken) for info in (*given, *made)}
    _rename(graph, renamed)
    import onnx

    casts = [
        onnx.helper.make_node("Cast", [i.name], [renamed[i.name]], _free(f"{i.name}_to_float32", taken), to=FLOAT) for i in given
    ]
    ends = [
        onnx.helper.make_node("Cast", [renamed[o.name]], [o.name], _free(f"{o.name}_to_float64", taken), to=DOUBLE) for o in made
    ]
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node]
    del graph.node[:]
    graph.node.extend([*casts, *nodes, *ends])
    return [f"input {i.name!r}" for i in given] + [f"output {o.name!r}" for o in made]


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Rename tensors where nodes read and write them, in bodies too."""
    for node in graph.node:
        for part in (node.input, node.output):
            for i, name in enumerate(part):
                if name in names:
                    part[i] = names[name]
        for body in bodies_of(node):
            _rename(body, names)
            for info in body.output:  # a body may give out a tensor from outside
                info.name = names.get(info.name, info.name)


def _infos(graph: onnx.GraphProto, *, inner: bool = False) -> None:
    """Forget what the graph says of float64 tensors inside; bodies say it of their inputs and outputs, as float32."""
    for info in (*graph.value_info, *(graph.input if inner else ()), *(graph.output if inner else ())):
        if info.type.tensor_type.elem_type == DOUBLE:
            info.type.tensor_type.elem_type = FLOAT
    for node in graph.node:
        for body in bodies_of(node):
            _infos(body, inner=True)
