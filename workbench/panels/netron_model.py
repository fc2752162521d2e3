"""The copy of a model that Netron shows: no weights, unique names, each node with its provider and reason.

A node of a large model is a speck. So each fused TensorRT group can be folded: it becomes one node that calls a local
function, which Netron draws as one box and opens on request.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.model.external import tensors_of
from workbench.model.graph import bodies_of, nodes_of
from workbench.placement.records import TENSORRT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import onnx

    from workbench.model.model import Model
    from workbench.placement.records import PlacedNode, Placement

FOLD_ABOVE = 1_500  # nodes; Netron lays out a thousand in about two seconds, and ten thousand in fourteen
KEEP_BYTES = 256  # constants up to this size say something to a reader: axes, shapes, scalars
DOMAIN = "workbench.groups"
STYLE = """
.node-item-type path { fill: var(--workbench-fill, #6b6b6b); }
.node-item-type text { fill: var(--workbench-text, #fff); }
.node-item-type:hover path { fill: var(--workbench-fill, #6b6b6b); filter: brightness(1.15); }
.node-item-type:hover text { fill: var(--workbench-text, #fff); }
g.workbench-selected > .node-border { stroke: #d55e00 !important; stroke-width: 4px !important; }
.menu-button { display: none; }
"""


@dataclass(frozen=True, slots=True)
class ShownNode:
    """A node as it is drawn at first: its name, who runs it, and which of the model's nodes it stands for."""

    name: str
    provider: str | None
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownModel:
    """What Netron gets.

    Attributes
    ----------
    data : bytes
        An ONNX model without weights.
    nodes : tuple of ShownNode
        The nodes that are drawn at first.
    """

    data: bytes
    nodes: tuple[ShownNode, ...]

    @property
    def folded(self) -> int:
        """How many groups were folded into one node."""
        return sum(node.members != (node.name,) for node in self.nodes)

    def shown_for(self, name: str) -> str:
        """Return the drawn node that stands for a node of the model; empty for an unknown one."""
        return next((node.name for node in self.nodes if name in node.members), "")

    def members_of(self, name: str) -> tuple[str, ...]:
        """Return the model's nodes that a drawn node stands for; inside an opened group each stands for itself."""
        return next((node.members for node in self.nodes if node.name == name), (name,))

    def css(self, colours: Mapping[str, str]) -> str:
        """Return style rules that colour the title of each node by its provider.

        Parameters
        ----------
        colours : mapping of str to str
            ``#rrggbb`` of each provider's name; nodes of no provider stay grey.
        """
        rules = [STYLE]
        for node in self.nodes:
            colour = colours.get(node.provider or "")
            if colour:
                ids = ",".join(f"#node-name-{_css_name(name)}" for name in dict.fromkeys((node.name, *node.members)))
                # An inherited property: a browser looks rules up by the id, instead of trying all on every shape.
                rules.append(f"{ids}{{--workbench-fill:{colour};--workbench-text:{_text_on(colour)}}}")
        return "\n".join(rules)


def shown_model(model: Model, placement: Placement | None = None, *, fold: bool | None = None) -> ShownModel:
    """Return the copy of a model that is drawn.

    Parameters
    ----------
    model : Model
        The model; it is not changed.
    placement : Placement or None
        Who runs its nodes, by the names of ``model.nodes``.
    fold : bool or None
        Whether each fused TensorRT group becomes one node; ``None`` does so for models of more than ``FOLD_ABOVE`` nodes.
    """
    import onnx

    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    nodes = nodes_of(proto.graph)  # the same order, and so the same names, as model.nodes
    placed = {node.name: node for node in placement.nodes} if placement else {}
    for node in nodes:
        node.proto.name = node.name
        if placement and node.name in placed:
            _note(node.proto, _entries(placement, placed[node.name]))
    _strip(proto)
    wanted = len(nodes) > FOLD_ABOVE if fold is None else fold
    folds = _fold(proto, placement) if placement and wanted else []
    inside = {name for shown in folds for name in shown.members}
    single = (
        ShownNode(node.name, placed[node.name].provider if node.name in placed else None, (node.name,))
        for node in nodes
        if node.name not in inside
    )
    return ShownModel(proto.SerializeToString(), (*folds, *single))


def _entries(placement: Placement, node: PlacedNode) -> dict[str, str]:
    return {
        "provider": node.provider or "none: removed before",
        "group": "" if node.group is None else str(node.group),
        "reason": node.reason,
        "evidence": placement.evidence,
    }


def _note(proto: onnx.NodeProto, entries: Mapping[str, str]) -> None:
    """Write into a node's metadata, which Netron lists in its sidebar."""
    for key, value in entries.items():
        if value:
            entry = proto.metadata_props.add()
            entry.key, entry.value = key, value


def _strip(proto: onnx.ModelProto) -> None:
    """Drop payloads and references to other files, so that the copy is small and Netron asks for nothing."""
    for tensor in _tensors(proto):
        large = max(len(tensor.raw_data), 4 * len(tensor.float_data), 8 * len(tensor.int64_data), 4 * len(tensor.int32_data))
        if tensor.data_location == tensor.EXTERNAL or large > KEEP_BYTES:
            for name in ("raw_data", "float_data", "double_data", "int32_data", "int64_data", "uint64_data", "external_data"):
                tensor.ClearField(name)
            tensor.ClearField("data_location")


def _tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from tensors_of(proto.graph)
    for sparse in proto.graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for function in proto.functions:
        for node in function.node:
            yield from (attribute.t for attribute in node.attribute if attribute.type == attribute.TENSOR)
            for body in bodies_of(node):
                yield from tensors_of(body)


@dataclass(slots=True)
class _Group:
    """The members of a group in the main graph, and the values that cross its border."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    inputs: dict[str, None] = field(default_factory=dict)
    outputs: dict[str, None] = field(default_factory=dict)

    def members(self) -> tuple[str, ...]:
        return tuple(name for node in self.nodes for name in _names(node))


def _fold(proto: onnx.ModelProto, placement: Placement) -> list[ShownNode]:
    """Turn every TensorRT group of more than one node into a call of a local function; control-flow bodies stay."""
    graph = proto.graph
    number_of = {n.name: n.group for n in placement.nodes if n.provider == TENSORRT and n.group is not None}
    groups: dict[int, _Group] = defaultdict(_Group)
    for node in graph.node:
        if node.name in number_of:
            groups[number_of[node.name]].nodes.append(node)
    groups = {number: group for number, group in groups.items() if len(group.nodes) > 1}
    _find_borders(graph, {node.name: group for group in groups.values() for node in group.nodes})
    weights = {tensor.name: tensor for tensor in graph.initializer}
    taken = {node.name for node in placement.nodes}
    calls: dict[str, onnx.NodeProto] = {}
    shown: list[ShownNode] = []
    engines = [index for index, group in enumerate(placement.groups) if group.provider == TENSORRT]
    for number, group in groups.items():
        engine = engines.index(number) + 1  # as in the strip and the table
        call = _call(proto, group, _title(engine, group, taken), weights)
        _note(call, {"provider": TENSORRT, "engine": str(engine), "nodes": str(len(group.nodes)), "evidence": placement.evidence})
        shown.append(ShownNode(call.name, TENSORRT, group.members()))
        calls[group.nodes[0].name] = call
    inside = {node.name for group in groups.values() for node in group.nodes}
    kept = [calls.get(node.name, node) for node in graph.node if node.name in calls or node.name not in inside]
    copies = [type(node).FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(copies)
    if groups:
        proto.opset_import.add(domain=DOMAIN, version=1)
    return shown


def _find_borders(graph: onnx.GraphProto, group_of: Mapping[str, _Group]) -> None:
    """Fill in which values enter and leave each group."""
    made_by = {value: group_of.get(node.name) for node in graph.node for value in node.output if value}
    for node in graph.node:
        mine = group_of.get(node.name)
        for value in _used(node):
            maker = made_by.get(value)
            if mine is not None and maker is not mine:
                mine.inputs[value] = None
            if maker is not None and maker is not mine:
                maker.outputs[value] = None
    for output in graph.output:
        maker = made_by.get(output.name)
        if maker is not None:
            maker.outputs[output.name] = None


def _used(node: onnx.NodeProto) -> Iterator[str]:
    """Yield the values that a node reads, those that its bodies take from around them included."""
    yield from (value for value in node.input if value)
    for body in bodies_of(node):
        own = {value.name for value in body.input} | {tensor.name for tensor in body.initializer}
        own |= {value for inner in body.node for value in inner.output}
        yield from (value for inner in body.node for value in _used(inner) if value not in own)
        yield from (value.name for value in body.output if value.name not in own)


def _names(node: onnx.NodeProto) -> Iterator[str]:
    yield node.name
    for body in bodies_of(node):
        for inner in body.node:
            yield from _names(inner)


def _title(engine: int, group: _Group, taken: Iterable[str]) -> str:
    title = f"Engine {engine} ({len(group.nodes)})"  # Netron cuts titles of more than twenty letters
    while title in taken:
        title += "'"
    return title


def _call(proto: onnx.ModelProto, group: _Group, title: str, weights: Mapping[str, onnx.TensorProto]) -> onnx.NodeProto:
    """Add the function of a group to the model, and return the node that calls it.

    Weights become constants of the function: as its inputs they would hide those that the data flow through.
    """
    import onnx

    inputs = [value for value in group.inputs if value not in weights]
    body = [*_constants(group, weights), *group.nodes]
    function = onnx.helper.make_function(DOMAIN, title, inputs, list(group.outputs), body, list(proto.opset_import))
    proto.functions.append(function)
    call: onnx.NodeProto = onnx.helper.make_node(title, inputs, list(group.outputs), name=title, domain=DOMAIN)
    return call


def _constants(group: _Group, weights: Mapping[str, onnx.TensorProto]) -> Iterator[onnx.NodeProto]:
    import onnx

    for value in group.inputs:
        if value in weights:
            yield onnx.helper.make_node("Constant", [], [value], value=weights[value])


def _css_name(name: str) -> str:
    """Return a name as CSS wants it in a selector: everything but plain letters and digits as a hexadecimal escape."""
    return "".join(c if c.isascii() and c.isalnum() else f"\\{ord(c):x} " for c in name)


def _text_on(colour: str) -> str:
    """Return black or white, whichever is easier to read on a colour (relative luminance of WCAG 2)."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#fff" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "#000"
