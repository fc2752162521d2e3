import pytest

from tests.panels.fakes import make_state
from tests.panels.models import chain_model, split_placement
from workbench.options.settings import Settings
from workbench.panels.next_steps import can_run, next_steps
from workbench.placement.records import TENSORRT, RuntimeVersions
from workbench.placement.verdict import verdict_of
from workbench.record import Failure
from workbench.runtime.doctor.diagnosis import Diagnosis
from workbench.samples.catalogue import sample_path
from workbench.study.ready_records import Prediction, Readied

RUNTIME = RuntimeVersions(onnxruntime="1.31.1", tensorrt="10.16")


@pytest.fixture
def state(tmp_path):
    made = make_state(tmp_path, settings=Settings())
    made.load_model(sample_path("digits"))
    made.settings = Settings()
    return made


def diagnosed(**can):
    return Diagnosis(checks=(), can={"cpu": True, "cuda": False, "tensorrt": False} | can, environment=None)


def steps(state, placement=None):
    placement = placement or state.placement
    return {step.label: step for step in next_steps(state, verdict_of(placement), placement)}


def without_shapes(state):
    error = Failure(kind="shape", message="a tensor has no shape", remedy="Infer shapes.")
    return state.predicted.model_copy(update={"outcome": "error", "error": error, "groups": (), "nodes": (), "coverage": {}})


def readied(**fields):
    before = Prediction(runtime=RUNTIME, error=None, engines=0, tensorrt_share=None)
    return Readied(**{"model": "digits", "outcome": "settings", "message": "Set it.", "before": before, "seconds": 1.0} | fields)


def test_whole_model_is_built_where_tensorrt_is(state):
    state.diagnosis = diagnosed(tensorrt=True)
    steps(state)["Build and measure"].take()
    assert state.wanted == "build"
    assert state.last.settings.provider == "tensorrt"


def test_where_tensorrt_cannot_run_only_the_command_is_left(state):
    state.diagnosis = diagnosed()
    assert "Build and measure" not in steps(state)
    assert verdict_of(state.placement).command.startswith("workbench run ")


def test_dynamic_model_without_a_profile_is_sent_to_the_shapes(state):
    steps(state)["Set shape profile"].take()
    assert state.wanted == "shapes"
    state.set_sizes({"batch": (1, 2, 3)})
    assert "Set shape profile" not in steps(state)


def test_split_model_is_searched_for_the_smallest_change(state, tmp_path):
    model = chain_model(tmp_path / "chain.onnx")
    state.set_model(model)
    steps(state, split_placement(model))["Find the smallest change"].take()
    assert state.questions.proposal is not None


def test_cuda_alone_is_measured_where_it_can_run(state, tmp_path):
    model = chain_model(tmp_path / "chain.onnx")
    state.set_model(model)
    state.diagnosis = diagnosed(cuda=True)
    steps(state, split_placement(model))["Measure on CUDA alone"].take()
    assert state.settings.provider == "cuda"


def test_model_without_shapes_is_made_ready_once(state):
    assert "Make it ready" in steps(state, without_shapes(state))
    state.readied = readied(outcome="failed")
    assert "Make it ready" not in steps(state, without_shapes(state))


def test_options_that_making_ready_found_are_applied(state):
    state.readied = readied(options=(("trt_op_types_to_exclude", "NonZero"),))
    steps(state, without_shapes(state))["Apply to settings"].take()
    assert state.settings.provider_options == {"trt_op_types_to_exclude": "NonZero"}


def test_what_if_has_its_own_buttons(state):
    state.questions.ask(min_subgraph=2, exclude=("Conv",))
    assert steps(state) == {}


def test_cpu_can_always_run(state):
    assert can_run(state, "cpu")
    state.diagnosis = diagnosed()
    assert not can_run(state, "tensorrt")
    assert TENSORRT in state.predicted.coverage
