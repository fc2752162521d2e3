"""Each node off TensorRT has one cause."""

import numpy as np
import pytest

from tests.placement.build import BOOL, FLOAT, INT64, by_name, graph, node, value, weight
from workbench.options.settings import Settings
from workbench.placement.predict import predict
from workbench.placement.records import TENSORRT, PlacedNode

SQUARES = [value("x", shape=(3, 2, 2))]


def causes(placement):
    return {n.name: n.cause for n in placement.nodes}


def test_an_operator_that_this_tensorrt_does_not_know(model):
    p = predict(model([node("Relu", ["x"], ["a"]), node("Det", ["a"], ["y"])], inputs=SQUARES))
    assert causes(p) == {"a": None, "y": "operator"}


def test_a_type(model):
    m = model([node("MatMul", ["x", "x"], ["y"])], [value("y", INT64, None)], [value("x", INT64, (4, 4))])
    assert causes(predict(m, tensorrt="10.1")) == {"y": "type"}


@pytest.mark.parametrize("type_", [np.int32, np.uint8])
def test_a_quantized_type(model, type_):
    weights = [weight("q", np.ones(4, type_)), weight("s", np.float32(1)), weight("z", type_(0))]
    m = model([node("DequantizeLinear", ["q", "s", "z"], ["d"]), node("Add", ["x", "d"], ["y"])], weights=weights)
    assert causes(predict(m))["d"] == "type"


def test_an_attribute(model):
    m = model(
        [node("MaxPool", ["x"], ["y", "i"], kernel_shape=[2, 2])],
        outputs=["y", value("i", INT64, None)],
        inputs=[value("x", shape=(1, 1, 4, 4))],
    )
    assert causes(predict(m)) == {"y": "attribute"}


def test_an_input_without_a_shape(model):
    m = model([node("EyeLike", ["x"], ["y"])], inputs=[value("x", shape=("n", "n"))])
    assert causes(predict(m)) == {"y": "shape"}
    m = model([node("Softmax", ["x"], ["y"])], inputs=[value("x", shape=None)])
    assert causes(predict(m)) == {"y": "shape"}


def test_the_node_that_ends_the_session_for_its_shape(model):
    m = model([node("Relu", ["x"], ["a"]), node("Det", ["a"], ["y"])], inputs=[value("x", shape=None)])
    p = predict(m)
    assert p.outcome == "error"
    assert causes(p) == {"a": "shape", "y": "operator"}


def test_an_option_that_excludes_it(model):
    m = model([node("Relu", ["x"], ["a"]), node("Softmax", ["a"], ["y"])])
    assert causes(predict(m, exclude=["Softmax"])) == {"a": None, "y": "excluded"}


def test_a_release_that_keeps_operators_away_is_no_option(model):
    m = model([node("NonZero", ["x"], ["y"])], [value("y", INT64, None)])
    assert causes(predict(m, tensorrt="10.16", onnxruntime="1.20.1")) == {"y": "operator"}


def test_a_group_that_is_too_small(model):
    m = model([node("Relu", ["x"], ["a"]), node("Det", ["a"], ["y"])], inputs=SQUARES)
    assert causes(predict(m, min_subgraph=2)) == {"a": "small", "y": "operator"}


def test_shape_arithmetic_on_the_cpu(model):
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["g"]),
        node("Mul", ["g", "two"], ["d"]),
        node("Unsqueeze", ["d", "zeros"], ["u"]),
        node("Concat", ["u", "minus"], ["c"], axis=0),
        node("Reshape", ["x", "c"], ["y"]),
    ]
    weights = [weight("zero", 0), weight("two", 2), weight("zeros", [0]), weight("minus", [-1])]
    m = model(nodes, [value("y", FLOAT, None)], weights=weights)
    p = predict(m, min_subgraph=10)
    assert causes(p)["d"] == "shape-arithmetic"
    assert causes(p)["y"] == "small"
    assert causes(predict(m, Settings(provider="cuda")))["d"] == "shape-arithmetic"
    assert causes(predict(m, exclude=["Mul"], min_subgraph=10))["d"] == "excluded"


def test_a_neighbour_that_takes_tensorrt_from_the_whole_graph(model):
    weights = [weight("strings", np.array(["a", "b"], dtype=object)), weight("i", 0)]
    nodes = [node("Relu", ["x"], ["y"]), node("Gather", ["strings", "k"], ["t"])]
    m = model(nodes, ["y", value("t", 8, None)], [value("x"), value("k", INT64, (1,))], weights)
    found = causes(predict(m))
    assert found == {"y": "neighbour", "t": "type"}


def test_a_body_that_is_not_taken_whole(model):
    branches = {
        "then_branch": graph([node("Relu", ["x"], ["t"])], ["t"]),
        "else_branch": graph([node("Det", ["x"], ["e"])], ["e"]),
    }
    m = model([node("If", ["c"], ["y"], **branches)], inputs=[*SQUARES, value("c", BOOL, ())])
    found = causes(predict(m))
    assert (found["y"], found["e"]) == ("neighbour", "operator")


def test_an_iteration_limit(model):
    nodes = [node("Relu", ["x"], ["a"]), *(node("Det", ["x"], [f"d{i}"]) for i in range(3))]
    m = model(nodes, ["a", "d0", "d1", "d2"], SQUARES)
    limited = Settings(provider_options={"trt_max_partition_iterations": 3})
    enough = Settings(provider_options={"trt_max_partition_iterations": 4})
    p = predict(m, limited)
    assert causes(p) == {"a": "neighbour", "d0": "operator", "d1": "operator", "d2": "operator"}
    assert any("trt_max_partition_iterations" in note for note in p.notes)
    assert by_name(predict(m, enough))["a"].provider == TENSORRT


def test_every_node_off_tensorrt_has_a_cause(digits, detector, encoder):
    for sample in (digits, detector, encoder):
        for release in ("8.6", "10.16"):
            for placed in predict(sample, tensorrt=release, min_subgraph=3).nodes:
                assert (placed.cause is not None) == (placed.provider not in (TENSORRT, None)), placed


def test_placements_written_before_there_were_causes_are_read():
    old = {"name": "a", "op_type": "Relu", "provider": None, "group": None, "reason": "."}
    assert PlacedNode.model_validate(old).cause is None
