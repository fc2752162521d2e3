"""Values of options: what a user may write, what is kept, and what ONNX Runtime reads."""

from __future__ import annotations

import os
import re
from numbers import Integral
from typing import TYPE_CHECKING

from workbench.errors import SettingsError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.options.mapping import OptionValue
    from workbench.options.option import OptionSpec

_TRUE, _FALSE = ("true", "1"), ("false", "0")
_WHOLE = re.compile(r"[+-]?\d+")
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[KMGT]I?B?|B)", re.IGNORECASE)
_POWERS = {"K": 1, "M": 2, "G": 3, "T": 4}


def read_value(spec: OptionSpec, value: object) -> OptionValue:
    """Turn what a user wrote into the value that is kept.

    Parameters
    ----------
    spec : OptionSpec
        The option.
    value : object
        A bool, int or text; sizes in bytes may carry a unit, such as ``4GiB``. Text is read as a shell would give it.

    Returns
    -------
    bool, int or str
        By the option's type.

    Raises
    ------
    SettingsError
        When the option does not take that value; it says what is allowed.
    """
    if spec.type == "bool":
        return _read_bool(spec, value)
    if spec.type == "int":
        return _read_int(spec, value)
    return _read_text(spec, value)


def write_value(value: OptionValue, *, flags: tuple[str, str] = ("1", "0")) -> str:
    """Return a kept value as the text that ONNX Runtime reads; `flags` are its words for true and false."""
    if isinstance(value, bool):
        return flags[0] if value else flags[1]
    return str(value)


def read_assignments(texts: Iterable[str]) -> dict[str, str]:
    """Read ``KEY=VALUE`` texts, as a shell gives them.

    Raises
    ------
    SettingsError
        For a text without a key or an equals sign, or a key given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key:
            raise SettingsError(
                f"option {text!r} is not KEY=VALUE.", remedy="Write, for example, trt_builder_optimization_level=5."
            )
        if key in found:
            raise SettingsError(f"option {key} is given twice: {found[key]!r} and {value.strip()!r}.")
        found[key] = value.strip()
    return found


def _wrong(spec: OptionSpec, value: object, more: str = "") -> SettingsError:
    allowed = f"Allowed: {spec.allowed}."
    if spec.default not in (None, ""):
        owner = "The" if spec.provider == "torch" else "ONNX Runtime's"
        allowed += f" {owner} default is {spec.default}."
    return SettingsError(f"{spec.key}: {value!r} is not allowed.", remedy=" ".join(filter(None, (allowed, more))))


def _read_bool(spec: OptionSpec, value: object) -> bool:
    word = str(value).strip().lower() if isinstance(value, bool | str | Integral) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise _wrong(spec, value)


def _read_int(spec: OptionSpec, value: object) -> int:
    if isinstance(value, bool):
        raise _wrong(spec, value)
    number = int(value) if isinstance(value, Integral) else _whole(spec, value)
    too_low = spec.minimum is not None and number < spec.minimum
    too_high = spec.maximum is not None and number > spec.maximum
    if too_low or too_high or (spec.choices and number not in spec.choices):
        raise _wrong(spec, value)
    return number


def _whole(spec: OptionSpec, value: object) -> int:
    text = value.strip() if isinstance(value, str) else ""
    if _WHOLE.fullmatch(text):
        return int(text)
    size = _SIZE.fullmatch(text) if spec.unit == "bytes" else None
    if size is None:
        raise _wrong(spec, value)
    unit = size["unit"].upper()
    # As in trtexec, G alone is GiB; GB is the decimal unit.
    base = 1000.0 if len(unit) == 2 and unit.endswith("B") else 1024.0
    return round(float(size["number"]) * base ** _POWERS.get(unit[0], 0))


def _read_text(spec: OptionSpec, value: object) -> str:
    if not isinstance(value, str | os.PathLike):
        raise _wrong(spec, value)
    text = os.fspath(value)
    text = text.strip() if isinstance(text, str) else os.fsdecode(text)
    if text and spec.choices and text not in spec.choices:
        by_case = [str(choice) for choice in spec.choices if str(choice).lower() == text.lower()]
        if by_case:
            return by_case[0]
        raise _wrong(spec, value, nearest(text, [str(choice) for choice in spec.choices]))
    if text and spec.pattern and not re.fullmatch(spec.pattern, text):
        raise _wrong(spec, value)
    return text
