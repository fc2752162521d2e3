import numpy as np
import pytest

from workbench.errors import InputError
from workbench.measure.task import TaskMetric, check_labels, scored, shares, top_hits


def test_top_hits_are_those_of_sorting():
    rng = np.random.default_rng(0)
    scores, labels = rng.standard_normal((200, 10)), rng.integers(0, 10, 200)
    order = np.argsort(-scores, axis=1)
    assert top_hits(scores, labels, 1).tolist() == (order[:, 0] == labels).tolist()
    assert top_hits(scores, labels, 5).tolist() == (order[:, :5] == labels[:, None]).any(axis=1).tolist()


def test_a_constant_or_nan_output_is_never_right():
    labels = np.array([0, 1, 2])
    assert not top_hits(np.zeros((3, 3)), labels, 1).any()
    assert not top_hits(np.full((3, 3), np.nan), labels, 1).any()
    assert not top_hits(np.array([[1, np.nan, 0]] * 3), labels, 1).any()


def test_the_paired_difference_counts_who_is_right_alone():
    hits = np.array([True] * 90 + [False] * 10)
    before = np.array([True] * 95 + [False] * 5)
    found = shares("top1", "logits", hits, before, "reference")
    assert (found.value, found.reference_value) == (0.9, 0.95)
    assert (found.only_here, found.only_reference) == (0, 5)
    assert found.difference == pytest.approx(-0.05)
    assert found.drop == pytest.approx(5)
    assert found.difference_interval.low < -0.05 < found.difference_interval.high
    assert found.wrong[:5] == (90, 91, 92, 93, 94)  # those that the reference has right come first
    assert found.wrong[5:] == (95, 96, 97, 98, 99)


def test_without_a_reference_there_is_no_drop():
    assert shares("top1", "logits", np.array([True, False]), None, "").drop is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(4, int), "4 labels for 3 samples"),
        (np.array(5), "no labels for 3 samples"),
        (np.array([0, 1, 10]), "Label 10 of sample 2 is no class of the model, which has 10"),
        (np.array([0, -1, 1]), "Label -1 of sample 1"),
        (np.array([0.5, 1, 2]), "are no class numbers"),
        (np.array(["a", "b", "c"]), "are no class numbers"),
    ],
)
def test_labels_that_do_not_fit_are_named(labels, message):
    with pytest.raises(InputError, match=message):
        check_labels(labels, 3, 10)


def test_labels_in_a_column_or_as_whole_floats_are_taken():
    assert check_labels(np.array([[0.0], [1.0]]), 2, 10).tolist() == [0, 1]


def accuracy(y_true, y_pred):
    return float(np.mean(y_true == y_pred))


def test_a_function_gets_value_interval_and_paired_difference():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    good = labels.copy()
    bad = np.where(rng.random(300) < 0.3, (labels + 1) % 3, labels)
    found = scored(TaskMetric(metric="m:f"), accuracy, "y", labels, bad, good, "reference")
    assert found.value == accuracy(labels, bad)
    assert found.reference_value == 1.0
    assert found.interval.low < found.value < found.interval.high
    assert found.difference_interval.high < 0
    assert found.drop == pytest.approx(100 * (1 - found.value))


def test_less_is_better_for_errors():
    def mean_error(y_true, y_pred):
        return float(np.abs(y_true - y_pred).mean())

    labels = np.arange(10.0)
    found = scored(TaskMetric(metric="m:mean_error"), mean_error, "y", labels, labels + 0.1, labels, "reference")
    assert found.drop == pytest.approx(10)


def test_a_function_that_fails_is_named_with_what_it_got():
    def failing(y_true, y_pred):
        raise ValueError("no")

    with pytest.raises(InputError, match=r"m:f failed on labels int64 \(4,\)"):
        scored(TaskMetric(metric="m:f"), failing, "y", np.arange(4), np.arange(4), None, "")
