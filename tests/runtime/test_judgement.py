import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from workbench.errors import InputError
from workbench.measure.task import TaskMetric
from workbench.model.model import Model
from workbench.model.precision.half import to_half
from workbench.options.settings import Settings
from workbench.runtime.data.dataset import DataSource
from workbench.runtime.job import Plan
from workbench.runtime.worker import Worker
from workbench.samples.catalogue import samples
from workbench.study.execute import execute
from workbench.study.store import Store

DIGITS = samples()[0]
CPU = Settings(provider="cpu")


@pytest.fixture(scope="module")
def worker():
    with Worker() as worker:
        yield worker


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs.sqlite3")


def plan(**changes):
    values = {"latency": False, "data": DataSource(path=str(DIGITS.test_set)), "task": TaskMetric(), "samples": 60}
    return Plan(**(values | changes))


def test_task_accuracy_is_that_of_counting(digits, worker):
    run = execute(digits, CPU, plan(samples=None), worker=worker)
    assert (run.status, run.task.samples, run.task.difference) == ("ok", 450, 0)
    assert run.task.value == pytest.approx(1 - len(run.task.wrong) / 450)
    assert run.accuracy[0].over_inputs.samples == 450
    assert run.inputs[0].origin == "first of digits_test.npz"


def test_a_metric_of_scikit_learn_is_called_with_classes(digits, worker):
    run = execute(digits, CPU, plan(task=TaskMetric(metric="sklearn.metrics:accuracy_score")), worker=worker)
    assert run.task.value == execute(digits, CPU, plan(), worker=worker).task.value
    assert run.task.interval is not None


def test_a_metric_of_the_users_file_gets_scores(digits, worker, tmp_path):
    (tmp_path / "mine.py").write_text("def shape(y_true, y_pred):\n    return y_pred.ndim\n")
    run = execute(digits, CPU, plan(task=TaskMetric(metric=f"{tmp_path}/mine.py:shape", on="scores")), worker=worker)
    assert run.task.value == 2


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (TaskMetric(metric="sklearn.metrics:acuracy_score"), "Did you mean 'accuracy_score'"),
        (TaskMetric(metric="nowhere.at:all"), "cannot be imported"),
        (TaskMetric(output="logit"), "Did you mean 'logits'"),
    ],
)
def test_metrics_that_do_not_exist_are_explained(digits, worker, task, words):
    run = execute(digits, CPU, plan(task=task), worker=worker)
    assert (run.status, run.error.kind) == ("failed", "inputs")
    assert words in f"{run.error.message} {run.error.remedy}"


def test_a_metric_of_no_known_name_is_refused_before_anything_runs(digits):
    with pytest.raises(InputError, match="There is no metric 'top2'"):
        execute(digits, CPU, plan(task=TaskMetric(metric="top2")))


def test_labels_outside_the_classes_are_one_message(digits, worker, tmp_path):
    np.savez(tmp_path / "data.npz", image=np.zeros((3, 1, 8, 8), np.float32), label=np.array([1, 2, 10]))
    run = execute(digits, CPU, plan(data=DataSource(path=str(tmp_path / "data.npz"))), worker=worker)
    assert "Label 10 of sample 2 is no class of the model" in run.error.message
    assert any("all elements of 'image' are 0" in finding.seen for finding in run.findings)


def test_a_task_without_labels_or_data_is_refused_before_anything_runs(digits, tmp_path):
    np.savez(tmp_path / "data.npz", image=np.zeros((3, 1, 8, 8), np.float32))
    with pytest.raises(InputError, match="no labels"):
        execute(digits, CPU, plan(data=DataSource(path=str(tmp_path / "data.npz"))))
    with pytest.raises(InputError, match="Without data"):
        execute(digits, CPU, plan(data=None))


def test_kept_outputs_of_a_run_are_a_reference(digits, worker, store):
    first = execute(digits, CPU, plan(keep_outputs=True), worker=worker, store=store)
    again = execute(digits, CPU, plan(reference=f"run:{first.id}"), worker=worker, store=store)
    assert all(row.identical for row in again.accuracy)
    assert again.accuracy[0].shape == (60, 10)
    assert again.accuracy[0].reference == f"stored outputs of {first.id}.npz"
    assert store.get(again.id).plan.reference == f"run:{first.id}"


def test_outputs_of_other_inputs_are_no_reference(digits, worker, store):
    first = execute(digits, CPU, plan(keep_outputs=True), worker=worker, store=store)
    other = execute(digits, CPU, Plan(latency=False, reference=f"run:{first.id}"), worker=worker, store=store)
    assert "computed from other inputs" in other.error.message


def test_a_run_without_outputs_is_no_reference(digits, worker, store):
    first = execute(digits, CPU, plan(), worker=worker, store=store)
    with pytest.raises(InputError, match="kept no outputs"):
        execute(digits, CPU, plan(reference=f"run:{first.id}"), worker=worker, store=store)
    with pytest.raises(InputError, match="no such file"):
        execute(digits, CPU, plan(reference="nothing.npz"), worker=worker, store=store)


def test_stored_outputs_need_not_have_all_outputs(digits, worker, tmp_path):
    np.savez(tmp_path / "out.npz", logits=np.zeros((60, 10), np.float32))
    run = execute(digits, CPU, plan(reference=str(tmp_path / "out.npz")), worker=worker)
    assert [row.output for row in run.accuracy] == ["logits"]
    assert any("probabilities: are not in the reference" in f.seen for f in run.findings)


def test_a_lowered_model_is_compared_with_the_original(digits, worker, tmp_path):
    halved, _ = to_half(onnx.load(str(DIGITS.path)))
    path = tmp_path / "half.onnx"
    onnx.save(halved, str(path))
    run = execute(Model.load(path), CPU, plan(reference=str(DIGITS.path), samples=None), worker=worker)
    assert 0 < run.accuracy[0].rel_l2 < 1e-2
    assert run.task.drop == 0


def test_a_fixed_batch_is_judged_in_whole_batches(worker, tmp_path):
    weight = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "fixed",
        [helper.make_tensor_value_info("x", 1, [4, 4])],
        [helper.make_tensor_value_info("y", 1, [4, 4])],
        [weight],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(tmp_path / "m.onnx"))
    x = np.random.default_rng(0).random((10, 4), np.float32)
    np.savez(tmp_path / "data.npz", x=x, y_true=np.argmax(x, 1))
    data = DataSource(path=str(tmp_path / "data.npz"), labels="y_true")
    run = execute(Model.load(tmp_path / "m.onnx"), CPU, plan(data=data), worker=worker)
    assert (run.task.value, run.task.samples) == (1.0, 8)
