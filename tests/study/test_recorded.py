import re

import pytest

from workbench.model.model import Model
from workbench.placement.records import TENSORRT
from workbench.samples.catalogue import sample_path
from workbench.study.recorded import recorded_files, recorded_runs
from workbench.study.transfer import read_runs


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


def test_the_ladder_has_every_rung_and_each_is_quicker_than_the_one_before():
    seconds = {run.build.cache: run.build.seconds for run in recorded_runs("ladder")}

    assert sorted(seconds, key=seconds.get, reverse=True) == ["cold", "timing", "engine", "context"]


def test_each_surveyed_model_ran_on_everything_from_pytorch_to_tensorrt():
    asked = {}
    for run in recorded_runs("surveys"):
        asked.setdefault(run.model.name, set()).add(run.settings.provider)

    assert set(asked) == {"resnet18", "resnet50", "fasterrcnn_resnet50_fpn.ready"}
    assert all(providers == {"torch", "cpu", "cuda", "tensorrt", "native"} for providers in asked.values())


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_the_classifiers_were_surveyed_alike_at_both_batches(name):
    rows = [run.label for run in recorded_runs("surveys") if run.model.name == name]

    assert len({label.rpartition(" · ")[0] for label in rows}) == 9
    assert sorted(rows) == sorted({f"{label.rpartition(' · ')[0]} · batch {size}" for label in rows for size in (1, 8)})


def test_int8_by_a_table_is_delivered_where_it_is_quicker():
    delivered = {run.label: run.delivered[0].found for run in recorded_runs("precision") if run.model.name == "resnet50"}

    assert delivered["native int8 by a table"].sentence().startswith("int8 in 53 of 53 layers")


def test_each_precision_says_how_right_it_is_and_what_was_delivered():
    runs = recorded_runs("precision")

    assert {run.settings.precision for run in runs} == {"fp32", "fp16", "int8"}
    assert all(run.status == "ok" and run.accuracy and run.delivered for run in runs)
    assert all(run.task for run in runs if run.model.name.startswith("digits"))


def test_a_model_that_ends_the_process_is_a_run_with_the_signal():
    crashed = [run for run in recorded_runs("failures") if run.status == "crashed"]

    assert len(crashed) == 2
    assert all("SIGSEGV" in run.error.message and run.error.log for run in crashed)


@pytest.mark.parametrize("file", recorded_files(), ids=lambda file: file.name)
def test_the_files_name_no_folder_of_a_machine(file):
    text = "".join(run.model_dump_json() for run in read_runs(file))

    assert not re.search(r"/(home|root|work|Users|tmp|opt|usr)/", text)
