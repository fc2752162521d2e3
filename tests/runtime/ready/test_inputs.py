import onnx
import pytest
from onnx import TensorProto, helper

from workbench.model.model import Model
from workbench.options.profile import ShapeProfile
from workbench.runtime.ready.inputs import compared_scalars, dimensions_of, first_trials, other_scalars, varied


@pytest.fixture
def model(tmp_path):
    """Return a model of sound whose integer input chooses between two rates."""
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "length"]),
        helper.make_tensor_value_info("state", TensorProto.FLOAT, [2, None, 4]),
        helper.make_tensor_value_info("rate", TensorProto.INT64, []),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.BOOL, [])]
    nodes = [helper.make_node("Equal", ["rate", "sixteen"], ["y"], "equal")]
    weights = [helper.make_tensor("sixteen", TensorProto.INT64, [], [16000])]
    path = tmp_path / "sound.onnx"
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializer=weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return Model.load(path)


def test_dimensions_without_a_name_count_for_each_input(model):
    assert dimensions_of(model) == ["batch", "length", ("state", 1)]


def test_a_scalar_is_tried_with_the_number_that_the_graph_compares_it_with(model):
    assert compared_scalars(model) == [("rate", 16000)]
    trials = list(first_trials(model, ShapeProfile()))
    assert {trial.scalars for trial in trials} == {(), (("rate", 16000),)}
    (rate,) = (i for i in trials[1].inputs(model, 0) if i.name == "rate")
    assert rate.array == 16000
    assert next(other_scalars(model, trials[0])).scalars == (("rate", 16000),)


def test_a_profiles_optimum_is_kept_in_all_trials(model):
    profile = ShapeProfile.from_arguments(["x=1x320"])

    assert {dict(trial.shapes)["x"] for trial in first_trials(model, profile)} == {(1, 320)}


def test_the_batch_of_a_later_input_is_tried_as_one(model):
    assert (2, 1, 4) in {dict(trial.shapes)["state"] for trial in first_trials(model, ShapeProfile())}


def test_varying_a_dimension_leaves_the_others(model):
    base = next(first_trials(model, ShapeProfile()))

    other = dict(varied(model, base, ["batch"], 0).shapes)

    assert other["x"] == (dict(base.shapes)["x"][0] * 2, dict(base.shapes)["x"][1])
    assert other["state"] == dict(base.shapes)["state"]
