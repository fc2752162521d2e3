"""A button that copies a file from the user's computer to the kernel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anywidget
import traitlets
from ipywidgets import Layout

if TYPE_CHECKING:
    from collections.abc import Callable

STATIC = Path(__file__).parent / "static"


class UploadButton(anywidget.AnyWidget):
    """Opens the browser's file dialog and sends what is picked.

    Parameters
    ----------
    accept : str
        Ending of the files to pick from.
    on_file : callable
        Called with the file's name and its bytes.
    """

    _esm = STATIC / "upload_button.js"
    _css = STATIC / "upload_button.css"

    accept = traitlets.Unicode("").tag(sync=True)

    def __init__(self, accept: str, on_file: Callable[[str, bytes], object]) -> None:
        super().__init__(accept=accept, layout=Layout(flex="none", width="auto"))
        self._on_file = on_file
        self.on_msg(self._receive)

    def __repr__(self) -> str:
        return f"UploadButton({self.accept!r})"

    def _receive(self, _: object, content: dict[str, str], buffers: list[memoryview]) -> None:
        self._on_file(content["name"], bytes(buffers[0]))
