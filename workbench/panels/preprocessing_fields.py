"""Fields that declare how images become a model's input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets
from pydantic import ValidationError

from workbench.errors import InputError
from workbench.panels.controls import field
from workbench.runtime.data.dataset import Preprocessing

if TYPE_CHECKING:
    from collections.abc import Callable

ORDER = "Order of the axes"


class PreprocessingFields(widgets.HBox):  # type: ignore[misc]
    """Declares ``(pixel * scale - mean) / std``.

    Parameters
    ----------
    on_change : callable
        Called when the user has changed a field.
    """

    def __init__(self, on_change: Callable[..., object]) -> None:
        self._drawing = False
        self._on_change = on_change
        self.size, self.resize, self.mean, self.std, self.scale = (_text(width) for width in (90, 80, 150, 150, 90))
        self.layout_choice = widgets.Dropdown(options=["NCHW", "NHWC"], layout=widgets.Layout(width="90px"))
        self.channels = widgets.Dropdown(options=["RGB", "BGR", "L"], layout=widgets.Layout(width="80px"))
        super().__init__(
            [
                field("Height × width", self.size, "What the model takes, in pixels"),
                field("Shorter side", self.resize, "Resized to this first, then cut from the centre; empty: stretched"),
                field("Scale", self.scale, "What pixels from 0 to 255 are multiplied by, such as 1/255"),
                field("Mean", self.mean, "One for each channel, with commas between, or one for all"),
                field("Deviation", self.std, "One for each channel, with commas between, or one for all"),
                field(ORDER, self.layout_choice),
                field("Channels", self.channels, "L is grey"),
            ]
        )
        self.add_class("wb-fields")
        for control in (self.size, self.resize, self.mean, self.std, self.scale, self.layout_choice, self.channels):
            control.observe(self._changed, "value")

    def __repr__(self) -> str:
        return f"PreprocessingFields({self.size.value})"

    def _changed(self, _: object) -> None:
        if not self._drawing:
            self._on_change()

    def show(self, given: Preprocessing | None) -> None:
        """Show what is declared."""
        if given is None:
            return
        self._drawing = True
        self.size.value = "×".join(map(str, given.size))
        self.resize.value = "" if given.resize is None else str(given.resize)
        self.mean.value, self.std.value = (", ".join(f"{each:g}" for each in values) for values in (given.mean, given.std))
        self.scale.value = "1/255" if given.scale == 1 / 255 else f"{given.scale:g}"
        self.layout_choice.value, self.channels.value = given.layout, given.channels
        self._drawing = False

    def read(self) -> Preprocessing:
        """Return what the fields say.

        Raises
        ------
        InputError
            When a field is not understood.
        """
        try:
            return Preprocessing(
                size=tuple(_numbers("Height × width", self.size.value.replace("x", "×"), "×", int)),
                resize=int(self.resize.value) if self.resize.value.strip() else None,
                mean=tuple(_numbers("Mean", self.mean.value, ",", float)),
                std=tuple(_numbers("Deviation", self.std.value, ",", float)),
                scale=_share(self.scale.value),
                layout=self.layout_choice.value,
                channels=self.channels.value,
            )
        except ValidationError as error:
            reason = error.errors()[0]
            where = f"{reason['loc'][0]}: " if reason["loc"] else ""
            raise InputError(f"Preprocessing: {where}{reason['msg'].lower()}.", remedy="Change the field.") from error
        except ValueError as error:
            message = f"Preprocessing: the shorter side {self.resize.value!r} is no whole number."
            raise InputError(message, remedy="Write one such as 256, or nothing.") from error


def _text(width: int) -> widgets.Text:
    return widgets.Text(layout=widgets.Layout(width=f"{width}px"), continuous_update=False)


def _numbers(name: str, text: str, between: str, kind: type[int | float]) -> list[float]:
    try:
        return [kind(part) for part in text.split(between)]
    except ValueError as error:
        example = "224×224" if kind is int else "0.485, 0.456, 0.406"
        raise InputError(f"Preprocessing: {name} {text!r} is not understood.", remedy=f"Write {example}.") from error


def _share(text: str) -> float:
    above, slash, below = text.partition("/")
    try:
        return float(above) / float(below) if slash else float(above)
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f"Preprocessing: the scale {text!r} is no number.", remedy="Write one such as 1/255.") from error
