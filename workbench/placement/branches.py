"""Replace an If whose condition is constant by the branch that it takes, as ONNX Runtime 1.17 and later do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.model.graph import bodies_of, nodes_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import onnx


def inline_branches(graph: onnx.GraphProto, taken: Mapping[str, bool], removed: dict[str, str]) -> None:
    """Put the branches of decided Ifs into their place.

    Parameters
    ----------
    taken : mapping of str to bool
        The constant condition of each such If, by its unique node name.
    removed : dict of str to str
        Receives the nodes that are gone, and why.
    """
    for node in graph.node:
        if node.name not in taken:
            for body in bodies_of(node):
                inline_branches(body, taken, removed)
    decided = [node for node in graph.node if node.name in taken]
    if not decided:
        return
    names = _names(graph)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.name in taken:
            kept = "then_branch" if taken[node.name] else "else_branch"
            nodes.extend(_branch(graph, node, kept, names, removed))
        else:
            nodes.append(_copy(node))
    del graph.node[:]
    graph.node.extend(nodes)


def _branch(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    kept: str,
    names: set[str],
    removed: dict[str, str],
) -> Iterable[onnx.NodeProto]:
    """Return the nodes of the branch that an If takes, its values renamed so that they fit into the graph."""
    dropped = "else_branch" if kept == "then_branch" else "then_branch"
    branches = {a.name: a.g for a in node.attribute if a.type == a.GRAPH}
    why = f"the condition of {node.name!r} is constant, so ONNX Runtime keeps only its {kept.partition('_')[0]} branch"
    removed[node.name] = why
    if dropped in branches:
        removed.update({inner.proto.name: why for inner in nodes_of(branches[dropped])})
    body = branches[kept]
    written = {o for n in body.node for o in n.output if o} | {t.name for t in body.initializer}
    new = {name: _free(f"{node.name}/{name}" if name in names else name, names) for name in sorted(written)}
    made = {o for n in body.node for o in n.output}
    nodes = []
    for inner, outer in zip(body.output, node.output, strict=False):
        if outer and inner.name in made and new.get(inner.name) == inner.name:
            new[inner.name] = outer
        elif outer:
            nodes.append(_identity(node.name, new.get(inner.name, inner.name), outer))
    for tensor in body.initializer:
        graph.initializer.add().CopyFrom(tensor)
        graph.initializer[-1].name = new[tensor.name]
    for info in body.value_info:
        if info.name in new:
            graph.value_info.add().CopyFrom(info)
            graph.value_info[-1].name = new[info.name]
    return [_renamed(n, new) for n in body.node] + nodes


def _identity(name: str, source: str, target: str) -> onnx.NodeProto:
    import onnx

    return onnx.helper.make_node("Identity", [source], [target], name=name)


def _renamed(node: onnx.NodeProto, new: Mapping[str, str]) -> onnx.NodeProto:
    """Return a copy of a node that reads and writes under new names, in its bodies too."""
    node = _copy(node)
    node.input[:] = [new.get(name, name) for name in node.input]
    node.output[:] = [new.get(name, name) for name in node.output]
    for body in bodies_of(node):
        _rename_body(body, new)
    return node


def _rename_body(body: onnx.GraphProto, new: Mapping[str, str]) -> None:
    own = {i.name for i in body.input} | {t.name for t in body.initializer} | {o for n in body.node for o in n.output}
    outer = {old: name for old, name in new.items() if old not in own}
    nodes = [_renamed(node, outer) for node in body.node]
    del body.node[:]
    body.node.extend(nodes)
    for output in body.output:
        output.name = outer.get(output.name, output.name)


def _names(graph: onnx.GraphProto) -> set[str]:
    """Return every value name of a graph, so that an inlined branch hides none."""
    names = {i.name for part in (graph.input, graph.output, graph.initializer) for i in part}
    return names | {o for n in graph.node for o in n.output}


def _free(name: str, names: set[str]) -> str:
    while name in names:
        name += "_"
    names.add(name)
    return name


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = type(node)()
    copy.CopyFrom(node)
    return copy
