"""Why nodes are not on TensorRT, each reason once with its nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.placement.records import PROVIDERS, TENSORRT
from workbench.record import Record

if TYPE_CHECKING:
    from workbench.placement.records import PlacedNode, Placement


class SharedReason(Record):
    """A reason, and the nodes that share it.

    Attributes
    ----------
    text : str
        Why the first provider does not run them.
    nodes : tuple of str
        Their names, in the file's order.
    """

    text: str
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        """Return it as people say it, such as ``4 nodes: TensorRT 8.6 has no importer for Compress``."""
        return f"{len(self.nodes):,} node{'s' * (len(self.nodes) != 1)}: {self.text}"


def cause_of(node: PlacedNode) -> str:
    """Return why the first provider does not run a node: the first clause of its reason."""
    return node.reason.partition(";")[0].rstrip(".")


def shared_reasons(placement: Placement) -> tuple[SharedReason, ...]:
    """Return why nodes are off the first provider, the commonest reason first; nodes that were removed do not count.

    The first provider is TensorRT where the session was asked for it, else the first of CUDA and CPU that runs a node.
    """
    present = [provider for provider in PROVIDERS if provider in placement.coverage]
    first = TENSORRT if placement.runtime.tensorrt or not present else present[0]
    nodes: dict[str, list[str]] = {}
    for node in placement.nodes:
        refused = node.provider is None and node.cause is not None  # known, though no session is made
        if refused or node.provider not in (first, None):
            nodes.setdefault(cause_of(node), []).append(node.name)
    reasons = [SharedReason(text=text, nodes=tuple(names)) for text, names in nodes.items()]
    return tuple(sorted(reasons, key=lambda reason: -len(reason.nodes)))
