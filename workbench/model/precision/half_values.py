"""Numbers in half precision: the weights of a model in float16 or bfloat16, and what is lost on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from workbench.record import Record

if TYPE_CHECKING:
    import onnx

Half = Literal["fp16", "bf16"]

FLOAT16, BFLOAT16 = 10, 16  # TensorProto.DataType
CODES: dict[str, int] = {"fp16": FLOAT16, "bf16": BFLOAT16}
TYPES: dict[str, str] = {"fp16": "tensor(float16)", "bf16": "tensor(bfloat16)"}
NAMES: dict[str, str] = {"fp16": "float16", "bf16": "bfloat16"}
# Largest finite number, and smallest normal one (IEEE 754 binary16; bfloat16 has float32's exponent and 7 bits)
LARGEST: dict[str, float] = {"fp16": 65504.0, "bf16": float(np.uint32(0x7F7F0000).view(np.float32))}
SMALLEST_NORMAL: dict[str, float] = {"fp16": 2.0**-14, "bf16": 2.0**-126}


class WeightLoss(Record):
    """What half precision makes of a weight.

    Attributes
    ----------
    name : str
        The tensor's.
    elements : int
        How many numbers it holds.
    overflow : int
        How many finite ones lie beyond the largest number of the type: they become infinite, or are clipped.
    to_zero : int
        How many that are not zero become zero.
    subnormal : int
        How many become subnormal: they keep fewer bits, and some hardware takes them for zero.
    largest : float
        The largest magnitude among the finite numbers.
    """

    name: str
    elements: int
    overflow: int
    to_zero: int
    subnormal: int
    largest: float

    @property
    def any(self) -> bool:
        """Whether anything but rounding happens to it."""
        return bool(self.overflow or self.to_zero or self.subnormal)


def rounded(values: np.ndarray, to: Half) -> np.ndarray:
    """Return float32 numbers that half precision holds: to nearest, ties to even; too large ones become infinite."""
    values = np.asarray(values, dtype=np.float32)
    if to == "fp16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).astype(np.float32)
    bits = bfloat16_bits(np.atleast_1d(values)).astype(np.uint32)
    return np.left_shift(bits, np.uint32(16)).view(np.float32).reshape(values.shape)


def bfloat16_bits(values: np.ndarray) -> np.ndarray:
    """Return the sixteen bits of each number in bfloat16, as uint16: the upper half of float32's, to nearest even."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    up = ((bits >> 16) & 1) + np.uint32(0x7FFF)
    found = ((bits + up) >> 16).astype(np.uint16)
    return np.asarray(np.where(np.isnan(values), np.uint16(0x7FC0), found).reshape(values.shape), dtype=np.uint16)


def clipped(values: np.ndarray, to: Half) -> np.ndarray:
    """Return the numbers with the finite ones brought into the range of the type."""
    limit = np.float32(LARGEST[to])
    return np.where(np.isfinite(values), np.clip(values, -limit, limit), values).astype(np.float32)


def half_tensor(values: np.ndarray, name: str, to: Half) -> onnx.TensorProto:
    """Return float32 numbers as a tensor in half precision."""
    import onnx

    tensor = onnx.TensorProto(name=name, data_type=CODES[to], dims=values.shape)
    if to == "fp16":
        with np.errstate(over="ignore"):
            tensor.raw_data = values.astype("<f2").tobytes()
    else:
        tensor.raw_data = bfloat16_bits(values).astype("<u2").tobytes()
    return tensor


def loss_of(name: str, values: np.ndarray, to: Half) -> WeightLoss:
    """Return what half precision makes of a weight.

    Parameters
    ----------
    name : str
        Of the weight.
    values : ndarray of float32
        Its numbers.
    to : str
        ``fp16`` or ``bf16``.
    """
    half = rounded(values, to)
    finite, size = np.isfinite(values), np.abs(values)
    kept = np.abs(half)
    return WeightLoss(
        name=name,
        elements=values.size,
        overflow=int((finite & ~np.isfinite(half)).sum()),
        to_zero=int(((half == 0) & (values != 0)).sum()),
        subnormal=int(((kept > 0) & (kept < SMALLEST_NORMAL[to])).sum()),
        largest=float(size[finite].max()) if finite.any() else 0.0,
    )
