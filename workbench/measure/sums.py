"""What two arrays add up to, block by block: all that distances between them are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BLOCK = 1 << 16  # elements compared at a time: outputs may be as large as the memory that is left
MOST_ERRORS = 1 << 17  # absolute errors held for their quantiles
LARGEST = float(np.finfo(np.float64).max)
TINY, HUGE = 1e-140, 1e140  # between these, neither a square nor a sum of squares leaves float64


@dataclass(frozen=True, slots=True)
class Sums:
    """What one block of elements, or all of them, add up to.

    `nan` and `inf` count in the output, `reference_nan` and `reference_inf` in the reference; `odd` counts what is not
    finite in one of the two and not the same in the other. Over the elements finite in both: `tolerance` is the smallest
    number that serves ``numpy.allclose`` as rtol and atol, `relative` the largest difference over the reference. All
    that follow are divided by `scale`: `peak` is the largest number, `largest` and `total` are of the absolute
    differences; `aa`, `ee`, `dd` and `ae` are sums of products of output, reference and difference.
    """

    elements: int = 0
    finite: int = 0
    differing: int = 0
    odd: int = 0
    nan: int = 0
    inf: int = 0
    reference_nan: int = 0
    reference_inf: int = 0
    tolerance: float = 0.0
    relative: float = 0.0
    peak: float = 0.0
    largest: float = 0.0
    total: float = 0.0
    aa: float = 0.0
    ee: float = 0.0
    dd: float = 0.0
    ae: float = 0.0
    scale: float = 1.0

    @property
    def rel_l2(self) -> float | None:
        """L2 norm of the difference over that of the reference; ``None`` where that is zero or nothing is finite."""
        return math.sqrt(self.dd / self.ee) if self.ee else None


LARGEST_OF = ("tolerance", "relative", "peak", "largest")
LINEAR, SQUARES = ("peak", "largest", "total"), ("aa", "ee", "dd", "ae")


class ErrorSample:
    """Absolute errors for their quantiles: all of them up to ``MOST_ERRORS``, then a random share that stays even.

    When there are too many, every error held is dropped with probability one half, and later ones are taken with as much
    less probability; the seed is fixed, so that the same arrays give the same quantiles.
    """

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self._parts: list[np.ndarray] = []
        self._held = 0
        self._share = 1.0

    def add(self, errors: np.ndarray) -> None:
        """Take a share of errors, shape (n,)."""
        if self._share < 1:
            errors = errors[self._random.random(errors.size) < self._share]
        self._parts.append(errors)
        self._held += errors.size
        while self._held > MOST_ERRORS:
            kept = np.concatenate(self._parts)
            kept = kept[self._random.random(kept.size) < 0.5]
            self._parts, self._held, self._share = [kept], kept.size, self._share / 2

    def quantiles(self, shares: Sequence[float]) -> list[float] | None:
        """Return the errors below which these shares of all errors lie; ``None`` without errors."""
        if not self._held:
            return None
        values: list[float] = np.quantile(np.concatenate(self._parts), shares).tolist()
        return values


def sums_of(actual: np.ndarray, expected: np.ndarray, errors: ErrorSample | None = None) -> Sums:
    """Return the sums over two numeric arrays of one shape.

    Parameters
    ----------
    actual, expected : ndarray
        Of any numeric types, those of ml_dtypes included; not copied as a whole.
    errors : ErrorSample, optional
        Gets the absolute differences.
    """
    sums = added([_block(a, e, 1.0, errors) for a, e in _blocks(actual, expected)])
    if sums.peak == 0 or TINY < sums.peak < HUGE:
        return sums
    # Squares would overflow or vanish: once more with all numbers divided by the largest.
    return added([_block(a, e, sums.peak) for a, e in _blocks(actual, expected)])


def added(parts: Sequence[Sums]) -> Sums:
    """Return the sums of several parts together."""
    if len(parts) == 1:
        return parts[0]
    scale = max((part.scale for part in parts if part.finite), default=1.0)
    values: dict[str, Any] = {}
    for field in fields(Sums):
        column = [_rescaled(part, field.name, scale) for part in parts]
        values[field.name] = max(column, default=0.0) if field.name in LARGEST_OF else sum(column)
    return Sums(**{**values, "scale": scale})


def _rescaled(part: Sums, name: str, scale: float) -> Any:  # noqa: ANN401
    value = getattr(part, name)
    if part.scale == scale or name not in LINEAR + SQUARES:
        return value
    ratio = part.scale / scale
    return value * ratio if name in LINEAR else value * ratio * ratio


def _block(x: np.ndarray, y: np.ndarray, scale: float, errors: ErrorSample | None = None) -> Sums:
    a, e = x.astype(np.float64), y.astype(np.float64)
    # In the type itself where both have it: float64 does not hold every 64-bit integer
    differing = int(np.count_nonzero(x != y if x.dtype == y.dtype else a != e))
    elements, both = a.size, np.isfinite(a) & np.isfinite(e)
    nan = inf = odd = reference_nan = reference_inf = 0
    if not both.all():
        nan, inf = int(np.isnan(a).sum()), int(np.isinf(a).sum())
        reference_nan, reference_inf = int(np.isnan(e).sum()), int(np.isinf(e).sum())
        same = np.isnan(a) & np.isnan(e)
        differing -= int(same.sum())
        odd = int(((a != e) & ~both & ~same).sum())
        a, e = a[both], e[both]
    counts = (differing, odd, nan, inf, reference_nan, reference_inf)
    if not a.size:
        return Sums(elements, 0, *counts)
    peak = max(float(a.max()), -float(a.min()), float(e.max()), -float(e.min()))
    if scale != 1:
        a, e = a / scale, e / scale
        peak /= scale
    with np.errstate(over="ignore"):
        diff = np.abs(a - e)
        if errors is not None:
            errors.add(np.minimum(diff, LARGEST))
        tolerance, relative = _tolerances(diff, np.abs(e), scale)
        squares = (float(a @ a), float(e @ e), float(diff @ diff), float(a @ e))
        moments = (peak, float(diff.max()), float(diff.sum()))
    return Sums(elements, a.size, *counts, tolerance, relative, *moments, *squares, scale)


def _tolerances(diff: np.ndarray, magnitude: np.ndarray, scale: float) -> tuple[float, float]:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        both = float((diff / (1 / scale + magnitude)).max())
        relative = np.where(diff > 0, diff / magnitude, 0.0)
    return both, float(relative.max())


def _blocks(actual: np.ndarray, expected: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    a, e = _flat(actual), _flat(expected)
    for start in range(0, a.size, BLOCK):
        yield a[start : start + BLOCK], e[start : start + BLOCK]


def _flat(array: np.ndarray) -> np.ndarray:
    """Return a vector, without a copy where the array is contiguous; complex numbers become pairs of reals."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat
