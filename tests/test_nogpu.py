"""onnxruntime-gpu on a machine without a GPU: what is asked of TensorRT or CUDA fails, and nothing runs on the CPU instead.

``make nogpu`` makes the environment: the package with onnxruntime-gpu, and neither CUDA's nor TensorRT's libraries.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from workbench.samples.catalogue import sample_path
from workbench.study.store import Store

HOME = Path(__file__).parents[1] / ".venv" / "nogpu"
PROVIDERS = ("tensorrt", "cuda")

pytestmark = pytest.mark.nogpu


def has_gpu():
    return bool(shutil.which("nvidia-smi")) and subprocess.run(["nvidia-smi"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def python():
    """Return the environment's interpreter; without it skip, but fail where CI runs."""
    if has_gpu():
        pytest.skip("there is an NVIDIA GPU here")
    if not (HOME / "ready").exists():
        told = "no environment with onnxruntime-gpu: `make nogpu` makes it (250 MB from the package registry)"
        if os.environ.get("CI"):
            pytest.fail(told)
        pytest.skip(told)
    return HOME / "bin" / "python"


@pytest.fixture
def shell(python, tmp_path):
    def run(*arguments):
        command = [python, "-P", "-m", "workbench", *map(str, arguments)]
        environment = {key: text for key, text in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=100, env=environment | {"NO_COLOR": "1"}
        )

    return run


def names_what_is_missing(text):
    return "no NVIDIA GPU or driver was found" in text and "libcublas.so" in text


@pytest.mark.parametrize(("provider", "sample"), [("tensorrt", "digits"), ("tensorrt", "detector"), ("cuda", "encoder")])
def test_a_run_fails_with_its_reason_and_measures_nothing(shell, tmp_path, provider, sample):
    store = tmp_path / "runs.sqlite3"
    done = shell("run", sample_path(sample), "--provider", provider, "--store", store, "--json")

    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert (found["status"], found["error"]["kind"]) == ("failed", "provider")
    assert names_what_is_missing(found["error"]["message"])
    assert "pip install 'onnxruntime-gpu[cuda,cudnn]==" in found["error"]["remedy"]
    assert ("libnvinfer.so" in found["error"]["message"]) == (provider == "tensorrt")
    assert found["latency"] is found["placement"] is found["build"] is None
    assert found["accuracy"] == found["inputs"] == []
    assert f"{'Tensorrt' if provider == 'tensorrt' else 'CUDA'}ExecutionProvider" in found["environment"]["providers"]
    assert [row.id for row in Store(store).rows()] == [found["id"]]


def test_a_session_that_is_asked_for_its_placement_fails_too(python, tmp_path):
    code = (
        "import json; from workbench import Model, Settings, Worker, measure_placement, sample_path\n"
        "model = Model.load(sample_path('digits'))\n"
        "with Worker() as worker:\n"
        f"    found = [measure_placement(model, Settings(provider=p), worker=worker) for p in {PROVIDERS}]\n"
        "print(json.dumps([each.model_dump(mode='json') for each in found]))"
    )
    done = subprocess.run([python, "-P", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=100)

    for found in json.loads(done.stdout):
        assert (found["outcome"], found["error"]["kind"]) == ("error", "provider")
        assert names_what_is_missing(found["error"]["message"])
        assert found["nodes"] == found["groups"] == []


def test_a_placement_is_predicted_and_says_so(shell):
    done = shell("placement", sample_path("digits"), "--provider", "tensorrt", "--json")

    assert json.loads(done.stdout)["evidence"] == "predicted"
    assert "no tensorrt session can be made here" in done.stderr


def test_the_doctor_says_why_and_what_to_install(shell):
    done = shell("doctor", "--json")

    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert {name: found["can"][name] for name in ("cpu", *PROVIDERS)} == {"cpu": True, "tensorrt": False, "cuda": False}
    assert all(names_what_is_missing(found["why_not"][provider]) for provider in PROVIDERS)
    libraries = {check["name"]: check for check in found["checks"] if check["name"].startswith("lib")}
    assert libraries["libnvinfer.so.10"]["remedy"] == "pip install 'tensorrt-cu13>=10.14,<11'"
    assert libraries["libcublas.so.13"]["state"] == "missing"


def test_the_cpu_still_runs_with_this_package(shell, tmp_path):
    quick = ("--iterations", "10", "--seconds", "0.2", "--no-accuracy", "--store", tmp_path / "runs.sqlite3")
    done = shell("run", sample_path("digits"), "--provider", "cpu", "--json", *quick)

    assert done.returncode == 0
    assert json.loads(done.stdout)["environment"]["onnxruntime_package"] == "onnxruntime-gpu"
