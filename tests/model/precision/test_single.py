import numpy as np
import pytest
from onnx import TensorProto, checker, helper
from onnx.reference import ReferenceEvaluator

from workbench.errors import ModelError
from workbench.model.precision.single import to_float32


@pytest.fixture
def double(model, tensor):
    """Return a model of which inputs, weights and outputs are float64."""
    nodes = [helper.make_node("Mul", ["x", "w"], ["m"], "mul"), helper.make_node("Add", ["m", "m"], ["y"], "add")]
    proto = model(nodes, weights=[tensor(np.arange(8.0), "w")])
    for info in (proto.graph.input[0], proto.graph.output[0]):
        info.type.tensor_type.elem_type = TensorProto.DOUBLE
    return proto


def test_the_inside_is_float32_and_inputs_and_outputs_keep_their_type(double, tmp_path):
    x = np.ones((2, 8))
    (expected,) = ReferenceEvaluator(double).run(None, {"x": x})

    changes = to_float32(double, str(tmp_path))

    checker.check_model(double, full_check=True)
    (actual,) = ReferenceEvaluator(double).run(None, {"x": x})
    assert double.graph.initializer[0].data_type == TensorProto.FLOAT
    assert actual.dtype == np.float64
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    assert "numbers change" in changes[0]


def test_a_model_without_float64_is_left_alone(model, tmp_path):
    assert to_float32(model([helper.make_node("Relu", ["x"], ["y"])]), str(tmp_path)) == []


def test_weights_beyond_float32s_range_are_an_error(model, tensor, tmp_path):
    proto = model([helper.make_node("Add", ["x", "w"], ["y"])], weights=[tensor(np.array([1e300]), "w")])

    with pytest.raises(ModelError, match="'w' holds numbers beyond"):
        to_float32(proto, str(tmp_path))
