"""How far outputs are from a reference's outputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.measure.interval import Interval, mean_interval
from workbench.measure.sums import LARGEST, ErrorSample, Sums, added, sums_of
from workbench.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARES = (0.5, 0.9, 0.99, 0.999)
WORST_KEPT = 5
# Above this relative error, signal to noise under 10 dB, an output no longer says what the reference says. A choice of
# this package: quantisation to eight bits that works is at 20 dB or better.
WRONG_REL_L2 = 10 ** (-10 / 20)


class ErrorQuantiles(Record):
    """Absolute differences below which a share of the elements lies, in the output's own unit.

    Above some hundred thousand elements they are those of an even random share of the elements.

    Attributes
    ----------
    p50, p90, p99, p999 : float
        For 50, 90, 99 and 99.9 % of the elements.
    """

    p50: float
    p90: float
    p99: float
    p999: float


class Tolerance(Record):
    """What would pass ``numpy.allclose(output, reference, rtol, atol)``: differences up to ``atol + rtol * |reference|``.

    All are rounded up to three significant digits.

    Attributes
    ----------
    both : float
        The smallest number that serves as `rtol` and as `atol` at once.
    atol : float
        The smallest `atol` with an `rtol` of 0.
    rtol : float or None
        The smallest `rtol` with an `atol` of 0; ``None`` where the reference is 0 and the output is not.
    """

    both: float
    atol: float
    rtol: float | None


class WorstInput(Record):
    """An input on which an output is far from the reference's.

    Attributes
    ----------
    index : int
        Which sample of the data, from 0.
    rel_l2, max_abs : float or None
        Of this sample alone; ``None`` where NaN or infinite values take the comparison away, or the reference is zero.
    """

    index: int
    rel_l2: float | None
    max_abs: float | None


class OverInputs(Record):
    """How the error of one output is spread over many inputs.

    Attributes
    ----------
    samples : int
        How many inputs.
    not_finite : int
        On how many of them values are NaN or infinite in output or reference only.
    mean_rel_l2 : float or None
        Mean of the inputs' relative L2 distances, over those that have one.
    interval : Interval or None
        Of that mean.
    worst : tuple of WorstInput
        The farthest, the worst first.
    """

    samples: int
    not_finite: int
    mean_rel_l2: float | None
    interval: Interval | None
    worst: tuple[WorstInput, ...] = ()


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
    reference_nan, reference_inf : int
        How many elements are NaN or infinite in the reference.
    quantiles : ErrorQuantiles or None
        Of the absolute difference.
    argmax_agreement : float or None
        Share of the rows along the last axis whose largest element is at the same place, 0 to 1; ``None`` for outputs
        without such rows.
    tolerance : Tolerance or None
        What would pass; ``None`` where nothing does, or nothing can be compared.
    over_inputs : OverInputs or None
        ``None`` where there was one input only.
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
    reference_nan: int = 0
    reference_inf: int = 0
    quantiles: ErrorQuantiles | None = None
    argmax_agreement: float | None = None
    tolerance: Tolerance | None = None
    over_inputs: OverInputs | None = None

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


class OutputComparison:
    """One output against the reference's, feed after feed.

    Parameters
    ----------
    output, reference : str
        The output's name, and what it is compared with, for the reader.
    """

    def __init__(self, output: str, reference: str) -> None:
        self.output, self.reference = output, reference
        self._parts: list[Sums] = []
        self._samples: list[tuple[int, Sums]] = []
        self._errors = ErrorSample()
        self._agreeing = self._rows = 0
        self._numeric = True
        self._mismatch: tuple[tuple[int, ...], tuple[int, ...]] | None = None
        self._shape: tuple[int, ...] | None = None
        self._dtype = ""

    def add(self, actual: np.ndarray, expected: np.ndarray, *, first: int = 0, samples: int | None = None) -> None:
        """Compare what one feed gave.

        Parameters
        ----------
        actual, expected : ndarray
            The output, and the reference's; any shapes and dtypes, those of ml_dtypes included. Not copied as a whole.
        first : int
            Number of the feed's first sample.
        samples : int, optional
            How many samples were fed at once. Where the output has a row for each, each is compared for itself too.
        """
        self._dtype = actual.dtype.name
        if actual.shape != expected.shape:
            self._mismatch = self._mismatch or (actual.shape, expected.shape)
            self._parts.append(sums_of(actual, actual) if _numeric(actual) else Sums())  # for what is not finite
            return
        self._extend(actual.shape, samples)
        if not (_numeric(actual) and _numeric(expected)):
            self._numeric = False
            self._parts.append(Sums(elements=actual.size, differing=_unequal(actual, expected)))
            return
        self._count_agreement(actual, expected)
        if samples is None or samples == 1 or actual.shape[:1] != (samples,):
            sums = sums_of(actual, expected, self._errors)
            if samples == 1:
                self._samples.append((first, sums))
            self._parts.append(sums)
            return
        rows = [sums_of(a, e, self._errors) for a, e in zip(actual, expected, strict=True)]
        self._samples += [(first + at, sums) for at, sums in enumerate(rows)]
        self._parts.append(added(rows))

    def result(self) -> OutputAccuracy:
        """Return the comparison of all feeds so far."""
        sums, same_shape = added(self._parts), self._mismatch is None
        shapes = self._mismatch or ((self._shape or ()), (self._shape or ()))
        return OutputAccuracy(
            output=self.output,
            reference=self.reference,
            **_distances(sums if same_shape else Sums()),
            identical=same_shape and not sums.differing,
            nan=sums.nan,
            inf=sums.inf,
            shape=shapes[0],
            reference_shape=shapes[1],
            differing=sums.differing if same_shape else None,
            not_finite_differing=sums.odd if same_shape else 0,
            dtype=self._dtype,
            note=self._note(sums),
            reference_nan=sums.reference_nan if same_shape else 0,
            reference_inf=sums.reference_inf if same_shape else 0,
            quantiles=self._quantiles() if same_shape else None,
            argmax_agreement=self._agreeing / self._rows if self._rows and same_shape else None,
            tolerance=_tolerance(sums) if same_shape else None,
            over_inputs=_over_inputs(self._samples) if same_shape and len(self._samples) > 1 else None,
        )

    def _extend(self, shape: tuple[int, ...], samples: int | None) -> None:
        """Remember the shape; that of many samples grows along the first axis."""
        if self._shape is None or samples is None or not shape or shape[1:] != self._shape[1:]:
            self._shape = shape
        else:
            self._shape = (self._shape[0] + shape[0], *shape[1:])

    def _count_agreement(self, actual: np.ndarray, expected: np.ndarray) -> None:
        if actual.ndim < 1 or actual.shape[-1] < 2 or not actual.size or not _real(actual):
            return
        found = np.argmax(actual, axis=-1) == np.argmax(expected, axis=-1)
        self._agreeing += int(np.count_nonzero(found))
        self._rows += found.size

    def _quantiles(self) -> ErrorQuantiles | None:
        found = self._errors.quantiles(SHARES)
        if found is None:
            return None
        p50, p90, p99, p999 = (min(value, LARGEST) for value in found)
        return ErrorQuantiles(p50=p50, p90=p90, p99=p99, p999=p999)

    def _note(self, sums: Sums) -> str:
        if self._mismatch is not None:
            return f"shapes differ: {self._mismatch[0]} against {self._mismatch[1]}"
        if not sums.elements:
            return "the output is empty"
        if not self._numeric:
            return f"elements of type {self._dtype} are no numbers: compared for equality only"
        if left_out := sums.elements - sums.finite:
            return f"{left_out:,} of {sums.elements:,} elements are not finite and were left out"
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
    comparison = OutputComparison(output, reference)
    comparison.add(actual, expected)
    return comparison.result()


def _distances(sums: Sums) -> dict[str, float | None]:
    if not sums.finite:
        return dict.fromkeys(("max_abs", "mean_abs", "rel_l2", "cosine", "sqnr_db"))
    aa, ee, dd = sums.aa, sums.ee, sums.dd
    return {
        "max_abs": min(sums.largest * sums.scale, LARGEST),
        "mean_abs": min(sums.total / sums.finite * sums.scale, LARGEST),
        "rel_l2": sums.rel_l2,
        "cosine": max(-1.0, min(1.0, sums.ae / math.sqrt(aa) / math.sqrt(ee))) if aa and ee else None,
        "sqnr_db": 10 * math.log10(ee / dd) if dd and ee else None,
    }


def _tolerance(sums: Sums) -> Tolerance | None:
    if not sums.finite or sums.odd:
        return None
    rtol = _rounded_up(sums.relative) if math.isfinite(sums.relative) else None
    return Tolerance(both=_rounded_up(sums.tolerance), atol=_rounded_up(sums.largest * sums.scale), rtol=rtol)


def _rounded_up(value: float) -> float:
    """Return a number that is no smaller and has three significant digits."""
    if value == 0 or not math.isfinite(value):
        return min(value, LARGEST)
    digits = 2 - math.floor(math.log10(value))
    if abs(digits) > 300:  # its power of ten leaves float64
        return min(value * 1.01, LARGEST)
    # A little more than the value: allclose computes in the arrays' own type, which rounds
    return float(f"{math.ceil(value * (1 + 1e-6) * 10.0**digits) / 10.0**digits:.3g}")


def _over_inputs(samples: Sequence[tuple[int, Sums]]) -> OverInputs:
    known = [rel_l2 for _, sums in samples if not sums.odd and (rel_l2 := sums.rel_l2) is not None]
    worst = sorted(samples, key=lambda item: _badness(item[1]), reverse=True)[:WORST_KEPT]
    return OverInputs(
        samples=len(samples),
        not_finite=sum(sums.odd > 0 for _, sums in samples),
        mean_rel_l2=math.fsum(known) / len(known) if known else None,
        interval=mean_interval(known),
        worst=tuple(_worst(index, sums) for index, sums in worst if sums.differing),
    )


def _badness(sums: Sums) -> tuple[bool, float]:
    rel_l2 = sums.rel_l2
    return bool(sums.odd), rel_l2 if rel_l2 is not None else math.inf if sums.dd else 0.0


def _worst(index: int, sums: Sums) -> WorstInput:
    largest = min(sums.largest * sums.scale, LARGEST) if sums.finite and not sums.odd else None
    return WorstInput(index=index, rel_l2=None if sums.odd else sums.rel_l2, max_abs=largest)


def _unequal(actual: np.ndarray, expected: np.ndarray) -> int:
    """Return how many elements that are no numbers, strings mostly, are not equal."""
    return sum(bool(x != y) for x, y in zip(actual.flat, expected.flat, strict=True))


def _real(array: np.ndarray) -> bool:
    return array.dtype.name.startswith(("float", "bfloat"))


def _numeric(array: np.ndarray) -> bool:
    # The types of ml_dtypes are of kind V, like NumPy's records, and have the names of numbers
    return array.dtype.kind in "biufc" or array.dtype.name.startswith(("bfloat", "float", "int", "uint"))
