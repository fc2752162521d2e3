import numpy as np
import pytest

from workbench.measure.calibration import (
    SettlingPoint,
    TensorCalibration,
    Threshold,
    coarsened,
    magnitudes,
    marks,
    outliers_first,
    percentile_of,
    settled_after,
    share_beyond,
)


def tensor(name="x", growth=(1.0, 2.0, 4.0), **more):
    points = tuple(SettlingPoint(samples=2**i, amax=amax) for i, amax in enumerate(growth))
    return TensorCalibration(name=name, low=-1.0, high=growth[-1], elements=10, settling=points, **more)


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).standard_normal(100_000)


def histogram(values, bins=2048):
    limit = float(np.abs(values).max())
    return np.histogram(values, bins, range=(-limit, limit))[0], limit


def test_magnitudes_fold_a_histogram(values):
    counts, limit = histogram(values)
    expected = np.histogram(np.abs(values), counts.size // 2, range=(0, limit))[0]
    assert magnitudes(counts).sum() == values.size
    assert np.abs(magnitudes(counts) - expected).sum() < 100  # numbers on an edge


def test_percentiles_and_shares_are_those_of_the_numbers(values):
    counts, limit = histogram(values)
    size = magnitudes(counts)
    for percent in (50, 99, 99.9):
        assert percentile_of(size, limit, percent) == pytest.approx(np.percentile(np.abs(values), percent), abs=limit / 1000)
    for amax in (0.5, 2.0, 3.0):
        assert share_beyond(size, limit, amax) == pytest.approx((np.abs(values) > amax).mean(), abs=2e-3)
    assert share_beyond(size, limit, 2 * limit) == 0


def test_nothing_seen_has_no_percentile():
    assert percentile_of(np.zeros(4, np.int64), 1.0, 99) is None
    assert share_beyond(np.zeros(4, np.int64), 1.0, 0.5) == 0


@pytest.mark.parametrize("bins", [2048, 2050, 156, 8, 10])
def test_a_coarser_histogram_holds_the_same_numbers_symmetrically(bins):
    counts = np.arange(bins)
    coarse, limit = coarsened(counts, 1.0, bins // 2 + 2)
    assert coarse.sum() == counts.sum()
    assert coarse.size % 2 == 0
    assert 2 * limit / coarse.size == pytest.approx(2 * (2 / bins))
    assert coarse[coarse.size // 2 :].sum() == counts[bins // 2 :].sum()


def test_outliers_come_first_and_unseen_tensors_not_at_all():
    found = outliers_first([tensor("a", p999=3.0), tensor("b", p999=0.5), TensorCalibration(name="c"), tensor("d", p999=0.0)])
    assert [t.name for t in found] == ["b", "a"]
    assert found[0].outlier_ratio == 8


def test_a_range_has_settled_when_it_hardly_grows_any_more():
    slow, quick = tensor(growth=(1, 2, 4)), tensor(growth=(3.99, 4, 4))
    assert (slow.settled_after(), quick.settled_after()) == (4, 1)
    assert settled_after([slow, quick]) == 4
    assert settled_after([]) is None
    assert slow.growth() == 1
    assert TensorCalibration(name="x").settled_after() is None


def test_a_constant_tensor_says_so():
    assert TensorCalibration(name="x", low=1.0, high=1.0, elements=1).constant
    assert not TensorCalibration(name="x").constant
    assert TensorCalibration(name="x").amax is None


def test_thresholds_are_found_by_method():
    given = tensor(thresholds=(Threshold(method="minmax", amax=4, clipped=0),))
    assert given.threshold("minmax").amax == 4
    assert given.threshold("entropy") is None


def test_marks_grow_by_a_quarter():
    seen = [1]
    while seen[-1] < 1000:
        seen.append(marks(seen[-1]))
    assert seen[:6] == [1, 2, 3, 4, 5, 7]
    assert len(seen) < 35
