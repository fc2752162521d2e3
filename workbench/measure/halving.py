"""What half precision does to numbers: which of them overflow, which lose their bits."""

from __future__ import annotations

from typing import Literal

import numpy as np

from workbench.record import Record

# IEEE 754 binary16, and bfloat16: largest finite number, smallest normal and smallest subnormal one
LARGEST = {"fp16": 65504.0, "bf16": 3.3895313892515355e38}
INFINITE = {"fp16": 65520.0, "bf16": 3.3961775292304957e38}  # half a step above the largest: rounds to infinity from here on
NORMAL = {"fp16": 2.0**-14, "bf16": 2.0**-126}
SMALLEST = {"fp16": 2.0**-24, "bf16": 2.0**-133}
MASK = -1e9  # a softmax mask of this size or beyond is meant as minus infinity
MANY_SMALL = 0.1  # share of numbers below the normal range from which it is worth saying

Half = Literal["fp16", "bf16"]


class TensorRange(Record):
    """The numbers of a tensor in float32.

    Attributes
    ----------
    largest : float
        Largest finite magnitude.
    lowest : float
        Lowest finite number.
    over : int
        How many finite numbers become infinite.
    subnormal, zeroed : float
        Shares of the numbers that are not zero which become subnormal, or zero.
    elements : int
        How many numbers.
    """

    largest: float
    lowest: float
    over: int
    subnormal: float
    zeroed: float
    elements: int


def range_of(values: np.ndarray, to: Half = "fp16") -> TensorRange | None:
    """Return what half precision does to an array; ``None`` where it holds no finite number."""
    finite = values[np.isfinite(values)] if values.size else values
    if not finite.size:
        return None
    magnitude = np.abs(finite)
    some = magnitude[magnitude > 0]
    return TensorRange(
        largest=float(magnitude.max()),
        lowest=float(finite.min()),
        over=int((magnitude >= INFINITE[to]).sum()),
        subnormal=float((some < NORMAL[to]).mean()) if some.size else 0.0,
        zeroed=float((some <= SMALLEST[to] / 2).mean()) if some.size else 0.0,
        elements=int(values.size),
    )


def joined(a: TensorRange | None, b: TensorRange | None) -> TensorRange | None:
    """Return the range of two arrays together."""
    if a is None or b is None:
        return a or b
    share = a.elements / (a.elements + b.elements)
    return TensorRange(
        largest=max(a.largest, b.largest),
        lowest=min(a.lowest, b.lowest),
        over=a.over + b.over,
        subnormal=a.subnormal * share + b.subnormal * (1 - share),
        zeroed=a.zeroed * share + b.zeroed * (1 - share),
        elements=a.elements + b.elements,
    )
