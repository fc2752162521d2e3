"""Shapes as text: ``1x3x224x224``, ``NAME=MIN:OPT:MAX``, and ONNX Runtime's ``NAME:SHAPE,NAME:SHAPE``."""

from __future__ import annotations

import re

from workbench.errors import SettingsError

FORM = "NAME=MIN:OPT:MAX, such as x=1x3x224x224:8x3x224x224:32x3x224x224"

_SHAPE = re.compile(r"\d+(?:[xX×]\d+)*")
# A name ends at the last colon before a shape: "x:0:1x3" is the input "x:0".
_ENTRY = re.compile(r"\s*(?P<name>\S.*?):(?P<shape>\d+(?:[xX×]\d+)*)\s*(?:,|$)", re.DOTALL)

Shape = tuple[int, ...]


def format_shape(shape: Shape) -> str:
    """Return a shape as text, such as ``1x3x224x224``."""
    return "x".join(map(str, shape))


def parse_shape(text: str, where: str = "") -> Shape:
    """Read a shape such as ``1x3x224x224``.

    Parameters
    ----------
    where : str
        What the shape belongs to, for the message.

    Raises
    ------
    SettingsError
        When it is no shape.
    """
    text = text.strip()
    if not _SHAPE.fullmatch(text):
        before = f"{where}: " if where else ""
        problem = "the shape is empty" if not text else f"{text!r} is no shape"
        raise SettingsError(f"{before}{problem}.", remedy="Write whole numbers with x between them, such as 1x3x224x224.")
    return tuple(int(dim) for dim in re.split("[xX×]", text))


def parse_argument(text: str) -> tuple[str, Shape, Shape, Shape]:
    """Read ``NAME=MIN:OPT:MAX``, or ``NAME=SHAPE`` for one shape only.

    Raises
    ------
    SettingsError
        Saying which part cannot be read.
    """
    name, equals, shapes = text.rpartition("=")
    name = name.strip()
    if not equals:
        raise SettingsError(f"shape profile {text!r} has no '='.", remedy=f"Write {FORM}.")
    if not name:
        raise SettingsError(f"shape profile {text!r} names no input before '='.", remedy=f"Write {FORM}.")
    parts = shapes.split(":")
    if len(parts) not in (1, 3):
        raise SettingsError(f"shape profile of {name!r}: {shapes!r} holds {len(parts)} shapes, not 3.", remedy=f"Write {FORM}.")
    which = ("min", "opt", "max") if len(parts) == 3 else ("the", "the", "the")
    low, opt, high = (
        parse_shape(part, f"shape profile of {name!r}, {label} shape")
        for part, label in zip(parts * (3 // len(parts)), which, strict=True)
    )
    return name, low, opt, high


def parse_shapes(text: str, option: str) -> list[tuple[str, Shape]]:
    """Read ONNX Runtime's ``NAME:SHAPE,NAME:SHAPE``, in its order.

    Parameters
    ----------
    option : str
        The option that holds the text, for the message.

    Raises
    ------
    SettingsError
        Saying from where on the text cannot be read.
    """
    found: list[tuple[str, Shape]] = []
    at = 0
    text = text.strip().rstrip(",")
    while at < len(text):
        match = _ENTRY.match(text, at)
        if match is None:
            raise SettingsError(
                f"{option}: cannot read {text[at:]!r}.",
                remedy="Write NAME:SHAPE with commas between inputs, such as x:1x3x224x224,mask:1x77.",
            )
        found.append((match["name"], parse_shape(match["shape"], option)))
        at = match.end()
    return found
