"""The words in figures: escaped, shortened, wrapped; numbers with their units."""

from __future__ import annotations

import html
import textwrap
from functools import lru_cache

ELLIPSIS = "…"


def escaped(text: str) -> str:
    """Return text in which plotly finds no tags; node names may hold ``<`` and ``&``."""
    return html.escape(text, quote=False)


def shortened(text: str, limit: int = 44) -> str:
    """Return text of at most `limit` characters, escaped; the middle goes first, as ends tell names apart."""
    if len(text) > limit:
        head = (limit - 1) // 2
        text = text[:head].rstrip() + ELLIPSIS + text[len(text) - (limit - 1 - head) :].lstrip()
    return escaped(text)


@lru_cache(maxsize=1024)  # a placement repeats few reasons many times
def wrapped(text: str, width: int = 90) -> str:
    """Return text in lines of at most `width` characters, escaped and joined by ``<br>``."""
    return "<br>".join(escaped(line) for line in textwrap.wrap(text, width))


def milliseconds(value: float) -> str:
    """Return a duration given in milliseconds with three significant digits and the unit that suits it."""
    scaled, unit = (value * 1000, "µs") if value < 0.1 else (value / 1000, "s") if value >= 9999.5 else (value, "ms")
    digits = 0 if scaled >= 99.95 else 1 if scaled >= 9.995 else 2 if scaled >= 0.9995 else 3
    return f"{scaled:,.{digits}f} {unit}"


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a count and its noun, such as ``1 node`` or ``1,024 nodes``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
