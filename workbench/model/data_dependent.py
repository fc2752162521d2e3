"""Which tensors have a shape that depends on what the inputs hold, and not only on the inputs' shapes.

Two facts are followed through the graph: whether a tensor's content depends on the content of an input, and whether its
shape does. Where an operator is not known, both are assumed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.model.graph import bodies_of, reads_of

if TYPE_CHECKING:
    import onnx

# Operator -> the inputs whose content decides the shape of its outputs (onnx/docs/Operators.md); absent: none does
SHAPED_BY = {
    "AffineGrid": (1,),
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "ConstantOfShape": (0,),
    "DFT": (1,),
    "Expand": (1,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "MaxUnpool": (2,),
    "MelWeightMatrix": (0, 1, 2, 3, 4),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "ReduceL1": (1,),
    "ReduceL2": (1,),
    "ReduceLogSum": (1,),
    "ReduceLogSumExp": (1,),
    "ReduceMax": (1,),
    "ReduceMean": (1,),
    "ReduceMin": (1,),
    "ReduceProd": (1,),
    "ReduceSum": (1,),
    "ReduceSumSquare": (1,),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "STFT": (1, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
}
# Operators whose outputs' shapes follow the content of any input
SHAPED_BY_CONTENT = {"Compress", "NonMaxSuppression", "NonZero", "StringSplit", "TfIdfVectorizer", "Unique"}
CONTAINERS = ("Sequence", "Optional", "ConcatFromSequence", "SplitToSequence", "ReverseSequence")
REPEATING = {"Loop", "Scan", "SequenceMap"}


@dataclass(slots=True)
class _Facts:
    """Names of the tensors whose content, or whose shape, depends on the content of an input."""

    content: set[str] = field(default_factory=set)
    shape: set[str] = field(default_factory=set)

    def size(self) -> int:
        return len(self.content) + len(self.shape)


def data_dependent(graph: onnx.GraphProto) -> set[str]:
    """Return the names of the tensors whose shape may depend on what an input holds.

    Parameters
    ----------
    graph : onnx.GraphProto
        The main graph of a model. The bodies of If are followed; what stands in the body of a loop counts as dependent.
    """
    weights = {tensor.name for tensor in graph.initializer}
    facts = _Facts({info.name for info in graph.input} - weights)
    before = -1
    while facts.size() != before:  # nodes may stand in any order
        before = facts.size()
        _follow(graph, facts)
    return facts.shape


def _follow(graph: onnx.GraphProto, facts: _Facts) -> None:
    for node in graph.node:
        content, shape = _outputs(node, facts)
        outputs = set(filter(None, node.output))
        facts.content |= outputs if content else set()
        facts.shape |= outputs if shape else set()


def _outputs(node: onnx.NodeProto, facts: _Facts) -> tuple[bool, bool]:
    """Return whether the outputs' content, and their shapes, depend on an input's content."""
    reads = reads_of(node)
    content = any(name in facts.content for name in reads)
    shape = any(name in facts.shape for name in reads)
    if node.domain not in ("", "ai.onnx"):
        return content, content or shape
    if node.op_type in ("Shape", "Size"):
        return shape, False
    if node.op_type == "If":
        return _branches(node, facts)
    if node.op_type in REPEATING:
        for body in bodies_of(node):
            _taint(body, facts)
        return True, True
    if node.op_type in SHAPED_BY_CONTENT or node.op_type.startswith(CONTAINERS):
        return content, content or shape
    decisive = [node.input[i] for i in SHAPED_BY.get(node.op_type, ()) if i < len(node.input)]
    return content, shape or any(name in facts.content for name in decisive)


def _branches(node: onnx.NodeProto, facts: _Facts) -> tuple[bool, bool]:
    chosen = bool(node.input) and node.input[0] in facts.content
    content = shape = chosen
    for body in bodies_of(node):
        _follow(body, facts)
        content |= any(info.name in facts.content for info in body.output)
        shape |= any(info.name in facts.shape for info in body.output)
    return content, shape


def _taint(body: onnx.GraphProto, facts: _Facts) -> None:
    """Take everything in a loop's body for dependent: it may differ from one iteration to the next."""
    names = {info.name for info in body.input} | {o for node in body.node for o in node.output if o}
    facts.content |= names
    facts.shape |= names
    for node in body.node:
        for inner in bodies_of(node):
            _taint(inner, facts)
