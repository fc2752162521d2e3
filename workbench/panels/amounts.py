"""Amounts as people read them."""

from __future__ import annotations

from workbench.measure.amounts import duration_text, size_text

__all__ = ["count_text", "duration_text", "size_text"]


def count_text(count: int) -> str:
    """Return a count such as ``25.6 million``, exact below a million."""
    for scale, name in ((10**9, "billion"), (10**6, "million")):
        if count >= scale:
            return f"{count / scale:.3g} {name}"
    return f"{count:,}"
