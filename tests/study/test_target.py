import numpy as np
import pytest

from workbench.errors import SettingsError
from workbench.measure.accuracy import compare_output
from workbench.measure.task import TaskAccuracy
from workbench.study.compare import compare
from workbench.study.target import DEFAULT_TARGET, Target, acceptable, judge


def output(error, name="y", dtype=np.float32):
    expected = np.linspace(1, 2, 100)
    return compare_output(name, (expected * (1 + error)).astype(dtype), expected.astype(dtype), "reference")


def task(drop, metric="top1"):
    return TaskAccuracy(metric=metric, output="y", value=0.9 - drop / 100, interval=None, samples=100, difference=-drop / 100)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rel_l2=1e-2", Target(rel_l2=0.01)),
        ("cosine=0.999,sqnr=30", Target(cosine=0.999, sqnr_db=30)),
        ("top1-drop=0.5", Target(task_drop=0.5)),
    ],
)
def test_targets_are_read_from_text(text, expected):
    assert Target.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rel_l3=1", "no measure 'rel_l3'. Did you mean 'rel_l2'?"),
        ("rel_l2=small", "'small' is no number"),
        ("rel_l2=-1", "rel_l2: input should be greater than 0"),
        ("cosine=2", "cosine: input should be less than or equal to 1"),
        ("", "no measure ''"),
    ],
)
def test_targets_that_make_no_sense_are_explained(text, words):
    with pytest.raises(SettingsError) as caught:
        Target.parse(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("target", "error", "ok"),
    [
        (Target(rel_l2=0.01), 0.005, True),
        (Target(rel_l2=0.01), 0.02, False),
        (Target(sqnr_db=30), 0.01, True),
        (Target(sqnr_db=30), 0.1, False),
        (DEFAULT_TARGET, 0.3, True),
        (DEFAULT_TARGET, 0.5, False),
    ],
)
def test_distances_are_held_against_the_target(target, error, ok):
    found = judge([output(error)], None, target)
    assert (found.ok, found.judged, bool(found.why)) == (ok, True, not ok)


def test_values_that_are_not_finite_never_pass():
    bad = compare_output("y", np.array([np.inf, 1.0]), np.array([1.0, 1.0]), "reference")
    assert judge([bad], None, Target()).why == "infinite values in y"
    assert not judge([bad], task(0), DEFAULT_TARGET).ok


def test_infinities_that_the_reference_has_too_pass():
    same = compare_output("y", np.array([np.inf, 1.001]), np.array([np.inf, 1.0]), "reference")
    assert judge([same], None).ok


def test_task_accuracy_decides_where_it_is_known():
    assert judge([output(0.5)], task(0.5)).ok
    assert judge([output(0.001)], task(2.0)).why == "top1 drops by 2.00 points, over 1"
    assert not judge([output(0.5)], task(0.5), Target(rel_l2=0.1)).ok  # the user asked for distances


def test_labels_are_not_judged_by_distances():
    assert judge([output(0.9, dtype=np.int64)], None).ok


def test_nothing_to_judge_by_is_said(run):
    found = judge([], None)
    assert (found.ok, found.judged) == (True, False)


def test_failed_runs_are_not_acceptable(run):
    assert acceptable(run(error="It broke.")).why == "It broke."


def test_a_fast_wrong_run_is_no_winner(run):
    fast, slow = run(1.0, accuracy=[output(0.001)], task=task(3.0)), run(10.0, accuracy=[output(0.0)])
    found = compare(slow, fast)
    assert (found.faster, found.trusted) == (None, False)
    assert "top1 drops by 3.00 points" in found.verdict
    assert compare(slow, fast, target=Target(task_drop=5)).faster == "B"
