"""Text to take away, with a button that copies it."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

STATIC = Path(__file__).parent / "static"


class CodeView(anywidget.AnyWidget):
    """Shows text and copies it to the clipboard of the browser."""

    _esm = STATIC / "code_view.js"
    _css = STATIC / "code_view.css"

    text = traitlets.Unicode("").tag(sync=True)

    def __init__(self, text: str = "") -> None:
        super().__init__(text=text)

    def __repr__(self) -> str:
        return f"CodeView({len(self.text.splitlines())} lines)"
