"""Whether two sets of latency samples differ, and by how much."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LEVEL = 0.95
RESAMPLES = 1000
AT_ONCE = 1 << 20  # resampled values held at a time
FEWEST_SAMPLES = 10  # below, the percentile interval of a median covers less than it says
FEWEST_BLOCKS = 5  # below, nothing is known of how blocks differ
Z = 1.959963984540054  # the normal distribution's quantile at (1 + LEVEL) / 2


class Difference(Record):
    """How the medians of two sets of latency samples compare.

    Attributes
    ----------
    ratio : float
        Median of B over median of A; below 1 where B is faster.
    low, high : float or None
        Interval of the ratio at `level`; ``None`` where there are too few samples for one.
    level : float
        Confidence level, 0 to 1.
    block_a, block_b : int
        Samples that were drawn together, as many as depend on each other.
    resamples, seed : int
        Of the bootstrap.
    """

    ratio: float
    low: float | None
    high: float | None
    level: float = LEVEL
    block_a: int
    block_b: int
    resamples: int = RESAMPLES
    seed: int

    @property
    def excludes_equality(self) -> bool:
        """Whether the interval leaves out a ratio of one."""
        return self.low is not None and self.high is not None and not self.low <= 1 <= self.high


def difference_of(a_ms: Sequence[float], b_ms: Sequence[float], *, seed: int = 0) -> Difference:
    """Compare the medians of two sets of latency samples.

    Neighbouring samples depend on each other: clocks, temperature and other processes change more slowly than samples
    are taken. So whole blocks of neighbours are drawn (moving block bootstrap: Künsch, Annals of Statistics 17, 1989),
    as long as the samples ask for (:func:`block_length`). The interval lies between percentiles of the medians' ratio,
    and is widened as Student's t is wider than the normal distribution for as many observations as there are blocks.

    Parameters
    ----------
    a_ms, b_ms : sequence of float, shape (n_a,) and (n_b,)
        Milliseconds, each in the order they were taken; finite and positive.
    seed : int
        Of the draws; the same samples and seed give the same interval.

    Returns
    -------
    Difference
        Without an interval where there are fewer than ten samples or five blocks on a side.

    Raises
    ------
    ValueError
        For no samples, or samples that are not finite and positive.
    """
    a, b = _samples(a_ms), _samples(b_ms)
    block_a, block_b = block_length(a), block_length(b)
    ratio = float(np.median(b) / np.median(a))
    low = high = None
    blocks = min(a.size // block_a, b.size // block_b)
    if min(a.size, b.size) >= FEWEST_SAMPLES and blocks >= FEWEST_BLOCKS:
        random = np.random.default_rng(seed)
        logs = np.log(_medians(b, block_b, random)) - np.log(_medians(a, block_a, random))
        ends = np.quantile(logs, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        centre = math.log(ratio)
        low, high = (math.exp(centre + (float(end) - centre) * _widening(blocks - 1)) for end in ends)
    return Difference(ratio=ratio, low=low, high=high, block_a=block_a, block_b=block_b, seed=seed)


def _widening(freedom: int) -> float:
    """Return Student's t over the normal quantile at ``LEVEL``, by the expansion of Fisher and Cornish (1960)."""
    z = Z
    return 1 + (z**2 + 1) / (4 * freedom) + (5 * z**4 + 16 * z**2 + 3) / (96 * freedom**2)


def block_length(samples: NDArray[np.float64]) -> int:
    """Return how many neighbouring samples to draw together.

    The longer of two rules for whether each sample lies above the median, through which alone the variance of a median
    depends on the samples: that of Politis and White (Econometric Reviews 23, 2004; corrected with Patton, ibid. 28,
    2009), which sees slow drifts, and Carlstein's for a first-order process (Annals of Statistics 14, 1986), which sees
    what too few samples prove.

    Parameters
    ----------
    samples : ndarray, shape (n,)
        In the order they were taken.

    Returns
    -------
    int
        1 for samples that do not depend on each other.
    """
    n = samples.size
    longest = math.ceil(min(3 * math.sqrt(n), n / 3))
    above = (samples > np.median(samples)).astype(np.float64)
    if longest <= 1 or above.min() == above.max():
        return 1
    covariances = _autocovariances(above, min(n - 1, 2 * math.ceil(math.sqrt(n)) + 10))
    return max(1, min(longest, max(_politis_white(covariances, n), _carlstein(covariances, n))))


def _politis_white(covariances: NDArray[np.float64], n: int) -> int:
    lags = 2 * _last_significant_lag(covariances / covariances[0], n)
    if lags == 0:
        return 1
    k = np.arange(1, min(lags, covariances.size - 1) + 1)
    weights = np.minimum(1, 2 * (1 - k / (lags + 1)))  # flat-top window: 1 up to the half, then falling to 0
    kept = weights * covariances[k]
    spectrum = float(covariances[0] + 2 * kept.sum())
    slope = float(2 * (k * kept).sum())
    if spectrum <= 0:
        return n
    return math.ceil(math.cbrt(2 * slope**2 / (4 / 3 * spectrum**2) * n))


def _carlstein(covariances: NDArray[np.float64], n: int) -> int:
    # The correlation of a Gaussian process whose signs are correlated so: the arcsine law
    rho = math.sin(math.pi / 2 * float(covariances[1] / covariances[0]))
    return math.ceil(math.cbrt((math.sqrt(6) * rho / (1 - rho**2)) ** 2 * n)) if 0 < rho < 1 else 1


def _autocovariances(values: NDArray[np.float64], lags: int) -> NDArray[np.float64]:
    """Return the autocovariances at lags 0 to `lags`."""
    centred = values - values.mean()
    sums = [float(centred[: centred.size - lag] @ centred[lag:]) for lag in range(lags + 1)]
    return np.array(sums, dtype=np.float64) / float(centred.size)


def _last_significant_lag(correlations: NDArray[np.float64], n: int) -> int:
    """Return the lag behind which `quiet` correlations in a row are no larger than chance makes them."""
    quiet = max(5, math.ceil(math.sqrt(math.log10(n))))
    chance = 2 * math.sqrt(math.log10(n) / n)
    last = 0
    for lag in np.flatnonzero(np.abs(correlations[1:]) >= chance) + 1:
        if lag > last + quiet:
            break
        last = int(lag)
    return last


def _medians(samples: NDArray[np.float64], block: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return the medians of the resamples, shape (RESAMPLES,)."""
    n = samples.size
    ordered = np.sort(samples)
    ranks = np.empty(n, dtype=np.uint16 if n <= 1 << 16 else np.int64)  # NumPy selects among small integers fastest
    ranks[np.argsort(samples, kind="stable")] = np.arange(n)
    middle = [(n - 1) // 2, n // 2]
    count = math.ceil(n / block)
    rows = max(1, AT_ONCE // (count * block))
    medians: list[NDArray[np.float64]] = []
    for first in range(0, RESAMPLES, rows):
        starts = random.integers(0, n - block + 1, size=(min(rows, RESAMPLES - first), count, 1))
        drawn = ranks.take(starts + np.arange(block)).reshape(len(starts), -1)[:, :n]
        medians.append(ordered[np.partition(drawn, middle, axis=1)[:, middle]].mean(axis=1))
    return np.concatenate(medians)


def _samples(samples_ms: Sequence[float]) -> NDArray[np.float64]:
    samples = np.asarray(samples_ms, dtype=np.float64)
    if samples.ndim != 1 or samples.size == 0 or not (np.isfinite(samples).all() and (samples > 0).all()):
        msg = f"expected a non-empty sequence of finite, positive milliseconds, got shape {samples.shape}"
        raise ValueError(msg)
    return samples
