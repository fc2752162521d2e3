import base64
import json

import pytest

from workbench.errors import InputError, JobError, Unavailable
from workbench.runtime.native.plan_report import inspect_plan

OLD, NEW = "8.6.1", "10.14.1.48"


@pytest.fixture
def plan(tmp_path):
    """Return a function that writes a plan, as ONNX Runtime's provider caches them where it is told nothing more."""

    def write(model, version, *, verbosity="LAYER_NAMES_ONLY", profiles=(), flags=()):
        facts = {
            "version": version,
            "onnx": base64.b64encode(model.path.read_bytes()).decode(),
            "profiles": list(profiles),
            "verbosity": verbosity,
            "flags": list(flags),
        }
        path = tmp_path / "TensorrtExecutionProvider_TRTKernel_graph_main_123_0_0_sm90.engine"
        path.write_text(json.dumps(facts))
        return path

    return write


RANGE = {"shapes": {"x": [[1, 4], [2, 4], [8, 4]]}, "values": {}}
OTHER = {"shapes": {"x": [[9, 4], [9, 4], [16, 4]]}, "values": {}}


@pytest.mark.parametrize("version", [OLD, NEW])
def test_a_plan_of_names_only(tensorrt, plan, chain, version):
    tensorrt(version)
    report = inspect_plan(plan(chain, version, profiles=[RANGE, OTHER]), known=["add", "relu"])
    assert (report.tensorrt, report.compute_capability, report.device_bytes) == (version, "9.0", 4096)
    assert [(t.name, t.dtype, t.shape) for t in report.inputs] == [("x", "float32", (-1, 4))]
    assert [(t.name, t.shape) for t in report.outputs] == [("y", (-1, 4))]
    assert [(b.profile, b.min, b.opt, b.max) for b in report.profiles] == [
        (0, (1, 4), (2, 4), (8, 4)),
        (1, (9, 4), (9, 4), (16, 4)),
    ]
    assert [(layer.name, layer.nodes, layer.ms) for layer in report.layers] == [
        ("add", ("add",), None),
        ("relu", ("relu",), None),
    ]
    assert not report.detailed
    assert not report.delivered("fp16").told


@pytest.mark.parametrize("version", [OLD, NEW])
def test_a_detailed_plan_tells_what_was_delivered_and_how_long_it_took(tensorrt, plan, chain, version):
    tensorrt(version)
    report = inspect_plan(plan(chain, version, verbosity="DETAILED", profiles=[RANGE], flags=["FP16"]), profile_runs=5)
    assert report.detailed
    assert (report.runs, [layer.ms for layer in report.layers]) == (5, [0.25, 0.25])
    assert report.run_ms > 0
    shares = report.delivered("fp16").shares
    assert [(s.precision, s.layers, s.time_share) for s in shares] == [("fp16", 2, 1.0)]


@pytest.mark.parametrize("version", [OLD, NEW])
def test_values_that_decide_shapes_are_made_up_from_the_profile(tensorrt, plan, reshaping, version):
    tensorrt(version)
    values = {"shapes": {}, "values": {"shape": [[1, 1], [3, 4], [12, 12]]}}
    report = inspect_plan(plan(reshaping, version, profiles=[values]), profile_runs=1)
    assert [(b.name, b.opt, b.values) for b in report.profiles] == [("shape", (3, 4), True)]
    assert [t.values for t in report.inputs] == [False, True]
    assert report.layers[0].ms == 0.25


def test_a_plan_of_another_version_is_refused_with_a_remedy(tensorrt, plan, chain):
    tensorrt(NEW)
    with pytest.raises(JobError, match="not compatible with this version of TensorRT") as caught:
        inspect_plan(plan(chain, OLD))
    assert caught.value.kind == "load"
    assert "build it anew" in caught.value.remedy


def test_a_file_that_is_no_plan_is_refused(tensorrt, tmp_path):
    tensorrt(OLD)
    (tmp_path / "x.engine").write_bytes(b"\x00\x01")
    with pytest.raises(JobError, match="Magic tag"):
        inspect_plan(tmp_path / "x.engine")
    with pytest.raises(InputError, match="there is no such file"):
        inspect_plan(tmp_path / "y.engine")


def test_a_process_that_dies_on_the_plan_is_told(tensorrt, plan, chain):
    tensorrt(NEW, "die-run")
    with pytest.raises(JobError, match="SIGSEGV while its layers were timed") as caught:
        inspect_plan(plan(chain, NEW, profiles=[RANGE]), profile_runs=1)
    assert caught.value.kind == "crash"


def test_without_tensorrt_there_is_no_report(plan, chain, monkeypatch):
    monkeypatch.delenv("WORKBENCH_TENSORRT_PYTHON", raising=False)
    with pytest.raises(Unavailable, match="No module named 'tensorrt'"):
        inspect_plan(plan(chain, OLD))
