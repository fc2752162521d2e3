import onnx
import pytest
from onnx import TensorProto, helper

from workbench.model.model import Model
from workbench.options.profile import ShapeProfile
from workbench.panels.dimensions import dimensions_of, profile_of_sizes, suggested_sizes


@pytest.fixture
def model(tmp_path):
    """Two inputs that share a symbolic dimension, and one dimension without a name."""
    a = helper.make_tensor_value_info("a", TensorProto.FLOAT, ["n", 3, "n"])
    b = helper.make_tensor_value_info("b", TensorProto.FLOAT, [None, 4])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y")]
    nodes = [helper.make_node("Relu", ["a"], ["x"]), helper.make_node("Relu", ["b"], ["y"])]
    graph = helper.make_graph(nodes, "g", [a, b], outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    return Model.load(tmp_path / "m.onnx")


def test_symbolic_dimension_is_one_wherever_it_occurs(model):
    found = dimensions_of(model, ShapeProfile())
    assert [(d.name, d.places, d.sizes) for d in found] == [("n", ("a[0]", "a[2]"), None), ("b[0]", ("b[0]",), None)]


def test_ranges_are_read_from_the_profile(model):
    profile = ShapeProfile.from_arguments(["a=1x3x1:2x3x2:3x3x3", "b=4x4:5x4:6x4"])
    assert [d.sizes for d in dimensions_of(model, profile)] == [(1, 2, 3), (4, 5, 6)]


def test_profile_is_made_of_the_ranges(model):
    profile = profile_of_sizes(model, {"n": (1, 2, 3), "b[0]": (4, 5, 6)})
    assert profile.to_arguments() == ["a=1x3x1:2x3x2:3x3x3", "b=4x4:5x4:6x4"]
    assert not profile_of_sizes(model, {})


def test_suggestion_has_a_range_for_every_dimension(model):
    sizes = suggested_sizes(model)
    assert set(sizes) == {"n", "b[0]"}
    assert all(1 <= low <= opt <= high for low, opt, high in sizes.values())
    assert profile_of_sizes(model, sizes).check(model) == []


def test_suggestion_for_a_sample_is_its_own(digits):
    assert suggested_sizes(digits) == {"batch": (1, 16, 64)}
