"""Bring a model's graph into the form in which ONNX Runtime partitions it, as far as that can be told from the file.

Functions of the model are inlined, nodes put in topological order, types and shapes inferred, constants folded, and
an If whose condition is constant is replaced by its branch. The fusions of ONNX Runtime's Level-1 optimisation are not
replayed: they change which nodes there are, seldom who runs them.
"""

from __future__ import annotations

import heapq
import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from google.protobuf.message import Error  # type: ignore[import-untyped,unused-ignore]

from workbench.model.graph import bodies_of, captured, nodes_in
from workbench.placement.branches import inline_branches
from workbench.placement.dataflow import OWN, Graph, Source, build
from workbench.placement.dimensions import fix_dimensions
from workbench.placement.folding import constant_branches, fold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import onnx

    from workbench.model.model import Model

Calls = set[tuple[str, str]]
ROUNDS = 4  # each round inlines the Ifs whose conditions the round before made constant; exporters nest two deep


@dataclass(slots=True)
class Prepared:
    """The graph that the providers get to see.

    Attributes
    ----------
    owners : dict of str to str
        For nodes that a function's inlining made: the name of the file's node that called it.
    removed : dict of str to str
        Nodes of the file that are in no graph any more, and why.
    defect : str
        What ONNX Runtime's own inference would refuse the model for; empty when nothing was found.
    """

    graph: Graph
    owners: dict[str, str] = field(default_factory=dict)
    removed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    defect: str = ""


def prepare(
    model: Model, *, optimised: bool = True, inlines_branches: bool = True, sizes: Mapping[str, int] | None = None
) -> Prepared:
    """Return the graph of a model as the providers get to see it.

    Parameters
    ----------
    optimised : bool
        Whether ONNX Runtime's Level-1 optimisation runs.
    inlines_branches : bool
        Whether this release replaces an If with a constant condition by its branch (ONNX Runtime 1.17 and later).
    sizes : mapping of str to int
        Sizes of the inputs' dynamic dimensions that are to be static, by name (``workbench.placement.dimensions``).
    """
    import onnx

    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    del proto.metadata_props[:]
    nested = bool(proto.functions) or any(node.parent for node in model.nodes)
    # Nodes of functions come after those of the graph, and have no name of their own.
    for node, named in zip(nodes_in(proto) if nested else proto.graph.node, model.nodes, strict=False):
        if node.name != named.name:
            node.name = named.name
    prepared = Prepared(Graph(None, ()))
    _import_domains(proto, {node.domain for node in model.nodes})
    proto, prepared.owners = _inline_functions(proto, prepared.notes)
    _forget_negative(proto.graph, nested=nested)
    if sizes:
        fix_dimensions(proto.graph, sizes, nested=nested)
    positions = {node.name: i for i, node in enumerate(proto.graph.node)}
    for _ in range(ROUNDS):
        if not model.in_order:
            _sort(proto.graph, nested=nested)
        proto, prepared.defect = _inferred(proto, prepared.notes)
        opsets = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in proto.opset_import}
        overridable = proto.ir_version >= 4
        prepared.graph = build(proto.graph, Source(opsets, positions, prepared.owners, overridable, nested))
        fold(prepared.graph, optimised=optimised)
        decided = constant_branches(prepared.graph) if optimised and inlines_branches else {}
        if not decided:
            break
        inline_branches(proto.graph, decided, prepared.removed)
    if any(op.domain == OWN for _, op in prepared.graph.walk()) and prepared.graph.assume():
        prepared.notes.append(
            "Shapes behind ONNX Runtime's own operators are taken to be known; ONNX's inference does not know them."
        )
    return prepared


def _import_domains(proto: onnx.ModelProto, used: set[str]) -> None:
    """Import the domains that ONNX Runtime imports by itself, without which ONNX's inference gives up."""
    known = {o.domain for o in proto.opset_import}
    for domain in sorted(used - known - {"", "ai.onnx"}):
        entry = proto.opset_import.add()
        entry.domain, entry.version = domain, 1


def _inline_functions(proto: onnx.ModelProto, notes: list[str]) -> tuple[onnx.ModelProto, dict[str, str]]:
    """Inline the model's functions; return also which node of the file each new node came from."""
    if not proto.functions:
        return proto, {}
    import onnx.inliner

    calls = {(f.domain, f.name) for f in proto.functions}
    try:
        inlined = onnx.inliner.inline_local_functions(proto)
    except (Error, RuntimeError, ValueError, TypeError, MemoryError) as error:
        notes.append(
            f"The model's functions could not be inlined ({_one_line(error)}); nodes that call them were not looked into."
        )
        return proto, {}
    return inlined, _owners(proto.graph.node, inlined.graph.node, calls)


def _owners(before: Sequence[onnx.NodeProto], after: Sequence[onnx.NodeProto], calls: Calls) -> dict[str, str]:
    """Match nodes after inlining with those before: what stands in a call's place came from that call."""
    owners: dict[str, str] = {}
    plain = {node.name for node in before if (node.domain, node.op_type) not in calls}
    left = deque(before)
    due: set[str] = set()  # outputs of the call at hand that no node has written yet
    for number, node in enumerate(after):
        if node.name in plain:
            while left and left[0].name != node.name:
                left.popleft()
            for old, new in zip(bodies_of(left[0]), bodies_of(node), strict=True):
                owners |= _owners(old.node, new.node, calls)
            left.popleft()
            due = set()
            continue
        if not due and left:
            due = set(filter(None, left[0].output))
        owner = left[0].name if left else before[-1].name
        _claim(node, owner, str(number), owners)
        due -= set(node.output)
        if not due and len(left) > 1:
            left.popleft()
    return owners


def _claim(node: onnx.NodeProto, owner: str, number: str, owners: dict[str, str]) -> None:
    """Give a node that inlining made, and those in its bodies, a name of its own that leads to its caller."""
    node.name = f"{owner}//{number}"
    owners[node.name] = owner
    for body in bodies_of(node):
        for i, inner in enumerate(body.node):
            _claim(inner, owner, f"{number}/{i}", owners)


def _forget_negative(graph: onnx.GraphProto, *, nested: bool) -> None:
    """Clear dimensions that the file says are negative: some exporters write -1 for unknown, and ONNX's inference dies of it."""
    for part in (graph.input, graph.output, graph.value_info):
        for info in part:
            for dim in info.type.tensor_type.shape.dim:
                if dim.dim_value < 0:
                    dim.Clear()
    for node in graph.node if nested else ():
        for body in bodies_of(node):
            _forget_negative(body, nested=True)


def _sort(graph: onnx.GraphProto, *, nested: bool) -> None:
    """Put nodes into topological order, bodies too; a stable order, and no copy where it is one already."""
    bodies = [bodies_of(node) for node in graph.node] if nested else [[] for _ in graph.node]
    for held in bodies:
        for body in held:
            _sort(body, nested=True)
    order = _order(graph, bodies)
    if order == list(range(len(graph.node))):
        return
    import onnx

    nodes = [onnx.NodeProto.FromString(graph.node[i].SerializeToString()) for i in order]
    del graph.node[:]
    graph.node.extend(nodes)


def _order(graph: onnx.GraphProto, bodies: Sequence[Sequence[onnx.GraphProto]]) -> list[int]:
    """Return node indices in topological order, lower index first; what lies on a cycle comes last."""
    writer = {output: i for i, node in enumerate(graph.node) for output in node.output if output}
    waits: list[int] = []
    readers: dict[int, list[int]] = {}
    for i, node in enumerate(graph.node):
        needed = {writer[n] for n in node.input if n in writer}
        needed |= {writer[n] for body in bodies[i] for n in captured(body) if n in writer}
        waits.append(len(needed))
        for j in needed:
            readers.setdefault(j, []).append(i)
    ready = [i for i, n in enumerate(waits) if n == 0]
    order: list[int] = []
    while ready:
        i = heapq.heappop(ready)
        order.append(i)
        for j in readers.get(i, ()):
            waits[j] -= 1
            if waits[j] == 0:
                heapq.heappush(ready, j)
    placed = set(order)
    return order + [i for i in range(len(waits)) if i not in placed]


def _inferred(proto: onnx.ModelProto, notes: list[str]) -> tuple[onnx.ModelProto, str]:
    """Return the model with types and shapes inferred, and what ONNX Runtime would refuse it for."""
    from onnx import shape_inference

    defect = ""
    try:
        return shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True), ""
    except (shape_inference.InferenceError, Error, RuntimeError, ValueError, TypeError, MemoryError) as error:
        defect = fatal(str(error))
    try:
        return shape_inference.infer_shapes(proto, data_prop=True), defect
    except (shape_inference.InferenceError, Error, RuntimeError, ValueError, TypeError, MemoryError) as error:
        note = f"Types and shapes could not be inferred ({_one_line(error)}); operations were judged without them."
        if note not in notes:
            notes.append(note)
        return proto, defect


def fatal(message: str) -> str:
    """Return the first error of ONNX's strict inference that ONNX Runtime fails for too; empty where there is none.

    ONNX Runtime runs the same inference functions and fails when one of them does. It forgives an inferred shape that
    contradicts the file's own, and a missing type is only what an earlier error left behind.
    """
    for line in message.splitlines():
        found = re.search(r"\(op_type:(\w+)(?:, node name: (.*?))?\): \[(?:Shape|Type)InferenceError\] (.*)", line)
        if found is None:
            continue
        op_type, name, text = found.groups()
        forgiven = ("existing shape", "but instead is null", "Inference error(s)")
        if any(word in text for word in forgiven):
            continue
        return f"{op_type} {name!r}: {text}" if name else f"{op_type}: {text}"
    return ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
