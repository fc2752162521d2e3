import json

import numpy as np
import pytest

from tests.placement.build import BOOL, FLOAT, INT64, graph, node, value, weight
from workbench.errors import InputError
from workbench.placement.cost import bound_of, cost_of
from workbench.placement.observed import placement_of_assignment
from workbench.placement.predict import predict
from workbench.placement.records import CPU, CUDA, TENSORRT

DET = [node("Relu", ["x"], ["a"]), node("Det", ["a"], ["d"]), node("Add", ["d", "d"], ["y"])]


def rows(cost):
    names = {TENSORRT: "trt", CUDA: "cuda", CPU: "cpu", None: "caller"}
    return {(b.tensor, names[b.source], names[b.target]): (b.bytes, b.copied) for b in cost.boundaries}


def test_what_passes_between_providers_is_counted_with_its_bytes(model):
    m = model(DET, inputs=[value("x", shape=("n", 2, 2))])
    cost = cost_of(predict(m), m, {"x": (3, 2, 2)})
    assert rows(cost) == {
        ("x", "caller", "trt"): (48, True),
        ("a", "trt", "cpu"): (48, True),
        ("d", "cpu", "trt"): (12, True),
        ("y", "trt", "caller"): (12, True),
    }
    assert (cost.engines, cost.copies, cost.copied_bytes, cost.caller_bytes) == (2, 2, 60, 60)
    assert str(cost) == "2 engines, 2 copies between host and GPU of 60 bytes per inference."
    assert json.loads(cost.model_dump_json())["copies"] == 2


def test_bytes_of_a_dimension_that_is_not_given_are_unknown(model):
    m = model(DET, inputs=[value("x", shape=("n", 2, 2))])
    cost = cost_of(predict(m), m)
    assert {b.bytes for b in cost.boundaries} == {None}
    assert (cost.copies, cost.copied_bytes) == (2, None)
    assert "of unknown size" in str(cost)


def test_shapes_that_are_computed_are_followed(model):
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Unsqueeze", ["n", "axes"], ["u"]),
        node("Concat", ["u", "minus"], ["shape"], axis=0),
        node("Reshape", ["x", "shape"], ["r"]),
        node("Compress", ["r", "keep"], ["y"], axis=1),
    ]
    weights = [weight("zero", 0), weight("axes", [0]), weight("minus", [-1]), weight("keep", np.ones(12, bool))]
    m = model(nodes, [value("y", FLOAT, (None, None))], [value("x", shape=("n", 3, 4))], weights)
    cost = cost_of(predict(m, tensorrt="8.6"), m, {"x": (5, 3, 4)})
    assert next(b.bytes for b in cost.boundaries if b.tensor == "r") == 5 * 12 * 4


def test_nothing_is_copied_between_tensorrt_and_cuda(model):
    m = model([node("Relu", ["x"], ["a"]), node("Softmax", ["a"], ["y"])])
    cost = cost_of(predict(m, exclude=["Softmax"]), m, {"x": (2, 4)})
    assert rows(cost)["a", "trt", "cuda"] == (32, False)
    assert (cost.copies, cost.copied_bytes) == (0, 0)


def test_what_cuda_reads_from_the_host_is_not_copied(model):
    nodes = [node("Shape", ["x"], ["s"]), node("Reshape", ["z", "s"], ["y"])]
    m = model(nodes, [value("y", FLOAT, None)], [value("x", shape=("n", "m")), value("z", shape=("n", "m"))])
    cost = cost_of(predict(m, exclude=["Shape", "Reshape"]), m, {"x": (2, 3)})
    assert not any(b.tensor == "s" and b.copied for b in cost.boundaries)


def test_a_second_reader_needs_no_second_copy(model):
    nodes = [node("Relu", ["x"], ["a"]), node("Det", ["a"], ["d"]), node("Det", ["a"], ["e"])]
    m = model(nodes, ["d", "e"], [value("x", shape=(3, 2, 2))])
    assert cost_of(predict(m), m).copies == 1


def test_values_are_followed_into_bodies(model):
    branches = {
        "then_branch": graph([node("Det", ["h"], ["t"])], ["t"]),
        "else_branch": graph([node("Relu", ["k"], ["e"])], ["e"]),
    }
    nodes = [node("Relu", ["x"], ["h"]), node("Exp", ["k0"], ["k"]), node("If", ["c"], ["y"], **branches)]
    inputs = [value("x", shape=(3, 2, 2)), value("k0", shape=(3,)), value("c", BOOL, ())]
    m = model(nodes, inputs=inputs)
    cost = cost_of(predict(m), m)
    assert ("h", "trt", "cpu") in rows(cost)


def test_a_measured_placement_has_a_cost_too(model):
    m = model(
        [node("MatMul", ["x", "w"], ["mm"]), node("Add", ["mm", "b"], ["y"]), node("Neg", ["y"], ["z"])],
        ["z"],
        weights=[weight("w", np.ones((4, 4), np.float32)), weight("b", np.ones(4, np.float32))],
    )
    measured = placement_of_assignment(m.nodes, [(TENSORRT, [("mm/MatMulAddFusion", "", "Gemm")]), (CPU, [("z", "", "Neg")])])
    assert rows(cost_of(measured, m, {"x": (2, 4)}))["y", "trt", "cpu"] == (32, True)


def test_a_session_that_is_not_made_costs_nothing(model):
    m = model(DET, inputs=[value("x", shape=None)])
    placement = predict(m)
    assert placement.outcome == "error"
    assert cost_of(placement, m).boundaries == ()


@pytest.mark.parametrize(
    ("shapes", "words"),
    [({"z": (1,)}, "no input 'z'"), ({"x": (1,)}, "3 dimensions"), ({"x": (1, 3, 2)}, "is 2")],
)
def test_shapes_that_do_not_fit_are_refused(model, shapes, words):
    m = model(DET, inputs=[value("x", shape=("n", 2, 2))])
    with pytest.raises(InputError, match=words):
        cost_of(predict(m), m, shapes)


def test_one_dimension_has_one_size(model):
    m = model([node("Add", ["x", "z"], ["y"])], inputs=[value("x"), value("z")])
    with pytest.raises(InputError, match="'n' of input 'z' is 2"):
        cost_of(predict(m), m, {"x": (2, 4), "z": (3, 4)})


def test_the_bound_is_amdahls():
    bound = bound_of({TENSORRT: 3.0, CUDA: 0.5, CPU: 0.5})
    assert (bound.outside, bound.speed_up) == (0.25, pytest.approx(4 / 3))
    assert str(bound) == "25% of the time outside TensorRT: moving all of it could win at most 1.33 ×."


def test_the_bound_is_missing_where_nothing_bounds_it():
    assert bound_of({CPU: 2.0}).speed_up is None
    assert "does not bound" in str(bound_of({CPU: 2.0}))
    assert bound_of({}).outside is None
    assert bound_of({TENSORRT: 0.0}).outside is None
    for wrong in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="0 or more"):
            bound_of({CPU: wrong})


def test_bytes_follow_the_type(model):
    m = model(
        [node("Cast", ["x"], ["a"], to=INT64), node("Compress", ["a", "k"], ["y"])],
        [value("y", INT64, (None,))],
        [value("x", shape=(3, 3)), value("k", BOOL, (9,))],
    )
    sizes = {b.tensor: b.bytes for b in cost_of(predict(m), m).boundaries}
    assert (sizes["a"], sizes["k"]) == (72, 9)
