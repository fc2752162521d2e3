import re

import pytest

from workbench.model.model import Model
from workbench.placement.records import TENSORRT
from workbench.samples.catalogue import sample_path
from workbench.study.recorded import FILES, FOLDER, recorded_runs


@pytest.fixture(scope="module")
def runs():
    return recorded_runs()


def test_every_run_is_recorded_and_so_is_its_placement(runs):
    assert {run.evidence for run in runs} == {"recorded"}
    assert {run.placement.evidence for run in runs if run.placement} == {"recorded"}
    assert len({run.id for run in runs}) == len(runs)


@pytest.mark.parametrize("name", ["digits", "detector", "encoder"])
def test_each_sample_ran_on_every_provider_and_says_where(runs, name):
    ours = [run for run in runs if run.model.name == name]
    old = [run for run in ours if run.environment.onnxruntime == "1.17.1"]
    new = [run for run in ours if run.environment.onnxruntime == "1.31.1"]

    asked = [(run.settings.provider, run.settings.precision) for run in old]
    assert asked == [("cpu", "fp32"), ("cuda", "fp32"), ("tensorrt", "fp32"), ("tensorrt", "fp16")]
    assert all(run.status == "ok" and run.latency for run in old)
    assert all(run.placement.runtime.tensorrt == "8.6.0" and run.placement.engines() for run in old[2:])
    assert [run.settings.provider for run in new] == ["cpu", "cuda", "tensorrt"]
    assert {run.environment.gpu for run in ours} == {"NVIDIA H200"}


def test_the_sessions_without_tensorrt_failed_and_say_so(runs):
    failed = [run for run in runs if run.status != "ok"]

    assert {run.settings.provider for run in failed} == {"tensorrt"}
    assert {run.environment.onnxruntime for run in failed} == {"1.31.1"}
    assert all(run.error.kind == "provider" and run.latency is None for run in failed)


def test_they_are_of_the_sample_models_as_they_are(runs):
    hashes = {name: Model.load(sample_path(name)).content_hash() for name in ("digits", "detector", "encoder")}

    assert all(run.model.content_hash == hashes[run.model.name] for run in runs)
    assert all(TENSORRT in run.environment.providers for run in runs)


@pytest.mark.parametrize("name", FILES)
def test_the_files_name_no_folder_of_a_machine(name):
    text = (FOLDER / name).read_text(encoding="utf-8")

    assert not re.search(r"/(home|root|work|Users|tmp|opt|usr)/", text)
