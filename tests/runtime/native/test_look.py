"""Engine files of an ONNX Runtime session, looked into by TensorRT's own process."""

import base64
import json
import sys

import pytest

from tests.runtime.engines.entries import machine
from workbench.options.settings import Settings
from workbench.runtime.engines.cache import EngineCache, EntryFacts
from workbench.runtime.engines.layers import engine_layers
from workbench.runtime.engines.listing import find_engine
from workbench.runtime.engines.session_engines import OwnFolder, SessionEngines
from workbench.runtime.engines.session_layers import look_at
from workbench.runtime.job import EngineUse
from workbench.runtime.native import look as look_module
from workbench.runtime.native.look import Look, look_into
from workbench.runtime.session import LogTail

OLD, NEW = "8.6.1", "10.14.1.48"
NAME = "TensorrtExecutionProvider_TRTKernel_graph_main_123_{}_{}_fp16_sm90.engine"
RANGE = {"shapes": {"x": [[1, 4], [2, 4], [8, 4]]}, "values": {}}
FP16 = Settings(precision="fp16")


@pytest.fixture
def here(tensorrt, monkeypatch):
    """Return a function that installs a TensorRT where the companion looks for it."""

    def install(*given):
        tensorrt(*given)
        monkeypatch.setenv("WORKBENCH_TENSORRT_PYTHON", sys.executable)

    return install


def write(folder, model, version, *, part=0, verbosity="LAYER_NAMES_ONLY", flags=("FP16",)):
    facts = {
        "version": version,
        "onnx": base64.b64encode(model.path.read_bytes()).decode(),
        "profiles": [RANGE],
        "verbosity": verbosity,
        "flags": list(flags),
    }
    folder.mkdir(exist_ok=True)
    path = folder / NAME.format(part, part)
    path.write_text(json.dumps(facts))
    return path


@pytest.mark.parametrize("version", [OLD, NEW])
def test_engines_that_keep_names_only_are_timed_by_node(here, tmp_path, chain, version):
    here(version)
    paths = [write(tmp_path, chain, version, part=part) for part in range(2)]
    looked = look_into(paths, Look(asked=("fp16",), known={"add", "relu"}))
    assert looked.findings == ()
    assert [engine.file for engine in looked.engines] == [path.name for path in paths]
    first = looked.engines[0]
    assert (first.told, first.found.untold, first.tensorrt, first.warnings) == (False, 2, version, ())
    assert [(layer.name, layer.nodes, layer.ms) for layer in first.layers] == [("add", ("add",), 0.25), ("relu", ("relu",), 0.25)]
    assert (first.runs, first.inputs) == (20, "made-up inputs of the best shapes")


def test_engines_that_tell_types_are_counted_by_precision(here, tmp_path, chain):
    here(NEW)
    (engine,) = look_into([write(tmp_path, chain, NEW, verbosity="DETAILED")], Look(asked=("fp16",))).engines
    assert engine.found.sentence() == "fp16 in 2 of 2 layers (100% of the time)"


def test_a_damaged_engine_is_a_finding_and_the_next_one_is_looked_into(here, tmp_path, chain):
    here(OLD)
    bad = tmp_path / NAME.format(0, 0)
    bad.write_bytes(b"\0")
    looked = look_into([bad, write(tmp_path, chain, OLD, part=1)], Look(profile_runs=0))
    assert [engine.file for engine in looked.engines] == [NAME.format(1, 1)]
    (finding,) = looked.findings
    assert finding.level == "warning"
    assert "could not be looked into" in finding.seen
    assert "Magic tag" in finding.seen


def test_an_engine_that_dies_when_it_runs_is_counted_without_times(here, tmp_path, chain):
    here(NEW, "die-run")
    looked = look_into([write(tmp_path, chain, NEW)], Look())
    assert [(engine.runs, len(engine.layers)) for engine in looked.engines] == [(0, 2)]
    assert "were not timed" in looked.findings[0].seen
    assert "SIGSEGV" in looked.findings[0].seen


def test_an_encrypted_engine_is_left_alone(here, tmp_path):
    here(NEW)
    looked = look_into([tmp_path / "x.engine.encrypted"], Look())
    assert looked.engines == ()
    assert "is encrypted" in looked.findings[0].seen


def test_when_the_time_is_over_the_rest_is_left(here, tmp_path, chain):
    here(NEW)
    looked = look_into([write(tmp_path, chain, NEW)], Look(budget_s=0.0))
    assert looked.engines == ()
    assert "were over" in looked.findings[0].seen


def test_without_tensorrt_it_costs_no_process_and_is_told_once(tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_TENSORRT_PYTHON", raising=False)
    monkeypatch.setattr(look_module, "Companion", None)  # a call of it would raise
    monkeypatch.setattr(look_module.importlib.util, "find_spec", lambda _: None)
    looked = look_into([tmp_path / "a.engine", tmp_path / "b.engine"], Look())
    assert [(finding.level, finding.where) for finding in looked.findings] == [("info", "layers")]
    assert "TensorRT's Python package is not installed" in looked.findings[0].seen


def test_without_a_gpu_it_is_told_once(here, tmp_path, chain):
    here(NEW, "no-builder")
    looked = look_into([write(tmp_path, chain, NEW, part=part) for part in range(2)], Look())
    assert [finding.level for finding in looked.findings] == ["info"]
    assert "makes no builder" in looked.findings[0].seen


def facts(key="f" * 64):
    return EntryFacts(
        key=key, model="m.onnx", content_hash="h", settings=FP16, onnxruntime="1.17.1", tensorrt=OLD, compute_capability="9.0"
    )


@pytest.fixture
def session(tmp_path):
    """Return a function that makes a session's engines, from our cache or a folder of the user's."""
    log = tmp_path / "log"
    log.touch()

    def make(**more):
        return SessionEngines(None, FP16, LogTail(log), taken=True, **more)

    return make


def test_the_engines_of_a_session_are_those_of_its_private_folder(here, session, tmp_path, chain):
    here(OLD)
    with EngineCache(tmp_path / "cache").opened(facts()) as opened:
        write(opened.folder, chain, OLD)
        (engine,) = look_at(session(opened=opened), chain, FP16, budget_s=60).engines
    assert (engine.file, engine.found.asked) == (NAME.format(0, 0), ("fp16",))


def test_where_no_file_is_kept_the_reason_is_told(session, tmp_path, chain):
    def seen(engines):
        looked = look_at(engines, chain, FP16, budget_s=60)
        assert looked.engines == ()
        return looked.findings[0].seen

    assert "TensorRT took no node" in seen(None)
    assert "no engine lies in a file" in seen(session())
    assert "no engine lies in a file" in seen(session(own=OwnFolder(None, {}, timing=False)))
    assert "EP context model" in seen(session(context=(EngineUse(name="x", bytes=1, origin="context"),)))
    assert "the session loaded is not known" in seen(session(own=OwnFolder(tmp_path, {}, timing=False)))


def test_engines_of_a_folder_of_the_users_own_that_were_built_are_looked_into(here, session, tmp_path, chain):
    here(OLD)
    own = OwnFolder(tmp_path / "own", {}, timing=False)
    write(tmp_path / "own", chain, OLD)
    assert len(look_at(session(own=own), chain, FP16, budget_s=60).engines) == 1


def test_an_engine_on_disk_is_found_by_key_or_file(here, tmp_path, chain):
    here(OLD)
    cache = EngineCache(tmp_path / "cache")
    with cache.opened(facts()) as opened:
        path = write(opened.folder, chain, OLD, verbosity="DETAILED")
        mine = write(tmp_path / "own", chain, OLD)
        opened.publish(1.0)
        assert path.exists()
    listed = find_engine("ffff", cache, machine())
    (engine,) = engine_layers(listed, entry=cache.find(listed.name)).engines
    assert engine.found.sentence() == "fp16 in 2 of 2 layers"
    (plain,) = engine_layers(find_engine(str(mine), cache, machine()), profile_runs=3).engines
    assert (plain.told, plain.runs, plain.found.asked) == (False, 3, ("fp16",))


def test_an_inspector_that_says_something_else_is_a_finding(here, tmp_path, chain, monkeypatch):
    def other(*_, **__):
        raise ValueError("not the engine inspector's JSON")

    here(NEW)
    monkeypatch.setattr("workbench.runtime.native.plan_report.layers_of", other)
    looked = look_into([write(tmp_path, chain, NEW)], Look())
    assert looked.engines == ()
    assert "not the engine inspector's JSON" in looked.findings[0].seen
