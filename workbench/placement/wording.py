"""Turn a clause into a sentence."""

from __future__ import annotations


def sentence(clause: str) -> str:
    """Return a clause with a capital in front and a full stop at the end; names in quotes keep their case."""
    if not clause:
        return ""
    text = clause[0].upper() + clause[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it has to be: ``1 node``, ``2 boundaries``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") else f"{number} {noun}s"
