"""Several profiles, the inputs of the engines, a profile from real shapes, and what a request will do."""

import pytest

from tests.panels.fakes import make_state
from tests.placement.build import node, proto, saved, value
from workbench.options.settings import Settings
from workbench.panels.fold import Fold
from workbench.panels.shapes_panel import ShapesPanel
from workbench.samples.catalogue import sample_path

RANGE = "image=1x3x64x64:1x3x320x480:1x3x640x960"


@pytest.fixture
def panel(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    state = make_state(tmp_path, settings=Settings(profile=[RANGE]))
    state.tensorrt = "8.6"
    shapes = ShapesPanel(state)
    state.load_model(sample_path("detector"))
    state.settings = Settings(profile=[RANGE])
    return shapes


def arguments(panel):
    return panel.state.settings.profile.to_arguments()


def test_a_further_profile_is_edited_on_its_own(panel):
    panel.add.click()
    assert panel.number == 1
    assert [option[0] for option in panel.numbers.options] == ["Profile 1", "Profile 2"]
    panel.editors[0].fields[2].value = 700
    assert [text.rpartition(":")[2] for text in arguments(panel)] == ["1x3x640x960", "1x3x700x960"]
    panel.numbers.value = 0
    assert panel.editors[0].sizes == (64, 320, 640)
    assert "runs on the first only" in panel.note.value


def test_a_profile_can_be_removed_again(panel):
    panel.add.click()
    panel.editors[0].fields[2].value = 700
    panel.numbers.value = 0
    panel.remove.click()
    assert arguments(panel) == ["image=1x3x64x64:1x3x320x480:1x3x700x960"]
    assert panel.number == 0
    assert panel.remove.layout.display == "none"


def test_what_the_profile_lacks_is_told_and_added(panel):
    view = panel.engines
    assert view.report.missing == (
        "/nms/NonMaxSuppression_output_0",
        "/decode/boxes/Concat_output_0",
        "/decode/scores/Concat_output_0",
    )
    assert "does not name 3 inputs" in view.note.value
    assert "Inputs of the 4 engines, predicted" in view.fold.toggle.description
    view.complete.click()
    assert "/decode/boxes/Concat_output_0=1x80x4:1x3000x4:1x12000x4" in arguments(panel)
    assert view.report.missing == ("/nms/NonMaxSuppression_output_0",)


def test_the_reason_stays_when_something_cannot_be_added(panel):
    panel.engines.complete.click()
    assert "follows from what the inputs hold" in panel.engines.findings.value


def test_other_sizes_take_the_worked_out_ranges_away(panel):
    panel.engines.complete.click()
    panel.editors[0].fields[2].value = 700
    assert arguments(panel) == ["image=1x3x64x64:1x3x320x480:1x3x700x960"]


def test_other_providers_have_no_engines_to_speak_of(panel):
    panel.state.set_provider("cuda")
    assert panel.engines.layout.display == "none"


def test_a_profile_is_taken_from_a_file(panel, tmp_path):
    (tmp_path / "shapes.csv").write_text("height,width\n64,64\n96,64\n96,64\n")
    panel.real.path.value = str(tmp_path / "shapes.csv")
    panel.real.open.click()
    assert panel.real.found.layout.display == ""
    assert "67% of the requests" in panel.real.told.value
    panel.real.take.click()
    assert arguments(panel) == ["image=1x3x64x64:1x3x96x64:1x3x96x64"]


def test_two_groups_can_be_taken_as_two_profiles(panel, tmp_path):
    rows = [f"64,{n}" for n in range(64, 84)] + [f"64,{n}" for n in range(400, 420)]
    (tmp_path / "shapes.csv").write_text("height,width\n" + "\n".join(rows))
    panel.real.read(str(tmp_path / "shapes.csv"))
    panel.real.take_both.click()
    assert panel.state.settings.profile.count == 2


def test_a_file_that_cannot_be_read_is_told_where_it_was_named(panel, tmp_path):
    panel.real.path.value = str(tmp_path / "none.csv")
    panel.real.open.click()
    assert "cannot be read as CSV" in panel.real.status.value
    panel.real.runs.click()
    assert "No kept Run of detector" in panel.real.status.value


def test_a_request_is_answered_before_it_is_run(panel):
    panel.state.diagnosis = None
    panel.request.shapes.value = "image=1x3x32x64"
    assert panel.request.answer.result == "fails"
    assert "setInputShape" in panel.request.told.value
    panel.request.shapes.value = "1x3x64x64"
    assert panel.request.answer.result == "runs"
    panel.state.set_sizes({})
    assert panel.request.answer is None
    panel.request.shapes.value = "1x3x64x65"
    assert panel.request.answer.result == "builds"


def test_a_request_that_is_none_is_told(panel):
    panel.request.shapes.value = "image=large"
    assert "no shape" in panel.request.status.value


def test_values_that_decide_shapes_are_edited_too(tmp_path):
    inputs = [value("x"), value("size", 7, (1,))]
    model = saved(tmp_path, proto([node("Expand", ["x", "size"], ["y"])], inputs=inputs))
    state = make_state(tmp_path, settings=Settings(profile=["x=1x4:8x4:32x4", "size=0:4:8"]))
    shapes = ShapesPanel(state)
    state.set_model(model)
    assert [(editor.name, editor.sizes) for editor in shapes.editors] == [("n", (1, 8, 32)), ("size[0]", (0, 4, 8))]
    shapes.editors[1].fields[2].value = 16
    assert "size=0:4:16" in state.settings.profile.to_arguments()


def test_a_fold_opens_and_closes():
    fold = Fold("More", [])
    assert fold.content.layout.display == "none"
    fold.toggle.value = True
    assert fold.content.layout.display == ""
    assert repr(fold) == "Fold('More', open)"
