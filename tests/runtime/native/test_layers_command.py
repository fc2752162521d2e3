"""From ``workbench run`` to ``workbench engines layers``, with TensorRT in its own process."""

import json
import sys

import pytest
from typer.testing import CliRunner

from tests.runtime.engines.entries import machine
from workbench.cli import app

OLD, NEW = "8.6.1", "10.14.1.48"
QUICK = ("--provider", "native", "--iterations", "10", "--seconds", "0.2", "--warmup", "0", "--no-accuracy")


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments, status=0):
        done = CliRunner().invoke(app, [*map(str, arguments), "--cache", "engines"], env={"NO_COLOR": "1", "COLUMNS": "200"})
        assert done.exit_code == status, done.output
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    return call


@pytest.fixture
def here(tensorrt, monkeypatch):
    def install(version):
        tensorrt(version)
        monkeypatch.setenv("WORKBENCH_TENSORRT_PYTHON", sys.executable)
        found = machine(native_tensorrt=version, gpu="GPU")
        monkeypatch.setattr("workbench.runtime.engines.here.session_environment", lambda: found)

    return install


@pytest.mark.parametrize("version", [OLD, NEW])
def test_a_run_tells_its_layers_and_the_engine_that_it_left_does_too(here, call, chain, version):
    here(version)
    model = chain.path
    text = call("run", model, *QUICK, "--precision", "fp16", "--store", "runs.sqlite3")
    assert "asked for fp16; delivered: fp16 in 2 of 2 layers (100% of the time)" in text
    assert "CaskConvolution" in text
    again = call("run", model, *QUICK, "--precision", "fp16", "--store", "runs.sqlite3", "--json")
    assert again["build"]["cache"] == "engine"
    assert again["delivered"] == []  # it was told when the engine was built
    key = again["build"]["key"]
    found = call("engines", "layers", key[:12], "--profile-runs", "3", "--model", model, "--json")
    assert found["engine"] == key
    (engine,) = found["engines"]
    assert (engine["file"], engine["runs"], engine["found"]["asked"]) == ("native.engine", 3, ["fp16"])
    assert [layer["nodes"] for layer in engine["layers"]] == [["add"], ["relu"]]
    assert "fp16" in call("engines", "layers", key[:12])


def test_layers_can_be_had_from_a_cached_engine_and_refused(here, call, chain):
    here(NEW)
    rest = ("--precision", "fp16", "--store", "runs.sqlite3", "--json")
    assert call("run", chain.path, *QUICK, *rest, "--no-layers")["delivered"] == []
    assert len(call("run", chain.path, *QUICK, *rest, "--layers")["delivered"]) == 1


def test_an_engine_for_the_shapes_at_hand_is_reachable(here, call, chain, monkeypatch):
    here(NEW)
    monkeypatch.setattr("workbench.runtime.engines.judge._file_problem", lambda *_: "")  # the fake's plans have no header
    call("run", chain.path, *QUICK, "--store", "runs.sqlite3")
    found = call("engines", "list", "--model", chain.path, "--provider", "native", "--json")
    (engine,) = found["engines"]
    assert engine["judgement"]["state"] == "reachable"
    text = call("engines", "list", "--model", chain.path, "--provider", "native")
    assert "It was built for inputs of these shapes: x 1×4." in text


def test_a_file_that_is_no_engine_and_one_that_is_not_there(here, call, tmp_path):
    here(OLD)
    (tmp_path / "x.engine").write_bytes(b"\0\1")
    failed = call("engines", "layers", "x.engine", "--json", status=1)
    assert "Magic tag" in failed["error"]["message"]
    assert "no such file" in call("engines", "layers", "y.engine", "--json", status=2)["error"]["message"]
