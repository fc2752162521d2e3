"""What ONNX's operator schemas say of the types that a node reads and writes; no shape is computed."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from workbench.model.graph import bodies_of

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

    import onnx

FLOAT, INT64, STRING = 1, 7, 8  # TensorProto.DataType
CONTROL_FLOW = ("If", "Loop", "Scan")
VALUE_TYPES = {"value_float": FLOAT, "value_floats": FLOAT, "value_int": INT64, "value_ints": INT64, "value_string": STRING}
TYPE_NAMES = {
    "tensor(float)": 1,
    "tensor(uint8)": 2,
    "tensor(int8)": 3,
    "tensor(int32)": 6,
    "tensor(int64)": 7,
    "tensor(string)": 8,
    "tensor(bool)": 9,
    "tensor(float16)": 10,
    "tensor(double)": 11,
    "tensor(bfloat16)": 16,
}


@dataclass(frozen=True, slots=True)
class Signature:
    """The types of a node's operands, as its schema has them.

    Attributes
    ----------
    inputs, outputs : tuple of str
        For each operand of the node the name of its type variable, such as ``T``, or a type such as ``tensor(float)``.
    allowed : dict of str to frozenset of str
        The types that each variable may stand for.
    attributes : frozenset of str
        The attributes that the operator knows.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    allowed: dict[str, frozenset[str]]
    attributes: frozenset[str]

    def allows(self, variable: str, kind: str) -> bool:
        """Whether operands of a variable may have a type such as ``tensor(float16)``."""
        return kind in self.allowed.get(variable, ())


def opsets_of(model: onnx.ModelProto) -> dict[str, int]:
    """Return the version of each operator domain that a model imports; ``""`` is ONNX's own."""
    return {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in model.opset_import}


def signature_of(node: onnx.NodeProto, opsets: Mapping[str, int]) -> Signature | None:
    """Return the types of a node's operands; ``None`` for operators that ONNX does not define, and for control flow."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    if domain not in opsets or node.op_type in CONTROL_FLOW:
        return None
    return _signature(node.op_type, domain, opsets[domain], len(node.input), len(node.output))


@lru_cache(maxsize=4096)
def _signature(op_type: str, domain: str, version: int, inputs: int, outputs: int) -> Signature | None:
    import onnx

    try:
        schema = onnx.defs.get_schema(op_type, version, domain)
    except onnx.defs.SchemaError:
        return None
    allowed = {each.type_param_str: frozenset(each.allowed_type_strs) for each in schema.type_constraints}
    reads, writes = _operands(schema.inputs, inputs), _operands(schema.outputs, outputs)
    if reads is None or writes is None:
        return None
    return Signature(reads, writes, allowed, frozenset(schema.attributes))


def _operands(parameters: Sequence[onnx.defs.OpSchema.FormalParameter], count: int) -> tuple[str, ...] | None:
    """Return the type of each operand; ``None`` where there are more than the schema has, or of any type each."""
    import onnx

    found = [parameter.type_str for parameter in parameters[:count]]
    if count > len(parameters):
        last = parameters[-1] if parameters else None
        if last is None or last.option != onnx.defs.OpSchema.FormalParameterOption.Variadic or not last.is_homogeneous:
            return None
        found += [last.type_str] * (count - len(parameters))
    return tuple(found)


def element_types(
    graph: onnx.GraphProto, opsets: Mapping[str, int], outer: Mapping[str, int] | None = None
) -> MutableMapping[str, int]:
    """Return the element type of a graph's tensors, as far as the file and the schemas tell.

    Parameters
    ----------
    graph : onnx.GraphProto
        A model's graph, or a control-flow body.
    opsets : mapping of str to int
        From :func:`opsets_of`.
    outer : mapping of str to int, optional
        What a body captures.

    Returns
    -------
    mapping of str to int
        ``TensorProto.DataType`` by name. Names of `outer` can be looked up too, but are not among the first map's.
    """
    own: dict[str, int] = {}
    types: ChainMap[str, int] = ChainMap(own, dict(outer or {}))
    for info in (*graph.value_info, *graph.output, *graph.input):
        if info.type.tensor_type.elem_type:
            own[info.name] = info.type.tensor_type.elem_type
    own.update({tensor.name: tensor.data_type for tensor in graph.initializer})
    own.update({sparse.values.name: sparse.values.data_type for sparse in graph.sparse_initializer})
    known = -1
    while known < len(own):  # more than once only where nodes are not in order
        known = len(own)
        for node in graph.node:
            if any(name and name not in own for name in node.output):
                for name, kind in zip(node.output, _made(node, types, opsets), strict=False):
                    if name and kind:
                        own.setdefault(name, kind)
    return types


def _made(node: onnx.NodeProto, types: Mapping[str, int], opsets: Mapping[str, int]) -> list[int]:
    """Return the element type of each output of a node; 0 where it is not known."""
    if node.op_type in CONTROL_FLOW:
        return _of_bodies(node, types, opsets)
    special = _of_attributes(node, types)
    if special is not None:
        return [special] * len(node.output)
    signature = signature_of(node, opsets)
    if signature is None:
        return []
    bound = bind(node, signature, types)
    return [bound.get(variable) or _single(variable, signature) for variable in signature.outputs]


def bind(node: onnx.NodeProto, signature: Signature, types: Mapping[str, int]) -> dict[str, int]:
    """Return what the type variables of a node stand for, by what it reads."""
    bound: dict[str, int] = {}
    for name, variable in zip(node.input, signature.inputs, strict=True):
        if kind := types.get(name, 0):
            bound.setdefault(variable, kind)
    return bound


def _single(variable: str, signature: Signature) -> int:
    """Return the type of a variable that can be one only, or of a plain type."""
    allowed = signature.allowed.get(variable, frozenset({variable}))
    return TYPE_NAMES.get(next(iter(allowed)), 0) if len(allowed) == 1 else 0


def _of_attributes(node: onnx.NodeProto, types: Mapping[str, int]) -> int | None:
    """Return the element type of the outputs of operators that name it in an attribute; ``None`` for others."""
    given = {attribute.name: attribute for attribute in node.attribute}
    if node.op_type == "Cast":
        return int(given["to"].i) if "to" in given else 0
    if node.op_type in ("Constant", "ConstantOfShape"):
        if "value" in given:
            return int(given["value"].t.data_type)
        if "sparse_value" in given:
            return int(given["sparse_value"].sparse_tensor.values.data_type)
        return next((VALUE_TYPES[name] for name in given if name in VALUE_TYPES), FLOAT)
    if "dtype" in given:
        return int(given["dtype"].i)
    if node.op_type in ("RandomNormal", "RandomUniform"):
        return FLOAT
    if node.op_type == "DequantizeLinear" and len(node.input) > 1:
        return types.get(node.input[1], FLOAT)
    return None


def _of_bodies(node: onnx.NodeProto, types: Mapping[str, int], opsets: Mapping[str, int]) -> list[int]:
    body = bodies_of(node)[0]
    inside = element_types(body, opsets, {**types, **given_types(node, body, types)})
    found = [inside.get(info.name, 0) for info in body.output]
    return found[1:] if node.op_type == "Loop" else found


def given_types(node: onnx.NodeProto, body: onnx.GraphProto, types: Mapping[str, int]) -> dict[str, int]:
    """Return the element types of what a control-flow node gives its body, by the body's names: the file may not say them."""
    inner = [info.name for info in body.input]
    if node.op_type == "Loop":
        inner = inner[2:]
        outer = list(node.input[2:])
    else:
        outer = list(node.input)
    return {name: types[source] for name, source in zip(inner, outer, strict=False) if source in types}
