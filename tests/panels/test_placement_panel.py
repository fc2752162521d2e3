import pytest

from tests.panels.fakes import make_state
from tests.panels.models import chain_model, split_placement
from workbench.measure.profile import Profile, ProviderTime
from workbench.options.settings import Settings
from workbench.panels.figure_view import Click
from workbench.panels.placement_panel import PlacementPanel
from workbench.placement.records import CPU, TENSORRT
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


def test_reasons_are_told_once_each_and_select_their_nodes(split, browser_clicks):
    assert split.reasons.toggle.description == "Why 3 nodes are not on TensorRT: 1 reason"
    assert split.reasons.list.layout.display == "none"
    split.reasons.toggle.value = True
    (line,) = split.reasons.list.children
    assert line.description == "3 nodes: control flow"
    browser_clicks(line)
    assert len(split.table.selected) == 3
    assert split.state.node == split.table.selected[0]


def test_verdict_has_a_button_and_the_command(split):
    assert [button.description for button in split.card.buttons] == ["Find the smallest change"]
    assert split.card.command.text.startswith("workbench run ")
    assert split.card.command.text.endswith("--provider cuda")


def test_button_of_the_verdict_proposes_a_change(split, browser_clicks):
    browser_clicks(split.card.buttons[0])
    assert split.what_if.proposal.value


def test_proposal_becomes_the_next_step(panel, browser_clicks):
    panel.state.load_model(sample_path("detector"))
    panel.release.value = "8.6"
    browser_clicks(panel.card.buttons[0])
    step = panel.card.buttons[0]
    assert step.description.startswith("Try trt_")
    browser_clicks(step)
    assert panel.state.supposed.engines() == 1


def test_cost_is_a_line_below_the_verdict(panel):
    panel.state.load_model(sample_path("detector"))
    panel.release.value = "8.6"
    assert "<b>4</b> TensorRT engines" in panel.cost.value
    assert "in each inference" in panel.cost.value


def test_what_if_shows_its_placement_beside_the_predicted(panel, browser_says):
    panel.state.load_model(sample_path("detector"))
    browser_says(panel.what_if.operators, selected=["Resize"])
    assert panel.choice.value == "what-if"
    assert "what if" in panel.verdict.value
    resized = next(row for row in panel.table.rows if row.cells[1] == "Resize")
    assert resized.cells[2] == "CUDA"
    panel.choice.value = "predicted"
    assert next(row for row in panel.table.rows if row.cells[1] == "Resize").cells[2] == "TensorRT"


def test_applied_release_is_shown_in_the_line(panel, browser_clicks):
    panel.state.load_model(sample_path("detector"))
    panel.what_if.release.value = "8.6"
    browser_clicks(panel.what_if.apply)
    assert panel.release.value == "8.6"
    assert panel.choice.layout.display == "none"
    assert panel.state.predicted.runtime.tensorrt == "8.6"


def test_model_without_a_session_has_no_strip_and_no_providers(split):
    error = Failure(kind="shape", message="a tensor has no shape", remedy="Infer shapes.")
    nodes = tuple(node.model_copy(update={"provider": None, "group": None}) for node in split.state.predicted.nodes)
    split.state.predicted = split.state.predicted.model_copy(update={"outcome": "error", "error": error, "nodes": nodes})
    assert split.strip.layout.display == "none"
    assert split.table.rows[0].cells[2] is None
    assert split.cost.value == ""
    assert split.card.buttons[0].description == "Make it ready"


def test_node_times_of_the_last_run_bound_what_tensorrt_could_win(split):
    placement = split.state.predicted.model_copy(update={"evidence": "measured"})
    times = ((TENSORRT, 3.0), (CPU, 1.0))
    providers = tuple(ProviderTime(provider=name, nodes=1, calls=1, total_ms=ms, share=ms / 4) for name, ms in times)
    profile = Profile(runs=1, run_ms=4.0, nodes=(), providers=providers)
    split.state.worker.outcome = Outcome(status="ok", placement=placement, profile=profile)
    split.state.settings = Settings()
    split.state.start_run()
    assert "<b>25%</b> of the time outside TensorRT" in split.cost.value
    assert "at most 1.33 ×" in split.cost.value
    split.state.evidence = "predicted"
    assert "outside TensorRT" not in split.cost.value
