"""What a what-if question would change, as text."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from workbench.figures.palette import provider_label
from workbench.panels import markup
from workbench.panels.amounts import size_text
from workbench.placement.records import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.placement.cost import Cost
    from workbench.placement.records import Placement
    from workbench.placement.smallest import Proposal
    from workbench.placement.what_if import PlacementDifference

REFUSED = 4  # operators to replace in the model
LISTED = 200  # nodes that move; more are in the table


def answer_text(answer: PlacementDifference, before: Placement, after: Placement, costs: tuple[Cost, Cost] | None) -> str:
    """Return a difference as before → after, and the nodes that move folded away.

    Parameters
    ----------
    costs : pair of Cost or None
        Of both placements; ``None`` where they are not known yet.
    """
    rows = [row for row in _rows(answer, before, after, costs) if row[1] != row[2]]
    level = "error" if after.outcome == "error" else "info"
    said = markup.notice(level, answer.sentence if after.outcome == "error" or not rows else "")
    return said + (markup.changes(rows) if rows else "") + _moves(answer)


def proposal_text(proposal: Proposal) -> str:
    """Return what a search found, and the nodes of the model that no option helps."""
    level = "info" if proposal.question is None or not proposal.changes else "success"
    rest = [f"{refused.count:,} × {refused.op_type}: {refused.reason}" for refused in proposal.refused[:REFUSED]]
    cut = "" if proposal.complete else f" (after {proposal.asked:,} questions the time was over)"
    card = markup.notice(level, proposal.sentence + cut)
    return card + (markup.folded("Nodes to replace in the model, which may win more", markup.bullets(rest)) if rest else "")


def _rows(
    answer: PlacementDifference, before: Placement, after: Placement, costs: tuple[Cost, Cost] | None
) -> Iterator[tuple[str, str, str]]:
    yield "Session", _outcome(before), _outcome(after)
    for provider in PROVIDERS:
        yield f"On {provider_label(provider)}", _share(before, provider), _share(after, provider)
    if after.outcome == "error":
        return
    yield "Engines", f"{answer.engines_before:,}", f"{answer.engines_after:,}"
    if answer.boundaries_before is not None and answer.boundaries_after is not None:
        yield "Tensors that cross", f"{answer.boundaries_before:,}", f"{answer.boundaries_after:,}"
    if costs is not None:
        old, new = costs
        yield "Copies an inference", _copies(old), _copies(new)


def _outcome(placement: Placement) -> str:
    return "cannot be made" if placement.outcome == "error" else "can be made"


def _share(placement: Placement, provider: str) -> str:
    count = sum(node.provider == provider for node in placement.nodes)
    share = placement.coverage.get(provider, 0.0)
    return f"{count:,} nodes, {share:.1%}" if count else "no node"


def _copies(cost: Cost) -> str:
    if not cost.copies:
        return "none"
    return f"{cost.copies:,}, {'size unknown' if cost.copied_bytes is None else size_text(cost.copied_bytes)}"


def _moves(answer: PlacementDifference) -> str:
    """Return the nodes that move, neighbours that move alike in a row."""
    listed = answer.moves[:LISTED]
    ways = groupby(listed, key=lambda move: (move.before, move.after))
    groups = [
        (f"{provider_label(old)} → {provider_label(new)}", [(move.node, move.op_type) for move in moves])
        for (old, new), moves in ways
    ]
    return markup.moves(groups, len(answer.moves), len(answer.moves) - len(listed))
