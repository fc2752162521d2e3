import hashlib
import io
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest
from onnx import TensorProto, helper

from tests.runtime.engines.ort_files import plan, profile
from workbench.options.settings import Settings
from workbench.placement.records import CUDA, TENSORRT
from workbench.runtime import work as work_module
from workbench.runtime import worker_process
from workbench.runtime.engines import session_engines, standby
from workbench.runtime.engines.cache import EngineCache
from workbench.runtime.job import Job, Plan
from workbench.runtime.libraries.driver import Driver, Gpu
from workbench.terminal.results import build_text

TRT = Settings()
PLAN = Plan(accuracy=False, iterations=10, warmup=0, seconds=0.01)
NAME = "TensorrtExecutionProvider_TRTKernel_graph_g_42_{}_{}_sm90.engine"


class FakeSession:
    """Builds engines as ONNX Runtime does: with the session, or with the first run, if its own cache has none."""

    parts = 1
    dynamic = trap = refuse = False
    log = text = None

    def __init__(self, source, options, providers, enable_fallback):  # noqa: ARG002  # ONNX Runtime's
        self.path, self.options = Path(source), dict(providers[0][1])
        type(self).made.append(self)
        self.built = []
        if not self.dynamic:
            self.engines()
        with self.log.open("a") as file:
            file.write(self.text or "")

    def engines(self):
        if self.options.get("trt_engine_cache_enable") != "True":
            self.built = list(range(self.parts))
            return
        folder = Path(self.options["trt_engine_cache_path"])
        for part in range(self.parts):
            engine = folder / NAME.format(part, part)
            if engine.exists() and engine.read_bytes() == b"bad":
                raise RuntimeError("TensorRT EP could not deserialize engine from cache: x")
            if engine.exists() and not self.trap:
                continue
            self.built.append(part)
            engine.write_bytes(hashlib.sha256(self.path.read_bytes()).digest() + bytes(len(type(self).made)))
            if self.dynamic:
                engine.with_suffix(".profile").write_bytes(profile({"x": [0, 1, 1, 1]}))
        if self.built and self.options.get("trt_timing_cache_enable") == "True":
            Path(self.options["trt_timing_cache_path"], "TensorrtExecutionProvider_cache_sm90.timing").write_bytes(b"t" * 9)

    def run(self, _, feeds):
        if self.dynamic and not self.built:
            self.engines()
        return [feeds["x"]]

    def get_providers(self):
        return [TENSORRT, CUDA, "CPUExecutionProvider"]

    def get_provider_graph_assignment_info(self):
        node = SimpleNamespace(name="n0", domain="", op_type="Relu")
        return [SimpleNamespace(ep_name=TENSORRT, get_nodes=lambda: [node])]


class Reporter(worker_process.Reporter):
    def __init__(self, log):
        super().__init__(io.StringIO(), log)
        self.stages, self.parts, self.found = [], {}, []

    def stage(self, name):
        self.stages.append(name)

    def part(self, name, value):
        self.parts[name] = value
        if name == "findings":
            self.found += value

    def done(self, status, error=None):
        self.status, self.error = status, error

    @property
    def build(self):
        return self.parts["build"]


@pytest.fixture
def ort(tmp_path, monkeypatch):
    log = tmp_path / "worker.log"
    log.write_text("")
    session = type("Session", (FakeSession,), {"log": log, "made": []})
    options = type("Options", (), {"add_session_config_entry": lambda *_: None})
    state = SimpleNamespace(onnxruntime_pybind11_state=SimpleNamespace())
    ort = SimpleNamespace(InferenceSession=session, SessionOptions=options, capi=state, __version__="1.31.1")
    monkeypatch.setattr(work_module, "load_onnxruntime", lambda _: ort)
    monkeypatch.setattr(work_module, "require", lambda *_: None)
    monkeypatch.setattr(standby, "standby_session", lambda *_: object())
    monkeypatch.setattr(session_engines, "tensorrt_version", lambda: "10.14.1")
    gpu = Gpu(name="NVIDIA H200", compute_capability="9.0")
    monkeypatch.setattr(session_engines, "read_driver", lambda: Driver(gpus=(gpu,)))
    return ort


def test_tensorrt_stays_started_for_the_next_job_and_not_for_another_provider(ort, model, monkeypatch):
    started = []
    monkeypatch.setattr(standby, "standby_session", lambda *_: started.append(len(started)) or object())
    reporter = Reporter(ort.InferenceSession.log)
    held = []
    for provider in ("tensorrt", "tensorrt", "cpu", "tensorrt"):
        work_module.work(Job(model=str(model), settings=Settings(provider=provider), plan=PLAN, cache=None), reporter)
        held.append(reporter.standby is not None)

    assert len(started) == 2
    assert held == [True, True, False, True]


def save(path, weight=1.0):
    node = helper.make_node("Relu", ["x"], ["y"], name="n0", doc_string=str(weight))
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    graph = helper.make_graph([node], "g", [value], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def model(tmp_path):
    return save(tmp_path / "m.onnx")


@pytest.fixture
def cache(tmp_path):
    return EngineCache(tmp_path / "engines")


def run(ort, model, cache, settings=TRT, plan=PLAN):
    reporter = Reporter(ort.InferenceSession.log)
    folder = str(cache.folder) if cache is not None else None
    work_module.work(Job(model=str(model), settings=settings, plan=plan, cache=folder), reporter)
    assert reporter.status == "ok", reporter.error
    return reporter


def origins(reporter):
    return [use.origin for use in reporter.build.engines]


def test_the_first_job_builds_and_the_second_does_not(ort, model, cache):
    first, second = run(ort, model, cache), run(ort, model, cache)
    assert (first.build.cache, origins(first)) == ("cold", ["built"])
    assert (second.build.cache, origins(second)) == ("engine", ["cache"])
    assert first.build.key == second.build.key == cache.entries()[0].key
    assert second.build.timing_cache
    assert [stage.name for stage in second.build.stages] == ["session", "first run"]
    assert "waiting" not in second.stages
    assert first.found == second.found == []
    assert list((cache.folder / "staging").iterdir()) == []


def test_engines_that_are_built_by_the_first_run_are_kept_too(ort, model, cache):
    ort.InferenceSession.dynamic = True
    first, second = run(ort, model, cache), run(ort, model, cache)
    assert (first.build.cache, origins(first)) == ("cold", ["built"])
    assert first.build.seconds == pytest.approx(sum(stage.seconds for stage in first.build.stages))
    assert (second.build.cache, origins(second)) == ("engine", ["cache"])
    assert cache.entries()[0].files[0].profiled


def test_other_weights_under_the_same_name_get_other_engines(ort, model, cache):
    run(ort, model, cache)
    first = cache.entries()[0].files[0].sha256
    save(model, weight=2.0)
    assert run(ort, model, cache).build.cache == "timing"
    assert len({entry.files[0].sha256 for entry in cache.entries()} | {first}) == 2


def test_without_a_cache_nothing_is_kept(ort, model, tmp_path):
    assert run(ort, model, None).build.cache == "cold"
    assert "trt_engine_cache_enable" not in ort.InferenceSession.made[0].options
    assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == []


def test_placement_alone_keeps_engines(ort, model, cache):
    run(ort, model, cache, plan=Plan(latency=False, accuracy=False))
    assert len(cache.entries()) == 1


def test_a_second_flag_beside_the_precision_stays_in_force(ort, model, cache):
    both = Settings(precision="int8", provider_options={"trt_fp16_enable": True})
    run(ort, model, cache, both)
    options = ort.InferenceSession.made[0].options
    assert options["trt_fp16_enable"] == options["trt_int8_enable"] == "True"


@pytest.mark.parametrize("key", ["trt_engine_cache_path", "trt_timing_cache_enable", "trt_weight_stripped_engine_enable"])
def test_a_users_own_cache_options_rule(ort, model, cache, key, tmp_path):
    own = {key: str(tmp_path) if key.endswith("path") else True}
    found = run(ort, model, cache, Settings(provider_options=own))
    assert any("old engine without a word" in finding.meaning for finding in found.found)
    assert found.build.key is None
    assert not cache.folder.exists()


def test_a_users_own_engines_are_told_by_their_files(ort, model, cache, tmp_path):
    own = Settings(provider_options={"trt_engine_cache_enable": True, "trt_engine_cache_path": str(tmp_path)})
    assert run(ort, model, cache, own).build.cache == "cold"
    assert run(ort, model, cache, own).build.cache == "engine"
    save(model, weight=2.0)  # the trap: ONNX Runtime does not notice
    assert run(ort, model, cache, own).build.cache == "engine"


def test_some_engines_of_several_are_told(ort, model, cache):
    run(ort, model, cache)
    ort.InferenceSession.parts = 2
    found = run(ort, model, cache)
    assert origins(found) == ["cache", "built"]
    assert found.build.cache == "timing"
    assert "1 of 2 engines came from the cache, 1 were built" in found.found[0].seen


def test_explicit_profiles_with_several_engines_are_told(ort, model, cache):
    ort.InferenceSession.parts, ort.InferenceSession.trap = 2, True
    settings = Settings(profile=["x=1:2:4"])
    assert run(ort, model, cache, settings).found == []
    assert "built again" in run(ort, model, cache, settings).found[0].seen


def damage(cache, entry):
    """Make an engine one that TensorRT refuses, though it is as it was published."""
    folder, engine = cache.folder_of(entry.key), entry.files[0]
    (folder / engine.name).write_bytes(b"bad")
    manifest = (folder.parent / "entry.json").read_text().replace(engine.sha256, hashlib.sha256(b"bad").hexdigest())
    (folder.parent / "entry.json").write_text(manifest.replace(f'"bytes": {engine.bytes}', '"bytes": 3'))


def test_an_engine_that_tensorrt_refuses_is_built_again(ort, model, cache):
    run(ort, model, cache)
    (entry,) = cache.entries()
    damage(cache, entry)

    found = run(ort, model, cache)
    assert origins(found) == ["built"]
    assert "could not deserialize" in found.found[0].seen
    (aside,) = (cache.folder / "set-aside").rglob(entry.files[0].name)
    assert aside.read_bytes() == b"bad"
    assert run(ort, model, cache).build.cache == "engine"


def test_a_cache_that_cannot_be_used_costs_only_the_cache(ort, model, tmp_path):
    (tmp_path / "file").write_text("")
    found = run(ort, model, EngineCache(tmp_path / "file"))
    assert found.build.cache == "cold"
    assert "goes on without" in found.found[0].meaning


def test_a_calibration_table_is_put_where_onnx_runtime_looks(ort, model, cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "t.flatbuffers").write_text("ranges")
    settings = Settings(precision="int8", provider_options={"trt_int8_calibration_table_name": "tables/t.flatbuffers"})
    run(ort, model, cache, settings)
    assert ort.InferenceSession.made[0].options["trt_int8_calibration_table_name"] == "t.flatbuffers"
    assert [path.suffix for path in cache.folder_of(cache.entries()[0].key).iterdir()] == [".engine"]
    (tmp_path / "tables" / "t.flatbuffers").unlink()
    with pytest.raises(AssertionError, match="inputs"):
        run(ort, model, cache, settings)


def test_the_log_tells_how_long_an_engine_took(ort, model, cache):
    name = NAME.format(0, 0).removesuffix("_sm90.engine")
    ort.InferenceSession.text = f"[I:onnxruntime:] [TensorRT EP] TensorRT engine build for {name} took: 1234ms\n"
    assert run(ort, model, cache).build.engines[0].seconds == 1.234
    assert run(ort, model, cache).build.engines[0].seconds is None


def test_an_ep_context_model_brings_its_engine(ort, tmp_path, cache):
    beside = {"embed_mode": 0, "ep_cache_context": "e.engine"}
    node = helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft", name="n0", **beside)
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    graph = helper.make_graph([node], "g", [value], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "c.onnx")
    (tmp_path / "e.engine").write_bytes(plan((10, 14, 1, 0)))
    found = run(ort, tmp_path / "c.onnx", cache)
    assert found.build.cache == "context"
    assert [(use.name, use.bytes) for use in found.build.engines] == [("e.engine", 128)]
    assert not cache.folder.exists()


def test_a_run_says_in_one_line_where_its_engines_came_from(ort, model, cache):
    first, second = run(ort, model, cache), run(ort, model, cache)
    assert build_text(first.build).endswith("1 of 1 engine built")
    assert build_text(second.build).endswith("s with engines from the cache")


def test_engines_that_are_refused_at_the_first_run_are_set_aside_for_the_next_job(ort, model, cache):
    ort.InferenceSession.dynamic = True
    run(ort, model, cache)
    (entry,) = cache.entries()
    damage(cache, entry)
    with pytest.raises(AssertionError, match="could not deserialize engine"):
        run(ort, model, cache)
    assert cache.entries() == []
    assert origins(run(ort, model, cache)) == ["built"]
