import pytest

from tests.panels.fakes import make_state
from tests.panels.models import chain_model, split_placement
from workbench.panels.figure_view import Click
from workbench.panels.placement_panel import PlacementPanel
from workbench.record import Failure
from workbench.runtime.job import Outcome
from workbench.samples.catalogue import sample_path


@pytest.fixture
def panel(tmp_path):
    made = PlacementPanel(make_state(tmp_path))
    yield made
    assert made.failure is None


@pytest.fixture
def split(panel, tmp_path):
    """The panel on a model that a placement splits between TensorRT and the CPU."""
    model = chain_model(tmp_path / "chain.onnx")
    panel.state.set_model(model)
    panel.state.predicted = split_placement(model)
    return panel


def test_without_a_model_it_says_what_to_do(panel):
    assert "Open a model" in panel.body.children[0].value
    assert repr(panel) == "PlacementPanel(no placement)"


def test_opened_model_is_predicted_and_labelled_so(panel):
    panel.state.load_model(sample_path("detector"))
    assert "wb-badge-predicted" in panel.verdict.value
    assert len(panel.table.rows) == len(panel.state.model.nodes)
    assert panel.graph.path
    assert repr(panel) == "PlacementPanel(predicted, 127 nodes)"


def test_every_node_has_its_provider_reason_and_engine(split):
    cells = {row.key: row.cells for row in split.table.rows}
    assert cells["/block/add 1"] == ("/block/add 1", "Add", "TensorRT", "taken by TensorRT", 1)
    assert cells["choice"] == ("choice", "If", "CPU", "control flow", None)


def test_row_selected_in_the_table_is_selected_everywhere(split, browser_says):
    browser_says(split.table, selected=["/block/add 3"])
    assert split.state.node == "/block/add 3"
    assert split.graph.selected == "/block/add 3"
    assert "taken by TensorRT" in split.detail.value
    assert list(split.strip.figure.data[-1].x) == [3.5]


def test_node_clicked_in_the_graph_is_selected_everywhere(split, browser_says):
    browser_says(split.graph, selected="choice")
    assert split.state.node == "choice"
    assert split.table.selected == ["choice"]


def test_cell_clicked_in_the_strip_selects_its_nodes(split):
    split.strip.clicked = Click(curve=0, point=0, customdata=[1, 2])
    assert split.table.selected == ["/block/add 1", "/block/add 2"]
    assert split.state.node == "/block/add 1"


def test_node_selected_from_a_cell_is_shown(split):
    split.state.node = "choice"
    assert split.table.selected == ["choice"]
    assert split.graph.selected == "choice"


def test_constant_that_netron_draws_elsewhere_is_explained(split, browser_says):
    split.state.node = "choice"
    browser_says(split.graph, absent=True)
    assert "inside the node that uses it" in split.detail.value


def test_measuring_shows_the_measured_placement_beside_the_predicted(panel, browser_clicks):
    panel.state.load_model(sample_path("digits"))
    assert panel.choice.layout.display == "none"
    browser_clicks(panel.measure)
    assert "wb-badge-measured" in panel.verdict.value
    assert panel.choice.value == "measured"
    assert panel.choice.layout.display != "none"
    panel.choice.value = "predicted"
    assert "wb-badge-predicted" in panel.verdict.value


def test_session_that_cannot_be_made_is_told_in_the_verdict(panel, browser_clicks):
    panel.state.load_model(sample_path("digits"))
    error = Failure(kind="provider", message="TensorRT is not <installed>.", remedy="Install it.")
    panel.state.worker.outcome = Outcome(status="failed", error=error)
    browser_clicks(panel.measure)
    assert "NO" in panel.verdict.value
    assert "TensorRT is not &lt;installed&gt;." in panel.verdict.value
    assert panel.table.rows == ()


def test_another_release_is_predicted_at_once(panel):
    panel.state.load_model(sample_path("detector"))
    panel.release.value = "8.6"
    assert panel.state.placement.runtime.tensorrt == "8.6"


def test_next_model_replaces_all_that_was_shown(split):
    split.state.node = "choice"
    split.state.load_model(sample_path("digits"))
    assert split.state.node == ""
    assert split.table.selected == []
    assert len(split.table.rows) == 10
