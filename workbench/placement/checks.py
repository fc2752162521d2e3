"""What keeps ONNX Runtime from loading a model at all, as far as its file tells."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

from workbench.model.external import tensors_of
from workbench.placement.attributes import text
from workbench.placement.dataflow import since_version
from workbench.placement.support import PLUGINS
from workbench.record import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable

    import onnx

    from workbench.model.model import Model
    from workbench.placement.dataflow import Graph, Op
    from workbench.placement.releases import Release

INVALID = "Export the model again; it is not valid ONNX."
# TensorProto.DataType -> bits of an element, for the types that have a fixed size
BITS = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16}
EXTENSIONS = {"ai.onnx.contrib", "com.microsoft.extensions"}


def refused_versions(model: Model, runtime: Release) -> Failure | None:
    """Return the failure of a model that is newer than the release reads."""
    wanted = {"": runtime.opset, "ai.onnx.ml": runtime.ml_opset}
    label = f"ONNX Runtime {runtime.version}"
    for domain, version in model.opsets.items():
        if version > wanted.get(domain, version):
            name = domain or "ai.onnx"
            return Failure(
                kind="opset",
                message=f"{label} loads opset {wanted[domain]} of {name} at most; the model imports {version}.",
                remedy=f"Export at {name} opset {wanted[domain]}, or use a newer ONNX Runtime.",
            )
    if model.ir_version > runtime.ir_version:
        return Failure(
            kind="opset",
            message=f"{label} loads IR version {runtime.ir_version} at most; the model has {model.ir_version}.",
            remedy=f"Set the model's ir_version to {runtime.ir_version} and save it again, or use a newer ONNX Runtime.",
        )
    return None


def unknown_operator(model: Model, graph: Graph, *, tensorrt: bool) -> Failure | None:
    """Return the failure of a model with an operator that ONNX Runtime does not know."""
    functions = {(f.domain, f.name) for f in model.proto.functions}
    for _, op in graph.walk():
        if not _known(op, functions, tensorrt=tensorrt):
            return _unknown(op, model)
    return None


def _known(op: Op, functions: set[tuple[str, str]], *, tensorrt: bool) -> bool:
    if op.domain == PLUGINS:
        return tensorrt
    return op.version > 0 or (op.domain, op.op_type) in functions


def _unknown(op: Op, model: Model) -> Failure:
    name = f"{op.domain or 'ai.onnx'}:{op.op_type}"
    since = _first_version(op)
    if since is not None:
        message = f"{name} (node {op.name!r}) exists since opset {since}; the model imports {model.opsets.get(op.domain, 1)}."
        return Failure(kind="opset", message=message, remedy=f"Export at opset {since} or later.")
    if op.domain in EXTENSIONS:
        remedy = "Install onnxruntime-extensions and register its library with the session options."
    elif op.domain == PLUGINS:
        remedy = "It is a TensorRT plugin: run the model with the TensorRT provider."
    else:
        remedy = "Register the library that implements it, or express it with ONNX operators when exporting."
    message = f"{name} (node {op.name!r}) is not an operator that ONNX Runtime knows."
    return Failure(kind="custom-op", message=message, remedy=remedy)


def _first_version(op: Op) -> int | None:
    """Return the opset that brought an operator; ``None`` where no opset has it."""
    import onnx

    named = (s.since_version for s in onnx.defs.get_all_schemas_with_history() if (s.name, s.domain) == (op.op_type, op.domain))
    return min(named, default=None)


def malformed(model: Model) -> Failure | None:
    """Return the failure of a model with a node that its operator does not allow, or a weight of negative size.

    ONNX Runtime refuses such a model; ONNX's inference may end the process over it, so this comes first.
    """
    for tensor in _weights(model):
        if _bytes_there(tensor) < _bytes_needed(tensor):
            message = f"Weight {tensor.name!r} has the shape {list(tensor.dims)}, and not the bytes for it."
            return Failure(kind="load", message=message, remedy=INVALID)
    scopes = [(model.opsets, [(node.name, node.proto) for node in model.nodes])]
    for function in model.proto.functions:
        opsets = {o.domain: o.version for o in function.opset_import}
        scopes.append((opsets, [(node.name or function.name, node) for node in function.node]))
    for opsets, nodes in scopes:
        for name, node in nodes:
            domain = "" if node.domain == "ai.onnx" else node.domain
            wrong = _form(node.op_type, domain, opsets.get(domain, 1)).broken_by(node)
            if wrong:
                message = f"{node.op_type} {name!r} {wrong}."
                return Failure(kind="load", message=message, remedy=INVALID)
    return None


def _weights(model: Model) -> Iterable[onnx.TensorProto]:
    """Return the weights; without bodies, looking at Constant nodes alone saves most of the time."""
    if any(node.parent for node in model.nodes):
        return tensors_of(model.proto.graph)
    constants = (node.proto.attribute for node in model.nodes if node.op_type == "Constant")
    return chain(model.proto.graph.initializer, (a.t for attributes in constants for a in attributes if a.name == "value"))


def _bytes_needed(tensor: onnx.TensorProto) -> float:
    if any(dim < 0 for dim in tensor.dims):
        return math.inf
    return float(math.prod(tensor.dims) * BITS.get(tensor.data_type, 0) / 8)


def _bytes_there(tensor: onnx.TensorProto) -> float:
    """Return how many bytes a tensor's values take; the largest number where they are not kept as plain bytes."""
    if tensor.data_location == tensor.EXTERNAL:
        length = next((str(entry.value) for entry in tensor.external_data if entry.key == "length"), "")
        return int(length) if length.isdecimal() else sys.float_info.max
    return len(tensor.raw_data) if tensor.HasField("raw_data") else sys.float_info.max


@dataclass(frozen=True, slots=True)
class Form:
    """How many inputs and outputs an operator has, and the inputs (by index) and attributes that must be given."""

    least: int = 0
    most: int = 2**31 - 1
    results: int = 2**31 - 1
    required: tuple[int, ...] = ()
    attributes: frozenset[str] = frozenset()

    def broken_by(self, node: onnx.NodeProto) -> str:
        """Return what is wrong with a node's inputs and outputs; empty when nothing is."""
        count = len(node.input)
        if not self.least <= count <= self.most:
            return f"has {count} inputs; its operator takes {self.least} to {self.most}"
        if len(node.output) > self.results:
            return f"has {len(node.output)} outputs; its operator has {self.results}"
        if "" in node.input:
            missing = [i for i in self.required if i < count and not node.input[i]]
            if missing:
                return f"lacks its input {missing[0]}, which is not optional"
        absent = self.attributes - {a.name for a in node.attribute} if self.attributes else ()
        return f"lacks its attribute {min(absent)!r}" if absent else ""


@cache
def _form(op_type: str, domain: str, opset: int) -> Form:
    import onnx

    version = since_version(op_type, domain, opset)
    if not version:
        return Form()
    schema = onnx.defs.get_schema(op_type, version, domain)
    optional = onnx.defs.OpSchema.FormalParameterOption.Optional
    required = tuple(i for i, parameter in enumerate(schema.inputs) if parameter.option != optional)
    attributes = frozenset(name for name, attribute in schema.attributes.items() if attribute.required)
    return Form(schema.min_input, schema.max_input, schema.max_output, required, attributes)


def context_source(model: Model) -> str | None:
    """Return the provider that a graph of one EPContext node was compiled for; ``None`` for any other graph."""
    if len(model.nodes) != 1 or model.nodes[0].op_type != "EPContext":
        return None
    return text(model.nodes[0].proto, "source", "")
