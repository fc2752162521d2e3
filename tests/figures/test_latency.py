import numpy as np
import pytest

from tests.figures.records import run, samples
from workbench.figures.latency import MOST_BINS, POINTS, latency_data, latency_figure
from workbench.runtime.job import Plan


def test_a_series_has_the_runs_percentiles_and_all_its_samples_in_order():
    one = run("cpu", samples())
    (series,) = latency_data([one]).series
    assert series.percentiles_ms == (one.latency.median_ms, one.latency.p90_ms, one.latency.p99_ms)
    assert series.samples_ms == one.latency.samples_ms


def test_shares_and_samples_beyond_the_axis_are_everything():
    data = latency_data([run("a", [*samples(2.0), 90.0]), run("b", samples(3.0))])
    assert 10 < len(data.edges_ms) <= MOST_BINS + 1
    for series in data.series:
        assert sum(series.shares) + 100 * series.beyond / len(series.samples_ms) == pytest.approx(100)


def test_a_hiccup_does_not_stretch_the_axis_but_is_mentioned():
    data = latency_data([run("a", [*[2.0, 2.1] * 100, 500.0])])
    assert data.edges_ms[-1] < 3
    figure = latency_figure(data)
    assert "1 sample beyond the axis, up to 500 ms" in figure.layout.title.subtitle.text
    (slow,) = [trace for trace in figure.data if trace.name.startswith("slower")]
    assert (list(slow.x), list(slow.customdata)) == ([201], [500.0])


def test_p99_always_lies_on_the_axis():
    data = latency_data([run("a", samples(2.0)), run("b", samples(9.0, seed=1))])
    assert all(series.percentiles_ms[2] <= data.edges_ms[-1] for series in data.series)


def test_equal_samples_can_be_drawn():
    data = latency_data([run("a", [2.0] * 20)])
    assert sum(data.series[0].shares) == pytest.approx(100)
    assert latency_figure(data).data


def test_runs_without_latency_say_why():
    data = latency_data([run("a", samples()), run("b", error="build"), run("c", status="crashed"), run("d")])
    assert data.missing == ("b: no result: build", "c: no result: crashed", "d: its latency was not measured")
    assert "b: no result: build" in latency_figure(data).layout.title.subtitle.text


def test_without_any_latency_the_figure_says_why():
    figure = latency_figure(latency_data([run("b", error="build")]))
    assert figure.layout.annotations[0].text == "b: no result: build"
    assert latency_figure(latency_data([])).layout.annotations[0].text == "No Run is selected."


def test_a_single_run_has_its_percentiles_written_at_their_lines():
    figure = latency_figure(latency_data([run("mine", samples())]))
    assert figure.layout.title.text == "Latency of mine"
    assert [note.text.split()[0] for note in figure.layout.annotations] == ["median", "p90", "p99"]
    assert not figure.layout.showlegend


def test_several_runs_have_a_legend_with_percentiles_and_evidence():
    figure = latency_figure(latency_data([run("a", samples(2.0)), run("b", samples(3.0), evidence="recorded")]))
    shown = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert figure.layout.showlegend
    assert [name.split(":")[0] for name in shown] == ["a (measured)", "b (recorded)"]
    assert all("median" in name and "p99" in name for name in shown)


def test_warnings_are_shown():
    one = run("a", samples(count=20))
    assert "only 20 samples" in latency_figure(latency_data([one])).layout.title.subtitle.text
    both = latency_figure(latency_data([one, run("b", samples())])).layout.title.subtitle.text
    assert "a: only 20 samples" in both


def test_the_cumulative_figure_rises_to_all_samples():
    figure = latency_figure(latency_data([run("a", samples(count=5000))]), cumulative=True)
    curve = figure.data[0]
    assert curve.y[-1] == 100
    assert (np.diff(curve.y) > 0).all()
    assert (np.diff(curve.x) >= 0).all()
    assert len(curve.x) <= POINTS


def test_many_samples_are_thinned_but_keep_their_extremes():
    values = samples(count=20_000)
    figure = latency_figure(latency_data([run("a", values)]))
    (line,) = [trace for trace in figure.data if trace.name == "samples of a"]
    assert len(line.x) <= POINTS
    assert {min(values), max(values)} <= set(line.customdata)
    assert list(line.x) == sorted(line.x)


def test_runs_of_one_title_are_switched_on_and_off_apart():
    first, second = run("a", samples()), run("a", samples(3.0)).model_copy(update={"id": "other"})
    figure = latency_figure(latency_data([first, second]))
    assert {trace.legendgroup for trace in figure.data} == {first.id, "other"}


def test_gpu_buffers_are_said_beside_the_evidence():
    device = run("mine", samples()).model_copy(update={"plan": Plan(buffers="device")})
    assert "measured, GPU buffers, 500 samples" in latency_figure(latency_data([device])).layout.title.subtitle.text
    both = latency_figure(latency_data([device, run("other", samples())]))
    assert [
        ("GPU buffers" in trace.name)
        for trace in both.data
        if trace.name and "median " in trace.name and trace.showlegend is None
    ] == [
        True,
        False,
    ]
