import pytest

from tests.panels.fakes import make_state
from tests.panels.models import chain_model
from workbench.errors import ModelError
from workbench.panels.files import array_completions, completions, keep_upload, listing
from workbench.panels.model_panel import ModelPanel
from workbench.samples.catalogue import sample_path


@pytest.fixture
def panel(tmp_path):
    chain_model(tmp_path / "chain.onnx")
    (tmp_path / "more").mkdir()
    (tmp_path / "notes.txt").write_text("")
    return ModelPanel(make_state(tmp_path / "state"), folder=tmp_path)


def test_nothing_is_shown_before_a_model_is_open(panel):
    assert "Open a model" in panel.shown.children[0].value
    assert repr(panel) == "ModelPanel(no model)"


def test_folder_lists_its_models_and_folders(panel):
    labels = [label for label, _ in panel.files.options]
    assert labels[0] == "↑ .."
    assert labels[1] == "more/"
    assert labels[2].startswith("chain.onnx   ")
    assert len(labels) == 3


def test_picked_file_is_opened(panel, tmp_path):
    panel.files.value = str(tmp_path / "chain.onnx")
    assert panel.state.model.name == "chain"
    assert "chain.onnx" in panel.facts.value
    assert [row.cells[0] for row in panel.operators.rows] == ["Add", "If", "Neg", "Relu"]
    assert panel.path.value == str(tmp_path / "chain.onnx")


def test_picked_folder_is_listed(panel, tmp_path):
    panel.files.value = str(tmp_path / "more")
    assert panel.folder == tmp_path / "more"
    panel.files.value = str(tmp_path)
    assert panel.folder == tmp_path


def test_sample_is_opened_by_its_button(panel, browser_clicks):
    browser_clicks(panel.samples[0])
    assert panel.state.model.name == "digits"
    assert "batch × 1 × 8 × 8" in panel.tensors.value
    assert "dynamic dimensions: batch" in panel.findings.value


def test_typed_path_is_opened_by_enter_and_by_the_button(panel, browser_says, browser_clicks, tmp_path):
    browser_says(panel.path, value=str(tmp_path / "chain.onnx"), submitted={"path": str(tmp_path / "chain.onnx"), "at": "1"})
    assert panel.state.model.name == "chain"
    browser_says(panel.path, value=str(sample_path("digits")))
    browser_clicks(panel.button)
    assert panel.state.model.name == "digits"


def test_path_is_completed_while_it_is_typed(panel, browser_says, tmp_path):
    browser_says(panel.path, value=str(tmp_path / "ch"))
    assert panel.path.options == [str(tmp_path / "chain.onnx")]


def test_uploaded_model_is_kept_and_opened(panel, monkeypatch, tmp_path):
    monkeypatch.setattr("workbench.panels.files.platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    content = {"method": "custom", "content": {"name": "../up.onnx"}}
    panel.upload._handle_msg({"content": {"data": content}, "buffers": [memoryview((tmp_path / "chain.onnx").read_bytes())]})
    assert panel.state.model.path == tmp_path / "cache" / "trt-workbench" / "uploads" / "up.onnx"


def test_broken_model_is_shown_as_an_error_and_the_next_one_clears_it(panel, tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"nothing like it")
    panel.open_path(str(tmp_path / "broken.onnx"))
    assert isinstance(panel.failure, ModelError)
    assert "broken.onnx" in panel.status.value
    assert "wb-error" in panel.status.value

    panel.open_path(str(tmp_path / "chain.onnx"))
    assert panel.failure is None
    assert panel.status.value == ""


def test_empty_path_is_said(panel, browser_clicks):
    browser_clicks(panel.button)
    assert "No path is given." in panel.status.value


def test_error_of_another_panel_is_not_shown_here(panel):
    panel.state.set_model(panel.state.model) if panel.state.model else panel.open_path(str(sample_path("digits")))
    panel.state._fail("build", ModelError("elsewhere"))
    assert panel.status.value == ""


def test_completion_of_arrays_offers_npz_files_only(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"")
    (tmp_path / "a.onnx").write_bytes(b"")
    (tmp_path / ".hidden.npz").write_bytes(b"")
    assert array_completions(f"{tmp_path}/") == (str(tmp_path / "a.npz"),)
    assert completions(str(tmp_path / "none" / "x")) == ()


def test_unreadable_folder_is_said(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        listing(tmp_path / "none")


def test_upload_that_cannot_be_kept_is_said(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("workbench.panels.files.platformdirs.user_cache_path", lambda _: tmp_path / "file")
    with pytest.raises(ModelError, match="cannot be kept"):
        keep_upload("m.onnx", b"")
