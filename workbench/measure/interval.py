"""Intervals of shares and means over independent inputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LEVEL = 0.95
Z = 1.959963984540054  # the normal distribution's quantile at (1 + LEVEL) / 2
RESAMPLES = 1000
AT_ONCE = 1 << 20  # drawn values held at a time
FEWEST = 2  # inputs below which nothing is known of how they differ


class Interval(Record):
    """A confidence interval.

    Attributes
    ----------
    low, high : float
        Its ends, in the unit of the value.
    level : float
        Confidence level, 0 to 1.
    method : str
        How it was found.
    """

    low: float
    high: float
    level: float = LEVEL
    method: str


def wilson(hits: int, samples: int) -> Interval:
    """Return the score interval of a share (Wilson, J. Am. Stat. Assoc. 22, 1927).

    Parameters
    ----------
    hits, samples : int
        How many of how many.

    Raises
    ------
    ValueError
        For no samples.
    """
    if not 0 <= hits <= samples or samples < 1:
        msg = f"expected 0 <= hits <= samples and samples >= 1, got {hits} and {samples}"
        raise ValueError(msg)
    share, z2 = hits / samples, Z**2
    centre = (share + z2 / (2 * samples)) / (1 + z2 / samples)
    half = Z / (1 + z2 / samples) * math.sqrt(share * (1 - share) / samples + z2 / (4 * samples**2))
    low, high = (0.0 if hits == 0 else centre - half), (1.0 if hits == samples else centre + half)
    return Interval(low=low, high=high, method="Wilson score")


def matched_difference(only_a: int, only_b: int, samples: int) -> Interval:
    """Return the interval of share B minus share A, where both were seen on the same samples.

    The adjusted Wald interval of Agresti and Min (Statistics in Medicine 24, 2005): half a sample is added to each of the
    four cells, which keeps its width above zero where the two never differ.

    Parameters
    ----------
    only_a, only_b : int
        Samples that A alone, and that B alone, has right.
    samples : int
        All samples.
    """
    total = samples + 2
    b, a = only_b + 0.5, only_a + 0.5
    difference = (b - a) / total
    half = Z * math.sqrt(max(0.0, (b + a) - (b - a) ** 2 / total)) / total
    low, high = max(-1.0, difference - half), min(1.0, difference + half)
    return Interval(low=low, high=high, method="Agresti-Min, paired")


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the two-sided p-value of McNemar's exact test (Psychometrika 12, 1947) that A and B are right equally often."""
    differing = only_a + only_b
    if differing == 0:
        return 1.0
    logs = [
        math.lgamma(differing + 1) - math.lgamma(k + 1) - math.lgamma(differing - k + 1) - differing * math.log(2)
        for k in range(min(only_a, only_b) + 1)
    ]
    return min(1.0, 2 * math.fsum(math.exp(value) for value in logs))


def mean_interval(values: Sequence[float], *, seed: int = 0) -> Interval | None:
    """Return the percentile bootstrap interval of a mean over independent inputs (Efron, Annals of Statistics 7, 1979).

    Parameters
    ----------
    values : sequence of float, shape (n,)
        One for each input; finite.
    seed : int
        Of the draws; the same values and seed give the same interval.

    Returns
    -------
    Interval or None
        ``None`` below two inputs.
    """
    array = np.asarray(values, dtype=np.float64)
    n = array.size
    if n < FEWEST:
        return None
    random = np.random.default_rng(seed)
    rows = max(1, AT_ONCE // n)
    means = [array[random.integers(0, n, (min(rows, RESAMPLES - first), n))].mean(axis=1) for first in range(0, RESAMPLES, rows)]
    return _percentiles(np.concatenate(means), "bootstrap over inputs")


def resampled(statistic: Callable[[np.ndarray], float], samples: int, *, resamples: int, seed: int = 0) -> Interval | None:
    """Return the percentile bootstrap interval of any statistic of samples.

    Parameters
    ----------
    statistic : callable
        Takes the indices drawn, shape (samples,); NaN where they give no value, such as for a single class.
    samples : int
        How many there are.
    resamples, seed : int
        How often they are drawn, and the seed of the draws.

    Returns
    -------
    Interval or None
        ``None`` where fewer than half of the draws give a value.
    """
    random = np.random.default_rng(seed)
    drawn = np.array([statistic(random.integers(0, samples, samples)) for _ in range(resamples)])
    known = drawn[np.isfinite(drawn)]
    return _percentiles(known, "bootstrap over inputs") if known.size * 2 > resamples and samples >= FEWEST else None


def _percentiles(values: np.ndarray, method: str) -> Interval:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(low=float(low), high=float(high), method=method)
