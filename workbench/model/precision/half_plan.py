"""Which nodes of a graph can compute in half precision, and which of their operands change type."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.model.graph import bodies_of
from workbench.model.precision.half_result import LATER
from workbench.model.precision.half_values import NAMES, TYPES, Half
from workbench.model.signature import CONTROL_FLOW, FLOAT, Signature, bind, element_types, given_types, signature_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, MutableMapping

    import onnx

# Operators that hold values of sequences and optionals: their element type cannot change alone
CONTAINERS = ("Optional", "OptionalGetElement", "OptionalHasElement", "SplitToSequence", "ConcatFromSequence")
SHAPES = ("Shape", "Size")
# Operators whose first input holds the numbers, and whose others say where they lie
MOVES = (
    "ConstantOfShape", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Pad", "Reshape", "Resize", "Slice", "Split",
    "Squeeze", "Tile", "TopK", "Transpose", "Trilu", "Unsqueeze", "Upsample",
)  # fmt: skip
COORDINATES = {"Resize": (1,), "Upsample": (1,)}  # regions and scales: few numbers, and exact ones matter
ASKED, FLOW, SHAPE_WORK = "asked for", "control flow: nodes in its bodies are judged one by one", "they compute shapes"
FOREIGN, HOLDS = "they are not among ONNX's own operators", "sequences and optionals keep their type"
NAMED = "an attribute names the type"


@dataclass(frozen=True, slots=True)
class Choice:
    """A node, and which of its operands are in half precision; none where `why` says what keeps it in float32."""

    node: onnx.NodeProto
    name: str
    reads: tuple[bool, ...] = ()
    writes: tuple[bool, ...] = ()
    floats: bool = False
    why: str = ""
    bodies: tuple[Scope, ...] = ()

    @property
    def half(self) -> bool:
        """Whether it computes in half precision."""
        return self.floats and (any(self.reads) or any(self.writes))


@dataclass(slots=True)
class Scope:
    """A graph or a control-flow body, and what was chosen for its nodes.

    `constants` are float32 weights and constants that can be had in both types; `made` are tensors that nodes write in
    half precision, `fixed` those that must be there in float32 under their own name, `known` all weights and constants of
    whatever type, and `shapes` what is computed from shapes alone. `needs` holds what is read, as pairs of a name and
    whether in half precision.
    """

    graph: onnx.GraphProto
    parent: Scope | None
    types: MutableMapping[str, int]
    choices: list[Choice] = field(default_factory=list)
    own: set[str] = field(default_factory=set)
    constants: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    fixed: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)
    shapes: set[str] = field(default_factory=set)
    needs: set[tuple[str, bool]] = field(default_factory=set)

    def of(self, name: str) -> Scope | None:
        """Return the scope that a name is defined in; ``None`` where no graph defines it."""
        scope: Scope | None = self
        while scope is not None and name not in scope.own:
            scope = scope.parent
        return scope

    def need(self, name: str, *, half: bool) -> None:
        """Note that a tensor is read in one of the types."""
        scope = self.of(name)
        if scope is not None:
            scope.needs.add((name, half))


@dataclass(frozen=True, slots=True)
class Planner:
    """What holds for all scopes of one model."""

    to: Half
    opsets: Mapping[str, int]
    keep: Collection[str]
    names: Iterator[str]
    keep_io: bool

    def scope(self, graph: onnx.GraphProto, parent: Scope | None = None, owner: onnx.NodeProto | None = None) -> Scope:
        """Return the choices for a graph and, within them, for its nodes' bodies."""
        outer: dict[str, int] = {}
        if parent is not None and owner is not None:
            outer = {**parent.types, **given_types(owner, graph, parent.types)}
        types = element_types(graph, self.opsets, outer)
        scope = Scope(graph, parent, types)
        _define(scope, inner=parent is not None)
        for node in graph.node:
            choice = self._choice(node, next(self.names), scope)
            scope.choices.append(choice)
            scope.made |= {name for name, half in zip(node.output, choice.writes, strict=False) if half}
        _interface(scope, keep_io=self.keep_io or parent is not None)
        for choice in scope.choices:
            for i, name in enumerate(choice.node.input):
                scope.need(name, half=i < len(choice.reads) and choice.reads[i])
        return scope

    def _choice(self, node: onnx.NodeProto, name: str, scope: Scope) -> Choice:
        bodies = tuple(self.scope(body, scope, node) for body in bodies_of(node))
        floats = any(scope.types.get(each) == FLOAT for each in (*node.input, *node.output) if each)
        shape_work = _about_shapes(node, scope)
        if node.op_type == "Constant" and not node.domain:
            return Choice(node, name)
        if node.op_type in SHAPES and not node.domain:  # whichever type is there serves
            home = scope.of(node.input[0])
            return Choice(node, name, reads=(home is not None and node.input[0] in home.made,))
        signature = signature_of(node, self.opsets)
        why = _fixed(node, name, signature, self.keep, shape_work=shape_work)
        if why or signature is None:
            return Choice(node, name, floats=floats, why=why, bodies=bodies)
        variables = self._variables(node, signature, scope.types)
        left = COORDINATES.get(node.op_type, ())
        reads = tuple(v in variables and i not in left for i, v in enumerate(signature.inputs))
        for given, half in zip(node.input, reads, strict=True):
            if half and (home := scope.of(given)) is not None:
                home.types.setdefault(given, FLOAT)  # not known before, but the variable says so
        writes = tuple(v in variables for v in signature.outputs)
        for made, half in zip(node.output, writes, strict=True):
            if half and made:
                scope.types.setdefault(made, FLOAT)
        why = "" if any(reads) or any(writes) else self._refused(node)
        return Choice(node, name, reads, writes, floats, why, bodies)

    def _variables(self, node: onnx.NodeProto, signature: Signature, types: Mapping[str, int]) -> set[str]:
        """Return the type variables that stand for float32 and may stand for half precision."""
        bound = bind(node, signature, types)
        if node.op_type in ("Cast", "ConstantOfShape") and types.get(node.output[0]) == FLOAT:
            bound[signature.outputs[0]] = FLOAT
        return {name for name, kind in bound.items() if kind == FLOAT and signature.allows(name, TYPES[self.to])}

    def _refused(self, node: onnx.NodeProto) -> str:
        """Say that the schema refuses the type, and which operator set would not."""
        import onnx

        version = self.opsets.get("", 0)
        said = f"opset {version} does not allow {NAMES[self.to]} for them"
        newest = onnx.defs.get_schema(node.op_type, "") if node.domain in ("", "ai.onnx") else None
        later = newest is not None and newest.since_version > version
        if newest is not None and later and any(TYPES[self.to] in c.allowed_type_strs for c in newest.type_constraints):
            return said + LATER
        return said


def _define(scope: Scope, *, inner: bool) -> None:
    """Note what a graph defines; weights listed among the inputs can be given by a caller, so they are no constants."""
    graph = scope.graph
    given = {info.name for info in graph.input}
    weights = {tensor.name for tensor in graph.initializer}
    scope.own = given | weights | {s.values.name for s in graph.sparse_initializer}
    scope.own |= {name for node in graph.node for name in node.output if name}
    scope.constants = {name for name in weights - given if scope.types.get(name) == FLOAT}
    made = {node.output[0] for node in graph.node if node.op_type == "Constant" and not node.domain}
    sparse = {node.output[0] for node in graph.node if any(given.name == "sparse_value" for given in node.attribute)}
    scope.constants |= {name for name in made - sparse if scope.types.get(name) == FLOAT}
    scope.known = weights | made
    if inner:
        scope.fixed |= given


def _interface(scope: Scope, *, keep_io: bool) -> None:
    """Fix the types of what goes in and out."""
    given = {info.name for info in scope.graph.input if scope.types.get(info.name) == FLOAT}
    returned = {info.name for info in scope.graph.output if scope.types.get(info.name) == FLOAT}
    if keep_io:
        scope.fixed |= given
    else:
        scope.made |= given - {tensor.name for tensor in scope.graph.initializer}
    for name in returned:
        home = scope.of(name) or scope  # a body may return what lies outside
        if keep_io or name not in home.made:
            home.fixed.add(name)
            home.needs.add((name, False))


def _about_shapes(node: onnx.NodeProto, scope: Scope) -> bool:
    """Whether a node computes with shapes only, which is noted in its scope."""
    if node.op_type in SHAPES:
        scope.shapes.update(node.output)
        return False
    if node.op_type == "ConstantOfShape":
        return False
    numbers = node.input[:1] if node.op_type in MOVES else node.input
    homes = [(name, scope.of(name)) for name in numbers if name]
    if not any(home is not None and name in home.shapes for name, home in homes):
        return False
    if any(home is None or name not in home.shapes | home.known for name, home in homes) or node.op_type in CONTROL_FLOW:
        return False
    scope.shapes.update(node.output)
    return True


def _fixed(node: onnx.NodeProto, name: str, signature: Signature | None, keep: Collection[str], *, shape_work: bool) -> str:
    """Say why a node stays as it is; empty where its operands decide."""
    if node.op_type in CONTROL_FLOW and not node.domain:
        return FLOW
    if name in keep:
        return ASKED
    if signature is None or node.domain not in ("", "ai.onnx"):
        return FOREIGN
    if shape_work:
        return SHAPE_WORK
    if node.op_type.startswith("Sequence") or node.op_type in CONTAINERS:
        return HOLDS
    free = set(signature.outputs) - set(signature.inputs)
    named = {"dtype", "output_dtype"} & signature.attributes
    return NAMED if free and named and node.op_type != "QuantizeLinear" else ""
