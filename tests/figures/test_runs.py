import numpy as np
import pytest

from tests.figures.records import identical, incomparable, output, run, samples
from workbench.figures.runs import differs_badly, runs_data, runs_figure
from workbench.placement.records import CPU, TENSORRT


def trace(figure, name):
    return next(t for t in figure.data if t.name == name)


def notes(figure):
    return [note.text for note in figure.layout.annotations]


def test_a_row_has_median_and_spread():
    values = samples()
    (row,) = runs_data([run("a", values)]).rows
    assert row.percentiles_ms == pytest.approx(np.percentile(values, [5, 25, 50, 75, 95]))
    assert (row.title, row.provider, row.evidence, row.note, row.differs) == ("a", CPU, "measured", "", "")


def test_runs_without_latency_say_why():
    rows = runs_data([run("a", error="build"), run("b", status="crashed"), run("c")]).rows
    assert [row.note for row in rows] == ["no result: build", "no result: crashed", "latency not measured"]
    assert all(row.percentiles_ms is None for row in rows)


def test_the_given_order_is_kept():
    assert [row.title for row in runs_data([run("slow", samples(9)), run("fast", samples(1))]).rows] == ["slow", "fast"]


def test_labels_of_several_models_stand_with_the_model_s_name():
    ours, other = run("fp16", samples()), run("fp16", samples())
    other = other.model_copy(update={"model": other.model.model_copy(update={"name": "other"})})

    assert [row.title for row in runs_data([ours, ours]).rows] == ["fp16", "fp16"]
    assert [row.title for row in runs_data([ours, other]).rows] == [f"{ours.model.name} · fp16", "other · fp16"]


def test_the_fastest_come_first_and_wrong_or_failed_ones_last():
    wrong = run("wrong", samples(0.1), accuracy=[output(cosine=0.5)])
    runs = [run("failed", error="run"), wrong, run("slow", samples(9)), run("fast", samples(1))]
    assert [row.title for row in runs_data(runs, "fastest").rows] == ["fast", "slow", "wrong", "failed"]


@pytest.mark.parametrize(
    ("accuracy", "text"),
    [
        ([], ""),
        ([output(cosine=0.995)], ""),
        ([output("a"), output("b", cosine=0.914), output("c", cosine=0.98)], "cosine 0.914 in b"),
        ([output("a", nan=3)], "NaN in a"),
        ([output("a", inf=3)], "infinite values in a"),
        ([identical("a")], ""),
        ([identical("a").model_copy(update={"inf": 2})], ""),
        ([incomparable("boxes", "shapes differ")], ""),
    ],
)
def test_outputs_differ_badly_below_a_cosine_or_with_values_that_are_no_numbers(accuracy, text):
    assert differs_badly(accuracy) == text


def test_dots_are_open_for_recorded_runs_and_coloured_by_provider():
    figure = runs_figure(runs_data([run("a", samples(), provider="tensorrt", evidence="recorded"), run("b", samples())]))
    recorded, measured = trace(figure, "TensorRT, recorded"), trace(figure, "CPU, measured")
    assert (recorded.marker.color, recorded.marker.line.color) == ("#FFFFFF", "#009E73")
    assert measured.marker.color == "#E69F00"
    assert (list(recorded.customdata), list(measured.customdata)) == (["id-a"], ["id-b"])
    assert runs_data([run("a", provider="tensorrt")]).rows[0].provider == TENSORRT


def test_wrong_runs_are_grey_and_say_how():
    figure = runs_figure(runs_data([run("a", samples(2.0), accuracy=[output(cosine=0.91)]), run("b", samples(2.0))]))
    assert trace(figure, "outputs differ").marker.color == "#BBBBBB"
    assert notes(figure)[0].endswith("ms, differs: cosine 0.91")


def test_every_row_has_its_title_and_its_result():
    figure = runs_figure(runs_data([run("a", [2.0] * 10), run("a", error="build")]))
    assert list(figure.layout.yaxis.ticktext) == ["a", "a"]
    assert notes(figure) == ["2.00 ms", "no result: build"]


def test_the_axis_holds_all_spreads_and_turns_logarithmic_for_large_ratios():
    near = runs_figure(runs_data([run("a", samples(1.0)), run("b", samples(2.0))])).layout.xaxis
    assert (near.type, near.range[0]) == (None, 0)
    far = runs_figure(runs_data([run("a", samples(0.5)), run("b", samples(50.0))])).layout.xaxis
    assert far.type == "log"
    assert 10 ** far.range[0] < 0.5
    assert 10 ** far.range[1] > np.percentile(samples(50.0), 95)
    assert runs_figure(runs_data([run("a", samples(0.5)), run("b", samples(50.0))]), log=False).layout.xaxis.type is None


def test_failed_runs_alone_and_no_runs_at_all_can_be_drawn():
    assert notes(runs_figure(runs_data([run("a", error="load")]))) == ["no result: load"]
    assert notes(runs_figure(runs_data([]))) == ["There are no Runs yet."]
