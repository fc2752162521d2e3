import math

import numpy as np
import pytest

from workbench.measure.interval import matched_difference, mcnemar, mean_interval, resampled, wilson


@pytest.mark.parametrize(
    ("hits", "samples", "low", "high"),
    [(15, 50, 0.1910, 0.4375), (81, 263, 0.2553, 0.3662), (0, 20, 0.0, 0.1611), (20, 20, 0.8389, 1.0)],
)
def test_wilson_gives_the_published_intervals(hits, samples, low, high):
    found = wilson(hits, samples)  # the second: Newcombe, Statistics in Medicine 17, 1998, table I
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_wilson_refuses_no_samples():
    with pytest.raises(ValueError, match="samples >= 1"):
        wilson(0, 0)


def test_mcnemar_is_the_exact_binomial_test():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(0, 5) == pytest.approx(2 * 0.5**5)
    assert mcnemar(10, 2) == pytest.approx(2 * sum(math.comb(12, k) for k in range(3)) / 2**12)


def test_a_paired_difference_has_width_even_where_nothing_differs():
    found = matched_difference(0, 0, 450)
    assert found.low < 0 < found.high < 0.01
    worse = matched_difference(30, 2, 450)
    assert worse.high < 0


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(0).normal(5, 2, 400)
    found = mean_interval(values)
    half = 1.96 * values.std() / 20
    assert (found.low, found.high) == (
        pytest.approx(values.mean() - half, abs=0.03),
        pytest.approx(values.mean() + half, abs=0.03),
    )
    assert mean_interval(values) == found
    assert mean_interval([1.0]) is None


def test_a_statistic_without_value_on_most_draws_has_no_interval():
    assert resampled(lambda _: math.nan, 10, resamples=20) is None
    assert resampled(lambda rows: float(rows.mean()), 10, resamples=20) is not None
