import subprocess
import sys
import threading

import pytest

from tests.panels.fakes import FakeWorker, failed, make_state
from tests.panels.models import chain_model
from workbench.errors import ModelError, SettingsError, WorkbenchError
from workbench.options.profile import ShapeProfile
from workbench.options.settings import Settings
from workbench.panels.background import Background
from workbench.runtime.job import Plan
from workbench.samples.catalogue import sample_path

CPU = Settings(provider="cpu")


@pytest.fixture
def state(tmp_path):
    return make_state(tmp_path, settings=CPU)


@pytest.fixture
def digits_state(state):
    state.load_model(sample_path("digits"))
    return state


def test_state_needs_no_widgets():
    code = (
        "import sys, workbench.panels.state; print(sorted({'ipywidgets', 'anywidget', 'plotly', 'onnxruntime'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_model_is_opened_and_its_placement_predicted(digits_state):
    assert digits_state.model.name == "digits"
    assert digits_state.placement.evidence == "predicted"
    assert digits_state.trouble is None
    assert not digits_state.busy


def test_sample_comes_with_its_shape_profile_and_inputs(state):
    state.load_model(sample_path("detector"))
    assert state.settings.profile.to_arguments() == ["image=1x3x64x64:1x3x320x480:1x3x640x960"]
    assert state.plan.inputs.endswith("detector_image.npz")


def test_missing_model_is_trouble_of_the_model_panel(state, tmp_path):
    state.load_model(tmp_path / "none.onnx")
    assert state.trouble.place == "model"
    assert isinstance(state.trouble.error, ModelError)
    assert state.model is None
    assert not state.busy


def test_profile_that_does_not_fit_the_next_model_is_dropped(digits_state, tmp_path):
    chain_model(tmp_path / "chain.onnx")
    digits_state.load_model(tmp_path / "chain.onnx")
    assert not digits_state.settings.profile


def test_profile_that_fits_the_model_is_kept(state):
    profile = ShapeProfile.from_arguments(["image=2x1x8x8:3x1x8x8:4x1x8x8"])
    state.settings = CPU.replace(profile=profile)
    state.load_model(sample_path("digits"))
    assert state.settings.profile == profile


def test_options_are_set_and_taken_back(state):
    state.set_option("trt_builder_optimization_level", "5")
    state.set_option("intra_op_num_threads", "2", session=True)
    assert state.settings.provider_options == {"trt_builder_optimization_level": 5}
    assert state.settings.session_options == {"intra_op_num_threads": 2}

    state.set_option("trt_builder_optimization_level", None)
    assert state.settings.provider_options == {}
    state.reset_options()
    assert state.settings == CPU


def test_wrong_option_leaves_the_settings_as_they_were(state):
    with pytest.raises(SettingsError, match="from 0 to 5"):
        state.set_option("trt_builder_optimization_level", "9")
    assert state.settings == CPU


def test_partitioning_options_change_the_prediction(digits_state):
    before = digits_state.predicted
    digits_state.set_option("trt_op_types_to_exclude", "Conv")
    assert digits_state.predicted.coverage != before.coverage


def test_sizes_of_dimensions_make_the_profile(digits_state):
    digits_state.set_sizes({"batch": (1, 2, 3)})
    assert digits_state.settings.profile.to_arguments() == ["image=1x1x8x8:2x1x8x8:3x1x8x8"]
    digits_state.set_sizes({})
    assert not digits_state.settings.profile


def test_profile_must_fit_the_model(digits_state):
    with pytest.raises(SettingsError):
        digits_state.set_profile(ShapeProfile.from_arguments(["nobody=1:2:3"]))


def test_run_is_kept_chosen_and_measured(digits_state):
    digits_state.label = "first"
    digits_state.start_run()

    assert digits_state.last.status == "ok"
    assert digits_state.last.label == "first"
    assert digits_state.label == ""
    assert digits_state.chosen == (digits_state.last.id,)
    assert [row.id for row in digits_state.rows] == [digits_state.last.id]
    assert digits_state.measured.evidence == "measured"
    assert digits_state.log == ("a line of the log",)


def test_run_takes_the_settings_and_the_plan(digits_state):
    digits_state.plan = Plan(iterations=7, accuracy=False)
    digits_state.set_option("intra_op_num_threads", 3, session=True)
    digits_state.start_run()
    (job,) = digits_state.worker.jobs
    assert job.plan.iterations == 7
    assert job.settings == digits_state.settings


def test_runs_made_here_are_measured_and_others_recorded(digits_state, tmp_path):
    digits_state.start_run()
    (run,) = digits_state.get_runs(digits_state.chosen)
    assert run.evidence == "measured"

    other = make_state(tmp_path, store=digits_state.store)
    other.refresh_rows()
    (run,) = other.get_runs([other.rows[0].id])
    assert run.evidence == "recorded"


def test_failed_run_is_kept_and_is_nothing_to_compare_changes_with(digits_state):
    digits_state.worker.outcome = failed()
    digits_state.start_run()
    assert digits_state.last.status == "failed"
    assert digits_state.change() is None
    assert len(digits_state.rows) == 1


def test_change_is_told_against_the_last_run(digits_state):
    digits_state.start_run()
    assert digits_state.change().effect == "none"
    digits_state.set_provider("tensorrt")
    assert digits_state.change().effect == "rebuild"


def test_settings_that_cannot_work_are_refused_before_the_run(digits_state):
    digits_state.settings = CPU.replace(profile=ShapeProfile.from_arguments(["nobody=1:2:3"]))
    with pytest.raises(SettingsError):
        digits_state.start_run()
    assert digits_state.worker.jobs == []
    assert not digits_state.busy


def test_without_a_model_there_is_no_run(state):
    with pytest.raises(WorkbenchError, match="no model"):
        state.start_run()


def test_job_tells_what_it_is_doing_and_can_be_cancelled(tmp_path):
    worker = FakeWorker()
    state = make_state(tmp_path, settings=CPU, worker=worker, background=Background())
    state.load_model(sample_path("digits"))
    assert state.wait(30)
    worker.gate = threading.Event()
    seen = []
    state.observe(lambda change: seen.append(change.new.stage if change.new else None), "activity")

    state.start_run()
    assert state.busy
    with pytest.raises(WorkbenchError, match="running digits"):
        state.start_run()
    assert not state.background.wait(0.3)
    assert state.activity.stage == "session"
    assert [stage.name for stage in state.activity.stages] == ["starting", "session"]
    state.cancel()
    worker.gate.set()

    assert state.wait(10)
    assert state.last.status == "cancelled"
    assert seen[0] == ""
    assert seen[-1] is None


def test_result_for_a_model_that_is_no_longer_open_is_kept_but_not_shown(tmp_path):
    worker = FakeWorker()
    state = make_state(tmp_path, settings=CPU, worker=worker, background=Background())
    state.load_model(sample_path("digits"))
    state.wait(30)
    worker.gate = threading.Event()
    state.start_run()
    state.activity = None
    state.load_model(sample_path("encoder"))
    worker.gate.set()

    assert state.wait(30)
    assert len(state.rows) == 1
    assert state.last is None
    assert state.measured is None


def test_placement_is_measured_without_keeping_a_run(digits_state):
    digits_state.measure_placement()
    assert digits_state.evidence == "measured"
    assert digits_state.placement.evidence == "measured"
    assert digits_state.rows == ()


def test_settings_of_a_kept_run_are_opened(digits_state):
    digits_state.set_option("intra_op_num_threads", 3, session=True)
    digits_state.start_run()
    made = digits_state.settings
    digits_state.settings = CPU

    (run,) = digits_state.get_runs(digits_state.chosen)
    digits_state.open_run(run)

    assert digits_state.settings == made
    assert digits_state.measured == run.placement


def test_name_of_a_run_is_changed(digits_state):
    digits_state.start_run()
    digits_state.set_run_label(digits_state.last.id, "better name")
    assert digits_state.rows[0].label == "better name"
    assert digits_state.get_runs(digits_state.chosen)[0].label == "better name"


def test_two_runs_are_compared(digits_state):
    digits_state.start_run()
    first = digits_state.last.id
    digits_state.start_run()
    assert digits_state.compare(first, digits_state.last.id).verdict


def test_damaged_store_is_trouble_not_a_crash(tmp_path, state):
    (tmp_path / "runs.sqlite3").write_bytes(b"no database" * 100)
    state.load_model(sample_path("digits"))
    state.start_run()
    assert state.trouble.place == "build"
    assert isinstance(state.trouble.error, WorkbenchError)


def test_another_model_may_be_asked_for_while_one_is_opened(tmp_path):
    state = make_state(tmp_path, settings=CPU, background=Background())
    for name in ("digits", "encoder", "detector"):
        state.load_model(sample_path(name))

    assert state.wait(30)
    assert state.model.name == "detector"
    assert state.predicted.model == "detector"
    assert state.trouble is None


def test_a_broken_file_asked_for_meanwhile_leaves_the_model_that_is_open(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"no model at all")
    state = make_state(tmp_path, settings=CPU, background=Background())
    state.load_model(sample_path("digits"))
    state.load_model(tmp_path / "broken.onnx")

    assert state.wait(30)
    assert "broken.onnx" in str(state.trouble.error)
    assert state.model.name == "digits"
    assert state.predicted is not None
    assert not state.busy
