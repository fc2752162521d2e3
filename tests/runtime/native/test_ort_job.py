"""A job of ONNX Runtime's provider: its engines, looked into after the first run by TensorRT's own process."""

import sys
from pathlib import Path

import pytest

from tests.runtime.engines.test_session_engines import PLAN, ort, run
from tests.runtime.native.test_look import NAME, OLD, write
from workbench.options.settings import Settings
from workbench.runtime.engines.cache import EngineCache
from workbench.runtime.native import look as look_module

__all__ = ["ort"]  # a fixture

FP16 = Settings(precision="fp16")


@pytest.fixture
def job(ort, tensorrt, monkeypatch, chain, tmp_path):  # the fixture
    """Return a function that does a job whose session writes engines as plans of names only."""

    def build(session):
        folder = Path(session.options["trt_engine_cache_path"])
        for part in range(2):
            if not (folder / NAME.format(part, part)).exists():
                write(folder, chain, OLD, part=part)

    ort.InferenceSession.engines = build
    tensorrt(OLD)
    monkeypatch.setenv("WORKBENCH_TENSORRT_PYTHON", sys.executable)

    def job(settings=FP16, **plan):
        cache = EngineCache(tmp_path / "engines")
        return run(ort, chain.path, cache, settings, plan=PLAN.model_copy(update=plan))

    return job


def test_each_engine_of_the_session_is_told_once_it_was_built(job):
    first = job()
    assert first.stages[-1] == "layers"
    engines = first.parts["delivered"]
    assert [engine.file for engine in engines] == [NAME.format(0, 0), NAME.format(1, 1)]
    assert [layer.nodes for layer in engines[0].layers] == [("add",), ("relu",)]
    assert all(engine.runs for engine in engines)
    untold = next(finding for finding in first.found if "tell only" in finding.seen)
    assert untold.seen == "fp16 was asked for, and the engines tell only the names and times of their 4 layers"
    second = job()
    assert second.build.cache == "engine"
    assert "layers" not in second.stages


def test_engines_of_the_cache_are_told_where_they_are_asked_for(job):
    job(layers=False)
    assert len(job(layers=True).parts["delivered"]) == 2


def test_a_look_that_fails_is_a_finding_and_not_a_failed_run(job, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no room for a log")

    monkeypatch.setattr(look_module, "read_plan", refuse)
    done = job()
    assert done.status == "ok"
    assert "delivered" not in done.parts
    assert sum("no room for a log" in finding.seen for finding in done.found) == 2


def test_without_tensorrts_package_one_finding_says_so(job, monkeypatch):
    monkeypatch.delenv("WORKBENCH_TENSORRT_PYTHON")
    monkeypatch.setattr(look_module.importlib.util, "find_spec", lambda _: None)
    done = job()
    assert done.status == "ok"
    assert [finding.seen for finding in done.found] == [
        "TensorRT's Python package is not installed, so the engines were not looked into"
    ]
