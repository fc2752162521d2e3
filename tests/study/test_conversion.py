import threading

import onnx
import pytest

from workbench.errors import JobError, SettingsError
from workbench.runtime.data.dataset import DataSource
from workbench.samples.catalogue import samples
from workbench.study import conversion
from workbench.study.conversion import ConversionErrand, TensorRange, convert_contained, default_target

pytest.importorskip("onnxruntime")

DIGITS = samples()[0]
RANGES = (
    TensorRange(tensor="image", amax=1.0),
    TensorRange(tensor="/stage1/activation/Relu_output_0", amax=4.0),
    TensorRange(tensor="/head/flatten/Flatten_output_0", amax=6.0),
    TensorRange(tensor="/head/activation/Relu_output_0", amax=17.0),
)


def errand(folder, to="int8", **changes):
    return ConversionErrand(model=str(DIGITS.path), to=to, out=str(folder / f"digits.{to}.onnx"), **changes)


def test_a_process_of_its_own_writes_the_model_and_compares_it_on_the_data(tmp_path):
    events = []
    data = DataSource(path=str(DIGITS.test_set))
    found = convert_contained(errand(tmp_path, ranges=RANGES, data=data), on_event=events.append)
    onnx.checker.check_model(onnx.load(found.target))
    assert found.compared[0].outputs[0].rel_l2 < 0.1
    assert [event.stage for event in events] == ["converting", "comparing", "done"]
    assert not any("random inputs" in finding.seen for finding in found.findings)


def test_what_the_process_refuses_is_raised_here(tmp_path):
    with pytest.raises(SettingsError, match="ranges"):
        convert_contained(errand(tmp_path))


def test_cancelling_before_there_is_a_model_leaves_none(tmp_path):
    cancelled = threading.Event()
    cancelled.set()
    assert convert_contained(errand(tmp_path, "fp16"), cancelled=cancelled) is None
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_dies_is_one_message(tmp_path, monkeypatch):
    def dying(*_):
        return ["/bin/sh", "-c", "echo out of everything >&2; kill -9 $$"]

    monkeypatch.setattr(conversion, "python_module", dying)
    with pytest.raises(JobError, match=r"ended by SIGKILL.*out of everything"):
        convert_contained(errand(tmp_path, "fp16"))


def test_a_name_that_is_taken_gets_a_number(tmp_path):
    assert default_target(DIGITS.path, "fp16", tmp_path).name == "digits.fp16.onnx"
    (tmp_path / "digits.fp16.onnx").touch()
    assert default_target(DIGITS.path, "fp16", tmp_path).name == "digits.fp16-2.onnx"
