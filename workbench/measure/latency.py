"""What a set of latency samples says, and whether it can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

UNSTABLE_VARIATION = 0.025  # trtexec warns from this coefficient of variation on: NVIDIA/TensorRT, sampleReporting.cpp
TREND = 0.05  # of the median, between the halves: twice the variation above
OUTLIER_SHARE = 0.05  # more than these reach into p95
OUTLIER_FENCE = 3.0  # quartile ranges above the upper quartile: Tukey's "far out" (Exploratory Data Analysis, 1977)
ENOUGH_SAMPLES_FOR_P99 = 100
ENOUGH_SAMPLES_FOR_QUARTILES = 4
QUARTILE_RANGES_PER_SIGMA = 1.349  # of a normal distribution


class Latency(Record):
    """Statistics of the latency of one inference, end to end as the caller sees it.

    Attributes
    ----------
    samples : int
        How many inferences were timed, after warm-up.
    median_ms, mean_ms, p90_ms, p95_ms, p99_ms, min_ms, max_ms : float
        Milliseconds. Percentiles interpolate linearly between samples.
    std_ms : float or None
        Standard deviation in milliseconds (n - 1 degrees of freedom); ``None`` for a single sample.
    throughput_per_s : float
        Inferences a second of one caller that waits for each result; not items: multiply by the batch size.
    samples_ms : tuple of float
        Every sample in the order it was taken.
    warnings : tuple of str
        Why the figures may not be trusted; empty when nothing speaks against them.
    """

    samples: int
    median_ms: float
    mean_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    min_ms: float
    max_ms: float
    std_ms: float | None
    throughput_per_s: float
    samples_ms: tuple[float, ...]
    warnings: tuple[str, ...] = ()


def latency_of(samples_ms: Sequence[float]) -> Latency:
    """Return the statistics of latency samples.

    Parameters
    ----------
    samples_ms : sequence of float, shape (n_runs,)
        Milliseconds, in the order they were taken; at least one, all finite and positive.

    Returns
    -------
    Latency
        With a warning for each reason to doubt the figures.

    Raises
    ------
    ValueError
        For no samples, or samples that are not finite and positive.
    """
    samples = np.asarray(samples_ms, dtype=np.float64)
    if samples.ndim != 1 or samples.size == 0:
        msg = f"expected a one-dimensional, non-empty sequence of samples, got shape {samples.shape}"
        raise ValueError(msg)
    if not (np.isfinite(samples).all() and (samples > 0).all()):
        msg = "latency samples must be finite and positive milliseconds"
        raise ValueError(msg)
    p50, p90, p95, p99 = np.percentile(samples, [50, 90, 95, 99])
    return Latency(
        samples=samples.size,
        median_ms=float(p50),
        mean_ms=float(samples.mean()),
        p90_ms=float(p90),
        p95_ms=float(p95),
        p99_ms=float(p99),
        min_ms=float(samples.min()),
        max_ms=float(samples.max()),
        std_ms=float(samples.std(ddof=1)) if samples.size > 1 else None,
        throughput_per_s=float(1e3 / samples.mean()),
        samples_ms=tuple(samples.tolist()),
        warnings=tuple(doubts(samples)),
    )


def doubts(samples: np.ndarray) -> list[str]:
    """Return, in words, what speaks against latency samples.

    Parameters
    ----------
    samples : ndarray, shape (n_runs,)
        Milliseconds, in the order they were taken; finite and positive.

    Returns
    -------
    list of str
        Too few samples, a wide spread, a trend, or many outliers; empty when nothing speaks against them.
    """
    found = []
    if samples.size < ENOUGH_SAMPLES_FOR_P99:
        count = "only one sample" if samples.size == 1 else f"only {samples.size} samples"
        found.append(f"{count}: p99 rests on less than one of them; run longer for tail latency")
    if samples.size < ENOUGH_SAMPLES_FOR_QUARTILES:
        return found
    # The spread of the middle half is what a reader compares medians by; single outliers are reported apart.
    q1, median, q3 = np.percentile(samples, [25, 50, 75])
    variation = (q3 - q1) / QUARTILE_RANGES_PER_SIGMA / median
    if variation > UNSTABLE_VARIATION:
        found.append(f"unstable: the samples vary by {variation:.1%} around the median; close other work or lock the clocks")
    half = samples.size // 2
    drift = np.median(samples[half:]) / np.median(samples[:half]) - 1
    if abs(drift) > TREND:
        found.append(f"trend: the second half is {abs(drift):.0%} {'slower' if drift > 0 else 'faster'} than the first")
    # Equal quartiles come from a coarse clock: then every other reading would lie far out.
    outliers = np.mean(samples > q3 + OUTLIER_FENCE * (q3 - q1)) if q3 > q1 else 0.0
    if outliers > OUTLIER_SHARE:
        found.append(f"{outliers:.0%} of the samples lie far above the others: something else used the machine")
    return found
