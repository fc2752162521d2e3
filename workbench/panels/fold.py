"""A line that unfolds what stands below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

if TYPE_CHECKING:
    from collections.abc import Sequence

    import traitlets


class Fold(widgets.VBox):  # type: ignore[misc]
    """A line that unfolds what stands below it; folded at first.

    Parameters
    ----------
    title : str
        The line.
    content : sequence of Widget
        What stands below.
    """

    def __init__(self, title: str, content: Sequence[widgets.Widget]) -> None:
        self.toggle = widgets.ToggleButton(description=title, layout=widgets.Layout(width="auto"))
        self.toggle.add_class("wb-fold")
        self.content = widgets.VBox(list(content))
        self.content.add_class("wb-folded")
        self.toggle.observe(self._fold, "value")
        super().__init__([self.toggle, self.content])
        self._fold()

    def __repr__(self) -> str:
        return f"Fold({self.toggle.description!r}, {'open' if self.toggle.value else 'folded'})"

    def _fold(self, _: traitlets.Bunch | None = None) -> None:
        self.toggle.icon = "caret-down" if self.toggle.value else "caret-right"
        self.content.layout.display = "" if self.toggle.value else "none"
