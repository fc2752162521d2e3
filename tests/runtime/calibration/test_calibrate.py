import os
import signal
import threading
import time

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

from workbench.errors import InputError, JobError
from workbench.model.model import Model
from workbench.runtime.calibration import calibrate as module
from workbench.runtime.calibration.calibrate import calibrate, state_key
from workbench.runtime.calibration.process import answered
from workbench.runtime.data.dataset import DataSource
from workbench.samples.catalogue import samples

pytest.importorskip("onnxruntime")

DIGITS = next(sample for sample in samples() if sample.name == "digits")
FLOAT = TensorProto.FLOAT


def save(path, nodes, inputs, outputs, weights=()):
    info = [helper.make_tensor_value_info(name, kind, dims) for name, kind, dims in (*inputs, *outputs)]
    graph = helper.make_graph(nodes, "g", info[: len(inputs)], info[len(inputs) :], list(weights))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return Model.load(path)


@pytest.fixture
def signs(tmp_path):
    weights = [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in (("up", 20.0), ("down", -20.0))]
    nodes = [
        helper.make_node("Add", ["x", "up"], ["positive"]),
        helper.make_node("Add", ["x", "down"], ["negative"]),
        helper.make_node("Mul", ["x", "up"], ["mixed"]),
    ]
    outputs = [(name, FLOAT, ["n", 3]) for name in ("positive", "negative", "mixed")]
    return save(tmp_path / "signs.onnx", nodes, [("x", FLOAT, ["n", 3])], outputs, weights)


@pytest.fixture
def here(monkeypatch):
    """Calibrate in this process: starting one for each test takes longer than the test."""
    monkeypatch.setattr(module, "_perform", lambda errand, _limit, _cancelled, report: answered(errand, report))


def data(tmp_path, **arrays):
    np.savez(tmp_path / "data.npz", **arrays)
    return str(tmp_path / "data.npz")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("mask", [np.finfo(np.float32).min, 1e-44])
def test_numbers_at_the_ends_of_float32_have_ranges_by_every_method(tmp_path, mask):
    weights = [numpy_helper.from_array(np.array([0, mask, 0], np.float32), "mask")]
    node = helper.make_node("Add", ["x", "mask"], ["masked"])
    model = save(tmp_path / "m.onnx", [node], [("x", FLOAT, ["n", 3])], [("masked", FLOAT, ["n", 3])], weights)
    done = calibrate(model, data(tmp_path, x=np.zeros((4, 3), np.float32)), folder=tmp_path, batch=2)
    (masked,) = [tensor for tensor in done.tensors if tensor.name == "masked"]
    assert masked.threshold("minmax").amax == abs(float(np.float32(mask)))
    assert len(masked.thresholds) == 4


@pytest.mark.parametrize("method", ["minmax", "distribution"])
def test_ranges_are_those_of_numpy_for_positive_negative_and_mixed_tensors(signs, here, tmp_path, method):
    x = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32) * 4
    done = calibrate(signs, data(tmp_path, x=x), method=method, folder=tmp_path, batch=7)
    assert done.samples == 50
    expected = {"x": x, "positive": x + np.float32(20), "negative": x - np.float32(20), "mixed": x * np.float32(20)}
    for tensor in done.tensors:
        values = expected[tensor.name]
        assert (tensor.low, tensor.high) == (pytest.approx(values.min(), rel=1e-6), pytest.approx(values.max(), rel=1e-6))
        assert done.ranges()[tensor.name] == pytest.approx(np.abs(values).max(), rel=1e-6)
        assert sum(tensor.counts) == tensor.elements == values.size


def test_ranges_are_those_of_the_librarys_calibrator(here, tmp_path):
    quantization = pytest.importorskip("onnxruntime.quantization")
    with np.load(DIGITS.training_set) as file:
        feeds = iter([{"image": part} for part in np.array_split(file["image"][:96], 12)])

    class Reader(quantization.CalibrationDataReader):
        def get_next(self):
            return next(feeds, None)

    theirs = quantization.create_calibrator(str(DIGITS.path), None, str(tmp_path / "augmented.onnx"))
    theirs.collect_data(Reader())
    found = theirs.compute_data().data  # its own methods differ from release to release
    ours = calibrate(Model.load(DIGITS.path), DIGITS.training_set, method="minmax", compare=False, samples=96, folder=tmp_path)
    assert ours.ranges().keys() == found.keys()
    for name, amax in ours.ranges().items():
        assert amax == pytest.approx(max(np.abs(end).max() for end in found[name].range_value), rel=1e-6)


def worker_of(folder):
    while True:
        for child in psutil.Process().children():
            if "workbench.runtime.calibration.process" in child.cmdline() and any(folder.glob("*.npz")):
                return child.pid
        time.sleep(0.005)


def test_a_thousand_samples_survive_a_kill_and_end_with_the_same_numbers(tmp_path):
    model = Model.load(DIGITS.path)
    options = {"samples": 1000, "batch": 4, "save_every": 20, "compare": False, "method": "percentile"}
    whole = calibrate(model, DIGITS.training_set, folder=tmp_path / "whole", **options)
    folder = tmp_path / "killed"
    folder.mkdir()
    killer = threading.Thread(target=lambda: os.kill(worker_of(folder), signal.SIGKILL))
    killer.start()
    with pytest.raises(JobError, match="SIGKILL") as caught:
        calibrate(model, DIGITS.training_set, folder=folder, **options)
    killer.join()
    assert caught.value.kind == "crash"
    resumed = calibrate(model, DIGITS.training_set, folder=folder, **options)
    assert 0 < resumed.resumed < 1000
    assert resumed.samples == whole.samples == 1000
    assert resumed.tensors == whole.tensors


def test_another_method_costs_no_second_pass(here, tmp_path):
    model = Model.load(DIGITS.path)
    first = calibrate(model, DIGITS.training_set, method="minmax", compare=False, samples=64, folder=tmp_path)
    second = calibrate(model, DIGITS.training_set, method="percentile", compare=False, samples=64, folder=tmp_path)
    assert (first.resumed, second.resumed) == (0, 64)
    assert all(second.ranges()[name] <= amax for name, amax in first.ranges().items())
    again = calibrate(model, DIGITS.training_set, method="minmax", compare=False, samples=64, folder=tmp_path, resume=False)
    assert again.resumed == 0
    assert again.tensors == first.tensors


def test_a_state_that_cannot_be_read_is_begun_anew(here, tmp_path):
    model = Model.load(DIGITS.path)
    key = state_key(model, DataSource(path=str(DIGITS.training_set), limit=16), 8)
    (tmp_path / f"{key}.npz").write_bytes(b"torn")
    done = calibrate(model, DIGITS.training_set, method="minmax", compare=False, samples=16, folder=tmp_path)
    assert (done.resumed, done.samples) == (0, 16)


def test_the_state_depends_on_model_data_and_batch_but_not_on_the_files_time(signs, tmp_path):
    path = data(tmp_path, x=np.ones((4, 3), np.float32))
    key = state_key(signs, DataSource(path=path), 8)
    os.utime(path, (1, 1))
    assert state_key(signs, DataSource(path=path), 8) == key
    assert state_key(signs, DataSource(path=path), 4) != key
    data(tmp_path, x=np.zeros((4, 3), np.float32))
    assert state_key(signs, DataSource(path=path), 8) != key


def test_an_iterator_serves_and_is_resumed_by_its_content(signs, here, tmp_path):
    arrays = [np.full((1, 3), value, np.float32) for value in (1, -5, 2)]
    first = calibrate(signs, ({"x": a} for a in arrays), method="minmax", compare=False, folder=tmp_path)
    assert first.ranges()["x"] == 5
    again = calibrate(signs, iter(arrays), method="minmax", compare=False, folder=tmp_path)
    assert again.resumed == 3


def test_cancelling_ends_it_and_keeps_what_was_done(tmp_path):
    cancelled = threading.Event()

    def stop(progress):
        if progress.stage == "collecting" and progress.done:
            cancelled.set()

    model = Model.load(DIGITS.path)
    with pytest.raises(JobError, match="cancelled") as caught:
        calibrate(model, DIGITS.training_set, batch=1, save_every=5, folder=tmp_path, cancelled=cancelled, on_progress=stop)
    assert caught.value.kind == "cancelled"


def test_a_time_limit_ends_it(tmp_path):
    with pytest.raises(JobError, match="longer than") as caught:
        calibrate(Model.load(DIGITS.path), DIGITS.training_set, limit_s=0.2, folder=tmp_path)
    assert caught.value.kind == "timeout"


def test_progress_counts_samples(tmp_path):
    seen = []
    calibrate(
        Model.load(DIGITS.path),
        DIGITS.training_set,
        method="minmax",
        compare=False,
        batch=1,
        samples=400,
        folder=tmp_path,
        on_progress=seen.append,
    )
    counted = [p for p in seen if p.stage == "collecting"]
    assert counted
    assert {p.total for p in counted} == {400}
    assert [p.done for p in counted] == sorted(p.done for p in counted)
    assert "of 400" in str(counted[-1])


def test_constant_zero_and_unseen_tensors_give_one_message_each(here, tmp_path):
    nodes = [
        helper.make_node("Mul", ["x", "zero"], ["none"]),
        helper.make_node("Add", ["none", "one"], ["flat"]),
        helper.make_node("Sqrt", ["minus"], ["unseen_constant"]),
        helper.make_node("Mul", ["x", "nan"], ["unseen"]),
        helper.make_node("Relu", ["x"], ["y"]),
    ]
    weights = [
        numpy_helper.from_array(np.array(value, np.float32), name)
        for name, value in (("zero", 0.0), ("one", 1.0), ("minus", -1.0), ("nan", np.nan))
    ]
    model = save(tmp_path / "m.onnx", nodes, [("x", FLOAT, ["n", 3])], [("y", FLOAT, ["n", 3])], weights)
    x = np.random.default_rng(0).standard_normal((9, 3)).astype(np.float32)
    done = calibrate(model, data(tmp_path, x=x), method="minmax", compare=False, folder=tmp_path)
    said = {f.seen.split(" ", 3)[-1]: f.where for f in done.findings}
    assert "unseen" in next(where for seen, where in said.items() if "never seen" in seen)
    assert next(where for seen, where in said.items() if "zero throughout" in seen) == "none"
    assert next(where for seen, where in said.items() if "one number" in seen) == "flat"
    assert "unseen" not in done.ranges()
    assert done.ranges()["none"] == 0


def test_a_constant_input_is_pointed_out(signs, here, tmp_path):
    done = calibrate(signs, data(tmp_path, x=np.ones((5, 3), np.float32)), method="minmax", compare=False, folder=tmp_path)
    assert sum("input" in f.where for f in done.findings) == 1


def test_tensors_inside_control_flow_are_named_and_left_out(here, tmp_path):
    def info(name):
        return helper.make_tensor_value_info(name, FLOAT, ["n", 3])

    then = helper.make_graph([helper.make_node("Relu", ["x"], ["t"])], "then", [], [info("t")])
    other = helper.make_graph([helper.make_node("Neg", ["x"], ["e"])], "else", [], [info("e")])
    nodes = [helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other)]
    model = save(tmp_path / "m.onnx", nodes, [("x", FLOAT, ["n", 3]), ("c", TensorProto.BOOL, [])], [("y", FLOAT, ["n", 3])])
    path = data(tmp_path, x=np.ones((2, 3), np.float32) * [[1], [2]], c=np.array(True))
    with np.load(path) as file:
        np.savez(path, x=file["x"].astype(np.float32), c=file["c"])
    done = calibrate(model, path, method="minmax", compare=False, folder=tmp_path)
    assert set(done.ranges()) == {"x", "y"}
    assert any("inside control flow" in f.seen and f.where == "e, t" for f in done.findings)


def test_data_that_do_not_fit_are_refused(signs, here, tmp_path):
    with pytest.raises(InputError, match="'x'"):
        calibrate(signs, data(tmp_path, other=np.ones(3, np.float32)), folder=tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        calibrate(signs, tmp_path / "nowhere.npz", folder=tmp_path)


def test_a_first_sample_near_zero_does_not_fill_the_memory(signs, here, tmp_path):
    x = np.array([[1e-7, 0, 0], [50, -3, 2]], np.float32)
    done = calibrate(signs, data(tmp_path, x=x), method="percentile", compare=False, folder=tmp_path, batch=1)
    (tensor,) = (t for t in done.tensors if t.name == "x")
    assert len(tensor.counts) <= 256
    assert tensor.amax == 50
    assert tensor.settled_after() == 2


def test_the_folder_of_states_is_in_the_users_cache():
    assert module.state_folder().name == "calibration"


def test_a_gpu_that_is_not_there_is_refused_instead_of_the_cpu_taking_its_place(tmp_path, here):
    ort = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this onnxruntime may have a GPU")
    with pytest.raises(JobError, match="CUDA") as caught:
        calibrate(Model.load(DIGITS.path), DIGITS.training_set, provider="cuda", folder=tmp_path)
    assert caught.value.kind == "provider"
