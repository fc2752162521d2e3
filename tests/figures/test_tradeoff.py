import pytest

from tests.figures.records import output, run, samples
from workbench.figures.tradeoff import tradeoff_data, tradeoff_figure
from workbench.measure.interval import Interval
from workbench.measure.task import TaskAccuracy


def tasked(label, median, value, reference=0.95, **changes):
    task = TaskAccuracy(
        metric="top1",
        output="y",
        value=value,
        interval=Interval(low=value - 0.01, high=value + 0.01, method="m"),
        samples=1000,
        reference="r",
        reference_value=reference,
        difference=value - reference,
    )
    return run(label, samples(median), **changes).model_copy(update={"task": task})


def test_runs_that_miss_the_target_are_grey_and_never_the_best():
    data = tradeoff_data([tasked("slow", 9, 0.95), tasked("fast", 3, 0.945), tasked("wrong", 1, 0.8), tasked("worse", 5, 0.941)])
    assert [(point.title, point.best, bool(point.why)) for point in data.points] == [
        ("slow", True, False),
        ("fast", True, False),
        ("wrong", False, True),
        ("worse", False, False),
    ]
    assert data.limit == pytest.approx(0.94)
    figure = tradeoff_figure(data)
    grey = next(trace for trace in figure.data if trace.name == "CPU, misses the target")
    assert (grey.marker.color, list(grey.customdata)) == ("#BBBBBB", ["id-wrong"])
    assert "top1 drops by 15.00 points" in grey.hovertext[0]


def test_without_a_common_task_the_worst_output_is_drawn():
    runs = [tasked("a", 2, 0.9), run("b", samples(1), accuracy=[output("x", rel_l2=1e-5), output("y", rel_l2=1e-3)])]
    data = tradeoff_data(runs)
    assert (data.measure, [point.value for point in data.points]) == ("rel_l2", [1e-3])
    assert data.missing == ("a: its outputs were not compared",)
    assert tradeoff_figure(data).layout.yaxis.type == "log"


def test_runs_without_latency_are_named():
    data = tradeoff_data([run("a", error="build")])
    assert "a: no latency" in tradeoff_figure(data).layout.annotations[0].text


def test_labels_that_would_lie_on_each_other_are_left_out():
    near = [tasked("first", 2.0, 0.9501), tasked("second", 2.1, 0.95), tasked("apart", 1.9, 0.99)]
    figure = tradeoff_figure(tradeoff_data(near))
    assert sorted(text for trace in figure.data if trace.text for text in trace.text) == ["", "apart", "first"]


def test_outputs_are_drawn_where_they_are_asked_for():
    row = output("y", rel_l2=1e-3)
    both = [
        tasked("a", 2, 0.9).model_copy(update={"accuracy": (row,)}),
        tasked("b", 1, 0.9).model_copy(update={"accuracy": (row,)}),
    ]
    data = tradeoff_data(both, measure="rel_l2")
    assert (data.measure, data.name, len(data.points)) == ("rel_l2", "relative L2 of the worst output", 2)
    assert tradeoff_data(both).name == "top1"
