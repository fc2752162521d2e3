"""What came of quantising a model by Q/DQ."""

from __future__ import annotations

from collections import Counter

from workbench.model.precision.half_result import NodeKept
from workbench.record import Finding, Record

SHOWN = 5
ASKED = "asked for"
PER_CHANNEL_SINCE = 13  # the opset in which Q/DQ got an axis


class Quantised(Record):
    """What changed.

    Attributes
    ----------
    quantised : tuple of str
        The nodes whose operands are quantised now.
    kept : tuple of NodeKept
        Nodes of the operators to quantise that are left as they were, and why.
    activations, weights : int
        How many pairs of QuantizeLinear and DequantizeLinear stand before activations, and how many weights are
        quantised.
    per_channel : bool
        Whether weights have a scale for each channel where TensorRT takes that.
    unfolded : tuple of str
        BatchNormalization nodes right behind a quantised convolution: it cannot be folded into it any more.
    """

    quantised: tuple[str, ...]
    kept: tuple[NodeKept, ...]
    activations: int
    weights: int
    per_channel: bool
    unfolded: tuple[str, ...] = ()

    def changes(self) -> list[str]:
        """Return what changed, in words."""
        total = len(self.quantised) + len(self.kept)
        scale = "channel" if self.per_channel else "tensor"
        what = f"{self.activations} activations with one scale each, {self.weights} weights with one for each {scale}"
        said = [f"{len(self.quantised)} of {total} nodes read int8: {what}."]
        for why, count in Counter(node.why for node in self.kept).most_common():
            names = [node.name for node in self.kept if node.why == why]
            more = f" and {count - SHOWN} more" if count > SHOWN else ""
            said.append(f"Not quantised, {why}: {', '.join(names[:SHOWN])}{more}.")
        return said

    def findings(self) -> list[Finding]:
        """Return what is worth a look."""
        found = []
        if not self.quantised:
            found.append(
                Finding(level="warning", where="graph", seen="no node was quantised", action="See why beside each node.")
            )
        if not self.per_channel:
            found.append(
                Finding(
                    level="warning",
                    where="opset",
                    seen="weights have one scale for the whole tensor",
                    meaning=f"Scales for each channel need opset {PER_CHANNEL_SINCE}; without them convolutions lose accuracy.",
                    action="Export the model at a newer opset.",
                )
            )
        if self.unfolded:
            found.append(
                Finding(
                    level="warning",
                    where="BatchNormalization",
                    seen=f"{len(self.unfolded)} of them follow a quantised convolution: {', '.join(self.unfolded[:SHOWN])}",
                    meaning="Neither ONNX Runtime nor TensorRT can fold them into quantised weights: they run on their own.",
                    action="Export the model in evaluation mode with constants folded, and quantise that.",
                )
            )
        return found
