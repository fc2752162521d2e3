"""What came of bringing a model to half precision: for the reader, and for the search that repeats it."""

from __future__ import annotations

from collections import Counter

from workbench.model.precision.half_values import LARGEST, NAMES, Half, WeightLoss
from workbench.record import Finding, Record

SHOWN = 5
LATER = ", a later one does"  # ends the reason of a node that a later operator set lets compute in half precision


class NodeKept(Record):
    """A node with float32 operands that stays in float32, and why."""

    name: str
    op_type: str
    why: str


class Halved(Record):
    """What changed.

    Attributes
    ----------
    to : str
        ``fp16`` or ``bf16``.
    emulated : bool
        Whether the numbers are only rounded to that type, and computed with in float32.
    converted : tuple of str
        The nodes that compute in half precision, by the names of :func:`workbench.model.graph.nodes_of`.
    kept : tuple of NodeKept
        The nodes that still compute in float32.
    casts : int
        How many Cast nodes were added.
    weights : int
        How many numbers of weights are in half precision now.
    losses : tuple of WeightLoss
        The weights that lose more than bits, the worst first.
    clipped : bool
        Whether weights beyond the type's range were clipped to it.
    """

    to: Half
    emulated: bool = False
    converted: tuple[str, ...]
    kept: tuple[NodeKept, ...]
    casts: int
    weights: int
    losses: tuple[WeightLoss, ...]
    clipped: bool = False

    def changes(self) -> list[str]:
        """Return what changed, in words."""
        total = len(self.converted) + len(self.kept)
        how = "rounds to" if self.emulated else "compute in"
        said = [f"{len(self.converted)} of {total} nodes {how} {NAMES[self.to]}, {self.weights:,} weights with them."]
        if self.casts:
            said.append(f"{self.casts} Cast node{'s were' if self.casts > 1 else ' was'} added where the types meet.")
        return said + self.reasons()

    def reasons(self) -> list[str]:
        """Return why nodes still compute in float32, one sentence a reason."""
        said = []
        for why, count in Counter(node.why for node in self.kept).most_common():
            operators = ", ".join(dict.fromkeys(node.op_type for node in self.kept if node.why == why))
            said.append(f"{count} node{'s stay' if count > 1 else ' stays'} in float32 ({operators}): {why}.")
        return said

    def later_opset_helps(self) -> bool:
        """Whether a later opset would let some of these nodes compute in half precision."""
        return any(node.why.endswith(LATER) for node in self.kept)

    def findings(self) -> list[Finding]:
        """Return what the weights lose: beyond the range, below it, or among the subnormal numbers."""
        beyond = [loss for loss in self.losses if loss.overflow]
        found = [self._overflow(loss) for loss in beyond[:SHOWN]]
        if len(beyond) > SHOWN:
            found.append(Finding(level="warning", where="weights", seen=f"{len(beyond) - SHOWN} further weights overflow too"))
        small = [loss for loss in self.losses if loss.to_zero or loss.subnormal]
        if small:
            zero, subnormal = sum(loss.to_zero for loss in small), sum(loss.subnormal for loss in small)
            names = ", ".join(loss.name for loss in small[:SHOWN])
            parts = [f"{count:,} become {what}" for count, what in ((zero, "zero"), (subnormal, "subnormal")) if count]
            seen = f"of {self.weights:,} weights {' and '.join(parts)}, most in {names}"
            found.append(
                Finding(
                    level="warning" if zero + subnormal > self.weights / 100 else "info",
                    where="weights",
                    seen=seen,
                    meaning=f"Numbers this small have few bits left in {NAMES[self.to]}.",
                    action="If accuracy suffers, keep the nodes that read them in float32.",
                )
            )
        return found

    def _overflow(self, loss: WeightLoss) -> Finding:
        became = f"were clipped to ±{LARGEST[self.to]:g}" if self.clipped else "become infinite"
        return Finding(
            level="warning",
            where=loss.name,
            seen=f"{loss.overflow:,} of {loss.elements:,} numbers, up to {loss.largest:g}, are beyond {NAMES[self.to]}'s "
            f"{LARGEST[self.to]:g} and {became}",
            meaning="A masking constant works clipped as well; infinity times zero gives NaN." if not self.clipped else "",
            action="" if self.clipped else "Clip weights, or keep the nodes that read it in float32.",
        )
