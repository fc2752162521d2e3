import tracemalloc

import ml_dtypes
import numpy as np
import pytest

from workbench.measure import sums
from workbench.measure.accuracy import OutputAccuracy, OutputComparison, compare_output


def compared(actual, expected, dtype=None):
    return compare_output("y", np.asarray(actual, dtype), np.asarray(expected, dtype), "reference")


def distances(found):
    return (found.max_abs, found.mean_abs, found.rel_l2, found.cosine, found.sqnr_db)


def test_distances_are_those_of_their_definitions():
    rng = np.random.default_rng(0)
    expected = rng.standard_normal((7, 300))
    actual = expected + 0.01 * rng.standard_normal((7, 300))
    found, diff = compared(actual, expected), actual - expected
    assert found.max_abs == pytest.approx(np.abs(diff).max())
    assert found.mean_abs == pytest.approx(np.abs(diff).mean())
    assert found.rel_l2 == pytest.approx(np.linalg.norm(diff) / np.linalg.norm(expected))
    assert found.cosine == pytest.approx(np.sum(actual * expected) / np.linalg.norm(actual) / np.linalg.norm(expected))
    assert found.sqnr_db == pytest.approx(10 * np.log10(np.sum(expected**2) / np.sum(diff**2)))
    assert (found.identical, found.differing, found.note, found.wrong) == (False, 2100, "", "")


def test_blocks_add_up_to_the_whole(monkeypatch):
    rng = np.random.default_rng(1)
    a, e = rng.standard_normal((2, 1000))
    a[[3, 500]], e[[3, 700]] = np.nan, np.nan
    whole = compared(a, e)
    monkeypatch.setattr(sums, "BLOCK", 64)
    pieces = compared(a, e)
    assert distances(pieces) == pytest.approx(distances(whole))
    assert pieces.model_dump(exclude={"max_abs", "mean_abs", "rel_l2", "cosine", "sqnr_db"}) == whole.model_dump(
        exclude={"max_abs", "mean_abs", "rel_l2", "cosine", "sqnr_db"}
    )


@pytest.mark.parametrize(
    "dtype",
    [
        *(np.float16, np.float32, np.float64, np.int8, np.uint8, np.int32, np.int64, np.uint64, np.complex64, np.complex128),
        *(ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3fnuz),
        *(ml_dtypes.int4, ml_dtypes.uint4, ml_dtypes.float4_e2m1fn),
    ],
)
def test_every_number_type_is_measured(dtype):
    found = compared(np.array([1, 0, 3, 2]).astype(dtype), np.array([1, 1, 3, 2]).astype(dtype))
    assert (found.max_abs, found.identical, found.differing) == (1.0, False, 1)
    assert found.dtype == np.dtype(dtype).name
    assert compared(np.ones(4).astype(dtype), np.ones(4).astype(dtype)).identical


def test_booleans_count_as_zero_and_one():
    found = compared([True, False, True, True], [True, True, True, True])
    assert (found.max_abs, found.mean_abs, found.differing) == (1.0, 0.25, 1)


def test_strings_are_compared_for_equality_only():
    for dtype in (object, str):
        found = compared(["a", "b"], ["a", "c"], dtype)
        assert (found.identical, found.differing) == (False, 1)
        assert distances(found) == (None,) * 5
        assert "equality" in found.note
        assert compared(["a"], ["a"], dtype).identical


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16, ml_dtypes.float8_e5m2])
def test_nan_in_both_at_one_place_is_equal_and_left_out(dtype):
    values = np.array([np.nan, 1, 2, np.inf]).astype(dtype)
    found = compared(values, values.copy())
    assert found.identical
    assert (found.nan, found.inf, found.differing, found.not_finite_differing) == (1, 1, 0, 0)
    assert (found.max_abs, found.note) == (0.0, "2 of 4 elements are not finite and were left out")
    assert found.wrong == ""


@pytest.mark.parametrize(
    ("actual", "expected"),
    [(np.inf, 1), (1, np.inf), (np.nan, 1), (1, np.nan), (np.inf, -np.inf), (np.nan, np.inf)],
)
def test_what_is_finite_in_one_only_is_wrong(actual, expected):
    found = compared([actual, 5.0], [expected, 5.0])
    assert (found.identical, found.differing, found.not_finite_differing) == (False, 1, 1)
    assert "NaN or infinite" in found.wrong


def test_nothing_finite_leaves_no_distance():
    found = compared([np.nan, np.inf], [np.nan, np.inf])
    assert found.identical
    assert distances(found) == (None,) * 5


def test_an_overflow_of_float16_is_measured_in_float64():
    found = compared([60000, 60000, 60000], [60000, -60000, 60000], np.float16)
    assert found.max_abs == pytest.approx(120_000)
    assert found.rel_l2 == pytest.approx(2 / np.sqrt(3))


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e307])
def test_extreme_numbers_neither_overflow_nor_vanish(scale):
    found = compared([scale, 2 * scale], [scale, 3 * scale])
    assert found.max_abs == pytest.approx(scale, rel=1e-9)
    assert found.rel_l2 == pytest.approx(1 / np.sqrt(10))
    assert found.cosine == pytest.approx(7 / np.sqrt(50))


def test_a_difference_beyond_float64_is_the_largest_number():
    largest = float(np.finfo(np.float64).max)
    assert compared([largest], [-largest]).max_abs == largest


def test_whole_numbers_that_float64_does_not_hold_are_not_identical():
    found = compared([2**62 + 1], [2**62], np.int64)
    assert (found.identical, found.differing) == (False, 1)


def test_different_types_are_compared_by_value():
    assert compare_output("y", np.ones(3, np.float16), np.ones(3, np.float32), "r").identical
    assert compare_output("y", np.ones(3).astype(ml_dtypes.bfloat16), np.ones(3, np.float32), "r").identical


def test_an_empty_output_says_so():
    for dtype in (np.float32, object):
        found = compared(np.empty((0, 4), dtype), np.empty((0, 4), dtype))
        assert (found.identical, found.note, found.differing) == (True, "the output is empty", 0)
        assert distances(found) == (None,) * 5


def test_different_shapes_are_not_compared_but_counted():
    found = compared([1.0, np.nan], [1.0])
    assert found.note == "shapes differ: (2,) against (1,)"
    assert (found.identical, found.nan, found.differing, found.wrong) == (False, 1, None, "")
    assert compared(["a"], ["a", "b"], object).differing is None


def test_a_scalar_is_compared():
    assert compared(3.0, 2.0).max_abs == 1.0


def test_arrays_that_are_not_contiguous_are_compared_in_their_order():
    a = np.arange(12.0).reshape(3, 4)
    assert compared(a.T, a.T.copy()).identical
    assert not compared(a[:, ::2], a[:, 1::2]).identical


def test_a_reference_of_zeros_has_no_relative_error():
    found = compared([1.0, 1.0], [0.0, 0.0])
    assert (found.rel_l2, found.cosine, found.sqnr_db) == (None, None, None)
    assert found.max_abs == 1.0


def test_no_difference_has_no_noise_ratio():
    found = compared([1.0, 2.0], [1.0, 2.0])
    assert (found.sqnr_db, found.identical) == (None, True)
    assert found.cosine == pytest.approx(1)


def test_an_output_with_more_error_than_ten_decibels_is_wrong():
    assert compared([1.0, 1.3], [1.0, 1.0]).wrong == ""
    assert "(relative L2 norm)" in compared([1.0, 1.6], [1.0, 1.0]).wrong
    assert compared([1, 9], [1, 1], np.int64).wrong == ""  # labels


def test_a_large_output_is_not_copied_as_a_whole():
    a = np.ones(4_000_000, np.float32)
    e = a + np.float32(1e-3)
    tracemalloc.start()
    compared(a, e)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


def test_the_record_survives_json():
    found = compared([1.0, np.nan, np.inf], [1.0, 2.0, 3.0])
    assert OutputAccuracy.model_validate_json(found.model_dump_json()) == found


def test_the_tolerance_passes_and_a_smaller_one_does_not():
    rng = np.random.default_rng(3)
    for dtype in (np.float32, np.float64):
        expected = rng.standard_normal(1000).astype(dtype)
        actual = expected + (1e-3 * rng.standard_normal(1000)).astype(dtype)
        found = compared(actual, expected).tolerance
        for rtol, atol in ((found.both, found.both), (found.rtol, 0), (0, found.atol)):
            assert np.allclose(actual, expected, rtol=rtol, atol=atol)
            assert not np.allclose(actual, expected, rtol=0.98 * rtol, atol=0.98 * atol)


def test_no_relative_tolerance_serves_a_reference_of_zero():
    found = compared([0.1, 1.0], [0.0, 1.0]).tolerance
    assert (found.rtol, found.atol) == (None, pytest.approx(0.1, rel=2e-2))


def test_nothing_passes_where_one_alone_is_not_finite():
    assert compared([np.inf, 1], [2, 1]).tolerance is None


def test_quantiles_are_numpys():
    rng = np.random.default_rng(4)
    a, e = rng.standard_normal((2, 5000))
    found = compared(a, e).quantiles
    assert [found.p50, found.p90, found.p99, found.p999] == pytest.approx(np.quantile(np.abs(a - e), [0.5, 0.9, 0.99, 0.999]))


def test_quantiles_of_many_elements_come_from_an_even_share(monkeypatch):
    monkeypatch.setattr(sums, "MOST_ERRORS", 1000)
    a = np.arange(100_000.0)
    found = compared(a, np.zeros_like(a)).quantiles
    assert found.p50 == pytest.approx(50_000, rel=0.15)
    assert found == compared(a, np.zeros_like(a)).quantiles


def test_arg_max_agreement_is_over_the_last_axis():
    found = compared([[1.0, 2, 3], [3, 2, 1], [1, 3, 2]], [[1.0, 2, 3], [1, 2, 3], [1, 3, 2]])
    assert found.argmax_agreement == pytest.approx(2 / 3)
    assert compared([1], [1]).argmax_agreement is None
    assert compared(np.array([[1, 2]]), np.array([[1, 2]])).argmax_agreement is None  # labels are not scores


def test_both_sides_count_what_is_not_finite():
    found = compared([np.nan, 1, 2], [np.inf, np.nan, 2])
    assert (found.nan, found.inf, found.reference_nan, found.reference_inf) == (1, 0, 1, 1)


def many(rows_a, rows_e, batch=2):
    comparison = OutputComparison("y", "reference")
    for at in range(0, len(rows_a), batch):
        comparison.add(rows_a[at : at + batch], rows_e[at : at + batch], first=at, samples=len(rows_a[at : at + batch]))
    return comparison.result()


def test_many_feeds_add_up_to_one_and_the_worst_inputs_are_kept():
    rng = np.random.default_rng(5)
    e = rng.standard_normal((7, 4))
    a = e + 1e-3 * rng.standard_normal((7, 4))
    a[5] += 1
    found, whole = many(a, e), compared(a, e)
    assert distances(found) == pytest.approx(distances(whole))
    assert (found.shape, found.differing) == ((7, 4), whole.differing)
    each = np.linalg.norm(a - e, axis=1) / np.linalg.norm(e, axis=1)
    assert found.over_inputs.samples == 7
    assert found.over_inputs.mean_rel_l2 == pytest.approx(each.mean())
    assert found.over_inputs.interval.low <= each.mean() <= found.over_inputs.interval.high
    assert [w.index for w in found.over_inputs.worst] == np.argsort(-each)[:5].tolist()
    assert found.over_inputs.worst[0].rel_l2 == pytest.approx(each[5])


def test_an_input_whose_output_overflows_is_the_worst():
    e = np.ones((4, 3))
    a = e.copy()
    a[1], a[2, 0] = 1.5, np.inf
    found = many(a, e)
    assert [w.index for w in found.over_inputs.worst] == [2, 1]
    assert found.over_inputs.worst[0].rel_l2 is None
    assert found.over_inputs.not_finite == 1


def test_a_constant_output_has_distances():
    found = many(np.full((3, 2), 2.0), np.full((3, 2), 1.0))
    assert (found.rel_l2, found.argmax_agreement) == (1.0, 1.0)


def test_samples_of_extreme_and_common_numbers_add_up():
    e = np.array([[1e200, 1e200], [1.0, 1.0]])
    found = many(e * 1.5, e, batch=1)
    assert found.rel_l2 == pytest.approx(0.5)
    assert found.max_abs == pytest.approx(0.5e200)


def test_an_empty_output_over_many_inputs_says_so():
    assert many(np.zeros((4, 0)), np.zeros((4, 0))).note == "the output is empty"


def test_records_of_before_still_load():
    old = {
        "output": "y", "reference": "r", "max_abs": 1.0, "mean_abs": 0.5, "rel_l2": 0.1, "cosine": 0.9, "sqnr_db": 20.0,
        "identical": False, "nan": 0, "inf": 0, "shape": [2], "reference_shape": [2],
    }  # fmt: skip
    found = OutputAccuracy.model_validate(old)
    assert (found.quantiles, found.tolerance, found.over_inputs, found.argmax_agreement) == (None,) * 4
