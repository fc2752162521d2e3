"""The options of providers and session as one form, made from the catalogue.

A hundred options are too many for a widget each: the browser draws them from one list, and sends back single edits.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anywidget
import traitlets

from workbench.options.canonical import FLAGS, PROFILE_KEYS
from workbench.options.catalogue import catalogue, groups

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workbench.options.option import OptionSpec

STATIC = Path(__file__).parent / "static"
TITLES = {"tensorrt": "TensorRT", "cuda": "CUDA", "torch": "PyTorch", "session": "Session"}
ELSEWHERE = {*FLAGS, *PROFILE_KEYS}  # precision and shape profile have editors of their own


@dataclass(frozen=True, slots=True)
class Edit:
    """What the user did: an option's new text, or ``None`` for its default; or a reset of all."""

    provider: str
    key: str
    value: str | None
    reset: bool = False

    @property
    def session(self) -> bool:
        """Whether it is a session option."""
        return self.provider == "session"


class OptionForm(anywidget.AnyWidget):
    """The catalogue as a form; it holds no settings, but shows those it is given and tells edits.

    Parameters
    ----------
    release : str or None
        The release of ONNX Runtime whose options are shown; the newest known where it is ``None``.
    on_edit : callable
        Called with each :class:`Edit`.
    height : int
        In pixels.

    Attributes
    ----------
    values : dict of str to value
        The options that are set, as ``provider:key``.
    problems : dict of str to (str, str)
        What is wrong with the last edit of an option, and what was typed.
    idle : dict of str to str
        Why a set option does nothing.
    unused : list of str
        Providers whose options are kept, and ignored.
    """

    _esm = STATIC / "option_form.js"
    _css = STATIC / "option_form.css"

    specs = traitlets.Unicode("[]").tag(sync=True)
    values: traitlets.Dict[str, object] = traitlets.Dict().tag(sync=True)
    problems: traitlets.Dict[str, list[str]] = traitlets.Dict().tag(sync=True)
    idle: traitlets.Dict[str, str] = traitlets.Dict().tag(sync=True)
    edited: traitlets.Dict[str, object] = traitlets.Dict().tag(sync=True)
    unused = traitlets.List(traitlets.Unicode()).tag(sync=True)
    height = traitlets.Int(430).tag(sync=True)

    def __init__(self, release: str | None, on_edit: Callable[[Edit], object], *, height: int = 430) -> None:
        self._known = [spec for provider in TITLES for spec in _ordered(provider, release)]
        super().__init__(specs=json.dumps([_plain(spec) for spec in self._known], separators=(",", ":")), height=height)
        self._on_edit = on_edit
        self.observe(self._tell, "edited")

    def __repr__(self) -> str:
        return f"OptionForm({len(self._known)} options, {len(self.values)} set)"

    def show(
        self,
        provider_options: Mapping[str, object],
        session_options: Mapping[str, object],
        why_idle: Callable[[str, bool], str],
    ) -> None:
        """Show the values that are set; `why_idle` gets a key and whether it is a session option."""
        values: dict[str, object] = {}
        idle: dict[str, str] = {}
        for spec in self._known:
            session = spec.provider == "session"
            given = session_options if session else provider_options
            if spec.key in given and given[spec.key] != spec.default:
                value = given[spec.key]
                values[_id(spec)] = str(value).lower() if isinstance(value, bool) else value
                if why := why_idle(spec.key, session):
                    idle[_id(spec)] = why
        with self.hold_sync():
            self.values, self.idle = values, idle

    def complain(self, edit: Edit, why: str) -> None:
        """Say what is wrong with an edit, beside its option; the editor keeps what was typed."""
        self.problems = {**self.problems, f"{edit.provider}:{edit.key}": [why, edit.value or ""]}

    def settle(self, edit: Edit) -> None:
        """Take back what was said of an option."""
        self.problems = {key: told for key, told in self.problems.items() if key != f"{edit.provider}:{edit.key}"}

    def _tell(self, change: traitlets.Bunch) -> None:
        if change.new.get("reset"):
            self._on_edit(Edit("", "", None, reset=True))
        elif change.new:
            provider, _, key = change.new["id"].partition(":")
            self._on_edit(Edit(provider, key, change.new["value"]))


def _id(spec: OptionSpec) -> str:
    return f"{spec.provider}:{spec.key}"


def _ordered(provider: str, release: str | None) -> list[OptionSpec]:
    """Return the options to show, by group; those that Python cannot set come last in theirs."""
    order = list(groups(provider, release))
    shown = [spec for spec in catalogue(provider, release) if spec.key not in ELSEWHERE]
    return sorted(shown, key=lambda spec: (order.index(spec.group), not spec.python))


def _plain(spec: OptionSpec) -> dict[str, object]:
    """Return an option as the browser reads it."""
    return {
        "id": _id(spec),
        "key": spec.key,
        "provider": spec.provider,
        "title": TITLES[spec.provider],
        "group": spec.group,
        "section": f"{TITLES[spec.provider]} {spec.group}",
        "type": spec.type,
        "default": _text(spec.default),
        "choices": [str(choice) for choice in spec.choices],
        "effect": spec.effect,
        "allowed": spec.allowed,
        "help": spec.help,
        "instead": spec.instead,
        "python": spec.python,
    }


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
