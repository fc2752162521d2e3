import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from workbench.measure.delivered import EngineDelivered, delivered
from workbench.measure.layers import EngineLayer
from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.runtime.idle_flags import flag_findings, normalising_powers

FALLBACK = {"trt_layer_norm_fp32_fallback": True}


@pytest.fixture
def save(tmp_path):
    def save(*, dtype=np.float32, square=True):
        power = helper.make_node("Pow", ["x", "two"], ["p"], name="norm/pow")
        mean = helper.make_node("ReduceMean", ["p" if square else "x"], ["m"], name="norm/mean", axes=[1])
        scale = helper.make_node("Mul", ["m", "w"], ["y"], name="scale")
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        weights = [
            numpy_helper.from_array(np.ones((1, 4000), dtype), "w"),
            numpy_helper.from_array(np.array(2, dtype), "two"),
            numpy_helper.from_array(np.zeros(3, np.float32), "few"),
        ]
        values = [helper.make_tensor_value_info(name, kind, [2, 4]) for name in ("x", "y")]
        graph = helper.make_graph([power, mean, scale], "g", values[:1], values[1:], weights)
        path = tmp_path / "m.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return Model.load(path)

    return save


def engine(*layers):
    return EngineDelivered(file="e", bytes=1, found=delivered(layers), layers=layers)


def layer(name, precision, kind="ElementWise"):
    return EngineLayer(name=name, type=kind, nodes=(name,), precision=precision)


def test_a_flag_on_a_model_of_that_type_is_told_and_what_to_do(save):
    (finding,) = flag_findings(save(dtype=np.float16), Settings(precision="fp16"), ())
    assert finding.seen == "fp16 was asked for, and 100% of the model's weights are float16 already"
    assert "1.18 to 1.26" in finding.action
    (native,) = flag_findings(save(dtype=np.float16), Settings(provider="native", precision="fp16"), ())
    assert "TensorRT 10 and later" in native.action


def test_a_flag_on_a_model_in_float32_is_not_told(save):
    assert flag_findings(save(), Settings(precision="fp16"), ()) == ()
    assert flag_findings(save(dtype=np.float16), Settings(precision="bf16"), ()) == ()
    assert flag_findings(save(dtype=np.float16), Settings(), ()) == ()


def test_the_fallback_without_its_pattern_did_nothing(save):
    settings = Settings(precision="fp16", provider_options=FALLBACK)
    (finding,) = flag_findings(save(square=False), settings, ())
    assert finding.where == "trt_layer_norm_fp32_fallback"
    assert "it did nothing" in finding.meaning
    assert flag_findings(save(square=False), Settings(provider_options=FALLBACK), ()) == ()


def test_the_fallback_that_left_the_square_in_fp16_is_told(save):
    model, settings = save(), Settings(precision="fp16", provider_options=FALLBACK)
    assert normalising_powers(model) == {"norm/pow"}
    (finding,) = flag_findings(model, settings, [engine(layer("norm/pow", "fp16"), layer("scale", "fp16"))])
    assert "1 layers with a normalisation's Pow compute in fp16 still: norm/pow" in finding.seen
    assert flag_findings(model, settings, [engine(layer("norm/pow", "fp32"), layer("scale", "fp16"))]) == ()


def test_of_layers_compiled_from_many_nodes_nothing_is_claimed(save):
    settings = Settings(precision="fp16", provider_options=FALLBACK)
    assert flag_findings(save(), settings, [engine(layer("norm/pow", "fp16", "Myelin"))]) == ()
    assert flag_findings(save(), settings, [engine(layer("norm/pow", None, ""))]) == ()


def test_external_weights_are_not_read(save, tmp_path):
    model = save(dtype=np.float16)
    proto = onnx.load(str(model.path))
    onnx.save(proto, tmp_path / "big.onnx", save_as_external_data=True, location="big.bin", size_threshold=0)
    loaded = Model.load(tmp_path / "big.onnx")
    (tmp_path / "big.bin").unlink()
    assert len(flag_findings(loaded, Settings(precision="fp16"), ())) == 1
