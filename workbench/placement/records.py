"""Who runs each node: the records, the same for predicted, measured and recorded placements."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from workbench.record import Evidence, Failure, Record

if TYPE_CHECKING:
    from collections.abc import Iterable

TENSORRT = "TensorrtExecutionProvider"
CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
PROVIDERS = (TENSORRT, CUDA, CPU)

# Why TensorRT does not run a node: it knows no such operator; not this type; not this attribute, or this form of the
# operator; an input has no shape, or not the static one that is needed; an option excludes it; it lies in a group below the
# minimum size; ONNX Runtime keeps shape arithmetic on the CPU on purpose; nothing is wrong with it, something beside it is.
Cause = Literal["operator", "type", "attribute", "shape", "excluded", "small", "shape-arithmetic", "neighbour"]


class RuntimeVersions(Record):
    """The releases that a placement speaks of; ``None`` where one plays no part."""

    onnxruntime: str | None = None
    tensorrt: str | None = None


class PlacedNode(Record):
    """One node of the model's file, and where it runs.

    Attributes
    ----------
    name : str
        Unique in the model (see ``workbench.model.graph.node_names``).
    provider : str or None
        ``None`` for a node that no provider runs, because ONNX Runtime removed it (folded or fused) before.
    group : int or None
        Index into ``Placement.groups``.
    reason : str
        Why it runs there, in the user's terms.
    cause : str or None
        The kind of the one thing that keeps a node from TensorRT; ``None`` where TensorRT runs it, was not asked for, or
        where a session did not say why.
    """

    name: str
    op_type: str
    provider: str | None
    group: int | None
    reason: str
    cause: Cause | None = None


class Group(Record):
    """One fused TensorRT subgraph, or one node of another provider.

    Attributes
    ----------
    nodes : tuple of str
        Names of the file's nodes; where a session was asked, also of nodes that it made by fusion. Empty where a session's
        report does not say what its engine holds.
    """

    provider: str
    nodes: tuple[str, ...]


class Placement(Record):
    """For each node its provider, its group and a reason.

    Attributes
    ----------
    nodes : tuple of PlacedNode
        In the file's order, which ONNX requires to be topological; nodes of control-flow bodies follow their parent.
    coverage : dict of str to float
        Share (0 to 1) of the placed nodes that each provider runs.
    notes : tuple of str
        What a reader must know to believe this placement, such as what a prediction left out.
    memcpy : int or None
        Nodes that ONNX Runtime added to copy tensors between CPU and GPU, which are in no group; ``None`` where unknown.
    """

    model: str
    evidence: Evidence
    runtime: RuntimeVersions
    outcome: Literal["ok", "error"] = "ok"
    error: Failure | None = None
    groups: tuple[Group, ...] = ()
    nodes: tuple[PlacedNode, ...] = ()
    coverage: dict[str, float] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    memcpy: int | None = None

    def engines(self) -> int:
        """Return how many TensorRT engines the session has."""
        return sum(group.provider == TENSORRT for group in self.groups)


def coverage(nodes: Iterable[PlacedNode]) -> dict[str, float]:
    """Return the share (0 to 1) of the placed nodes on each provider; nodes that were removed do not count."""
    counts = Counter(node.provider for node in nodes if node.provider is not None)
    total = counts.total()
    return {provider: count / total for provider, count in counts.items()}
