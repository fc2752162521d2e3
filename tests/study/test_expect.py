import pytest

from tests.runtime.engines.entries import FakeCache, entry_of, machine
from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.runtime.engines.timing import SharedTimings
from workbench.runtime.job import Build, EngineUse, Stage
from workbench.samples.catalogue import sample_path
from workbench.study.expect import expectation_of, told_build


@pytest.fixture(scope="module")
def model():
    return Model.load(sample_path("digits"))


@pytest.fixture
def session(run, store, model):
    """Keep a Run whose session took so many seconds."""

    def keep(seconds, *, settings=None, state="cold", here=None, **changes):
        made = run(
            model=model.name,
            content_hash=changes.pop("content_hash", model.content_hash()),
            settings=settings or Settings(),
            build=Build(seconds=seconds, cache=state, **changes),
            environment=here or machine(),
        )
        store.add(made)
        return made

    return keep


def expected(model, store, cache, settings=None, here=None):
    return expectation_of(model, settings or Settings(), store=store, cache=cache, environment=here or machine())


def test_nothing_known_is_said(model, store, tmp_path):
    found = expected(model, store, FakeCache(tmp_path))
    assert (found.action, found.spread) == ("build", None)
    assert found.text == "Builds TensorRT engines from nothing. There is no history of that on this machine."
    assert expected(model, None, FakeCache(tmp_path)).spread is None


def test_one_two_and_four_sessions_are_told_with_their_spread(model, store, session, tmp_path):
    cache = FakeCache(tmp_path)
    session(72.0)
    text = "That took 72 s in the one run of this model with these settings on this machine."
    assert expected(model, store, cache).text.endswith(text)
    session(60.0)
    assert "66 s at the median, 60 s to 72 s, in 2 runs" in expected(model, store, cache).text
    session(64.0)
    session(200.0)
    found = expected(model, store, cache).spread
    assert (found.runs, found.quartiles, found.median_s, found.low_s, found.high_s) == (4, True, 68.0, 63.0, 104.0)
    assert "half of them 63 s to 1 min 44 s" in str(found)


def test_an_engine_in_the_cache_is_reused_and_told_from_its_own_history(model, store, session, tmp_path):
    session(72.0)
    session(0.28, state="engine")
    found = expected(model, store, FakeCache(tmp_path, [entry_of(model)]))
    assert found.action == "engine"
    assert "280 ms" in found.text or "0.28 s" in found.text
    assert found.key == entry_of(model).key


def test_a_timing_cache_is_seen(model, store, session, tmp_path):
    session(72.0)
    session(11.0, state="timing", timing_cache=True)
    timing = tmp_path / "t.timing"
    timing.write_bytes(b"timings")
    SharedTimings(tmp_path, "sm90", "8.6.1").publish(timing, tmp_path)
    found = expected(model, store, FakeCache(tmp_path))
    assert (found.action, found.spread.median_s) == ("timing", 11.0)


def test_sessions_of_these_settings_count_before_others_and_others_before_none(model, store, session, tmp_path):
    fp16 = Settings(precision="fp16")
    session(72.0)
    cache = FakeCache(tmp_path)
    assert "1 run" not in expected(model, store, cache, fp16).text
    assert expected(model, store, cache, fp16).spread.of == "this model with other settings"
    session(50.0, settings=fp16)
    found = expected(model, store, cache, fp16).spread
    assert (found.runs, found.median_s) == (1, 50.0)


def test_a_model_of_the_same_name_counts_where_nothing_nearer_does(model, store, session, tmp_path):
    session(33.0, content_hash="other")
    found = expected(model, store, FakeCache(tmp_path)).spread
    assert (found.median_s, found.of) == (33.0, "a model of this name with other content")


@pytest.mark.parametrize(
    "there",
    [{"host": "other"}, {"gpu": "NVIDIA A100"}, {"onnxruntime": "1.18.0"}, {"tensorrt": "8.5.3"}],
)
def test_other_machines_and_versions_do_not_count(model, store, session, tmp_path, there):
    session(72.0, here=machine(**there))
    assert expected(model, store, FakeCache(tmp_path)).spread is None


def test_cpu_and_cuda_sessions_have_a_history_too(model, store, session, tmp_path):
    cpu = Settings(provider="cpu")
    session(0.05, settings=cpu, here=machine(tensorrt=None))
    found = expected(model, store, FakeCache(tmp_path), cpu)
    assert (found.action, found.key, found.spread.runs) == ("session", None, 1)
    assert found.text.startswith("Makes a session; nothing is built. That took 50 ms")


def test_without_a_gpu_or_with_onnxruntimes_own_cache_it_says_what_is_not_known(model, store, tmp_path):
    found = expected(model, store, FakeCache(tmp_path), here=machine(compute_capability=None))
    assert found.text == "Whether engines must be built is not known: no NVIDIA GPU is found here."
    own = Settings(provider_options={"trt_engine_cache_enable": True})
    assert "ONNX Runtime's own cache decides" in expected(model, store, None, own).text
    assert expected(model, store, None).action == "build"


def test_a_build_is_told_with_stages_and_origins(session):
    uses = (
        EngineUse(name="a.engine", bytes=12_000_000, origin="built", seconds=60.0),
        EngineUse(name="b.engine", bytes=3_000_000, origin="built", seconds=8.0),
        EngineUse(name="c.engine", bytes=1_000, origin="cache"),
    )
    stages = (Stage(name="session", seconds=71.5), Stage(name="first run", seconds=0.5))
    told = told_build(session(72.0, state="timing", timing_cache=True, engines=uses, stages=stages, waited_s=3.0))
    assert told == (
        "The session was made in 72 s: kernel timings were kept from before.",
        "Built: 2 engines, 15.0 MB in 68 s.",
        "From the engine cache: 1 engine, 1.0 kB.",
        "Kernel timings came from the timing cache.",
        "Before that, 3 s went by waiting for another process that built the same.",
        "Stages: session 72 s, first run 0.5 s.",
    )


def test_a_cpu_session_is_told_without_engines_and_a_run_without_a_session_not_at_all(run, session):
    assert told_build(session(0.05, settings=Settings(provider="cpu"))) == (
        "The session was made in 50 ms; the cpu provider builds no engines.",
    )
    assert told_build(run()) == ()


def test_a_native_engine_for_the_shapes_of_inputs_is_reused_where_they_are_the_same(model, store, tmp_path):
    native = Settings(provider="native")
    entry = entry_of(model, native.replace(profile=["image=4x1x8x8:4x1x8x8:4x1x8x8"]), provider="native", onnxruntime=None)
    found = expected(model, store, FakeCache(tmp_path, [entry]), native)
    assert found.action == "engine"
    assert "built for inputs of these shapes: image 4×1×8×8" in found.text
    assert expected(model, store, FakeCache(tmp_path, [entry]), native.replace(precision="fp16")).action == "build"
