import pytest

from tests.figures.records import identical, incomparable, output, run
from workbench.figures.accuracy import accuracy_data, accuracy_figure


def cells(accuracy):
    (series,) = accuracy_data([run("a", accuracy=[accuracy])]).series
    return [(cell.metric, cell.value, cell.text) for cell in series.rows[0].cells]


def texts(figure):
    return [note.text for note in figure.layout.annotations]


def test_a_compared_output_has_all_metrics():
    assert cells(output()) == [("max_abs", 1e-4, ""), ("rel_l2", 2e-5, ""), ("sqnr_db", 94.0, "")]


def test_an_identical_output_says_so_once():
    assert cells(identical("a")) == [("max_abs", None, "identical"), ("rel_l2", None, ""), ("sqnr_db", None, "")]


def test_an_output_that_cannot_be_compared_says_why():
    assert cells(incomparable("a", "shapes differ"))[0] == ("max_abs", None, "shapes differ")


def test_a_reference_of_zeros_leaves_no_ratios():
    found = cells(output(rel_l2=None, sqnr_db=None))
    assert found[1:] == [("rel_l2", None, "reference is zero"), ("sqnr_db", None, "reference is zero")]


def test_zero_is_written_as_a_logarithmic_axis_has_no_place_for_it():
    found = cells(output(max_abs=0.0, rel_l2=0.0, sqnr_db=None, nan=1, note="1 of 10 elements are not finite and were left out"))
    assert [text for _, _, text in found] == ["0", "0", "no difference"]


def test_outputs_of_several_runs_share_their_rows():
    data = accuracy_data([run("a", accuracy=[output("x"), output("y")]), run("b", accuracy=[output("y"), output("z")])])
    assert data.outputs == ("x", "y", "z")
    assert [series.title for series in data.series] == ["a", "b"]
    assert data.references == ("CPU, no graph optimisation",)
    figure = accuracy_figure(data)
    first, second = (trace for trace in figure.data if trace.xaxis == "x")
    assert first.y[1] != second.y[0]
    assert abs(first.y[1] - 1) < 0.5
    assert abs(second.y[0] - 1) < 0.5


def test_columns_for_differences_are_logarithmic_and_hold_their_values():
    figure = accuracy_figure(accuracy_data([run("a", accuracy=[output(max_abs=3e-7), output("b", max_abs=0.2)])]))
    axis = figure.layout.xaxis
    assert axis.type == "log"
    assert axis.range[0] < -7
    assert axis.range[1] > 0
    assert figure.layout.xaxis3.type is None
    assert {"largest difference", "relative L2", "SQNR (dB)"} <= set(texts(figure))


def test_what_was_left_out_stands_below_the_outputs_name():
    note = "3 of 10 elements are not finite and were left out"
    figure = accuracy_figure(accuracy_data([run("a", accuracy=[output("x", nan=3, note=note)])]))
    assert figure.layout.yaxis.ticktext[0].startswith("x<br>")
    assert "3 of 10 elements are not" in figure.layout.yaxis.ticktext[0]


def test_hover_has_every_number():
    figure = accuracy_figure(accuracy_data([run("a", accuracy=[output("x", nan=2)])]))
    assert "cosine 0.9999" in figure.data[0].hovertext[0]
    assert "2 NaN, 0 infinite" in figure.data[0].hovertext[0]


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        ([], "No Run is selected."),
        ([run("a", error="build")], "a: no result: build"),
        ([run("a")], "a: its outputs were not compared"),
    ],
)
def test_without_accuracy_the_figure_says_why(runs, text):
    assert texts(accuracy_figure(accuracy_data(runs))) == [text]


def test_only_identical_outputs_can_be_drawn():
    figure = accuracy_figure(accuracy_data([run("a", accuracy=[identical("x")])]))
    assert "identical" in texts(figure)
