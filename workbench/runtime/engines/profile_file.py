"""The ``.profile`` files that ONNX Runtime writes beside engines of dynamic shapes.

A FlexBuffers map of the inputs' names to vectors of whole numbers. Since ONNX Runtime 1.15 each dynamic axis has four of them,
axis, min, max and opt, and an axis that comes again belongs to the next optimisation profile; before, three: axis, min and
max (SerializeProfileV2 and SerializeProfile in ONNX Runtime's tensorrt_execution_provider_utils.h). Axes come in any order, and
static ones not at all. The values of shape tensors are written the same way, with nothing to tell them by.
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING

from workbench.errors import EngineError
from workbench.runtime.engines.records import InputBounds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LONGEST = 1 << 20  # bytes; a real one has a few dozen for each input
# What the reader raises on bytes that are something else.
_FOREIGN = (ValueError, TypeError, LookupError, OverflowError, AttributeError, AssertionError, struct.error)

Row = tuple[int, int, int, int | None]  # axis, min, max, opt


def read_profile_file(path: Path) -> tuple[InputBounds, ...]:
    """Return the ranges that a ``.profile`` file holds, by input and profile.

    Returns
    -------
    tuple of InputBounds
        With the axes that each speaks of; inputs of which it names no axis are left out.

    Raises
    ------
    EngineError
        When it cannot be read, or is something else.
    """
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= LONGEST else b""
    except OSError as error:
        raise EngineError(f"{path.name}: cannot be read: {error.strerror or error}.") from error
    if not data:
        raise _foreign(path, "it is empty" if size == 0 else f"it has {size:,} bytes")
    entries = _entries(path, data)
    return tuple(bounds for name, numbers in _rows(path, entries) for bounds in _bounds(name, numbers))


def _foreign(path: Path, why: str) -> EngineError:
    remedy = "Delete it with the engine beside it: ONNX Runtime builds both anew."
    return EngineError(f"{path.name}: no profile of ONNX Runtime: {why}.", remedy=remedy)


def _entries(path: Path, data: bytes) -> list[tuple[str, list[int]]]:
    """Return the inputs' names and numbers."""
    from flatbuffers import flexbuffers

    try:
        table = flexbuffers.GetRoot(bytearray(data)).AsMap
        if len(table) > len(data):
            raise _foreign(path, "it is cut off or damaged")
        # as bytes: the reader takes names for ASCII
        names = [key.AsKeyBytes.decode(errors="surrogateescape") for key in table.Keys]
        vectors = [value.AsTypedVector for value in table.Values]
        if any(len(vector) > len(data) for vector in vectors):
            raise _foreign(path, "it is cut off or damaged")
        return [(name, [_whole(n) for n in vector.Value]) for name, vector in zip(names, vectors, strict=True)]
    except _FOREIGN as error:
        raise _foreign(path, "it is cut off, damaged, or something else") from error


def _whole(number: object) -> int:
    if not isinstance(number, int):
        raise TypeError(number)
    return number


def _rows(path: Path, entries: Sequence[tuple[str, list[int]]]) -> list[tuple[str, list[Row]]]:
    """Read the numbers in fours, as all releases since 1.15 write them, or else in threes."""
    fours = [(name, [_row(four) for four in _parts(numbers, 4)]) for name, numbers in entries]
    if all(len(numbers) % 4 == 0 for _, numbers in entries) and _plausible(fours):
        return fours
    threes = [(name, [_row(three) for three in _parts(numbers, 3)]) for name, numbers in entries]
    if all(len(numbers) % 3 == 0 for _, numbers in entries) and _plausible(threes):
        return threes
    raise _foreign(path, "its numbers are no ranges")


def _parts(numbers: list[int], length: int) -> list[list[int]]:
    return [numbers[at : at + length] for at in range(0, len(numbers) - length + 1, length)]


def _row(numbers: list[int]) -> Row:
    axis, low, high, *rest = numbers
    return axis, low, high, rest[0] if rest else None


def _plausible(entries: list[tuple[str, list[Row]]]) -> bool:
    """Return whether rows are ranges, with every axis of an input as often as its others."""
    for _, rows in entries:
        if len(set(Counter(axis for axis, *_ in rows).values())) > 1:
            return False
        if any(axis < 0 or low > high or not (opt is None or low <= opt <= high) for axis, low, high, opt in rows):
            return False
    return True


def _bounds(name: str, rows: list[Row]) -> list[InputBounds]:
    """Return one record for each profile, its axes in order."""
    axes = sorted({axis for axis, *_ in rows})
    if not axes:
        return []
    columns = [[row for row in rows if row[0] == axis] for axis in axes]
    found = []
    for profile, of in enumerate(zip(*columns, strict=True)):
        opt = tuple(row[3] for row in of if row[3] is not None)
        low, high = tuple(row[1] for row in of), tuple(row[2] for row in of)
        found.append(InputBounds(name=name, min=low, opt=opt, max=high, axes=tuple(axes), profile=profile))
    return found
