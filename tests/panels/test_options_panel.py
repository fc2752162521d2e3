import json

import pytest

from tests.panels.fakes import make_state
from workbench.errors import SettingsError
from workbench.options.catalogue import keys_of
from workbench.options.settings import Settings
from workbench.panels.option_form import Edit, OptionForm
from workbench.panels.options_panel import OptionsPanel
from workbench.panels.shapes_panel import ShapesPanel
from workbench.samples.catalogue import sample_path


@pytest.fixture
def panel(tmp_path):
    return OptionsPanel(make_state(tmp_path, settings=Settings()))


@pytest.fixture
def edits(panel, browser_says):
    """Edit an option as the browser tells it."""
    count = iter(range(100))

    def edit(key, value, provider="tensorrt"):
        browser_says(panel.form, edited={"id": f"{provider}:{key}", "value": value, "at": str(next(count))})

    return edit


def test_form_lists_the_catalogue_by_group(panel):
    specs = json.loads(panel.form.specs)
    keys = {spec["key"] for spec in specs if spec["provider"] == "tensorrt"}
    elsewhere = {"trt_fp16_enable", "trt_bf16_enable", "trt_int8_enable"} | {
        f"trt_profile_{w}_shapes" for w in ("min", "opt", "max")
    }
    assert set(keys_of("tensorrt", panel.state.release)) - elsewhere <= keys
    assert not keys & elsewhere
    sections = [spec["section"] for spec in specs]
    assert sections == sorted(sections, key=sections.index)
    assert all(spec["help"] for spec in specs)


def test_edit_changes_the_settings(panel, edits):
    edits("trt_builder_optimization_level", "5")
    assert panel.state.settings.provider_options == {"trt_builder_optimization_level": 5}
    assert panel.form.values == {"tensorrt:trt_builder_optimization_level": 5}
    edits("trt_builder_optimization_level", None)
    assert panel.state.settings == Settings()


def test_session_option_is_edited_too(panel, edits):
    edits("session.intra_op.allow_spinning", "false", provider="session")
    assert panel.state.settings.session_options == {"session.intra_op.allow_spinning": False}
    assert panel.form.values == {"session:session.intra_op.allow_spinning": "false"}


def test_wrong_value_is_explained_beside_its_option_and_changes_nothing(panel, edits):
    edits("trt_builder_optimization_level", "9")
    told, typed = panel.form.problems["tensorrt:trt_builder_optimization_level"]
    assert "from 0 to 5" in told
    assert typed == "9"
    assert panel.state.settings == Settings()
    edits("trt_builder_optimization_level", "4")
    assert panel.form.problems == {}


def test_reset_takes_all_options_back(panel, edits, browser_says):
    edits("trt_builder_optimization_level", "5")
    edits("trt_min_subgraph_size", "none")
    browser_says(panel.form, edited={"reset": True, "at": "x"})
    assert panel.state.settings == Settings()
    assert panel.form.values == panel.form.problems == {}


def test_option_that_does_nothing_says_why(panel, edits):
    edits("trt_int8_calibration_table_name", "table.flatbuffers")
    assert panel.form.idle["tensorrt:trt_int8_calibration_table_name"] == "INT8 is off."
    assert "INT8 is off." in panel.findings.value


def test_provider_and_precision_follow_both_ways(panel):
    panel.precision.value = "fp16"
    assert panel.state.settings.precision == "fp16"
    panel.state.settings = Settings(provider="cpu")
    assert panel.provider.value == "cpu"
    assert panel.precision.value == "fp32"
    assert panel.precision.disabled
    assert panel.form.unused == ["tensorrt", "cuda", "torch"]


def test_effect_of_a_change_is_shown_before_the_run(panel):
    panel.state.settings = Settings(provider="cpu")
    panel.state.load_model(sample_path("digits"))
    assert panel.effect.value == ""
    panel.state.start_run()
    assert "As in the last run." in panel.effect.value
    panel.provider.value = "tensorrt"
    assert "builds new engines" in panel.effect.value
    assert "provider: cpu → tensorrt" in panel.effect.value


def test_settings_that_cannot_work_are_told(panel):
    panel.state.load_model(sample_path("digits"))
    from workbench.options.profile import ShapeProfile

    panel.state.settings = Settings(profile=ShapeProfile.from_arguments(["nobody=1:2:3"]))
    assert "nobody" in panel.findings.value
    assert "wb-error" in panel.findings.value


def test_shapes_stand_between_precision_and_options(tmp_path):
    state = make_state(tmp_path)
    shapes = ShapesPanel(state)
    assert shapes in OptionsPanel(state, shapes).body.children


def test_form_has_a_short_repr():
    form = OptionForm("1.31", print)
    assert repr(form).startswith("OptionForm(")
    assert repr(form).endswith("options, 0 set)")


def test_edit_of_a_cuda_option_is_no_session_option():
    assert not Edit("cuda", "use_tf32", "false").session
    assert Edit("session", "intra_op_num_threads", "2").session


@pytest.fixture
def shapes(tmp_path):
    state = make_state(tmp_path, settings=Settings())
    state.load_model(sample_path("encoder"))
    return ShapesPanel(state)


def fields(panel):
    return [editor.sizes for editor in panel.editors]


def test_dimension_of_several_inputs_is_edited_once(shapes):
    assert [editor.name for editor in shapes.editors] == ["batch", "sequence"]
    shapes.editors[0].fields[2].value = 20
    assert shapes.state.settings.profile.to_arguments() == [
        "attention_mask=1x8:4x64:20x256",
        "input_ids=1x8:4x64:20x256",
    ]


def test_sizes_out_of_order_are_told_and_change_nothing(shapes):
    before = shapes.state.settings
    shapes.editors[0].fields[0].value = 9
    assert isinstance(shapes.failure, SettingsError)
    assert "min 9, opt 4, max 16" in shapes.status.value
    assert shapes.state.settings == before
    shapes.editors[0].fields[1].value = 10
    assert shapes.failure is None
    assert shapes.status.value == ""
    assert fields(shapes)[0] == (9, 10, 16)


def test_profile_can_be_left_out_and_suggested_again(shapes, browser_clicks):
    browser_clicks(shapes.clear)
    assert not shapes.state.settings.profile
    assert shapes.editors == ()
    assert "No profile" in shapes.note.value
    browser_clicks(shapes.suggest)
    assert fields(shapes) == [(1, 4, 16), (8, 64, 256)]


def test_profile_made_in_a_cell_opens_in_the_fields(shapes):
    shapes.state.set_sizes({"batch": (2, 3, 4), "sequence": (5, 6, 7)})
    assert fields(shapes) == [(2, 3, 4), (5, 6, 7)]
    assert "4 × 7" in shapes.shapes.value


def test_model_without_dynamic_dimensions_says_so(shapes, tmp_path):
    from tests.panels.models import chain_model

    shapes.state.set_model(chain_model(tmp_path / "chain.onnx"))
    assert "fixed shapes" in shapes.note.value
    assert shapes.columns.layout.display == "none"
