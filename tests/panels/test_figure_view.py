import json

import plotly.graph_objects as go
import pytest

from workbench.panels.figure_view import FigureView, PlotlyLibrary


def sent(view):
    """Count how often the spec goes to the browser from now on."""
    counts = []
    view.observe(lambda change: counts.append(change.new), "spec")
    return counts


def test_figure_is_sent_as_json():
    view = FigureView(go.Figure(go.Scatter(y=[1, 2]), {"title": {"text": "Latency"}}))

    spec = json.loads(view.spec)
    assert spec["data"][0]["type"] == "scatter"
    assert spec["layout"]["title"]["text"] == "Latency"


def test_equal_figure_is_not_sent_again():
    view = FigureView(go.Figure(go.Scatter(y=[1, 2])))
    counts = sent(view)

    view.figure = go.Figure(go.Scatter(y=[1, 2]))
    assert counts == []
    view.figure = go.Figure(go.Scatter(y=[1, 3]))
    assert len(counts) == 1


def test_figure_can_be_taken_away():
    view = FigureView(go.Figure(go.Scatter(y=[1])))
    view.figure = None
    assert view.spec == "{}"


def test_all_figures_share_one_library():
    first, second = FigureView(), FigureView()
    assert first.library is second.library
    assert "Plotly" in first.library._esm
    assert len(first.spec) < 10


def test_library_is_made_anew_after_it_was_closed():
    first = PlotlyLibrary.shared()
    first.close()
    assert FigureView().library is not first


def test_every_click_is_told_at_the_same_point_too(browser_says):
    view = FigureView()
    clicks = []
    view.observe(lambda change: clicks.append(change.new), "clicked")

    browser_says(view, _click={"curve": 1, "point": 4, "customdata": "Conv_3", "at": "1"})
    browser_says(view, _click={"curve": 1, "point": 4, "customdata": "Conv_3", "at": "2"})

    assert [(c.curve, c.point, c.customdata) for c in clicks] == [(1, 4, "Conv_3")] * 2


@pytest.mark.parametrize(("figure", "text"), [(None, "0 traces"), (go.Figure(go.Scatter(y=[1])), "1 trace")])
def test_repr_is_short(figure, text):
    assert repr(FigureView(figure)) == f"FigureView({text})"
    assert repr(PlotlyLibrary.shared()) == "PlotlyLibrary()"
