import pytest
from onnx import TensorProto, helper

from workbench.errors import ModelError
from workbench.model.static_shapes import fix_scalars, freeze_inputs


def dims(info):
    return [d.dim_value or d.dim_param for d in info.type.tensor_type.shape.dim]


def test_a_symbolic_dimension_becomes_a_number_wherever_it_stands(model):
    proto = model([helper.make_node("Relu", ["x"], ["y"])])

    changes = freeze_inputs(proto, {"x": (4, 8)})

    assert dims(proto.graph.input[0]) == dims(proto.graph.output[0]) == [4, 8]
    assert changes == ["Made input 'x' static: 4 × 8."]


def test_a_shape_that_contradicts_the_model_is_an_error(model):
    with pytest.raises(ModelError, match="Axis 1 of input 'x' is 8"):
        freeze_inputs(model([helper.make_node("Relu", ["x"], ["y"])]), {"x": (4, 9)})
    with pytest.raises(ModelError, match="has 2 dimensions"):
        freeze_inputs(model([helper.make_node("Relu", ["x"], ["y"])]), {"x": (4,)})


def test_a_scalar_input_is_read_from_a_constant_but_stays_an_input(model):
    proto = model([helper.make_node("Mul", ["x", "s"], ["y"])])
    proto.graph.input.append(helper.make_tensor_value_info("s", TensorProto.INT64, []))

    changes = fix_scalars(proto, [("s", 16)])

    assert proto.graph.node[0].input[1] == proto.graph.initializer[-1].name
    assert list(proto.graph.initializer[-1].int64_data) == [16]
    assert [i.name for i in proto.graph.input] == ["x", "s"]
    assert "Fixed input 's' to 16" in changes[0]
