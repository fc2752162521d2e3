"""The nodes of a model under names that are unique, and the graphs inside control-flow nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import onnx


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the model's file.

    Attributes
    ----------
    name : str
        The node's own name where it has one that no node before it has; else one made from its operator.
    op_type, domain : str
        Its operator; the domain ``""`` is ONNX's own.
    parent : str
        Unique name of the control-flow node whose body holds it; empty in the main graph.
    proto : onnx.NodeProto
        The node itself; not to be changed.
    """

    name: str
    op_type: str
    domain: str
    parent: str
    proto: onnx.NodeProto


def nodes_of(graph: onnx.GraphProto) -> list[Node]:
    """Return all nodes in the file's order; those of control-flow bodies follow their parent.

    Names given by the model are kept first, so that a made-up name never takes a real one's place.
    """
    pairs = list(_walk(graph, None))
    own = {proto.name for proto, _ in pairs}
    seen: set[str] = set()
    names: dict[int, str] = {}
    found: list[Node] = []
    for position, (proto, parent) in enumerate(pairs):
        name = proto.name
        if not name or name in seen:
            name = f"{name or proto.op_type}_{position}"
            while name in own or name in seen:
                name += "_"
        seen.add(name)
        names[id(proto)] = name
        found.append(Node(name, proto.op_type, proto.domain, names[id(parent)] if parent is not None else "", proto))
    return found


def _walk(
    graph: onnx.GraphProto | onnx.FunctionProto, parent: onnx.NodeProto | None
) -> Iterator[tuple[onnx.NodeProto, onnx.NodeProto | None]]:
    for node in graph.node:
        yield node, parent
        for body in bodies_of(node):
            yield from _walk(body, node)


def nodes_in(proto: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Yield every node of a model: its graph's, its control-flow bodies' and its functions'."""
    for part in (proto.graph, *proto.functions):
        yield from (node for node, _ in _walk(part, None))


def bodies_of(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """Return the graphs inside a control-flow node (If, Loop, Scan, ...)."""
    graphs: list[onnx.GraphProto] = []
    for attribute in node.attribute:
        if attribute.HasField("g"):
            graphs.append(attribute.g)
        graphs.extend(attribute.graphs)
    return graphs


def captured(body: onnx.GraphProto) -> set[str]:
    """Return the names that a control-flow body reads from outside itself."""
    own = names_given(body) | {o for n in body.node for o in n.output}
    reads = {name for node in body.node for name in reads_of(node)} | {o.name for o in body.output}
    return reads - own - {""}


def names_given(graph: onnx.GraphProto) -> set[str]:
    """Return the names that a graph's inputs and weights have."""
    return {i.name for i in graph.input} | {i.name for i in graph.initializer} | {s.values.name for s in graph.sparse_initializer}


def reads_of(node: onnx.NodeProto) -> list[str]:
    """Return what a node reads, what its bodies capture from outside included."""
    reads = [name for name in node.input if name]
    for body in bodies_of(node):
        reads.extend(captured(body))
    return reads


def read_instead(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Let whatever reads one of these tensors read another in its place, in control-flow bodies too."""
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name in names:
                node.input[i] = names[name]
        for body in bodies_of(node):
            read_instead(body, names)
            for given in body.output:  # a body may give out a tensor from outside
                given.name = names.get(given.name, given.name)
