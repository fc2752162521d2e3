import pytest

from tests.panels.fakes import failed, make_state
from workbench.errors import StoreError
from workbench.options.settings import Settings
from workbench.panels.figure_view import Click
from workbench.panels.results_panel import ResultsPanel
from workbench.samples.catalogue import sample_path

CPU = Settings(provider="cpu")


@pytest.fixture
def panel(tmp_path):
    state = make_state(tmp_path, settings=CPU)
    state.load_model(sample_path("digits"))
    made = ResultsPanel(state)
    yield made
    assert made.failure is None or isinstance(made.failure, StoreError)


def run(panel, **changes):
    panel.state.settings = CPU.replace(**changes)
    panel.state.start_run()
    return panel.state.last.id


def shown(panel):
    return [name for name in ("latency", "several", "accuracy") if getattr(panel, name).layout.display != "none"]


def test_no_run_yet_is_said(panel):
    assert panel.table.rows == ()
    assert "start one" in panel.table.placeholder
    assert shown(panel) == []
    assert repr(panel) == "ResultsPanel(0 runs, 0 selected)"


def test_new_run_is_listed_selected_and_drawn(panel):
    id_ = run(panel)
    assert [row.key for row in panel.table.rows] == [id_]
    assert panel.table.selected == [id_]
    assert shown(panel) == ["latency"]
    assert "Median" in panel.sentence.value
    assert "ONNX Runtime" not in panel.facts.value
    assert id_ in panel.facts.value


def test_two_runs_are_compared_in_a_sentence(panel, browser_says):
    first, second = run(panel), run(panel, session_options={"intra_op_num_threads": 1})
    browser_says(panel.table, selected=[second, first])
    assert "intra_op_num_threads" in panel.sentence.value
    assert panel.sentence.value.index("A, ") < panel.sentence.value.index("B, ")
    assert shown(panel) == ["latency", "several"]
    assert [r.id for r in panel.runs] == [first, second]


def test_more_runs_stand_side_by_side_failed_ones_included(panel, browser_says):
    first, second = run(panel), run(panel)
    panel.state.worker.outcome = failed()
    third = run(panel)
    browser_says(panel.table, selected=[first, second, third])
    assert shown(panel) == ["several"]
    assert panel.sentence.value == ""


def test_failed_run_shows_its_error(panel):
    panel.state.worker.outcome = failed()
    run(panel)
    assert "TensorRT is not installed." in panel.sentence.value


def test_run_is_renamed(panel, browser_clicks):
    run(panel)
    panel.label.value = "baseline"
    browser_clicks(panel.rename)
    assert panel.state.rows[0].label == "baseline"
    assert panel.table.rows[0].cells[2] == "baseline"
    assert panel.runs[0].label == "baseline"


def test_settings_of_a_run_are_opened(panel, browser_clicks):
    run(panel, session_options={"intra_op_num_threads": 1})
    panel.state.settings = CPU
    browser_clicks(panel.take)
    assert panel.state.settings.session_options == {"intra_op_num_threads": 1}
    assert "are open in the other tabs" in panel.status.value


def test_run_clicked_in_the_figure_is_selected(panel):
    first, second = run(panel), run(panel)
    panel.state.chosen = (first, second)
    panel.several.clicked = Click(curve=0, point=0, customdata=first)
    assert panel.table.selected == [first]


def test_runs_of_another_notebook_come_with_refresh(panel, tmp_path, browser_clicks):
    other = make_state(tmp_path, store=panel.state.store, settings=CPU)
    other.load_model(sample_path("digits"))
    other.start_run()
    assert panel.table.rows == ()
    browser_clicks(panel.refresh)
    assert len(panel.table.rows) == 1


def test_damaged_store_is_told_here(panel, tmp_path, browser_clicks):
    (tmp_path / "runs.sqlite3").write_bytes(b"no database" * 100)
    browser_clicks(panel.refresh)
    assert isinstance(panel.failure, StoreError)
    assert "runs.sqlite3" in panel.status.value


def test_runs_of_a_file_are_kept_selected_and_marked_as_recorded(panel, browser_clicks, tmp_path):
    exported = make_state(tmp_path / "other", settings=CPU)
    exported.load_model(sample_path("digits"))
    exported.start_run()
    file = exported.store.export([exported.last.id], tmp_path / "runs.json")
    panel.file.value = str(file)
    browser_clicks(panel.open_file)
    assert panel.state.chosen == (exported.last.id,)
    assert "recorded" in panel.sentence.value
    assert "1 run is new" in panel.status.value
    assert panel.file.value == ""


def test_a_file_that_holds_no_runs_is_told(panel, browser_clicks, tmp_path):
    panel.file.value = str(tmp_path / "none.json")
    browser_clicks(panel.open_file)
    assert isinstance(panel.failure, StoreError)
    assert panel.state.chosen == ()


def test_the_samples_gpu_runs_can_be_looked_at(panel, browser_clicks):
    browser_clicks(panel.recorded)
    count = len(panel.table.rows)
    assert count > len(panel.state.chosen) > 10  # those of the samples are chosen, the others are there to choose
    assert {run.model.name for run in panel.runs} == {"digits", "detector", "encoder"}
    assert {run.evidence for run in panel.runs} == {"recorded"}
    browser_clicks(panel.recorded)
    assert len(panel.table.rows) == count
    assert "kept already" in panel.status.value
