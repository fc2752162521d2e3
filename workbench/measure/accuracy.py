"""How far outputs are from a reference's outputs."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 1 << 16  # elements compared at a time: outputs may be as large as the memory that is left
LARGEST = float(np.finfo(np.float64).max)
TINY, HUGE = 1e-140, 1e140  # between these, neither a square nor a sum of squares leaves float64
# Above this relative error, signal to noise under 10 dB, an output no longer says what the reference says. A choice of
# this package: quantisation to eight bits that works is at 20 dB or better.
WRONG_REL_L2 = 10 ** (-10 / 20)


class OutputAccuracy(Record):
    """One output against the same output of the reference, over all elements.

    Distances are taken over the elements that are finite in both, in float64 whatever the type. Real and imaginary
    parts of complex numbers count as two elements.

    Attributes
    ----------
    output : str
        The output's name.
    reference : str
        What it was compared with.
    max_abs, mean_abs : float or None
        Largest and mean absolute difference, in the output's own unit; ``None`` where no element can be compared.
    rel_l2 : float or None
        L2 norm of the difference over that of the reference; ``None`` where the reference is all zero.
    cosine : float or None
        Cosine of the angle between the two; ``None`` where one of them is all zero.
    sqnr_db : float or None
        Signal to quantisation noise ratio, ``10 log10(sum(ref^2) / sum(diff^2))``; ``None`` where it is infinite
        (no difference) or the reference is all zero.
    identical : bool
        Whether all elements are equal; NaN equals NaN.
    nan, inf : int
        How many elements are NaN or infinite in this output.
    differing : int or None
        How many elements are not equal, NaN in both counting as equal; ``None`` where shapes differ.
    not_finite_differing : int
        How many elements are NaN or infinite in one of the two and not the same in the other: an overflow, mostly.
    shape, reference_shape : tuple of int
        They differ where the number of results depends on the data, as in detectors; then nothing else is compared.
    dtype : str
        NumPy's name of the output's type; empty in records of before it was kept.
    note : str
        Why something was not compared.
    """

    output: str
    reference: str
    max_abs: float | None
    mean_abs: float | None
    rel_l2: float | None
    cosine: float | None
    sqnr_db: float | None
    identical: bool
    nan: int
    inf: int
    shape: tuple[int, ...]
    reference_shape: tuple[int, ...]
    differing: int | None = None
    not_finite_differing: int = 0
    dtype: str = ""
    note: str = ""

    @property
    def not_real(self) -> bool:
        """Whether the elements are labels, indices, flags or strings rather than real or complex numbers."""
        return not self.dtype.startswith(("float", "bfloat", "complex"))

    @property
    def wrong(self) -> str:
        """Why this output no longer says what the reference says; empty where it does, or where nobody can tell.

        Labels, indices and other whole numbers are left out: one class beside the right one is no large distance, nor
        is a large one an error in the model. So are outputs whose shape depends on the data.
        """
        if self.not_finite_differing:
            return f"{self.not_finite_differing:,} elements are NaN or infinite in one of output and reference only"
        if not self.not_real and self.rel_l2 is not None and self.rel_l2 > WRONG_REL_L2:
            return f"the error is {self.rel_l2:.0%} of the signal (relative L2 norm)"
        return ""


def compare_output(output: str, actual: np.ndarray, expected: np.ndarray, reference: str) -> OutputAccuracy:
    """Compare one output with the reference's.

    Parameters
    ----------
    output : str
        Its name.
    actual, expected : ndarray
        The output, and the reference's; any shapes and dtypes, those of ml_dtypes included. Not copied as a whole.
    reference : str
        What the reference is, for the reader.

    Returns
    -------
    OutputAccuracy
        Distances are ``None`` where shapes differ, the output is empty, or its elements are no numbers.
    """
    same_shape = actual.shape == expected.shape
    numeric = _numeric(actual) and _numeric(expected)
    if not numeric:
        sums = _Sums(elements=actual.size, differing=_unequal(actual, expected) if same_shape else 0)
    elif same_shape:
        sums = _sums(actual, expected)
    else:
        sums = _sums(actual, actual)  # for how many elements are not finite
    return OutputAccuracy(
        output=output,
        reference=reference,
        **_distances(sums if same_shape else _Sums()),
        identical=same_shape and not sums.differing,
        nan=sums.nan,
        inf=sums.inf,
        shape=actual.shape,
        reference_shape=expected.shape,
        differing=sums.differing if same_shape else None,
        not_finite_differing=sums.odd if same_shape else 0,
        dtype=actual.dtype.name,
        note=_note(actual, expected, sums, numeric=numeric),
    )


def _note(actual: np.ndarray, expected: np.ndarray, sums: _Sums, *, numeric: bool) -> str:
    if actual.shape != expected.shape:
        return f"shapes differ: {actual.shape} against {expected.shape}"
    if not actual.size:
        return "the output is empty"
    if not numeric:
        return f"elements of type {actual.dtype} are no numbers: compared for equality only"
    if left_out := sums.elements - sums.finite:
        return f"{left_out:,} of {sums.elements:,} elements are not finite and were left out"
    return ""


@dataclass(frozen=True, slots=True)
class _Sums:
    """What one block of elements, or all of them, add up to.

    `nan` and `inf` count in the output; `odd` counts what is not finite in one of the two and not the same in the other.
    Over the elements finite in both, all divided by `scale`: `peak` is the largest number, `largest` and `total` are of
    the absolute differences; `aa`, `ee`, `dd` and `ae` are sums of products of output, reference and difference.
    """

    elements: int = 0
    finite: int = 0
    differing: int = 0
    odd: int = 0
    nan: int = 0
    inf: int = 0
    peak: float = 0.0
    largest: float = 0.0
    total: float = 0.0
    aa: float = 0.0
    ee: float = 0.0
    dd: float = 0.0
    ae: float = 0.0
    scale: float = 1.0


ADDED = tuple(field.name for field in fields(_Sums) if field.name not in ("peak", "largest", "scale"))


def _distances(sums: _Sums) -> dict[str, float | None]:
    if not sums.finite:
        return dict.fromkeys(("max_abs", "mean_abs", "rel_l2", "cosine", "sqnr_db"))
    aa, ee, dd = sums.aa, sums.ee, sums.dd
    return {
        "max_abs": min(sums.largest * sums.scale, LARGEST),
        "mean_abs": min(sums.total / sums.finite * sums.scale, LARGEST),
        "rel_l2": math.sqrt(dd / ee) if ee else None,
        "cosine": max(-1.0, min(1.0, sums.ae / math.sqrt(aa) / math.sqrt(ee))) if aa and ee else None,
        "sqnr_db": 10 * math.log10(ee / dd) if dd and ee else None,
    }


def _sums(actual: np.ndarray, expected: np.ndarray) -> _Sums:
    """Return the sums over two numeric arrays of one shape, block by block."""
    sums = _added([_block(a, e, 1.0) for a, e in _blocks(actual, expected)], 1.0)
    if sums.peak == 0 or TINY < sums.peak < HUGE:
        return sums
    # Squares would overflow or vanish: once more with all numbers divided by the largest.
    return _added([_block(a, e, sums.peak) for a, e in _blocks(actual, expected)], sums.peak)


def _added(blocks: list[_Sums], scale: float) -> _Sums:
    def column(name: str) -> list[Any]:
        return [getattr(block, name) for block in blocks]

    added: dict[str, Any] = {name: sum(column(name)) for name in ADDED}
    return _Sums(**added, peak=max(column("peak"), default=0.0), largest=max(column("largest"), default=0.0), scale=scale)


def _block(x: np.ndarray, y: np.ndarray, scale: float) -> _Sums:
    a, e = x.astype(np.float64), y.astype(np.float64)
    # In the type itself where both have it: float64 does not hold every 64-bit integer
    differing = int(np.count_nonzero(x != y if x.dtype == y.dtype else a != e))
    nan = inf = odd = 0
    elements, both = a.size, np.isfinite(a) & np.isfinite(e)
    if not both.all():
        nan, inf = int(np.isnan(a).sum()), int(np.isinf(a).sum())
        same = np.isnan(a) & np.isnan(e)
        differing -= int(same.sum())
        odd = int(((a != e) & ~both & ~same).sum())
        a, e = a[both], e[both]
    if not a.size:
        return _Sums(elements=elements, differing=differing, odd=odd, nan=nan, inf=inf)
    peak = max(float(a.max()), -float(a.min()), float(e.max()), -float(e.min()))
    if scale != 1:
        a, e = a / scale, e / scale
    with np.errstate(over="ignore"):
        diff = np.abs(a - e)
        largest, total = float(diff.max()), float(diff.sum())
        aa, ee, dd, ae = float(a @ a), float(e @ e), float(diff @ diff), float(a @ e)
    return _Sums(elements, a.size, differing, odd, nan, inf, peak, largest, total, aa, ee, dd, ae)


def _unequal(actual: np.ndarray, expected: np.ndarray) -> int:
    """Return how many elements that are no numbers, strings mostly, are not equal."""
    return sum(bool(x != y) for x, y in zip(actual.flat, expected.flat, strict=True))


def _blocks(actual: np.ndarray, expected: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    a, e = _flat(actual), _flat(expected)
    for start in range(0, a.size, BLOCK):
        yield a[start : start + BLOCK], e[start : start + BLOCK]


def _flat(array: np.ndarray) -> np.ndarray:
    """Return a vector, without a copy where the array is contiguous; complex numbers become pairs of reals."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat


def _numeric(array: np.ndarray) -> bool:
    # The types of ml_dtypes are of kind V, like NumPy's records, and have the names of numbers
    return array.dtype.kind in "biufc" or array.dtype.name.startswith(("bfloat", "float", "int", "uint"))
