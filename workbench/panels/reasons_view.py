"""Why nodes are not on TensorRT: each reason once, folded away, and a click shows its nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.panels import markup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import traitlets

    from workbench.placement.reasons import SharedReason

SHOWN = 12  # reasons; a model with more has a tail of single nodes, which the table's filter finds


class ReasonsView(widgets.VBox):  # type: ignore[misc]
    """The reasons of a placement.

    Parameters
    ----------
    on_pick : callable
        Called with the names of a reason's nodes when the user picks it.
    """

    def __init__(self, on_pick: Callable[[tuple[str, ...]], object]) -> None:
        self._on_pick = on_pick
        self.toggle = widgets.ToggleButton(layout=widgets.Layout(width="auto"))
        self.toggle.add_class("wb-fold")
        self.toggle.observe(self._fold, "value")
        self.list = widgets.VBox(layout=widgets.Layout(display="none"))
        self.list.add_class("wb-reasons")
        super().__init__([self.toggle, self.list])
        self.shared: tuple[SharedReason, ...] = ()
        self._fold()

    def __repr__(self) -> str:
        return f"ReasonsView({len(self.shared)} reasons)"

    def show(self, shared: Sequence[SharedReason], elsewhere: str) -> None:
        """Show other reasons; `elsewhere` says where their nodes are, such as ``not on TensorRT``."""
        self.shared = tuple(shared)
        self.layout.display = "" if shared else "none"
        nodes, reasons = sum(len(reason.nodes) for reason in shared), len(shared)
        self.toggle.description = (
            f"Why {nodes:,} node{'s are' if nodes != 1 else ' is'} {elsewhere}: {reasons} reason{'s' * (reasons != 1)}"
        )
        rest = self.shared[SHOWN:]
        more = f"{sum(len(reason.nodes) for reason in rest):,} more nodes for {len(rest)} other reasons: see the table."
        tail = [widgets.HTML(markup.note(more))] if rest else []
        self.list.children = (*(self._line(reason) for reason in self.shared[:SHOWN]), *tail)

    def _line(self, reason: SharedReason) -> widgets.Button:
        line = widgets.Button(description=str(reason), tooltip="Select these nodes", layout=widgets.Layout(width="auto"))
        line.add_class("wb-reason")
        line.on_click(lambda _: self._on_pick(reason.nodes))
        return line

    def _fold(self, _: traitlets.Bunch | None = None) -> None:
        self.toggle.icon = "caret-down" if self.toggle.value else "caret-right"
        self.list.layout.display = "" if self.toggle.value else "none"
