"""What a placement costs, as one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.figures.palette import provider_label
from workbench.panels import markup
from workbench.panels.amounts import size_text

if TYPE_CHECKING:
    from workbench.placement.cost import Boundary, Cost
    from workbench.study.bound import RunBound

LISTED = 20  # tensors; the largest come first


def cost_text(cost: Cost, bound: RunBound | None = None) -> str:
    """Return engines, copies and bytes of an inference in a line, and the tensors that cross folded away.

    With a bound, the line ends with what the rest could win at most; its bias stands below.
    """
    pairs = [
        (f"{cost.engines:,}", f"TensorRT engine{'s' * (cost.engines != 1)}"),
        (f"{cost.copies:,}", f"cop{'ies' if cost.copies != 1 else 'y'} between CPU and GPU{_copied(cost)}"),
        (_crossing(cost), "pass between providers and engines in each inference, at the optimum shapes"),
    ]
    if bound is not None and bound.bound.outside is not None:
        pairs.append((f"{bound.bound.outside:.0%}", bound.bound.meaning))
    rows = [_row(boundary) for boundary in cost.boundaries[:LISTED]]
    line = markup.cost(pairs, ("Tensor", "From", "To", "Shape", "Size", ""), rows, len(cost.boundaries) - len(rows))
    return line + (markup.note(bound.note) if bound is not None and bound.note else "")


def _copied(cost: Cost) -> str:
    if not cost.copies:
        return ""
    return ", of unknown size" if cost.copied_bytes is None else f", {size_text(cost.copied_bytes)}"


def _crossing(cost: Cost) -> str:
    """Return how much passes inside the graph; a tensor that several read counts once."""
    sizes = {each.tensor: each.bytes for each in cost.boundaries if each.source is not None and each.target is not None}
    known = [size for size in sizes.values() if size is not None]
    if len(known) < len(sizes):
        return f"at least {size_text(sum(known))}" if any(known) else "an unknown amount"
    return size_text(sum(known))


def _row(boundary: Boundary) -> tuple[str, ...]:
    shape = "?" if boundary.shape is None else " × ".join("?" if dim is None else str(dim) for dim in boundary.shape) or "scalar"
    return (
        boundary.tensor,
        _end(boundary.source),
        _end(boundary.target),
        shape,
        size_text(boundary.bytes),
        "copied" if boundary.copied else "",
    )


def _end(provider: str | None) -> str:
    return "caller" if provider is None else provider_label(provider)
