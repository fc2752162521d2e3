import onnx
import pytest
from onnx import TensorProto, helper

from workbench.model.model import Model

FLOAT = TensorProto.FLOAT


@pytest.fixture(scope="session")
def make_model(tmp_path_factory):
    """Return a function that makes a model of given inputs (name -> shape) and operators on the first input."""

    def make(inputs, operators=("Relu",), *, dtype=FLOAT, initializers=(), nodes=()):
        values = [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()]
        first, chain = next(iter(inputs)), list(nodes)
        for index, operator in enumerate(operators):
            chain.append(helper.make_node(operator, [first], [f"t{index}"], name=f"n{index}"))
            first = f"t{index}"
        out = (
            helper.make_empty_tensor_value_info(first) if operators else helper.make_empty_tensor_value_info(nodes[-1].output[0])
        )
        graph = helper.make_graph(chain, "g", values, [out], list(initializers))
        path = tmp_path_factory.mktemp("models") / "model.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)]), path)
        return Model.load(path)

    return make


@pytest.fixture(scope="session")
def dynamic(make_model):
    return make_model({"x": ["batch", 3, "height", "width"], "mask": ["batch", 77]})


@pytest.fixture(scope="session")
def static(make_model):
    return make_model({"x": [1, 3, 8, 8]})


@pytest.fixture(scope="session")
def quantised(make_model):
    scale = helper.make_tensor("scale", FLOAT, [], [0.1])
    zero = helper.make_tensor("zero", TensorProto.INT8, [], [0])
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], name="q"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], name="dq"),
    ]
    return make_model({"x": [1, 4]}, (), initializers=[scale, zero], nodes=nodes)


@pytest.fixture(scope="session")
def quantised_fp8(make_model):
    scale = helper.make_tensor("scale", FLOAT, [], [0.1])
    zero = helper.make_tensor("zero", TensorProto.FLOAT8E4M3FN, [], [0.0])
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], name="q"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], name="dq"),
    ]
    return make_model({"x": [1, 4]}, (), initializers=[scale, zero], nodes=nodes)


@pytest.fixture(scope="session")
def half(make_model):
    return make_model({"x": [1, 4]}, dtype=TensorProto.FLOAT16)
