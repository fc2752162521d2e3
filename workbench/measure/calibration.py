"""Ranges of activations: histograms, what each method's threshold clips, outliers, and when the ranges settle."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from workbench.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Method = Literal["minmax", "entropy", "percentile", "distribution"]
METHODS: tuple[Method, ...] = get_args(Method)

SETTLED = 0.99  # share of the final range; the rest changes an INT8 scale by less than its own resolution of 1/127
SHOWN_BINS = 256
OUTLIER_PERCENTILE = 99.9


class Threshold(Record):
    """Where a method ends a tensor's range.

    Attributes
    ----------
    method : str
        One of ``METHODS``.
    amax : float
        The largest magnitude that INT8 is to hold; 0 for a tensor that was zero throughout.
    clipped : float
        The share of elements beyond it, from 0 to 1, by the histogram.
    """

    method: Method
    amax: float
    clipped: float


class SettlingPoint(Record):
    """The largest magnitude seen in the first samples."""

    samples: int
    amax: float


class TensorCalibration(Record):
    """What was seen of one tensor.

    Attributes
    ----------
    name : str
        The tensor's.
    low, high : float or None
        Least and greatest number; ``None`` where none was seen.
    elements, not_finite : int
        How many finite numbers were seen, and how many that are NaN or infinite, which count nowhere else.
    limit : float or None
        The histogram goes from ``-limit`` to ``limit``.
    counts : tuple of int
        Of its bins, all of one width.
    p999 : float or None
        The 99.9th percentile of the magnitudes.
    thresholds : tuple of Threshold
        One for each method that was asked for.
    settling : tuple of SettlingPoint
        How the range grew; the last is over all samples.
    """

    name: str
    low: float | None = None
    high: float | None = None
    elements: int = 0
    not_finite: int = 0
    limit: float | None = None
    counts: tuple[int, ...] = ()
    p999: float | None = None
    thresholds: tuple[Threshold, ...] = ()
    settling: tuple[SettlingPoint, ...] = ()

    @property
    def amax(self) -> float | None:
        """The largest magnitude; ``None`` where nothing was seen."""
        return None if self.low is None or self.high is None else max(abs(self.low), abs(self.high))

    @property
    def seen(self) -> bool:
        """Whether any finite number was seen."""
        return self.low is not None

    @property
    def constant(self) -> bool:
        """Whether all numbers seen are equal."""
        return self.seen and self.low == self.high

    @property
    def outlier_ratio(self) -> float | None:
        """How far the largest magnitude is above the 99.9th percentile; ``None`` where that is zero."""
        return self.amax / self.p999 if self.amax is not None and self.p999 else None

    def threshold(self, method: Method) -> Threshold | None:
        """Return a method's threshold, or ``None`` where it was not asked for."""
        return next((each for each in self.thresholds if each.method == method), None)

    def settled_after(self, share: float = SETTLED) -> int | None:
        """Return after how many samples the range was, and stayed, within a share of its final size."""
        if not self.settling:
            return None
        final = self.settling[-1].amax
        return next(point.samples for point in self.settling if point.amax >= share * final)

    def growth(self) -> float | None:
        """Return by which share the range grew over the second half of the samples; ``None`` where nobody can tell."""
        if len(self.settling) < 2:
            return None
        last = self.settling[-1]
        before = [point.amax for point in self.settling if point.samples <= last.samples / 2]
        return last.amax / before[-1] - 1 if before and before[-1] > 0 else None


def outliers_first(tensors: Iterable[TensorCalibration]) -> list[TensorCalibration]:
    """Return tensors by how far their largest magnitude is above the bulk; those that were not seen are left out."""
    rated = [tensor for tensor in tensors if tensor.outlier_ratio is not None]
    return sorted(rated, key=lambda tensor: -(tensor.outlier_ratio or 0.0))


def settled_after(tensors: Iterable[TensorCalibration], share: float = SETTLED) -> int | None:
    """Return after how many samples the last of the tensors had settled."""
    counts = [count for tensor in tensors if (count := tensor.settled_after(share)) is not None]
    return max(counts, default=None)


def magnitudes(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return the histogram of magnitudes, from zero on, for a histogram that is symmetric about zero.

    Parameters
    ----------
    counts : sequence of int
        An even number of bins of one width, from ``-limit`` to ``limit``.

    Returns
    -------
    ndarray of int64
        Half as many bins, from 0 to ``limit``.
    """
    array = np.asarray(counts, dtype=np.int64)
    half = array.size // 2
    return np.asarray(array[half:] + array[:half][::-1], dtype=np.int64)


def percentile_of(counts: np.ndarray, limit: float, percent: float) -> float | None:
    """Return the percentile of magnitudes by a histogram, numbers taken to lie evenly within a bin.

    Parameters
    ----------
    counts : ndarray of int
        From :func:`magnitudes`.
    limit : float
        Where the last bin ends.
    percent : float
        From 0 to 100.
    """
    total = int(counts.sum())
    if not total:
        return None
    edges = np.linspace(0, limit, counts.size + 1)
    reached = np.concatenate([[0], np.cumsum(counts)])
    return float(np.interp(percent / 100 * total, reached, edges))


def share_beyond(counts: np.ndarray, limit: float, amax: float) -> float:
    """Return the share of magnitudes above a threshold by a histogram, numbers taken to lie evenly within a bin."""
    total = int(counts.sum())
    if not total or limit <= 0 or amax >= limit:
        return 0.0
    edges = np.linspace(0, limit, counts.size + 1)
    below = np.interp(amax, edges, np.concatenate([[0], np.cumsum(counts)]))
    return float(1 - below / total)


def coarsened(counts: np.ndarray, limit: float, most: int) -> tuple[np.ndarray, float]:
    """Return a symmetric histogram with at most so many bins: neighbours are joined, empty bins added at the ends as needed.

    Parameters
    ----------
    counts : ndarray of int
        An even number of bins from ``-limit`` to ``limit``.
    limit : float
        Of the histogram.
    most : int
        Bins to have at most, two or more.
    """
    while counts.size > most:
        width = 2 * limit / counts.size
        if counts.size % 4:
            counts, limit = np.pad(counts, 1), limit + width
        counts = counts.reshape(-1, 2).sum(axis=1)
    return counts, limit


def marks(samples: int) -> int:
    """Return the number of samples after which to look at the ranges again: a quarter more than now."""
    return max(samples + 1, math.ceil(samples * 1.25))
