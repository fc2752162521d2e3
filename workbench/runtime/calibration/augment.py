"""A model whose activations are outputs too, so that one run gives them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import ModelError
from workbench.model.graph import bodies_of
from workbench.model.signature import FLOAT, element_types, given_types, opsets_of

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

FLOAT16 = 10
CALIBRATED = (FLOAT, FLOAT16)


def activations(model: onnx.ModelProto) -> list[str]:
    """Return the float tensors of a model's main graph that depend on its inputs, in the graph's order, inputs first.

    Tensors of a type that neither the file nor the schemas tell are among them.
    """
    graph = model.graph
    types = element_types(graph, opsets_of(model))
    weights = {tensor.name for tensor in graph.initializer} | {s.values.name for s in graph.sparse_initializer}
    found = [info.name for info in graph.input if info.name not in weights and types.get(info.name) in CALIBRATED]
    for node in graph.node:
        if node.op_type == "Constant" and not node.domain:
            continue
        found += [name for name in node.output if name and types.get(name, FLOAT) in CALIBRATED]
    return found


def inner_activations(model: onnx.ModelProto) -> list[str]:
    """Return the float tensors that nodes in control-flow bodies write: they cannot be had from outside."""
    opsets = opsets_of(model)

    def inside(graph: onnx.GraphProto, types: dict[str, int]) -> list[str]:
        found = []
        for node in graph.node:
            for body in bodies_of(node):
                known = element_types(body, opsets, {**types, **given_types(node, body, types)})
                made = [name for each in body.node if each.op_type != "Constant" for name in each.output]
                found += [name for name in made if known.get(name) in CALIBRATED]
                found += inside(body, {**types, **known})
        return found

    return inside(model.graph, dict(element_types(model.graph, opsets)))


def augmented(path: Path, folder: Path) -> tuple[bytes | str, list[str]]:
    """Return a model with all activations among its outputs, as bytes or as a file, and their names.

    Parameters
    ----------
    path : Path
        The model's file.
    folder : Path
        Where to write it when it is too large for one message.
    """
    import onnx

    model = onnx.load(str(path))
    names = activations(model)
    if not names:
        raise ModelError(
            f"{path}: no tensor that depends on its inputs is float32 or float16.", remedy="It needs no calibration."
        )
    there = {info.name for info in (*model.graph.output, *model.graph.input)}
    infos = {info.name: info for info in model.graph.value_info}
    for name in names:
        if name not in there:
            model.graph.output.append(infos.get(name) or onnx.ValueInfoProto(name=name))
    if model.ByteSize() < onnx.checker.MAXIMUM_PROTOBUF:
        return model.SerializeToString(), names
    target = folder / "augmented.onnx"
    onnx.save(model, str(target), save_as_external_data=True, location="augmented.data")
    return str(target), names
