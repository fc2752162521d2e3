"""What makes a graph invalid: tensors that nothing writes or that two nodes write, cycles, names that are no text."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import ModelError
from workbench.model.graph import bodies_of, names_given, reads_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import onnx


def check_structure(proto: onnx.ModelProto, path: str) -> bool:
    """Check that every tensor a node reads exists, that none is written twice, and that there is no cycle.

    Parameters
    ----------
    proto : onnx.ModelProto
        The model.
    path : str
        Its file, for messages.

    Returns
    -------
    bool
        Whether the nodes stand in topological order, as the ONNX specification wants. ONNX Runtime sorts them itself.

    Raises
    ------
    ModelError
        Naming the node and the tensor.
    """
    if not proto.graph.output:
        msg = f"{path}: the graph has no outputs."
        raise ModelError(msg, remedy="Mark at least one tensor as an output when exporting.")
    ordered = _check(_scope(proto.graph, path), frozenset())
    for function in proto.functions:
        where = f"{path}: function {function.name!r}"
        ordered &= _check(_Scope(where, list(function.node), set(function.input), list(function.output)), frozenset())
    return ordered


def check_text(proto: onnx.ModelProto, path: str) -> None:
    """Check that all names are text: protobuf's parser lets other bytes through, and hands them out as ``bytes``.

    Raises
    ------
    ModelError
        With the bytes.
    """
    try:
        wrong = next((text for text in _texts(proto) if not isinstance(text, str)), None)
    except UnicodeDecodeError as error:  # some releases of protobuf raise instead
        wrong = error.object
    if wrong is not None:
        msg = f"{path}: the model holds a name that is not UTF-8 text: {bytes(wrong[:60])!r}."
        raise ModelError(msg, remedy="The file is damaged, or its exporter is at fault: export the model again.")


@dataclass(frozen=True, slots=True)
class _Scope:
    """A graph or a function body: its nodes, the names it is given, and those it must give."""

    where: str
    nodes: Sequence[onnx.NodeProto]
    given: set[str]
    outputs: Sequence[str]


def _scope(graph: onnx.GraphProto, where: str) -> _Scope:
    return _Scope(where, list(graph.node), names_given(graph), [o.name for o in graph.output])


def _check(scope: _Scope, outer: frozenset[str]) -> bool:
    writers = _writers(scope)
    # Several Constant nodes may write one tensor: ONNX Runtime makes weights of them, of which the last wins, and
    # real exporters rely on that.
    constants = {o for n in scope.nodes if n.op_type == "Constant" for o in n.output}
    everything = outer | scope.given | writers.keys() | constants
    for index, node in enumerate(scope.nodes):
        for name in node.input:
            if name and name not in everything:
                msg = f"{scope.where}: {_what(node, index)} reads tensor {name!r}, which nothing writes."
                raise ModelError(msg, remedy="Export the model again; if it was cut by hand, add the tensor as an input.")
    for name in scope.outputs:
        if name not in everything:
            msg = f"{scope.where}: output {name!r} is written by no node."
            raise ModelError(msg, remedy="Export the model again, or take this output away.")
    inner = [_scope(body, scope.where) for node in scope.nodes for body in bodies_of(node)]
    ordered = [_check(body, everything) for body in inner]
    return _in_order(scope, writers) and all(ordered)


def _writers(scope: _Scope) -> dict[str, int]:
    """Return which node writes each tensor, those of Constant nodes left out."""
    constants = {o: i for i, n in enumerate(scope.nodes) if n.op_type == "Constant" for o in n.output}
    writers: dict[str, int] = {}
    for index, node in enumerate(scope.nodes):
        if not node.op_type:
            msg = f"{scope.where}: {_what(node, index)} has no operator."
            raise ModelError(msg, remedy="Export the model again.")
        for name in node.output if node.op_type != "Constant" else ():
            other = writers.get(name, constants.get(name))
            if name and (other is not None or name in scope.given):
                by = "a graph input or weight" if other is None else _what(scope.nodes[other], other)
                msg = f"{scope.where}: tensor {name!r} is written twice: by {_what(node, index)} and by {by}."
                raise ModelError(msg, remedy="Every tensor needs one writer; export the model again.")
            if name:
                writers[name] = index
    return writers


def _in_order(scope: _Scope, writers: dict[str, int]) -> bool:
    """Return whether the order is topological; raise ModelError for a cycle."""
    reads = [reads_of(node) for node in scope.nodes]
    needs = [{writers[name] for name in names if name in writers} for names in reads]
    if all(not earlier or max(earlier) < index for index, earlier in enumerate(needs)):
        return _constants_first(scope, reads)
    stuck = _stuck(needs)
    if stuck:
        cycle = ", ".join(_what(scope.nodes[i], i) for i in _cycle(needs, stuck)[:4])
        msg = f"{scope.where}: the graph has a cycle through {cycle}."
        raise ModelError(msg, remedy="ONNX graphs are acyclic; express the repetition as a Loop.")
    return False


def _constants_first(scope: _Scope, reads: Sequence[Sequence[str]]) -> bool:
    """Return whether every Constant node stands before the nodes that read it."""
    late = {name for node in scope.nodes if node.op_type == "Constant" for name in node.output}
    for node, names in zip(scope.nodes, reads, strict=True):
        if not late:
            return True
        if not late.isdisjoint(names):
            return False
        late.difference_update(node.output)
    return True


def _stuck(needs: Sequence[set[int]]) -> set[int]:
    """Return the nodes that can never run, as they wait for each other or for such nodes (Kahn's algorithm, 1962)."""
    readers: list[list[int]] = [[] for _ in needs]
    for index, earlier in enumerate(needs):
        for other in earlier:
            readers[other].append(index)
    waiting = [len(earlier) for earlier in needs]
    ready = deque(index for index, count in enumerate(waiting) if not count)
    stuck = set(range(len(needs)))
    while ready:
        done = ready.popleft()
        stuck.discard(done)
        for index in readers[done]:
            waiting[index] -= 1
            if not waiting[index]:
                ready.append(index)
    return stuck


def _cycle(needs: Sequence[set[int]], stuck: set[int]) -> list[int]:
    """Return the nodes of one cycle, given those that wait; each of them needs another one that waits."""
    node, trail = min(stuck), dict[int, int]()
    while node not in trail:
        trail[node] = len(trail)
        node = min(needs[node] & stuck)
    return list(trail)[trail[node] :]


def _what(node: onnx.NodeProto, index: int) -> str:
    return f"node {index} ({node.op_type or 'no operator'} {node.name!r})"


def _texts(proto: onnx.ModelProto) -> Iterator[str | bytes]:
    yield from (proto.producer_name, proto.producer_version, proto.domain)
    yield from (opset.domain for opset in proto.opset_import)
    yield from _graph_texts(proto.graph)
    for function in proto.functions:
        yield from (function.name, function.domain, *function.input, *function.output)
        yield from _node_texts(function.node)


def _graph_texts(graph: onnx.GraphProto) -> Iterator[str | bytes]:
    yield graph.name
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield value.name
        for kind in (value.type.tensor_type, value.type.sparse_tensor_type):
            yield from (dim.dim_param for dim in kind.shape.dim)
    for tensor in graph.initializer:
        yield from _tensor_texts(tensor)
    for sparse in graph.sparse_initializer:
        yield from _tensor_texts(sparse.values)
    yield from _node_texts(graph.node)


def _node_texts(nodes: Iterable[onnx.NodeProto]) -> Iterator[str | bytes]:
    for node in nodes:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield attribute.name
            if attribute.HasField("t"):
                yield from _tensor_texts(attribute.t)
        for body in bodies_of(node):
            yield from _graph_texts(body)


def _tensor_texts(tensor: onnx.TensorProto) -> Iterator[str | bytes]:
    yield tensor.name
    for entry in tensor.external_data:
        yield from (entry.key, entry.value)
