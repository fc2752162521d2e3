"""From a job to its outcome, with TensorRT in its own process."""

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import helper

from tests.runtime.native.conftest import FLOAT, save, tensor
from workbench.errors import JobError
from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.runtime.calibration.table import write_tables
from workbench.runtime.job import Job, Outcome, Plan
from workbench.runtime.native.prepare import prepare_native
from workbench.runtime.work import work
from workbench.runtime.worker import Worker

OLD, NEW, NEWEST = "8.6.1", "10.14.1.48", "11.4.0"
QUICK = Plan(warmup=2, iterations=12, seconds=2)


def job_of(model, *, plan=QUICK, cache=None, **settings):
    return Job(model=str(model.path), settings=Settings(provider="native", **settings), plan=plan, cache=cache)


@pytest.fixture
def worker():
    with Worker() as worker:
        yield worker


@pytest.fixture
def run(tmp_path):
    """Do a job as a worker does, in this process: starting one takes most of a second."""

    def run(model, **more):
        (tmp_path / "log").touch()
        reporter = Recorder(tmp_path / "log")
        work(job_of(model, **more), reporter)
        reporter.close()
        return Outcome.model_validate(reporter.parts)

    return run


@pytest.fixture
def prepared(tmp_path):
    with contextlib.ExitStack() as stack:

        def prepared(model, **more):
            (tmp_path / "log").touch()
            reporter = stack.enter_context(contextlib.closing(Recorder(tmp_path / "log")))
            return stack.enter_context(contextlib.closing(prepare_native(job_of(model, **more), model, reporter)))

        yield prepared


class Recorder:
    def __init__(self, log):
        self.log, self.tensorrt, self.companion, self.parts, self.stages = log, None, None, {}, []

    def stage(self, name):
        self.stages.append(name)

    def part(self, name, value):
        before = self.parts.get(name, ()) if name == "findings" else ()
        self.parts[name] = (*before, *value) if name == "findings" else value

    def done(self, status, error=None):
        self.parts |= {"status": status, "error": error}

    def close(self):
        if self.companion is not None:
            self.companion.close()


def npz(tmp_path, **arrays):
    path = tmp_path / "inputs.npz"
    np.savez(path, **arrays)
    return QUICK.model_copy(update={"inputs": str(path)})


@pytest.mark.parametrize("version", [OLD, NEW, NEWEST])
def test_a_model_is_built_and_run_and_agrees_with_the_cpu(tensorrt, run, chain, version):
    tensorrt(version)
    outcome = run(chain, profile=["x=1x4:2x4:8x4"], plan=QUICK.model_copy(update={"profile": True}))
    assert outcome.error is None, outcome.error
    assert outcome.status == "ok"
    assert outcome.latency.samples == 12
    assert [row.max_abs for row in outcome.accuracy] == [0.0]
    assert outcome.environment.tensorrt == version
    placement = outcome.placement
    assert placement.runtime.tensorrt == version
    assert placement.coverage == {"TensorrtExecutionProvider": 1.0}
    assert [group.nodes for group in placement.groups] == [("add", "relu")]
    assert "in layer 'add' (CaskConvolution)" in placement.nodes[0].reason
    assert [(n.name, n.calls) for n in outcome.profile.nodes] == [("add", 20), ("relu", 20)]
    assert outcome.profile.nodes[0].total_ms == 5.0
    assert outcome.build.cache == "cold"
    (use,) = outcome.build.engines
    assert use.origin == "built"
    assert use.bytes > 0
    assert use.seconds >= 0
    assert "Precision: fp32 in 2 of 2 layers." in placement.notes
    assert any("fp32 in 2 of 2 layers (100% of the time)" in finding.seen for finding in outcome.findings)
    assert outcome.memory is not None


def test_the_build_is_seen_step_by_step(tensorrt, worker, chain):
    tensorrt(NEW)
    events = []
    outcome = worker.run(job_of(chain), events.append)
    text = "\n".join(outcome.log)
    assert "Building engine: step 0 of 4" in text
    assert "Tactic timing (Building engine): step 0 of 9" in text
    assert "I: Graph optimization time" in text
    assert "Running tactics" not in text
    assert {"session", "first run", "warm-up", "measuring"} <= {event.stage for event in events}
    detailed = worker.run(job_of(chain, provider_options={"trt_detailed_build_log": True}))
    assert "Running tactics" in "\n".join(detailed.log)


def test_a_dynamic_input_without_a_profile_is_built_for_the_shapes_at_hand(tensorrt, run, chain, tmp_path):
    tensorrt(OLD)
    outcome = run(chain, plan=npz(tmp_path, x=np.ones((3, 4), np.float32)))
    assert outcome.status == "ok"
    assert any("these shapes only: x 3x4" in note for note in outcome.placement.notes)


@pytest.mark.parametrize("version", [OLD, NEW])
def test_of_several_profiles_the_one_that_fits_is_taken(tensorrt, prepared, chain, version):
    tensorrt(version)
    native = prepared(chain, profile=["x=1x4:2x4:4x4", "x=5x4:6x4:16x4"])
    for batch in (2, 6, 16, 1):
        feeds = {"x": np.full((batch, 4), -0.5, np.float32)}
        np.testing.assert_array_equal(native.run(feeds)[0], np.full((batch, 4), 0.5))
    with pytest.raises(JobError) as caught:
        native.run({"x": np.ones((17, 4), np.float32)})
    assert caught.value.kind == "shape"
    assert "'x' is (17, 4), its range is (1, 4) to (4, 4)" in caught.value.message
    assert "(5, 4) to (16, 4)" in caught.value.message
    assert native.profile({"x": np.ones((6, 4), np.float32)}, QUICK, Path()).runs == 20
    assert native.run({"x": np.ones((16, 4), np.float32)})[0].shape == (16, 4)


def test_a_plan_is_saved(tensorrt, prepared, chain, tmp_path):
    tensorrt(NEW)
    native = prepared(chain)
    assert native.save(tmp_path / "out.plan") == (tmp_path / "out.plan").stat().st_size
    assert sorted(path.name for path in tmp_path.glob("*plan*")) == ["out.plan"]
    with pytest.raises(JobError, match="No such file"):
        native.save(tmp_path / "nowhere" / "out.plan")


@pytest.mark.parametrize("version", [OLD, NEW])
def test_whole_numbers_of_64_bits_are_converted_where_tensorrt_has_none(tensorrt, run, integers, tmp_path, version):
    tensorrt(version)
    outcome = run(integers, plan=npz(tmp_path, ids=np.array([1, -2, 3])))
    assert outcome.error is None
    assert outcome.accuracy[0].max_abs == 0
    told = [note for note in outcome.placement.notes if "converted" in note]
    assert len(told) == (2 if version == OLD else 0)
    if version == OLD:
        assert "Input 'ids' is int64, and int32 in TensorRT" in told[0]
        outcome = run(integers, plan=npz(tmp_path, ids=np.array([1, 2, 5_000_000_000])))
        assert outcome.error.kind == "inputs"
        assert "holds 5000000000" in outcome.error.message


@pytest.mark.parametrize("version", [OLD, NEW])
def test_values_that_decide_shapes_stay_on_the_cpu(tensorrt, run, reshaping, tmp_path, version):
    tensorrt(version)
    plan = npz(tmp_path, x=np.arange(12, dtype=np.float32).reshape(2, 6), shape=np.array([3, 4]))
    outcome = run(reshaping, profile=["shape=1x1:3x4:12x12"], plan=plan)
    assert outcome.error is None, outcome.error
    assert outcome.accuracy[0].max_abs == 0
    outcome = run(reshaping, profile=["shape=1x1:2x2:3x3"], plan=plan)
    assert outcome.error.kind == "shape"
    assert "'shape' holds (3, 4), its range is (1, 1) to (3, 3)" in outcome.error.message


@pytest.mark.parametrize("version", [OLD, NEW])
def test_outputs_whose_shape_depends_on_the_data(tensorrt, run, nonzero, tmp_path, version):
    tensorrt(version)
    options = {"trt_cuda_graph_enable": True}
    outcome = run(nonzero, provider_options=options, plan=npz(tmp_path, x=np.array([0, 1, 0, 2, 3, 0, 0, 4], np.float32)))
    assert outcome.error is None, outcome.error
    assert outcome.accuracy[0].max_abs == 0
    assert any("the shape of an output depends on the data" in finding.seen for finding in outcome.findings)


@pytest.mark.parametrize("version", [OLD, NEW])
def test_the_parser_s_complaint_names_the_node(tensorrt, run, unsupported, version):
    tensorrt(version)
    outcome = run(unsupported)
    assert (outcome.status, outcome.error.kind) == ("failed", "load")
    assert "node 'wave' (Sin): No importer registered for op: Sin" in outcome.error.message
    assert "workbench placement" in outcome.error.remedy


def test_a_build_that_fails_says_what_tensorrt_last_logged(tensorrt, run, chain):
    tensorrt(OLD, "fail-build")
    outcome = run(chain)
    assert (outcome.status, outcome.error.kind) == ("failed", "build")
    assert "Could not find any implementation for node conv" in outcome.error.message


@pytest.mark.parametrize("happens", ["die-build", "die-run"])
def test_a_crash_of_tensorrt_is_told_and_the_next_job_goes_on(tensorrt, worker, chain, happens):
    tensorrt(NEW, happens)
    outcome = worker.run(job_of(chain))
    assert (outcome.status, outcome.error.kind) == ("crashed", "crash")
    assert "SIGSEGV" in outcome.error.message
    if happens == "die-build":
        assert "the last words" in outcome.error.message
    assert outcome.environment.tensorrt == NEW
    assert outcome.error.log
    assert worker.run(job_of(chain)).status == "crashed"


def companions():
    return [p for p in psutil.Process().children(recursive=True) if any(a.endswith("native/process.py") for a in p.cmdline())]


@pytest.mark.parametrize("how", ["cancel", "timeout", "kill"])
def test_a_build_that_is_ended_leaves_no_process(tensorrt, worker, chain, how):
    tensorrt(NEW, "slow-build")
    seen = []

    def watch(event):
        if seen or "Tactic timing" not in event.message:
            return
        seen.extend(companions())
        if how == "cancel":
            worker.cancel()
        elif how == "kill":
            os.kill(worker.pid, signal.SIGKILL)

    plan = QUICK.model_copy(update={"timeout_s": 4.0}) if how == "timeout" else QUICK
    outcome = worker.run(job_of(chain, plan=plan), watch)
    assert outcome.status == {"cancel": "cancelled", "timeout": "timeout", "kill": "crashed"}[how]
    assert len(seen) == 1
    _, alive = psutil.wait_procs(seen, timeout=10)
    assert not alive


def test_without_tensorrt_the_provider_is_absent_with_a_remedy(run, chain, monkeypatch):
    monkeypatch.delenv("WORKBENCH_TENSORRT_PYTHON", raising=False)
    outcome = run(chain)
    assert (outcome.status, outcome.error.kind) == ("failed", "provider")
    assert "No module named 'tensorrt'" in outcome.error.message
    assert "WORKBENCH_TENSORRT_PYTHON" in outcome.error.remedy


def test_another_interpreter_that_is_not_there_is_named(run, chain, monkeypatch):
    monkeypatch.setenv("WORKBENCH_TENSORRT_PYTHON", "/nowhere/python")
    outcome = run(chain)
    assert outcome.error.kind == "provider"
    assert "/nowhere/python cannot be started" in outcome.error.message


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("FAKE_CUDA_GPUS", "0", "cudaErrorNoDevice (100): no CUDA-capable device is detected"),
        ("FAKE_CUDA_FAIL", "cudaGetDeviceCount:35", "CUDA driver version is insufficient"),
        ("FAKE_TRT", "no-builder", "makes no builder"),
    ],
)
def test_what_is_missing_beside_tensorrt_is_named(tensorrt, run, chain, monkeypatch, variable, value, said):  # noqa: PLR0917
    tensorrt(OLD)
    monkeypatch.setenv(variable, value)
    outcome = run(chain)
    assert (outcome.status, outcome.error.kind) == ("failed", "provider")
    assert said in outcome.error.message
    assert "doctor" in outcome.error.remedy


def test_memory_that_the_gpu_does_not_have_is_told_with_the_call(tensorrt, run, chain, monkeypatch):
    tensorrt(OLD)
    monkeypatch.setenv("FAKE_CUDA_FAIL", "cudaMalloc:2")
    outcome = run(chain)
    assert outcome.error.kind == "memory"
    assert "cudaMalloc(256 bytes) failed: cudaErrorMemoryAllocation (2): out of memory." in outcome.error.message


def test_a_gpu_that_is_not_there_is_refused(tensorrt, run, chain):
    tensorrt(NEW)
    outcome = run(chain, provider_options={"device_id": 3})
    assert outcome.error.kind == "provider"
    assert "GPU 3 was asked for (device_id), and there are 1" in outcome.error.message


@pytest.mark.parametrize("buffers", ["host", "device"])
@pytest.mark.parametrize("graph", [False, True])
def test_latency_with_buffers_here_or_there_and_with_a_graph(tensorrt, run, chain, buffers, graph):
    tensorrt(NEW)
    plan = Plan(buffers=buffers, iterations=25, warmup=1, accuracy=False)
    outcome = run(chain, plan=plan, provider_options={"trt_cuda_graph_enable": graph})
    assert outcome.error is None
    assert outcome.latency.samples == 25
    assert not [finding for finding in outcome.findings if finding.where == "trt_cuda_graph_enable"]


def test_a_graph_that_cannot_be_recorded_is_done_without_and_told(tensorrt, run, chain, monkeypatch):
    tensorrt(NEW)
    monkeypatch.setenv("FAKE_CUDA_FAIL", "cudaStreamEndCapture:900")
    outcome = run(chain, provider_options={"trt_cuda_graph_enable": True})
    assert outcome.error is None
    (finding,) = [finding for finding in outcome.findings if finding.where == "trt_cuda_graph_enable"]
    assert "cudaErrorStreamCaptureUnsupported" in finding.seen
    assert outcome.latency.samples == 12


def test_tensorrt_11_has_no_precision_flags_and_says_so(tensorrt, run, chain):
    tensorrt(NEWEST)
    outcome = run(chain, precision="fp16")
    assert (outcome.status, outcome.error.kind) == ("failed", "build")
    assert "TensorRT 11.4.0 has no flag FP16" in outcome.error.message
    assert "Convert the model" in outcome.error.remedy


def test_a_precision_that_was_not_delivered_is_a_warning(tensorrt, run, chain):
    tensorrt(NEW)
    outcome = run(chain, precision="bf16")
    (finding,) = [finding for finding in outcome.findings if finding.level == "warning"]
    assert "bf16 was asked for, and no layer computes in it; 2 are fp32" in finding.seen


def test_bf16_is_refused_where_tensorrt_does_not_have_it(tensorrt, run, chain):
    tensorrt(OLD)
    assert "has no flag BF16" in run(chain, precision="bf16").error.message


def test_int8_without_ranges_says_what_is_wanted(tensorrt, run, chain):
    tensorrt(NEW)
    outcome = run(chain, precision="int8")
    assert outcome.error.kind == "build"
    assert "calibration table" in outcome.error.remedy


def test_the_engine_cache_gives_the_plan_back_and_heals(tensorrt, run, chain, tmp_path):
    tensorrt(NEW)
    cache = tmp_path / "cache"
    first = run(chain, cache=str(cache))
    assert first.error is None
    assert first.build.cache == "cold"
    assert [use.origin for use in first.build.engines] == ["built"]
    second = run(chain, cache=str(cache))
    assert second.build.cache == "engine"
    assert [use.origin for use in second.build.engines] == ["cache"]
    assert second.accuracy[0].max_abs == 0
    assert "The engine came from the workbench's cache." in second.placement.notes
    assert run(chain, cache=str(cache), precision="fp16").build.cache == "timing"
    tensorrt("10.16.0")
    assert run(chain, cache=str(cache)).build.cache == "cold"


def test_shapes_that_no_profile_fixes_have_engines_of_their_own(tensorrt, run, chain, tmp_path):
    tensorrt(NEW)
    for batch, expected in ((2, "cold"), (3, "timing"), (2, "engine")):
        plan = npz(tmp_path, x=np.ones((batch, 4), np.float32))
        assert run(chain, plan=plan, cache=str(tmp_path / "cache")).build.cache == expected


def test_a_users_own_timing_cache_is_read_and_written(tensorrt, run, chain, tmp_path):
    tensorrt(OLD)
    options = {"trt_timing_cache_enable": True, "trt_timing_cache_path": str(tmp_path / "timing")}
    assert run(chain, provider_options=options).build.cache == "cold"
    file = tmp_path / "timing" / "TensorrtExecutionProvider_cache_sm90.timing"
    assert file.read_bytes() == b"timed;"
    assert run(chain, provider_options=options).build.cache == "timing"
    assert file.read_bytes() == b"timed;timed;"
    file.write_bytes(b"foreign")
    outcome = run(chain, provider_options=options)
    assert any("another GPU" in note for note in outcome.placement.notes)
    assert file.read_bytes() == b"timed;"


def plan_of(cache):
    (file,) = Path(cache).rglob("native.engine")
    return json.loads(file.read_bytes())


@pytest.mark.parametrize("version", [OLD, NEW])
def test_the_options_reach_the_builder(tensorrt, run, chain, tmp_path, version):
    tensorrt(version)
    options = {
        "trt_fp16_enable": True,
        "trt_max_workspace_size": "2GiB",
        "trt_builder_optimization_level": 1,
        "trt_sparsity_enable": True,
        "trt_auxiliary_streams": 0,
        "trt_tactic_sources": "+CUDNN,-JIT_CONVOLUTIONS",
    }
    outcome = run(chain, provider_options=options, cache=str(tmp_path / "cache"))
    assert outcome.error is None, outcome.error
    plan = plan_of(tmp_path / "cache")
    assert plan["flags"] == ["FP16", "SPARSE_WEIGHTS"]
    assert plan["config"] == [1, 0, 0b01100, {"WORKSPACE": 2 << 30}, []]
    assert plan["verbosity"] == "DETAILED"
    assert plan["typed"] == (1 if version == OLD else 0)


@pytest.mark.parametrize(("version", "flags"), [(OLD, 1), (NEW, 2), (NEWEST, 0)])
def test_without_a_precision_the_network_is_strongly_typed_where_it_can_be(tensorrt, run, chain, tmp_path, version, flags):  # noqa: PLR0917
    tensorrt(version)
    outcome = run(chain, cache=str(tmp_path / "cache"))
    assert plan_of(tmp_path / "cache")["typed"] == flags
    assert any("strongly typed" in note for note in outcome.placement.notes) == (version != OLD)


def test_a_native_calibration_table_is_read(tensorrt, run, chain, tmp_path):
    tensorrt(OLD)
    (tmp_path / "table").write_text("TRT-8601-EntropyCalibration2\nx: 3c010a14\n")
    options = {
        "trt_int8_calibration_table_name": str(tmp_path / "table"),
        "trt_int8_use_native_calibration_table": True,
    }
    outcome = run(chain, precision="int8", provider_options=options, cache=str(tmp_path / "cache"))
    assert outcome.error is None, outcome.error
    assert plan_of(tmp_path / "cache")["table"].startswith("TRT-8601")


def test_a_table_of_onnx_runtime_gives_each_tensor_its_range(tensorrt, run, chain, tmp_path):
    tensorrt(OLD)
    write_tables({"x": 2.0, "a": 3.0, "elsewhere": 1.0}, tmp_path)
    options = {"trt_int8_calibration_table_name": str(tmp_path / "calibration.flatbuffers")}
    outcome = run(chain, precision="int8", provider_options=options, cache=str(tmp_path / "cache"))
    assert outcome.error is None, outcome.error
    assert plan_of(tmp_path / "cache")["ranges"] == {"x": [-2.0, 2.0], "a": [-3.0, 3.0]}
    assert any("2 of the 3 tensors" in note for note in outcome.placement.notes)


def test_a_table_that_is_not_there_is_told(tensorrt, run, chain, tmp_path):
    tensorrt(OLD)
    options = {"trt_int8_calibration_table_name": str(tmp_path / "nothing")}
    outcome = run(chain, precision="int8", provider_options=options)
    assert outcome.status == "failed"
    assert str(tmp_path / "nothing") in outcome.error.message


def test_nodes_without_names_are_told_apart(tensorrt, run, tmp_path):
    tensorrt(OLD)
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Relu", ["r"], ["y"])]
    model = save(tmp_path / "unnamed.onnx", nodes, [tensor("x", [2])], [tensor("y", [2])])
    outcome = run(model)
    assert outcome.error is None
    assert [f"layer {node.name!r}" in node.reason for node in outcome.placement.nodes] == [True, True]


@pytest.mark.parametrize("named", [True, False])
def test_weights_outside_the_file_are_found(tensorrt, run, tmp_path, named):
    tensorrt(OLD)
    weight = helper.make_tensor("w", FLOAT, [512], np.arange(512, dtype=np.float32).tobytes(), raw=True)
    nodes = [helper.make_node("Add", ["x", "w"], ["y"], name="add" if named else "")]
    inside = save(tmp_path / "inside.onnx", nodes, [tensor("x", [512])], [tensor("y", [512])], [weight])
    path = tmp_path / "model" / "outside.onnx"
    path.parent.mkdir()
    onnx.save(onnx.load(inside.path), path, save_as_external_data=True, size_threshold=0, location="w.bin")
    outcome = run(Model.load(path))
    assert outcome.error is None, outcome.error
    assert outcome.accuracy[0].max_abs == 0
    assert not list(tmp_path.rglob("named.onnx"))


def test_bfloat16_goes_in_and_out(tensorrt, run, tmp_path):
    from onnx import TensorProto

    tensorrt(NEW)
    nodes = [helper.make_node("Identity", ["x"], ["y"], name="same")]
    inputs, outputs = ([tensor(name, [4], TensorProto.BFLOAT16)] for name in "xy")
    model = save(tmp_path / "bf16.onnx", nodes, inputs, outputs)
    outcome = run(model, plan=Plan(accuracy=False, iterations=10))
    assert outcome.error is None, outcome.error
    assert not [note for note in outcome.placement.notes if "converted" in note]


def test_the_companion_ends_when_its_starter_is_killed(tensorrt, tmp_path):
    tensorrt(NEW)
    code = (
        "from workbench.runtime.native.companion import Companion; import time\n"
        "companion = Companion(); print(companion.pid, flush=True); time.sleep(60)"
    )
    import subprocess

    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as starter:
        child = psutil.Process(int(starter.stdout.readline()))
        starter.kill()
    assert not psutil.wait_procs([child], timeout=10)[1]


def test_jobs_follow_each_other_in_one_worker_and_one_companion(tensorrt, worker, chain, integers):
    tensorrt(NEW)
    assert worker.run(job_of(chain)).status == "ok"
    pid, started = worker.pid, companions()
    assert len(started) == 1
    assert worker.run(job_of(integers)).status == "ok"
    assert companions() == started
    assert worker.run(job_of(integers, precision="int8")).status == "failed"
    assert worker.pid == pid
    assert worker.run(job_of(chain)).status == "ok"
    assert len(companions()) == 1
    assert companions() != started


def test_a_job_of_another_provider_ends_the_companion_whose_memory_is_not_its_own(tensorrt, worker, chain):
    tensorrt(NEW)
    assert worker.run(job_of(chain)).status == "ok"
    assert worker.run(Job(model=str(chain.path), settings=Settings(provider="cpu"), plan=QUICK)).status == "ok"
    assert not companions()
