import numpy as np
import pytest

from workbench.measure.latency import latency_of


def steady(count=200, median=10.0, spread=0.005, seed=0):
    return median * np.exp(spread * np.random.default_rng(seed).standard_normal(count))


def test_statistics_are_numpys():
    samples = steady()
    found = latency_of(samples.tolist())
    assert found.samples == 200
    assert found.samples_ms == tuple(samples)
    assert found.median_ms == np.median(samples)
    assert found.p99_ms == np.percentile(samples, 99)
    assert (found.min_ms, found.max_ms, found.mean_ms) == (samples.min(), samples.max(), samples.mean())
    assert found.std_ms == pytest.approx(np.std(samples, ddof=1))
    assert found.throughput_per_s == pytest.approx(1000 / samples.mean())


def test_steady_samples_give_no_warning():
    assert latency_of(steady()).warnings == ()


def test_one_sample_has_no_deviation_and_says_what_it_lacks():
    found = latency_of([3.0])
    assert found.std_ms is None
    assert (found.median_ms, found.p99_ms) == (3.0, 3.0)
    assert found.warnings == ("only one sample: p99 rests on less than one of them; run longer for tail latency",)


@pytest.mark.parametrize("samples", [[], [[1.0]], [1.0, float("nan")], [1.0, float("inf")], [0.0], [-1.0]])
def test_what_is_no_latency_is_refused(samples):
    with pytest.raises(ValueError, match="samples"):
        latency_of(samples)


def test_few_samples_cannot_tell_the_tail():
    assert any("99" in w for w in latency_of(steady(99)).warnings)
    assert latency_of(steady(100)).warnings == ()


def test_a_wide_spread_is_unstable():
    assert any("unstable" in w for w in latency_of(steady(spread=0.1)).warnings)


@pytest.mark.parametrize(("factor", "word"), [(1.2, "slower"), (0.8, "faster")])
def test_a_change_between_the_halves_is_a_trend(factor, word):
    samples = steady()
    samples[100:] *= factor
    assert any(word in w for w in latency_of(samples).warnings)


def test_many_slow_samples_are_told_and_few_are_not():
    samples = steady(400)
    samples[::50] *= 5
    assert latency_of(samples).warnings == ()
    samples[::10] *= 5
    assert any("far above" in w for w in latency_of(samples).warnings)


def test_a_coarse_clock_gives_no_false_outliers():
    samples = np.full(200, 1.0)
    samples[::10] = 1.016
    assert latency_of(samples).warnings == ()


def test_the_record_survives_json():
    found = latency_of(steady(20))
    assert type(found).model_validate_json(found.model_dump_json()) == found
