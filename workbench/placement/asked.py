"""Whether a session that has the provider asked for gives it anything to do."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from workbench.placement.records import CUDA, TENSORRT
from workbench.placement.wording import counted
from workbench.record import Finding

if TYPE_CHECKING:
    from workbench.placement.records import Placement

NAMES = {"tensorrt": (TENSORRT, "TensorRT"), "cuda": (CUDA, "the CUDA provider")}


def idle_findings(placement: Placement, provider: str) -> tuple[Finding, ...]:
    """Return a warning where the provider that was asked for runs no node, with the cause; empty where it runs some.

    Parameters
    ----------
    placement : Placement
        Of the session.
    provider : str
        As in Settings.
    """
    full, name = NAMES.get(provider, ("", ""))
    if not full or not placement.coverage or full in placement.coverage or any(g.provider == full for g in placement.groups):
        return ()
    others = " and ".join(each.removesuffix("ExecutionProvider") for each in placement.coverage)
    reason, count = Counter(node.reason for node in placement.nodes if node.provider is not None).most_common(1)[0]
    finding = Finding(
        level="warning",
        where="placement",
        seen=f"the session has {name}, and nothing runs on it",
        meaning=f"What is measured is {others}. The commonest reason: {reason} ({counted(count, 'node')}).",
        action="`workbench placement MODEL` says why for each node.",
    )
    return (finding,)
