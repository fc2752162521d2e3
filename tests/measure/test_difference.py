import numpy as np
import pytest

from workbench.measure.difference import FEWEST_SAMPLES, block_length, difference_of


def drawn(rng, count, phi=0.0, spread=0.02, median=10.0):
    """Return samples of a first-order autoregressive process around a median."""
    noise = rng.standard_normal(count + 100)
    for i in range(1, noise.size):
        noise[i] += phi * noise[i - 1]
    return median * np.exp(spread * noise[100:] * np.sqrt(1 - phi**2))


def test_the_ratio_is_that_of_the_medians_and_lies_in_the_interval():
    rng = np.random.default_rng(0)
    a, b = drawn(rng, 500), drawn(rng, 300, median=9.4)
    found = difference_of(a, b)
    assert found.ratio == np.median(b) / np.median(a)
    assert 0.93 < found.low < found.ratio < found.high < 0.95
    assert found.excludes_equality


def test_swapping_the_two_inverts_the_interval_nearly():
    rng = np.random.default_rng(1)
    a, b = drawn(rng, 400), drawn(rng, 400, median=12)
    there, back = difference_of(a, b), difference_of(b, a)
    assert back.ratio == pytest.approx(1 / there.ratio)
    assert (1 / back.high, 1 / back.low) == pytest.approx((there.low, there.high), rel=2e-3)


def test_the_same_samples_and_seed_give_the_same_interval():
    rng = np.random.default_rng(2)
    a, b = drawn(rng, 100, 0.5), drawn(rng, 100, 0.5)
    assert difference_of(a, b) == difference_of(a.tolist(), tuple(b))
    assert difference_of(a, b, seed=1) != difference_of(a, b, seed=2)


@pytest.mark.parametrize(("phi", "count"), [(0.0, 20), (0.0, 200), (0.5, 200), (0.8, 400)])
def test_equal_processes_are_told_apart_about_as_rarely_as_promised(phi, count):
    rng = np.random.default_rng(3)
    wrong = [difference_of(drawn(rng, count, phi), drawn(rng, count, phi)).excludes_equality for _ in range(100)]
    assert np.mean(wrong) <= 0.14  # 5 % promised; dependent samples are known to cost the bootstrap some


def test_an_unblocked_bootstrap_would_be_fooled_by_dependent_samples(monkeypatch):
    rng = np.random.default_rng(4)
    pairs = [(drawn(rng, 300, 0.9), drawn(rng, 300, 0.9)) for _ in range(40)]
    blocked = np.mean([difference_of(a, b).excludes_equality for a, b in pairs])
    monkeypatch.setattr("workbench.measure.difference.block_length", lambda _: 1)
    unblocked = np.mean([difference_of(a, b).excludes_equality for a, b in pairs])
    assert unblocked > 0.4
    assert blocked < 0.2


def test_blocks_grow_with_dependence():
    rng = np.random.default_rng(5)
    lengths = [np.median([block_length(drawn(rng, 1000, phi)) for _ in range(9)]) for phi in (0.0, 0.5, 0.9)]
    assert lengths[0] <= 3
    assert lengths[0] < lengths[1] < lengths[2] <= 95


def test_a_slow_drift_makes_long_blocks():
    rng = np.random.default_rng(6)
    samples = drawn(rng, 1000) + 0.5 * np.sin(np.arange(1000) / 60)
    assert block_length(samples) > 20


@pytest.mark.parametrize("samples", [[5.0], [5.0, 5.0], [5.0] * 50, [1.0, 2.0, 3.0]])
def test_samples_without_variation_or_number_have_blocks_of_one(samples):
    assert block_length(np.array(samples)) == 1


def test_equal_samples_give_an_interval_of_no_width():
    found = difference_of([2.0] * 50, [1.0] * 50)
    assert (found.low, found.ratio, found.high) == (0.5, 0.5, 0.5)
    assert found.excludes_equality


def test_too_few_samples_give_no_interval():
    rng = np.random.default_rng(7)
    found = difference_of(drawn(rng, 100), drawn(rng, FEWEST_SAMPLES - 1, median=20))
    assert (found.low, found.high, found.excludes_equality) == (None, None, False)
    assert found.ratio == pytest.approx(2, rel=0.1)


def test_too_few_independent_samples_give_no_interval():
    drifting = np.linspace(10, 20, 12)
    assert difference_of(drifting, drifting * 2).low is None


@pytest.mark.parametrize("samples", [[], [0.0], [-1.0], [float("nan")], [[1.0]]])
def test_what_is_no_latency_is_refused(samples):
    with pytest.raises(ValueError, match="milliseconds"):
        difference_of([1.0], samples)


def test_many_samples_are_drawn_in_pieces(monkeypatch):
    rng = np.random.default_rng(9)
    a, b = drawn(rng, 200), drawn(rng, 200, median=11)
    monkeypatch.setattr("workbench.measure.difference.AT_ONCE", 1000)
    found = difference_of(a, b)
    assert found.low < found.ratio < found.high
