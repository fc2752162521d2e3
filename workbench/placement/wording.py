"""Turn a clause into a sentence."""

from __future__ import annotations


def sentence(clause: str) -> str:
    """Return a clause with a capital in front and a full stop at the end; names in quotes keep their case."""
    if not clause:
        return ""
    text = clause[0].upper() + clause[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
