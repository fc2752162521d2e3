"""The command line's contract: one JSON document on standard output, and the exit status."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from workbench.samples.catalogue import sample_path

RUN_KEYS = {"id", "status", "error", "model", "settings", "environment", "placement", "build", "latency", "accuracy", "memory"}
LATENCY_KEYS = {"samples", "median_ms", "mean_ms", "p90_ms", "p95_ms", "p99_ms", "throughput_per_s", "warnings"}
QUICK = ("--iterations", "20", "--seconds", "0.3")


@pytest.fixture
def shell(tmp_path):
    def run(*arguments):
        command = [sys.executable, "-m", "workbench", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=100, env={**os.environ, "NO_COLOR": "1"}
        )

    return run


def document(done):
    """Return the one JSON document that a command printed."""
    assert "Traceback" not in done.stderr, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ["digits", "detector", "encoder"])
def test_inspect_describes_each_sample(shell, name):
    done = shell("inspect", sample_path(name), "--json")

    found = document(done)
    assert done.returncode == 0
    assert found["opset"] == 17
    assert found["inputs"]
    assert sum(count["count"] for count in found["operators"]) == found["nodes"]


@pytest.mark.parametrize("name", ["digits", "detector", "encoder"])
def test_a_predicted_placement_names_every_node_with_a_reason(shell, name):
    done = shell("placement", sample_path(name), "--predict", "--trt", "8.6", "--json")

    found = document(done)
    assert found["evidence"] == "predicted"
    assert found["runtime"]["tensorrt"] == "8.6"
    assert found["outcome"] in ("ok", "error")
    assert all(node["name"] and node["reason"] for node in found["nodes"])
    for index, group in enumerate(found["groups"]):
        for name_of_node in group["nodes"]:
            (node,) = [n for n in found["nodes"] if n["name"] == name_of_node]
            assert (node["group"], node["provider"]) == (index, group["provider"])
    assert sum(found["coverage"].values()) == pytest.approx(1) or found["outcome"] == "error"


def test_placement_options_change_the_prediction(shell):
    excluded = document(shell("placement", sample_path("digits"), "--predict", "--exclude", "Conv", "--json"))

    assert {n["provider"] for n in excluded["nodes"] if n["op_type"] == "Conv"} == {"CUDAExecutionProvider"}


def test_few_iterations_may_leave_tensorrt_nothing(shell):
    command = ("placement", sample_path("detector"), "--predict", "--trt", "8.6", "--json", "--iterations")
    engines = [sum(g["provider"].startswith("Tensorrt") for g in document(shell(*command, n))["groups"]) for n in ("1", "9")]

    assert engines[0] == 0 < engines[1]


def test_the_smallest_change_is_proposed_where_asked(shell):
    command = ("placement", sample_path("detector"), "--predict", "--trt", "8.6", "--smallest-change")
    found = document(shell(*command, "--json"))
    proposal = found["proposal"]

    assert found["runtime"]["tensorrt"] == proposal["question"]["tensorrt"] == "8.6"
    assert sum(group["provider"].startswith("Tensorrt") for group in found["groups"]) > 1
    assert sum(group["provider"].startswith("Tensorrt") for group in proposal["placement"]["groups"]) == 1
    told = shell(*command).stdout
    assert all(change in told for change in proposal["changes"])


def test_the_smallest_change_is_searched_in_predictions_only(shell):
    done = shell("placement", sample_path("digits"), "--smallest-change")

    assert done.returncode == 2
    assert "--predict" in done.stderr


def test_without_a_gpu_the_placement_is_predicted_and_says_so(shell):
    done = shell("placement", sample_path("digits"), "--json")

    if document(done)["evidence"] == "predicted":
        assert "predicted" in done.stderr


def test_placement_on_the_cpu_is_measured(shell):
    found = document(shell("placement", sample_path("digits"), "--provider", "cpu", "--json"))

    assert found["evidence"] == "measured"
    assert found["coverage"] == {"CPUExecutionProvider": 1.0}


def test_run_prints_and_keeps_a_run_that_can_be_listed_and_compared(shell, tmp_path):
    store = ("--store", tmp_path / "runs.sqlite3")
    model = sample_path("digits")
    first, second = (
        document(shell("run", model, "--provider", "cpu", *QUICK, *store, "--json", *more)) for more in ((), ("--label", "again"))
    )

    assert first.keys() >= RUN_KEYS
    assert first["latency"].keys() >= LATENCY_KEYS
    assert first["status"] == "ok"
    assert {"output", "max_abs", "rel_l2", "cosine", "sqnr_db", "reference"} <= first["accuracy"][0].keys()
    assert first["build"]["cache"] in ("cold", "timing", "engine", "context")

    kept = document(shell("runs", *store, "--json"))
    assert [run["id"] for run in kept] == [second["id"], first["id"]]
    assert kept[0]["label"] == "again"

    comparison = document(shell("compare", first["id"], second["id"], *store, "--json"))
    assert comparison["verdict"]


def test_run_says_how_long_each_node_takes_where_asked(shell, tmp_path):
    store = ("--store", tmp_path / "runs.sqlite3")
    arguments = ("run", sample_path("digits"), "--provider", "cpu", "--profile-nodes", "--no-accuracy", *QUICK, *store)

    profile = document(shell(*arguments, "--json"))["profile"]
    assert profile["runs"] == 20
    assert {"name", "op_type", "provider", "calls", "total_ms"} == profile["nodes"][0].keys()
    assert profile["providers"][0]["share"] == 1.0
    text = shell(*arguments).stdout
    assert "CPUExecutionProvider" in text
    assert "note: Profiling takes" in text


def test_a_failed_job_has_status_1_and_says_how(shell, tmp_path):
    done = shell("run", sample_path("digits"), "--provider", "cuda", "--store", tmp_path / "r.sqlite3", "--json")

    if document(done)["status"] != "ok":
        assert done.returncode == 1
        assert document(done)["error"]["kind"] == "provider"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-o", "trt_fp16_enabel=1"), "trt_fp16_enable"),
        (("-o", "trt_builder_optimization_level=9"), "5"),
        (("-o", "trt_fp16_enable"), "KEY=VALUE"),
        (("--profile", "nonsense"), "NAME=MIN:OPT:MAX"),
        (("--profile", "imgae=1x1x8x8:1x1x8x8:1x1x8x8"), "image"),
        (("--seconds", "0"), "more than 0"),
    ],
)
def test_wrong_use_has_status_2_and_names_what_is_right(shell, tmp_path, arguments, words):
    done = shell("run", sample_path("digits"), *arguments, "--store", tmp_path / "r.sqlite3", "--json")

    assert done.returncode == 2
    error = document(done)["error"]
    assert words in error["message"] + error["remedy"]


def test_wrong_inputs_have_status_2(shell, tmp_path):
    np.savez(tmp_path / "in.npz", image=np.zeros((1, 1, 9, 8), np.float32))

    done = shell(
        "run", sample_path("digits"), "--provider", "cpu", "--inputs", tmp_path / "in.npz", "--store", tmp_path / "r.sqlite3"
    )

    assert done.returncode == 2
    assert "axis 2 must be 8" in done.stderr


@pytest.mark.parametrize("command", [("inspect",), ("placement", "--predict"), ("run", "--provider", "cpu")])
def test_a_broken_file_is_a_document_with_its_kind(shell, tmp_path, command):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(sample_path("digits").read_bytes()[:5000])

    done = shell(command[0], broken, *command[1:], "--json")

    assert done.returncode == 1
    found = document(done)
    assert found["error"]["kind"] == "load"
    assert "broken.onnx" in found["error"]["message"]


def test_a_missing_file_is_one_clear_line(shell):
    done = shell("inspect", "none.onnx")

    assert done.returncode == 1
    assert "none.onnx: cannot be read" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_unknown_run_is_wrong_use(shell, tmp_path):
    done = shell("compare", "2020", "2021", "--store", tmp_path / "r.sqlite3")

    assert done.returncode == 2
    assert "2020" in done.stderr


def test_doctor_says_what_can_be_made_here(shell):
    done = shell("doctor", "--json")

    assert document(done)["can"]["cpu"] is True
    assert done.returncode == 0


@pytest.mark.parametrize("command", ["doctor", "runs", "inspect", "placement", "run"])
def test_people_get_text(shell, tmp_path, command):
    arguments = {
        "inspect": (sample_path("detector"),),
        "placement": (sample_path("detector"), "--predict"),
        "run": (sample_path("digits"), "--provider", "cpu", *QUICK, "--store", tmp_path / "r.sqlite3"),
        "runs": ("--store", tmp_path / "none.sqlite3"),
    }

    done = shell(command, *arguments.get(command, ()))

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert "Traceback" not in done.stderr


def test_runs_go_to_a_file_and_into_another_store(shell, tmp_path):
    here, there, file = tmp_path / "here.sqlite3", tmp_path / "there.sqlite3", tmp_path / "runs.json"
    made = document(shell("run", sample_path("digits"), "--provider", "cpu", "--store", here, "--json", "--no-accuracy", *QUICK))

    assert document(shell("runs", "--export", file, made["id"], "--store", here, "--json"))[0]["id"] == made["id"]
    (taken,) = document(shell("runs", "--import", file, "--store", there, "--json"))
    assert (taken["id"], taken["evidence"]) == (made["id"], "recorded")
    again = shell("runs", "--import", file, "--store", there, "--json")
    assert document(again) == []
    assert "0 Runs are new" in again.stderr


def test_the_samples_gpu_runs_can_be_kept(shell, tmp_path):
    taken = document(shell("runs", "--samples", "--store", tmp_path / "runs.sqlite3", "--json"))

    assert len(taken) > 10
    assert {run["evidence"] for run in taken} == {"recorded"}


def test_ids_without_a_file_and_a_file_without_ids_are_wrong_use(shell, tmp_path):
    for arguments in (("some-id",), ("--export", tmp_path / "runs.json")):
        done = shell("runs", *arguments, "--store", tmp_path / "runs.sqlite3")
        assert done.returncode == 2
        assert "--export" in done.stderr


def test_device_buffers_on_the_cpu_and_unknown_stages_are_wrong_use(shell):
    for arguments, word in ((("--buffers", "device"), "has no device"), (("--timeout", "sesion=3"), "'session'")):
        done = shell("run", sample_path("digits"), "--provider", "cpu", *arguments)
        assert done.returncode == 2
        assert word in done.stderr


def test_lines_in_a_pipe_are_not_broken(tmp_path):
    environment = {key: text for key, text in os.environ.items() if key != "COLUMNS"}
    command = [sys.executable, "-m", "workbench", "placement", str(sample_path("detector")), "--predict", "--trt", "8.6"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    line = next(line for line in done.stdout.splitlines() if line.startswith("/nms/NonMaxSuppression"))
    assert line.split()[1:3] == ["NonMaxSuppression", "CUDA"]
    assert line.rstrip().endswith("CUDA has a kernel.")
