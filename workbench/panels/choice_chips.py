"""Many things to choose from, each switched on and off with one click."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anywidget
import traitlets

if TYPE_CHECKING:
    from collections.abc import Iterable

STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True, slots=True)
class Chip:
    """One thing to choose.

    Attributes
    ----------
    value : str
        What is chosen; unique among the chips.
    note : str
        Small print beside it, such as how often it occurs.
    help : str
        Shown when the pointer rests on it.
    """

    value: str
    note: str = ""
    help: str = ""


class ChoiceChips(anywidget.AnyWidget):
    """Chips in lines, any number of which are chosen.

    Parameters
    ----------
    label : str
        What is chosen here, for those who hear the page.
    placeholder : str
        Shown where there is nothing to choose from.

    Attributes
    ----------
    selected : list of str
        Values of the chosen chips, in the order of the chips.
    """

    _esm = STATIC / "choice_chips.js"
    _css = STATIC / "choice_chips.css"

    _chips: traitlets.List[dict[str, str]] = traitlets.List().tag(sync=True)
    selected = traitlets.List(traitlets.Unicode()).tag(sync=True)
    label = traitlets.Unicode("").tag(sync=True)
    placeholder = traitlets.Unicode("").tag(sync=True)
    disabled = traitlets.Bool(default_value=False).tag(sync=True)

    def __init__(self, label: str, placeholder: str = "") -> None:
        super().__init__(label=label, placeholder=placeholder)

    def __repr__(self) -> str:
        return f"ChoiceChips({len(self.selected)} of {len(self._chips)} chosen)"

    @property
    def values(self) -> tuple[str, ...]:
        """What can be chosen."""
        return tuple(chip["value"] for chip in self._chips)

    def show(self, chips: Iterable[Chip], selected: Iterable[str]) -> None:
        """Offer other chips, and choose of them; what is no chip is left out."""
        given = tuple(chips)
        wanted = set(selected)
        with self.hold_sync():
            self._chips = [asdict(chip) for chip in given]
            self.selected = [chip.value for chip in given if chip.value in wanted]
