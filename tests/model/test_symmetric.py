import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from workbench.model.symmetric import to_int8


@pytest.fixture
def quantized(model, tensor):
    def make(zero):
        zero_point = tensor(np.array(zero, np.uint8), "z")
        weight = tensor(np.arange(120, 136, 2, dtype=np.uint8), "w")
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "q"),
            helper.make_node("Transpose", ["q"], ["t"], "t"),
            helper.make_node("DequantizeLinear", ["t", "s", "z"], ["d"], "d"),
            helper.make_node("Transpose", ["d"], ["e"], "e"),
            helper.make_node("DequantizeLinear", ["w", "s", "z"], ["v"], "dw"),
            helper.make_node("Mul", ["e", "v"], ["y"], "mul"),
        ]
        return model(nodes, opset=19, weights=[tensor(np.array(0.02, np.float32), "s"), zero_point, weight])

    return make


def test_zero_point_128_becomes_int8_with_the_same_numbers(quantized, tmp_path):
    proto = quantized(128)
    x = np.random.default_rng(0).standard_normal((3, 8), np.float32) * 4  # some saturate
    (expected,) = ReferenceEvaluator(proto).run(None, {"x": x})

    changes = to_int8(proto, str(tmp_path))

    (actual,) = ReferenceEvaluator(proto).run(None, {"x": x})
    np.testing.assert_array_equal(actual, expected)
    used = {name for node in proto.graph.node for name in node.input}
    assert all(t.data_type != TensorProto.UINT8 for t in proto.graph.initializer if t.name in used)
    assert "zero point 0" in changes[0]


def test_other_zero_points_stay(quantized, tmp_path):
    assert to_int8(quantized(127), str(tmp_path)) == []


def test_a_tensor_that_others_read_stays(quantized, tmp_path):
    proto = quantized(128)
    proto.graph.node.append(helper.make_node("Cast", ["q"], ["other"], to=TensorProto.FLOAT))

    to_int8(proto, str(tmp_path))

    assert proto.graph.node[0].input[2] == "z"
