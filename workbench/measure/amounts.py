"""Durations and sizes as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def duration_text(seconds: float) -> str:
    """Return a duration such as ``12 ms``, ``1.4 s`` or ``3 min 05 s``."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.2g} ms"
    if seconds < 99.5:
        return f"{seconds:.2g} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"


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


def age_text(moment: datetime | None) -> str:
    """Return how long ago something was, such as ``3 days ago``; empty for ``None``."""
    if moment is None:
        return ""
    hours = (datetime.now(UTC) - moment).total_seconds() / 3600
    if hours >= 48:
        return f"{hours / 24:.0f} days ago"
    return f"{hours:.0f} hours ago" if hours >= 2 else "just now"
