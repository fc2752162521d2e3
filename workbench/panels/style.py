"""The look that all panels share."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import ipywidgets as widgets

STATIC = Path(__file__).parent / "static"

_shared: list[widgets.HTML] = []


def stylesheet() -> widgets.HTML:
    """Return the widget that carries the style sheet; one serves all panels of a kernel."""
    if not _shared or _shared[0].comm is None:
        _shared[:] = [widgets.HTML(f"<style>{_css()}</style>", layout=widgets.Layout(display="none"))]
    return _shared[0]


@cache
def _css() -> str:
    return (STATIC / "style.css").read_text("utf-8")
