import pytest

from tests.placement.build import node, proto, saved, value
from workbench.model.shape_operands import may_be_shape_tensor, shape_operands, shape_tensors, values_of

INT64 = 7


def test_what_is_worked_out_of_an_operand_counts_too():
    nodes = [("Concat", ["a", "b"], ["s"]), ("Reshape", ["x", "s"], ["y"]), ("MatMul", ["x", "w"], ["z"])]
    assert shape_operands(nodes) == {"s", "a", "b"}


def test_a_shape_of_a_tensor_does_not_make_the_tensor_an_operand():
    nodes = [("Shape", ["x"], ["s"]), ("Gather", ["s", "i"], ["g"]), ("Expand", ["v", "g"], ["y"])]
    assert shape_operands(nodes) == {"g", "s", "i"}


@pytest.mark.parametrize(
    ("dtype", "shape", "may"),
    [
        ("int64", (), True),
        ("int32", (4,), True),
        ("int64", ("n",), False),
        ("int64", (65,), False),
        ("int64", (2, 2), False),
        ("float32", (), False),
        ("int64", None, False),
    ],
)
def test_shape_tensors_are_short_integers_of_fixed_length(dtype, shape, may):
    assert may_be_shape_tensor(dtype, shape) is may


def test_inputs_whose_values_decide_shapes_are_found(tmp_path):
    inputs = [value("x"), value("target", INT64, (2,)), value("ids", INT64, (4,))]
    model = saved(tmp_path, proto([node("Reshape", ["x", "target"], ["y"]), node("Cast", ["ids"], ["z"], to=1)], inputs=inputs))
    assert [spec.name for spec in shape_tensors(model)] == ["target"]
    assert values_of(shape_tensors(model)[0]) == 2
