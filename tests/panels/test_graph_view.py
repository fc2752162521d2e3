import pytest

from tests.panels.models import chain_model, split_placement
from workbench.panels import graph_view
from workbench.panels.graph_view import GraphView


@pytest.fixture
def shown(tmp_path):
    view = GraphView(400, lambda task, done: done(task()), lambda action: action)
    model = chain_model(tmp_path / "chain.onnx")
    view.show(model, split_placement(model))
    return view


def test_small_model_is_drawn_node_by_node(shown):
    assert not shown.fold.value
    assert shown.shown.folded == 0
    assert "9 nodes" in shown.about.value


def test_engines_are_folded_and_unfolded_by_the_user(shown):
    shown.fold.value = True
    assert shown.shown.folded == 1
    assert "4 nodes drawn for 9" in shown.about.value
    shown.fold.value = False
    assert shown.shown.folded == 0


def test_large_model_is_folded_at_first(tmp_path, monkeypatch):
    monkeypatch.setattr(graph_view, "FOLD_ABOVE", 5)
    view = GraphView(400, lambda task, done: done(task()), lambda action: action)
    model = chain_model(tmp_path / "chain.onnx")
    view.show(model, split_placement(model))
    assert view.fold.value
    assert repr(view) == "GraphView(1 engines folded)"


def test_node_within_a_folded_engine_is_highlighted_by_its_engine(shown):
    shown.fold.value = True
    shown.select("/block/add 3")
    folded = next(node for node in shown.shown.nodes if len(node.members) > 1)
    assert shown.netron.selected == folded.name


def test_click_on_a_folded_engine_means_all_its_nodes(shown, browser_says):
    shown.fold.value = True
    folded = next(node for node in shown.shown.nodes if len(node.members) > 1)
    browser_says(shown.netron, selected=folded.name)
    assert shown.clicked_members() == folded.members


def test_another_placement_of_the_model_stays_folded(shown):
    shown.fold.value = True
    model, placement = shown._of
    shown.show(model, placement.model_copy(update={"evidence": "measured"}))
    assert shown.shown.folded == 1


def test_cleared_view_shows_nothing(shown):
    shown.clear()
    assert shown.shown is None
    assert shown.netron.path == ""
