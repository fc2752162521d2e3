"""Amounts as people read them."""

from __future__ import annotations


def size_text(size_bytes: int | None) -> str:
    """Return a size such as ``1.4 MB`` (powers of 1000); “–” for ``None``."""
    if size_bytes is None:
        return "–"
    value, units = float(size_bytes), ("bytes", "kB", "MB", "GB", "TB")
    for unit in units:
        if value < 1000 or unit == units[-1]:
            return f"{value:,.0f} {unit}" if unit == "bytes" or value >= 99.5 else f"{value:.1f} {unit}"
        value /= 1000
    return ""


def count_text(count: int) -> str:
    """Return a count such as ``25.6 million``, exact below a million."""
    for scale, name in ((10**9, "billion"), (10**6, "million")):
        if count >= scale:
            return f"{count / scale:.3g} {name}"
    return f"{count:,}"


def duration_text(seconds: float) -> str:
    """Return a duration such as ``12 ms``, ``1.4 s`` or ``3 min 05 s``."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.2g} ms"
    if seconds < 99.5:
        return f"{seconds:.2g} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
