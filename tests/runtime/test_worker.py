import os
import signal
import threading

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from workbench.errors import InputError
from workbench.options.profile import ShapeProfile
from workbench.options.settings import Settings
from workbench.runtime.job import Job, Plan, StageTimeout
from workbench.runtime.worker import Worker
from workbench.study.execute import execute, measure_placement

CPU = Settings(provider="cpu")
QUICK = Plan(warmup=1, iterations=20, seconds=0.5)
ENDLESS = Plan(iterations=10**9, seconds=600.0)


@pytest.fixture(scope="module")
def worker():
    with Worker() as running:
        yield running


def job(model, settings=CPU, plan=QUICK):
    return Job(model=str(model.path), settings=settings, plan=plan)


def endless(worker, model, act):
    """Run a job that would take minutes; call `act` once it is being measured."""

    def on_event(event):
        if event.stage == "measuring":
            act()

    return worker.run(job(model, plan=ENDLESS), on_event)


def test_a_job_measures_latency_accuracy_placement_and_memory(worker, digits):
    outcome = worker.run(job(digits))

    assert outcome.status == "ok"
    assert outcome.error is None
    assert outcome.latency.samples == 20
    assert outcome.latency.median_ms > 0
    assert [row.output for row in outcome.accuracy] == [spec.name for spec in digits.outputs]
    assert all(row.rel_l2 < 1e-3 or row.identical for row in outcome.accuracy)
    assert outcome.placement.evidence == "measured"
    assert outcome.placement.coverage == {"CPUExecutionProvider": 1.0}
    assert {node.name for node in outcome.placement.nodes} >= {node.name for node in digits.nodes}
    assert outcome.memory.host_peak_bytes >= outcome.memory.host_session_bytes > 0
    assert outcome.environment.onnxruntime
    assert outcome.build.cache == "cold"


def test_stages_and_elapsed_time_are_streamed(worker, digits):
    events = []

    worker.run(job(digits), events.append)

    stages = list(dict.fromkeys(event.stage for event in events))
    assert stages[-1] == "done"
    assert {"session", "measuring", "reference"} <= set(stages)
    assert [event.elapsed_s for event in events] == sorted(event.elapsed_s for event in events)


def test_the_process_lives_on_between_jobs(worker, digits):
    worker.run(job(digits))
    pid = worker.pid
    worker.run(job(digits))

    assert worker.pid == pid


def test_the_profile_decides_the_shape(worker, digits):
    name = digits.inputs[0].name
    profile = ShapeProfile.from_arguments([f"{name}=1x1x8x8:5x1x8x8:9x1x8x8"])

    outcome = worker.run(job(digits, CPU.replace(profile=profile)))

    assert [used.shape for used in outcome.inputs] == [(5, 1, 8, 8)]


def test_a_worker_that_is_killed_yields_a_crashed_outcome_and_the_next_job_works(digits):
    with Worker() as worker:
        outcome = endless(worker, digits, lambda: os.kill(worker.pid, signal.SIGKILL) if worker.pid else None)
        after = worker.run(job(digits))

    assert outcome.status == "crashed"
    assert outcome.error.kind == "crash"
    assert "SIGKILL" in outcome.error.message
    assert outcome.placement is not None, "what was found before the crash is kept"
    assert after.status == "ok"


def test_cancel_ends_a_job_at_once(digits):
    with Worker() as worker:
        outcome = endless(worker, digits, worker.cancel)

    assert outcome.status == "cancelled"
    assert outcome.error.kind == "cancelled"


def test_a_stage_that_takes_too_long_is_a_timeout(digits):
    with Worker() as worker:
        outcome = worker.run(job(digits, plan=ENDLESS.model_copy(update={"timeout_s": 1.0})))

    assert outcome.status == "timeout"
    assert "longer than 1 s" in outcome.error.message


def test_a_stage_has_a_limit_of_its_own_and_the_timeout_names_it(digits):
    limits = (StageTimeout(stage="measuring", seconds=0.5), StageTimeout(stage="session", seconds=100))
    with Worker() as worker:
        outcome = worker.run(job(digits, plan=ENDLESS.model_copy(update={"stage_timeouts": limits})))

    assert outcome.status == "timeout"
    assert "took longer than 0.5 s, the limit of the stage 'measuring', and was ended" in outcome.error.message
    assert "measuring=SECONDS" in outcome.error.remedy
    assert outcome.placement is not None


def test_asking_for_a_provider_that_is_not_there_fails_and_never_runs_on_the_cpu(worker, digits):
    for provider in ("tensorrt", "cuda"):
        outcome = worker.run(job(digits, Settings(provider=provider)))

        assert outcome.status == "failed"
        assert outcome.error.kind == "provider"
        assert "onnxruntime-gpu[cuda,cudnn]" in outcome.error.remedy
        assert outcome.latency is None
        assert outcome.environment is not None


def test_jobs_of_two_threads_wait_for_each_other(worker, digits):
    outcomes = []
    threads = [threading.Thread(target=lambda: outcomes.append(worker.run(job(digits)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [outcome.status for outcome in outcomes] == ["ok", "ok"]


def test_a_model_that_onnxruntime_refuses_is_a_failure_with_its_kind(worker, tmp_path):
    cases = {
        "custom-op": helper.make_node("Frobnicate", ["x"], ["y"], name="f", domain="some.where"),
        "load": helper.make_node("Conv", ["x"], ["y"], name="c"),
    }
    for kind, node in cases.items():
        graph = helper.make_graph(
            [node],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("some.where", 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "m.onnx")

        outcome = worker.run(Job(model=str(tmp_path / "m.onnx"), settings=CPU, plan=QUICK))

        assert (outcome.status, outcome.error.kind) == ("failed", kind)
        assert outcome.error.message


def test_unnamed_nodes_are_traced_under_the_workbench_s_names(worker, tmp_path):
    nodes = [helper.make_node("Sigmoid", ["x"], ["a"]), helper.make_node("Sigmoid", ["a"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")

    outcome = worker.run(Job(model=str(tmp_path / "m.onnx"), settings=CPU, plan=QUICK))

    assert [(n.name, n.provider) for n in outcome.placement.nodes] == [
        ("Sigmoid_0", "CPUExecutionProvider"),
        ("Sigmoid_1", "CPUExecutionProvider"),
    ]


def test_the_users_inputs_are_used(worker, digits, tmp_path):
    name = digits.inputs[0].name
    np.savez(tmp_path / "in.npz", **{name: np.zeros((3, 1, 8, 8), np.float32)})

    outcome = worker.run(job(digits, plan=QUICK.model_copy(update={"inputs": str(tmp_path / "in.npz")})))

    assert outcome.inputs[0].shape == (3, 1, 8, 8)
    assert outcome.inputs[0].origin.endswith("in.npz")


def test_execute_keeps_crashes_and_failures_as_runs(digits, worker):
    run = execute(digits, Settings(provider="tensorrt"), QUICK, worker=worker)

    assert run.status == "failed"
    assert run.evidence == "measured"
    assert run.model.content_hash == digits.content_hash()


def test_a_measured_placement_runs_nothing(worker, digits):
    placement = measure_placement(digits, CPU, worker=worker)

    assert placement.outcome == "ok"
    assert placement.evidence == "measured"
    assert measure_placement(digits, Settings(provider="cuda"), worker=worker).error.kind == "provider"


def test_a_job_leaves_no_process_or_file_behind(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    worker = Worker()
    worker.run(job(digits))
    pid = worker.pid
    worker.close()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert list(tmp_path.iterdir()) == []


def test_temporary_files_of_a_process_that_died_are_removed(digits, tmp_path, monkeypatch):
    from workbench.runtime.process import scratch_of

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    worker = Worker()

    def die():
        folder = scratch_of(worker._process.log)
        folder.mkdir(exist_ok=True)
        (folder / "engine.onnx").write_bytes(b"weights")
        os.kill(worker._process.pid, signal.SIGKILL)

    assert endless(worker, digits, die).status == "crashed"
    assert list(tmp_path.iterdir()) == []


def test_input_errors_of_the_user_are_told_before_anything_runs(digits, tmp_path):
    from workbench.runtime.data.inputs import read_inputs

    np.savez(tmp_path / "in.npz", wrong=np.zeros(3))
    with pytest.raises(InputError, match="no array for input"):
        read_inputs(tmp_path / "in.npz", digits)


def test_what_older_releases_chatter_is_kept_but_not_shown(digits):
    from workbench.runtime.worker import _Process, _Watch

    process = _Process()
    shown = []
    watch = _Watch(process, job(digits), lambda event: shown.append(event.message), threading.Event())
    process.log.write_text(
        "2026-11-20 09:16:21.259349604 [V:onnxruntime:, a.cc:1 F] one\nits second line\n"
        "2026-11-20 09:16:21.259349604 [I:onnxruntime:Default, b.cc:2 F] [TensorRT EP] Whole graph will run on it\n"
        "\x1b[0;93m2026-11-20 09:16:21.259349604 [W:onnxruntime:, c.cc:3 F] beware\nof this\x1b[m\n"
        "\x1b[m\n"
    )

    watch.read_log()
    process.close()

    assert len(watch.lines) == 5
    assert "\x1b" not in "".join(watch.lines)
    assert watch.ended("crashed", {"kind": "crash", "message": "it ended"}).error.log[-1] == "of this"
    assert [line.split("] ")[-1] for line in shown[0].splitlines()] == ["Whole graph will run on it", "beware", "of this"]


def test_a_profile_says_how_long_each_node_takes(worker, digits):
    outcome = worker.run(job(digits, plan=QUICK.model_copy(update={"profile": True, "accuracy": False})))

    assert outcome.status == "ok"
    assert outcome.latency.samples == 20
    assert outcome.profile.runs == 20
    assert {node.provider for node in outcome.profile.nodes} == {"CPUExecutionProvider"}
    assert all(node.calls == 20 for node in outcome.profile.nodes)
    assert sum(p.total_ms for p in outcome.profile.providers) <= outcome.profile.run_ms
    assert outcome.profile.notes
    assert worker.run(job(digits)).profile is None


def test_a_profile_alone_is_possible(worker, digits):
    events = []
    outcome = worker.run(job(digits, plan=Plan(latency=False, accuracy=False, profile=True)), events.append)

    assert outcome.profile.runs > 0
    assert outcome.latency is None
    assert "profiling" in [event.stage for event in events]


def test_findings_of_several_parts_are_all_kept(digits):
    from workbench.runtime.worker import _Process, _Watch

    process = _Process()
    watch = _Watch(process, job(digits), lambda _: None, threading.Event())
    for seen in ("one", "two"):
        finding = {"level": "warning", "where": "profile", "seen": seen}
        process.messages.put({"parts": {"findings": [finding]}})
        watch.step()
    process.messages.put({"parts": {"status": "ok"}, "done": True})
    outcome = watch.step()
    process.close()

    assert [f.seen for f in outcome.findings] == ["one", "two"]
