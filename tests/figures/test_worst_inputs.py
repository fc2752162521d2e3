import numpy as np
import pytest

from tests.figures.records import output, run
from workbench.figures.worst_inputs import picture, worst_indices, worst_inputs_data, worst_inputs_figure
from workbench.measure.accuracy import OverInputs, WorstInput
from workbench.measure.task import TaskAccuracy
from workbench.runtime.data.dataset import DataSource
from workbench.runtime.job import Plan
from workbench.samples.catalogue import samples

DIGITS = samples()[0]


def judged(**changes):
    task = TaskAccuracy(metric="top1", output="y", value=0.9, interval=None, samples=450, wrong=(299, 5), only_reference=1)
    made = run("a")
    model = made.model.model_copy(update={"path": str(DIGITS.path)})
    plan = Plan(data=DataSource(path=str(DIGITS.test_set)))
    return made.model_copy(update={"task": task, "model": model, "plan": plan} | changes)


def test_newly_wrong_samples_come_first_and_are_drawn_with_their_labels():
    data = worst_inputs_data(judged())
    assert [shown.index for shown in data.inputs] == [299, 5]
    assert data.inputs[0].what.startswith("wrong here only, label ")
    assert data.inputs[0].array.shape == (8, 8)
    figure = worst_inputs_figure(data)
    assert [trace.type for trace in figure.data] == ["heatmap", "heatmap"]


def test_without_labels_the_farthest_inputs_are_shown():
    worst = (WorstInput(index=7, rel_l2=None, max_abs=None), WorstInput(index=3, rel_l2=0.25, max_abs=1.0))
    over = OverInputs(samples=9, not_finite=1, mean_rel_l2=0.1, interval=None, worst=worst)
    row = output("y", dtype="float32", over_inputs=over)
    assert worst_indices(judged(task=None, accuracy=(row,))) == [(7, "not finite"), (3, "relative L2 0.25")]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"plan": Plan()}, "was not run on data"),
        ({"task": None}, "is wrong on no input"),
        ({"plan": Plan(data=DataSource(path="gone.npz"))}, "cannot be read"),
    ],
)
def test_where_there_is_nothing_to_draw_it_says_why(changes, words):
    data = worst_inputs_data(judged(**changes))
    assert words in data.message
    assert worst_inputs_figure(data).layout.annotations[0].text


def test_pictures_and_vectors_are_told_apart():
    assert picture(np.zeros((1, 3, 4, 5), np.float32)).shape == (4, 5, 3)
    assert picture(np.zeros((1, 4, 5, 1), np.float32)).shape == (4, 5)
    assert picture(np.zeros((1, 16), np.int64)).shape == (16,)
    assert picture(np.zeros((1, 2, 3, 4, 5), np.float32)).shape == (120,)
