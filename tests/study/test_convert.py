import shutil

import numpy as np
import onnx
import pytest

from workbench.errors import ModelError, SettingsError
from workbench.model.model import Model
from workbench.model.precision.half import to_half
from workbench.options.profile import ShapeProfile
from workbench.runtime.ready.process import TASKS
from workbench.samples.catalogue import samples
from workbench.study import convert as conversion
from workbench.study.convert import convert

pytest.importorskip("onnxruntime")

DIGITS = next(sample for sample in samples() if sample.name == "digits")
RANGES = {
    "image": 1.0,
    "/stage1/activation/Relu_output_0": 4.0,
    "/head/flatten/Flatten_output_0": 6.0,
    "/head/activation/Relu_output_0": 17.0,
}


@pytest.fixture
def digits(tmp_path):
    shutil.copy(DIGITS.path, tmp_path / "digits.onnx")
    return Model.load(tmp_path / "digits.onnx")


@pytest.fixture
def inputs(tmp_path):
    with np.load(DIGITS.test_set) as file:
        np.savez(tmp_path / "inputs.npz", image=file["image"][:16])
    return tmp_path / "inputs.npz"


def test_a_model_in_fp16_lies_beside_the_old_one_and_gives_nearly_its_outputs(digits, inputs):
    events = []
    done = convert(digits, "fp16", keep=["/head/Softmax"], inputs=inputs, on_event=events.append)
    assert done.target == str(digits.path.with_name("digits.fp16.onnx"))
    onnx.checker.check_model(onnx.load(done.target))
    for found in (done.compared, done.emulated):
        assert all(row.rel_l2 < 5e-3 for each in found for row in each.outputs)
    assert any("asked for: " in change or "asked for." in change for change in done.changes)
    assert done.advice.backend == "graph"
    assert {event.stage for event in events} >= {"converting", "comparing"}
    assert convert(digits, "fp16", inputs=inputs).target.endswith("digits.fp16-2.onnx")


def test_a_model_in_bf16_is_written_and_its_numbers_emulated(digits, inputs):
    done = convert(digits, "bf16", inputs=inputs)
    assert done.compared == ()
    assert "bfloat16" in done.not_compared
    assert 1e-4 < done.emulated[0].outputs[0].rel_l2 < 5e-2


def test_a_model_in_int8_needs_ranges(digits, inputs):
    with pytest.raises(SettingsError, match="ranges"):
        convert(digits, "int8")
    done = convert(digits, "int8", ranges=RANGES, inputs=inputs)
    assert done.compared[0].outputs[0].rel_l2 < 0.1
    assert done.emulated == ()
    assert not any(finding.where == "comparison" for finding in done.findings)


def test_random_inputs_for_int8_are_pointed_out(digits):
    done = convert(digits, "int8", ranges=RANGES, exclude_ops=["Gemm"])
    assert any(finding.where == "comparison" for finding in done.findings)


def test_a_profile_that_the_model_cannot_have_is_refused_before_anything_is_written(digits):
    profile = ShapeProfile.from_arguments(["image=1x1x9x8:1x1x9x8:1x1x9x8"])
    with pytest.raises(SettingsError, match="axis 2 has min 9, opt 9, max 9, but the model fixes it to 8"):
        convert(digits, "fp16", profile=profile)
    assert [file.name for file in digits.path.parent.iterdir()] == ["digits.onnx"]


def test_nothing_is_overwritten_and_nothing_left_behind(digits, tmp_path):
    (tmp_path / "there.onnx").write_text("mine")
    with pytest.raises(SettingsError, match="exists already"):
        convert(digits, "fp16", out=tmp_path / "there.onnx")
    with pytest.raises(SettingsError, match="no node"):
        convert(digits, "fp16", keep=["nowhere"])
    with pytest.raises(SettingsError, match="does not exist"):
        convert(digits, "fp16", out=tmp_path / "no" / "m.onnx")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["digits.onnx", "there.onnx"]


def test_outputs_that_are_not_finite_are_a_finding(digits, inputs, monkeypatch):
    monkeypatch.setattr(conversion, "perform", lambda errand, *_: TASKS[errand.task](errand))  # in this process: no start
    proto = onnx.load(str(digits.path))
    for tensor in proto.graph.initializer:  # as right in float32 as before: the layer behind is divided by as much
        if tensor.name in ("dense1.weight", "dense1.bias", "dense2.weight"):
            factor = np.float32(1e-4 if tensor.name == "dense2.weight" else 1e4)
            tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * factor, tensor.name))
    onnx.save(proto, str(digits.path.with_name("large.onnx")))

    done = convert(Model.load(digits.path.with_name("large.onnx")), "fp16", inputs=inputs)
    told = {finding.where: finding for finding in done.findings}
    assert "elements are NaN or infinite in fp16" in told["logits"].seen
    assert "workbench sensitivity --to fp16" in told["logits"].action


def test_an_opset_without_bfloat16_is_named_as_the_reason(digits, inputs):
    old = onnx.load(str(digits.path))
    old.opset_import[0].version = 12
    onnx.save(old, str(digits.path.with_name("old.onnx")))
    with pytest.raises(ModelError, match="opset 12 does not allow bfloat16 for them, a later one does") as refused:
        convert(Model.load(digits.path.with_name("old.onnx")), "bf16", inputs=inputs)
    assert refused.value.remedy == "Export the model at a later opset."


def test_what_is_in_half_precision_already_is_not_converted_again(digits, inputs):
    onnx.save(to_half(onnx.load(str(digits.path)), to="fp16")[0], str(digits.path.with_name("half.onnx")))
    with pytest.raises(ModelError, match="nothing to convert"):
        convert(Model.load(digits.path.with_name("half.onnx")), "fp16", inputs=inputs)
