import pytest

from tests.panels.fakes import failed, make_state, measured
from workbench.errors import WorkbenchError
from workbench.options.settings import Settings
from workbench.panels import amounts
from workbench.panels.activity import Activity, StageTime
from workbench.panels.build_panel import BuildPanel, last_word
from workbench.runtime.doctor.checks import Diagnosis
from workbench.runtime.engines.here import session_environment
from workbench.runtime.job import Event, Job, Plan, StageTimeout
from workbench.samples.catalogue import sample_path


@pytest.fixture
def panel(tmp_path, monkeypatch):
    nothing = Diagnosis(checks=(), can={"cpu": True, "cuda": False, "tensorrt": False}, environment=None)
    monkeypatch.setattr("workbench.runtime.doctor.diagnosis.diagnose", lambda: nothing)
    return BuildPanel(make_state(tmp_path, settings=Settings(provider="cpu")))


@pytest.fixture
def opened(panel):
    panel.state.load_model(sample_path("digits"))
    return panel


def test_without_a_model_nothing_can_run(panel):
    assert panel.start.disabled
    assert panel.cancel.disabled


def test_run_button_makes_a_run(opened, browser_clicks):
    opened.label.value = "mine"
    browser_clicks(opened.start)
    assert opened.failure is None
    assert opened.state.last.label == "mine"
    assert opened.label.value == ""
    assert "Median" in opened.outcome.value
    assert "wb-badge-measured" in opened.outcome.value
    assert "a line of the log" in opened.lines.value
    assert not opened.start.disabled
    assert opened.cancel.disabled


def test_progress_shows_the_stages_and_their_times(opened, browser_clicks):
    browser_clicks(opened.start)
    assert opened.progress.stages == [["starting", 0.5], ["session", 1.5], ["measuring", 0.0]]
    assert not opened.progress.running
    assert not opened.progress.failed
    assert opened.progress.expected[-1] == "layers"


def test_failed_run_shows_why_what_to_do_and_the_log(opened, browser_clicks):
    opened.state.worker.outcome = failed()
    browser_clicks(opened.start)
    assert "TensorRT is not installed." in opened.outcome.value
    assert "Install it." in opened.outcome.value
    assert "libnvinfer.so.10" in opened.outcome.value
    assert opened.progress.failed


def test_plan_follows_its_fields_both_ways(opened):
    opened.warmup.value = 3
    opened.accuracy.value = False
    opened.times.value = True
    opened.inputs.value = "inputs.npz"
    assert opened.state.plan == Plan(warmup=3, accuracy=False, profile=True, inputs="inputs.npz")
    opened.state.plan = Plan(iterations=77, seconds=0.5)
    assert opened.iterations.value == 77
    assert opened.seconds.value == 0.5
    assert opened.inputs.value == ""
    assert opened.accuracy.value
    assert not opened.times.value
    assert opened.state.plan == Plan(iterations=77, seconds=0.5)


def test_cancel_ends_the_job(opened, browser_clicks):
    opened.state.activity = Activity("running", "digits")
    assert opened.start.disabled
    assert not opened.cancel.disabled
    browser_clicks(opened.cancel)
    assert opened.state.worker.cancelled.is_set()


def test_second_run_at_the_same_time_is_refused(opened, browser_clicks):
    opened.state.activity = Activity("running", "digits")
    browser_clicks(opened.start)
    assert isinstance(opened.failure, WorkbenchError)
    assert "running digits just now" in opened.status.value


def test_provider_that_cannot_run_here_is_said_before_the_run(opened):
    why = {"tensorrt": "no NVIDIA GPU or driver was found"}
    opened.state.diagnosis = Diagnosis(checks=(), can={"cpu": True, "tensorrt": False}, why_not=why, environment=None)
    assert opened.can.value == ""
    opened.state.set_provider("tensorrt")
    assert "No job on tensorrt can be done here: no NVIDIA GPU or driver was found." in opened.can.value


def test_gpu_buffers_are_part_of_the_plan_and_what_has_no_field_stays(opened):
    opened.state.plan = Plan(seed=3, stage_timeouts=(StageTimeout(stage="session", seconds=5),))
    opened.device.value = True
    assert opened.state.plan.buffers == "device"
    assert (opened.state.plan.seed, opened.state.plan.limit_of("session")) == (3, 5)
    opened.state.plan = Plan()
    assert not opened.device.value


def test_effect_of_a_change_is_shown_once_there_is_one(opened, browser_clicks):
    browser_clicks(opened.start)
    assert opened.effect.value == ""
    opened.state.set_option("intra_op_num_threads", 2, session=True)
    assert "intra_op_num_threads: 0 → 2" in opened.effect.value


def test_events_add_up_to_stages():
    activity = Activity("running", "m")
    for stage, elapsed in (("starting", 0.0), ("starting", 1.0), ("session", 2.0), ("session", 5.0), ("measuring", 6.0)):
        activity = activity.after(Event(stage=stage, elapsed_s=elapsed))
    assert activity.stages == (StageTime("starting", 2.0), StageTime("session", 4.0), StageTime("measuring", 0.0))
    assert activity.stage == "measuring"
    assert activity.elapsed_s == 6.0


@pytest.mark.parametrize(
    ("size", "text"),
    [(None, "–"), (0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (156_000, "156 kB"), (2_100_000_000, "2.1 GB")],
)
def test_sizes_are_readable(size, text):
    assert amounts.size_text(size) == text


@pytest.mark.parametrize(("count", "text"), [(38_282, "38,282"), (25_600_000, "25.6 million"), (7_000_000_000, "7 billion")])
def test_counts_are_readable(count, text):
    assert amounts.count_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0123, "12 ms"), (0.25, "0.25 s"), (1.44, "1.4 s"), (45.2, "45 s"), (185, "3 min 05 s")]
)
def test_durations_are_readable(seconds, text):
    assert amounts.duration_text(seconds) == text


def test_what_the_run_will_do_and_how_long_that_took_is_said_before_the_click(opened, browser_clicks):
    assert "There is no history of that on this machine." in opened.expected.value
    here = session_environment()
    outcome = measured(Job(model=str(sample_path("digits")), settings=opened.state.settings))
    opened.state.worker.outcome = outcome.model_copy(update={"environment": here})
    browser_clicks(opened.start)
    assert "That took 0.2 s in the one run of this model with these settings on this machine." in opened.expected.value
    opened.state.set_provider("tensorrt")
    assert "no NVIDIA GPU is found here" in opened.expected.value or "no history" in opened.expected.value


def test_how_the_session_came_to_be_is_told_after_the_run(opened, browser_clicks):
    browser_clicks(opened.start)
    assert "The session was made in 0.2 s; the cpu provider builds no engines." in opened.outcome.value


def test_what_tensorrt_last_said_stands_beside_the_stage(opened):
    assert last_word(()) == ""
    assert last_word(("a", "[TRT] building", "b")) == "[TRT] building"
    assert last_word(("first", "last", " ")) == "last"
    opened.state.activity = Activity("running", "digits")
    opened.state.log = ("2026 [TensorRT EP] Engine build for a took 60 s", "another")
    assert "Engine build for a took 60 s" in opened.says.value
    opened.state.activity = None
    opened.state.log = ()
    assert opened.says.value == ""
