"""Controls as all sections of a panel have them: a field under its label, and a button as wide as its text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.panels import markup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Act = Callable[[widgets.Button], object]

BLANK = "\u00a0"  # the label of a control that needs none, so that it stands level with the others


def field(label: str, control: widgets.Widget, tooltip: str = "") -> widgets.VBox:
    """Return a control with its label above it."""
    if tooltip:
        control.tooltip = tooltip
    box = widgets.VBox([widgets.HTML(markup.label(label)), control])
    box.add_class("wb-field")
    return box


def fields(controls: Sequence[widgets.Widget]) -> widgets.HBox:
    """Return fields side by side; they wrap where there is no room."""
    row = widgets.HBox(list(controls))
    row.add_class("wb-fields")
    return row


def line(controls: Sequence[widgets.Widget]) -> widgets.HBox:
    """Return controls in a line."""
    row = widgets.HBox(list(controls))
    row.add_class("wb-line")
    return row


def button(text: str, act: Act, *, icon: str = "", tooltip: str = "", primary: bool = False) -> widgets.Button:
    """Return a button; `act` is called with it."""
    made = widgets.Button(description=text, icon=icon, tooltip=tooltip, layout=widgets.Layout(width="auto"))
    made.button_style = "primary" if primary else ""
    made.on_click(act)
    return made


def shown(control: widgets.Widget, wanted: bool) -> None:  # noqa: FBT001  # a switch for one control
    """Show a control, or hide it."""
    control.layout.display = "" if wanted else "none"
