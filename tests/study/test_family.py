from datetime import UTC, datetime

from tests.figures.records import output, run, samples
from workbench.measure.task import TaskAccuracy
from workbench.study.family import against_base, base_file, base_name, converted_to, family_files, family_rows
from workbench.study.store import Row


def row(id_, model, content_hash="h"):
    return Row(
        id=id_,
        created=datetime(2026, 1, 1, tzinfo=UTC),
        model=model,
        content_hash=content_hash,
        provider="cpu",
        precision="fp32",
        status="ok",
        median_ms=1.0,
        label="",
        settings="s",
    )


def of(model, label, *, reference=None, task=None, accuracy=()):
    made = run(label, samples(1), accuracy=accuracy)
    given = {
        "model": made.model.model_copy(update={"name": model}),
        "plan": made.plan.model_copy(update={"reference": reference}),
    }
    return made.model_copy(update={**given, "task": task})


def task(value, reference_value=None, count=100):
    difference = None if reference_value is None else value - reference_value
    return TaskAccuracy(
        metric="top1",
        output="y",
        value=value,
        interval=None,
        samples=count,
        reference_value=reference_value,
        difference=difference,
    )


def test_converted_models_are_known_by_their_names():
    assert (base_name("net.fp16"), converted_to("net.fp16")) == ("net", "fp16")
    assert (base_name("net.v2.int8-3"), converted_to("net.v2.int8-3")) == ("net.v2", "int8")
    assert (base_name("net.fp8"), converted_to("net.fp8")) == ("net.fp8", None)


def test_files_of_a_family_come_with_the_original_first(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    for path in (tmp_path / "net.onnx", tmp_path / "net.fp16.onnx", tmp_path / "network.onnx", kept / "net.int8.onnx"):
        path.touch()
    found = family_files(kept / "net.int8.onnx", [tmp_path])
    assert [path.name for path in found] == ["net.onnx", "net.fp16.onnx", "net.int8.onnx"]
    assert base_file(kept / "net.int8.onnx", [tmp_path]) == tmp_path / "net.onnx"
    assert base_file(kept / "net.int8.onnx") is None
    assert base_file(tmp_path / "net.onnx") is None


def test_runs_of_another_model_of_the_same_name_are_left_out():
    rows = [row("a", "net"), row("b", "net", "other"), row("c", "net.fp16", "x"), row("d", "network")]
    assert [each.id for each in family_rows(rows, "net", "h")] == ["a", "c"]


def test_a_converted_model_compared_with_itself_says_nothing_of_the_conversion():
    rows = [output("y", rel_l2=1e-7)]
    itself, against = of("net.int8", "a", accuracy=rows), of("net.int8", "b", reference="net.onnx", accuracy=rows)
    found = against_base([itself, against])
    assert found[0].accuracy == ()
    assert found[1] == against


def test_its_task_accuracy_is_told_against_the_originals():
    base, itself = of("net", "a", task=task(0.9, 0.91)), of("net.int8", "b", task=task(0.8, 0.8))
    assert against_base([base, itself])[1].task.drop == 100 * (0.91 - 0.8)
    other = of("net", "c", task=task(0.9, 0.91, count=7))
    assert against_base([other, itself])[1].task.drop is None
