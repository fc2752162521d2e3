"""A model's graph as the execution providers see it: operations, the values between them, and which are constant."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from workbench.model.graph import bodies_of, captured
from workbench.placement.kernels import KernelTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    import onnx

Shape = tuple[int | str | None, ...]

# TensorProto.DataType -> the name in ONNX's type strings
ELEMENTS = {
    1: "float",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    8: "string",
    9: "bool",
    10: "float16",
    11: "double",
    12: "uint32",
    13: "uint64",
    14: "complex64",
    15: "complex128",
    16: "bfloat16",
    17: "float8e4m3fn",
    18: "float8e4m3fnuz",
    19: "float8e5m2",
    20: "float8e5m2fnuz",
    21: "uint4",
    22: "int4",
    23: "float4e2m1",
}


@dataclass(frozen=True, slots=True)
class Value:
    """What is known of a tensor.

    Attributes
    ----------
    type : str
        ONNX's type string, such as ``tensor(float)``; empty where it is unknown.
    shape : tuple of (int, str or None) or None
        A number, a name, or ``None`` for a dimension without either; ``None`` for an unknown rank.
    element : str
        The element type, such as ``float``; empty for what is no tensor.
    """

    type: str = ""
    shape: Shape | None = None
    element: str = ""

    @property
    def specified(self) -> bool:
        """Whether the rank is known and each dimension has a value or a name."""
        return self.shape is not None and None not in self.shape


UNKNOWN = Value()
LATEST = 2**31 - 1  # schemas are looked up by a 32-bit version; custom domains may import any
STANDARD = {"", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training"}  # ONNX's domains that ONNX Runtime registers
OWN = "com.microsoft"  # the domain of ONNX Runtime's own operators


@dataclass(slots=True, eq=False)
class Op:
    """An operation of a graph.

    Attributes
    ----------
    name : str
        The unique name of the file's node that it comes from; nodes of an inlined function share their caller's.
    position : int
        ONNX Runtime's node index: what breaks ties in its topological orders.
    version : int
        The operator set version since which this operator is as it is; 0 where ONNX Runtime knows none up to the model's opset.
    captured : tuple of str
        What its bodies read from outside.
    reads : tuple of str
        All values it needs: inputs that are there, and what is captured.
    removed : str
        Why ONNX Runtime removes it before any provider sees it; empty while it stays.
    """

    name: str
    op_type: str
    domain: str
    position: int
    version: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    proto: onnx.NodeProto
    captured: tuple[str, ...] = ()
    bodies: tuple[Graph, ...] = ()
    reads: tuple[str, ...] = ()
    removed: str = ""


@dataclass(slots=True, eq=False)
class Graph:
    """A graph, or the body of a control-flow operation.

    Attributes
    ----------
    constants : dict of str to TensorProto or None
        Values that never change; ``None`` for the result of an operation on constants.
    assumed : set of str
        Values whose shape only ONNX Runtime's own operators decide: ONNX's inference stops there, ONNX Runtime's goes on.
    evaluated : dict of str to ndarray or None
        Results of such operations as far as they were asked for; ``None`` for what is not computed here.
    parent : Graph or None
        The graph around a body, whose values the body may read.
    """

    parent: Graph | None
    outputs: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    ops: list[Op] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto | None] = field(default_factory=dict)
    producer: dict[str, Op] = field(default_factory=dict)
    consumers: dict[str, list[Op]] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    infos: dict[str, onnx.ValueInfoProto] = field(default_factory=dict)
    assumed: set[str] = field(default_factory=set)
    evaluated: dict[str, np.ndarray[Any, Any] | None] = field(default_factory=dict)

    def value(self, name: str) -> Value:
        """Return what is known of a value, looking in the graphs around too."""
        found = self.values.get(name)
        if found is not None:
            return found
        info = self.infos.get(name)
        if info is not None:
            found = _value(info.type)
        elif (tensor := self.constants.get(name)) is not None:
            element = ELEMENTS.get(tensor.data_type, "")
            found = Value(f"tensor({element})", tuple(tensor.dims), element)
        elif self.parent is not None and name not in self.producer:
            return self.parent.value(name)
        else:
            found = UNKNOWN
        self.values[name] = found
        return found

    def is_constant(self, name: str) -> bool:
        """Whether a value never changes; an absent optional input does not count as one."""
        if name in self.constants:
            return True
        if self.parent is None or not name or name in self.producer or name in self.inputs:
            return False
        return self.parent.is_constant(name)

    def specified(self, name: str) -> bool:
        """Whether ONNX Runtime knows a value's rank, and for each dimension a number or a name, as far as can be told."""
        home: Graph | None = self
        while home is not None:
            if name in home.assumed:
                return True
            home = None if name in home.producer or name in home.inputs else home.parent
        return self.value(name).specified

    def assume(self) -> bool:
        """Find the values whose shape only ONNX Runtime's own operators decide; say whether there are any."""
        for op in self.ops:
            lost = [name for name in op.reads if not self.specified(name) and not self.is_constant(name)]
            ours = op.domain == OWN or any(name in self.assumed for name in op.reads)
            if ours and not lost:
                self.assumed.update(name for name in op.outputs if name and not self.value(name).specified)
            for body in op.bodies:
                if op.domain == OWN:  # ONNX's inference does not enter these at all
                    body.assumed.update(body.producer)
                body.assume()
        return bool(self.assumed) or any(body.assumed for op in self.ops for body in op.bodies)

    def live(self) -> list[Op]:
        """Return the operations that the providers get to see, in the file's order."""
        return [op for op in self.ops if not op.removed]

    def walk(self) -> Iterator[tuple[Graph, Op]]:
        """Yield every operation with its graph, bodies after their operation."""
        for op in self.ops:
            yield self, op
            for body in op.bodies:
                yield from body.walk()


@dataclass(frozen=True, slots=True)
class Source:
    """What a Graph is made by, beside the protobuf graph itself.

    Attributes
    ----------
    opsets : mapping of str to int
        The version of each imported operator domain.
    positions : mapping of str to int
        ONNX Runtime's node index by node name; nodes that it does not hold follow in order.
    owners : mapping of str to str
        For nodes that are not in the file, the name of the file's node that they came from.
    overridable : bool
        Whether an initializer that is also an input is no constant, as from IR version 4 on.
    nested : bool
        Whether some node may have bodies; looking for them takes time.
    """

    opsets: Mapping[str, int]
    positions: Mapping[str, int]
    owners: Mapping[str, str]
    overridable: bool
    nested: bool


def build(proto: onnx.GraphProto, source: Source, parent: Graph | None = None) -> Graph:
    """Make a Graph of a protobuf graph whose shapes were inferred and whose nodes have unique names."""
    given = [i.name for i in proto.input]
    changeable = set(given) if source.overridable and parent is None else set()
    graph = Graph(parent, tuple(o.name for o in proto.output))
    graph.constants = {t.name: t for t in proto.initializer if t.name not in changeable}
    graph.constants |= {s.values.name: None for s in proto.sparse_initializer}
    graph.inputs = tuple(name for name in given if name not in graph.constants)
    graph.infos = {i.name: i for part in (proto.value_info, proto.output, proto.input) for i in part}
    for index, node in enumerate(proto.node):
        op = _op(node, source.positions.get(node.name, len(source.positions) + index), source.opsets)
        op.name = source.owners.get(node.name, node.name)
        bodies = bodies_of(node) if source.nested else []
        if bodies:
            op.captured = tuple(dict.fromkeys(name for body in bodies for name in sorted(captured(body))))
            op.reads += op.captured
            op.bodies = tuple(build(body, source, graph) for body in bodies)
        graph.ops.append(op)
        for output in filter(None, op.outputs):
            graph.producer[output] = op
    for op in graph.ops:
        for name in op.reads:
            graph.consumers.setdefault(name, []).append(op)
    return graph


def _op(node: onnx.NodeProto, position: int, opsets: Mapping[str, int]) -> Op:
    domain = "" if node.domain == "ai.onnx" else node.domain
    opset = opsets.get(domain, 1)
    version = since_version(node.op_type, domain, opset) if domain in STANDARD else 0
    version = version or KernelTable.load().version(domain, node.op_type, opset)
    inputs = tuple(node.input)
    reads = tuple(filter(None, inputs))
    return Op(node.name, node.op_type, domain, position, version, inputs, tuple(node.output), node, reads=reads)


@cache
def since_version(op_type: str, domain: str, opset: int) -> int:
    """Return the version since which an operator is as it is at `opset`; 0 where ONNX knows no such operator."""
    import onnx

    try:
        return int(onnx.defs.get_schema(op_type, min(max(opset, 0), LATEST), domain).since_version)
    except onnx.defs.SchemaError:
        return 0


def _value(proto: onnx.TypeProto) -> Value:
    kind = proto.WhichOneof("value")
    if kind == "tensor_type":
        tensor = proto.tensor_type
        element = ELEMENTS.get(tensor.elem_type, "")
        return Value(f"tensor({element})" if element else "", _shape(tensor), element)
    return Value(type_string(proto))


def type_string(proto: onnx.TypeProto) -> str:
    """Return ONNX's type string of a type; empty for an unknown one."""
    kind = proto.WhichOneof("value")
    if kind == "tensor_type":
        return f"tensor({ELEMENTS.get(proto.tensor_type.elem_type, '')})"
    if kind == "sparse_tensor_type":
        return f"sparse_tensor({ELEMENTS.get(proto.sparse_tensor_type.elem_type, '')})"
    if kind == "sequence_type":
        return f"seq({type_string(proto.sequence_type.elem_type)})"
    if kind == "optional_type":
        return f"optional({type_string(proto.optional_type.elem_type)})"
    if kind == "map_type":
        return f"map({ELEMENTS.get(proto.map_type.key_type, '')},{type_string(proto.map_type.value_type)})"
    return ""


def _shape(tensor: onnx.TypeProto.Tensor) -> Shape | None:
    if not tensor.HasField("shape"):
        return None
    return tuple(dim.dim_value or _dimension(dim) for dim in tensor.shape.dim)


def _dimension(dim: onnx.TensorShapeProto.Dimension) -> int | str | None:
    if dim.HasField("dim_value"):
        return 0
    # ONNX's inference invents names for what it does not know; ONNX Runtime's does not.
    return None if not dim.dim_param or dim.dim_param.startswith("unk__") else dim.dim_param
