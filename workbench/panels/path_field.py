"""A field for the path of a file, with completion; Enter submits it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anywidget
import traitlets
from ipywidgets import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STATIC = Path(__file__).parent / "static"


class PathField(anywidget.AnyWidget):
    """A line to type a path in.

    Parameters
    ----------
    placeholder : str
        Shown while it is empty.
    complete : callable
        Given what is typed, returns the paths that it may become.
    on_submit : callable
        Called with the path when the user presses Enter.
    """

    _esm = STATIC / "path_field.js"
    _css = STATIC / "path_field.css"

    value = traitlets.Unicode("").tag(sync=True)
    options = traitlets.List(traitlets.Unicode()).tag(sync=True)
    placeholder = traitlets.Unicode("").tag(sync=True)
    submitted: traitlets.Dict[str, str] = traitlets.Dict().tag(sync=True)

    def __init__(self, placeholder: str, complete: Callable[[str], Sequence[str]], on_submit: Callable[[str], object]) -> None:
        super().__init__(placeholder=placeholder, layout=Layout(flex="1 1 auto", width="auto"))
        self.observe(lambda change: setattr(self, "options", list(complete(change.new))), "value")
        self.observe(lambda change: on_submit(change.new["path"]), "submitted")

    def __repr__(self) -> str:
        return f"PathField({self.value!r})"
