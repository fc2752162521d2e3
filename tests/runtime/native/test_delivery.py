"""What a job tells of delivered precision, after a build."""

import numpy as np
import pytest

from tests.runtime.native.test_native import NEW, OLD, QUICK, Recorder, job_of, prepared, run
from workbench.options.settings import Settings
from workbench.runtime.delivery import findings_of, layers_wanted, tell_layers
from workbench.runtime.job import EngineUse, Job, Outcome, Plan
from workbench.runtime.native.look import Looked, engine_of
from workbench.runtime.native.plan_report import PlanReport
from workbench.runtime.prepared import Built, Prepared

__all__ = ["prepared", "run"]  # fixtures

BUILT, CACHED = (Built(engines=(EngineUse(name="e", bytes=1, origin=origin),)) for origin in ("built", "cache"))
TOLD = QUICK.model_copy(update={"layers": True})


@pytest.mark.parametrize(
    ("settings", "built", "layers", "wanted"),
    [
        (Settings(precision="fp16"), BUILT, None, True),
        (Settings(precision="fp16"), CACHED, None, False),
        (Settings(), BUILT, None, False),
        (Settings(), CACHED, True, True),
        (Settings(precision="fp16"), BUILT, False, False),
        (Settings(provider="native", precision="int8"), BUILT, None, True),
        (Settings(provider_options={"trt_fp16_enable": True}), BUILT, None, True),
    ],
)
def test_layers_are_told_where_a_lower_precision_was_built_or_they_are_asked_for(settings, built, layers, wanted):
    assert layers_wanted(Job(model="m", settings=settings, plan=Plan(layers=layers)), built) is wanted


def test_asking_for_layers_alone_runs_the_model():
    assert Plan(latency=False, accuracy=False, layers=True).runs
    assert not Plan(latency=False, accuracy=False).runs


@pytest.mark.parametrize("version", [OLD, NEW])
def test_a_native_engine_tells_its_layers_and_their_times(tensorrt, run, chain, version):
    tensorrt(version)
    outcome = run(chain, profile=["x=1x4:2x4:8x4"], precision="fp16")
    (engine,) = outcome.delivered
    assert (engine.file, engine.runs, engine.inputs, engine.tensorrt) == ("native.engine", 20, "the job's inputs", version)
    assert engine.found.sentence() == "fp16 in 2 of 2 layers (100% of the time)"
    assert [layer.nodes for layer in engine.layers] == [("add",), ("relu",)]
    seen = [finding.seen for finding in outcome.findings]
    assert seen.count("what was delivered: fp16 in 2 of 2 layers (100% of the time)") == 1


def test_a_flag_that_did_nothing_is_told_once_with_the_times(tensorrt, run, chain):
    tensorrt("10.14.1.48")
    outcome = run(chain, precision="bf16")
    warnings = [finding for finding in outcome.findings if finding.level == "warning"]
    assert [warning.seen for warning in warnings] == ["bf16 was asked for, and no layer computes in it; 2 are fp32"]
    assert outcome.delivered[0].warnings == tuple(warnings)


def test_node_times_and_layers_together_time_the_engine_once(tensorrt, prepared, chain, tmp_path):
    tensorrt(NEW)
    native = prepared(chain, precision="fp16")
    feeds = {"x": np.ones((1, 4), np.float32)}
    native.profile(feeds, QUICK, tmp_path)
    timed = native.timed
    (engine,) = native.look(chain, QUICK, feeds, budget_s=60).engines
    assert native.timed is timed
    assert engine.runs == timed.runs == 20


class Fragile(Prepared):
    """Holds engines that tell names only."""

    placement, errors = None, ()

    def __init__(self, looked):
        self.looked = looked

    def run(self, _feeds):
        raise AssertionError

    def origin(self):
        return BUILT

    def look(self, model, plan, feeds, *, budget_s):  # noqa: ARG002
        self.budget_s = budget_s
        return self.looked


def names_only(*names, runs=0):
    from workbench.measure.layers import EngineLayer

    layers = tuple(EngineLayer(name=name, nodes=(name,), moving=name.startswith("Reformatting")) for name in names)
    report = PlanReport(
        path="e",
        bytes=100,
        tensorrt="8.6.1",
        compute_capability="9.0",
        inputs=(),
        outputs=(),
        profiles=(),
        layers=layers,
        device_bytes=None,
        runs=runs,
    )
    return engine_of(report, "e.engine", ("fp16",))


def test_names_only_is_said_honestly_and_a_native_build_is_offered(chain, tmp_path):
    (tmp_path / "log").touch()
    reporter = Recorder(tmp_path / "log")
    engines = (names_only("add", "relu", "Reformatting CopyNode for Input Tensor 0 to add"),)
    prepared = Fragile(Looked(engines))
    job = Job(model=str(chain.path), settings=Settings(precision="fp16"), plan=Plan(timeout_s=100))
    tell_layers(chain, prepared, job, {}, reporter)
    assert prepared.budget_s == 50  # the look ends before the stage does
    assert reporter.stages == ["layers"]
    assert Outcome.model_validate({"status": "ok", **reporter.parts}).delivered == engines
    (finding,) = reporter.parts["findings"]
    assert finding.seen == "fp16 was asked for, and the engines tell only the names of their 3 layers"
    assert "--provider native --precision fp16 --layers" in finding.action


def test_of_several_engines_each_is_named(chain):
    engines = tuple(names_only("a") for _ in range(2))
    found = findings_of(chain, Settings(precision="fp16"), engines)
    assert "the engines tell only the names of their 2 layers" in found[0].seen


def test_a_provider_without_engines_says_so(chain, tmp_path):
    (tmp_path / "log").touch()
    reporter = Recorder(tmp_path / "log")
    tell_layers(chain, Fragile(None), Job(model="m", settings=Settings(provider="cpu"), plan=TOLD), {}, reporter)
    assert reporter.parts["findings"][0].seen == "the cpu provider builds no engines"


def test_an_engine_that_dies_while_its_layers_are_timed_does_not_fail_the_run(tensorrt, tmp_path, chain, monkeypatch):
    from workbench.errors import JobError
    from workbench.runtime.native import layer_times
    from workbench.runtime.work import work

    def dies(*_, **__):
        raise JobError("TensorRT's process was ended by SIGSEGV.", kind="crash")

    tensorrt(OLD)
    monkeypatch.setattr(layer_times, "time_layers", dies)
    (tmp_path / "log").touch()
    reporter = Recorder(tmp_path / "log")
    work(job_of(chain, plan=TOLD), reporter)
    reporter.close()
    outcome = Outcome.model_validate(reporter.parts)
    assert outcome.status == "ok"
    assert outcome.delivered[0].runs == 0
    assert any("were not timed: TensorRT's process was ended by SIGSEGV" in finding.seen for finding in outcome.findings)
