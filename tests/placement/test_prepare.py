import numpy as np
import pytest

from tests.placement.build import BOOL, INT64, graph, node, value, weight
from workbench.placement.constants import constant
from workbench.placement.prepare import fatal, prepare


def prepared(model, **kwargs):
    return prepare(model, optimised=True, inlines_branches=True, **kwargs)


def removed(result):
    return {op.name: op.removed for _, op in result.graph.walk() if op.removed}


def test_shapes_and_types_are_inferred(model):
    g = prepared(
        model(
            [node("Flatten", ["x"], ["f"]), node("Cast", ["f"], ["y"], to=INT64)],
            outputs=[value("y", INT64)],
            inputs=[value("x", shape=("n", 2, 3))],
        )
    ).graph
    assert g.value("f").shape == ("n", 6)
    assert g.value("y").type == "tensor(int64)"
    assert g.value("nothing").shape is None


def test_names_that_inference_invents_are_no_shape(model):
    g = prepared(model([node("NonZero", ["x"], ["y"])], outputs=[value("y", INT64, None)])).graph
    assert g.value("y").shape == (2, None)
    assert not g.specified("y")


def test_the_shape_of_a_static_tensor_is_computed(model):
    nodes = [node("Shape", ["x"], ["a"]), node("Shape", ["z"], ["b"]), node("Shape", ["z"], ["c"], start=1)]
    result = prepared(model(nodes, outputs=["a", "b", "c"], inputs=[value("x", shape=(2, 3)), value("z", shape=("n", 3))]))
    assert set(removed(result)) == {"a", "c"}


@pytest.mark.parametrize("masked", [False, True])
def test_dropout_goes_unless_its_mask_is_used(model, masked):
    nodes = [node("Dropout", ["x"], ["d", "mask"] if masked else ["d"]), node("Relu", ["d"], ["y"])]
    result = prepared(model(nodes, outputs=["y", value("mask", BOOL)] if masked else ["y"]))
    assert bool(removed(result)) is not masked


def test_an_identity_stays_where_two_outputs_need_it(model):
    nodes = [node("Relu", ["x"], ["a"]), node("Identity", ["a"], ["y"])]
    assert set(removed(prepared(model(nodes)))) == {"y"}
    assert removed(prepared(model(nodes, outputs=["y", "a"]))) == {}
    assert removed(prepared(model([node("Identity", ["x"], ["y"])]))) == {}


def test_an_overridable_weight_is_no_constant(model):
    nodes = [node("Exp", ["w"], ["e"]), node("Add", ["x", "e"], ["y"])]
    fields = {"inputs": [value("x"), value("w", shape=(4,))], "weights": [weight("w", np.ones(4, np.float32))]}
    assert removed(prepared(model(nodes, **fields))) == {}
    assert set(removed(prepared(model(nodes, ir_version=3, **fields)))) == {"e"}


def test_random_numbers_are_not_folded(model):
    nodes = [node("RandomNormalLike", ["w"], ["r"]), node("Add", ["x", "r"], ["y"])]
    assert removed(prepared(model(nodes, weights=[weight("w", np.ones(4, np.float32))]))) == {}


def test_nested_branches_are_decided_one_after_the_other(model):
    inner = node(
        "If",
        ["yes"],
        ["i"],
        "inner",
        then_branch=graph([node("Exp", ["x"], ["p"])], ["p"]),
        else_branch=graph([node("Neg", ["x"], ["q"])], ["q"]),
    )
    outer = node(
        "If", ["yes"], ["y"], "outer", then_branch=graph([inner], ["i"]), else_branch=graph([node("Sin", ["x"], ["r"])], ["r"])
    )
    result = prepared(model([outer], weights=[weight("yes", np.bool_(True))]))
    assert [op.op_type for op in result.graph.live()] == ["Exp"]
    assert result.graph.live()[0].outputs == ("y",)
    assert set(result.removed) == {"outer", "inner", "q", "r"}


def test_a_branch_that_hands_on_a_value_from_outside(model):
    outer = node(
        "If", ["yes"], ["i"], "outer", then_branch=graph([], ["x"]), else_branch=graph([node("Sin", ["x"], ["r"])], ["r"])
    )
    result = prepared(model([outer, node("Relu", ["i"], ["y"])], weights=[weight("yes", np.bool_(True))]))
    assert [op.op_type for op in result.graph.live()] == ["Relu"]


def test_older_releases_keep_the_if(model):
    outer = node(
        "If",
        ["yes"],
        ["y"],
        "outer",
        then_branch=graph([node("Exp", ["x"], ["p"])], ["p"]),
        else_branch=graph([node("Sin", ["x"], ["r"])], ["r"]),
    )
    m = model([outer], weights=[weight("yes", np.bool_(True))])
    assert len(prepare(m, optimised=True, inlines_branches=False).graph.ops) == 1


def test_constants_are_evaluated_as_far_as_needed(model):
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Slice", ["s", "a", "b"], ["t"]),
        node("ReduceProd", ["t"], ["p"], keepdims=0),
        node("Greater", ["p", "b0"], ["g"]),
        node("Cast", ["g"], ["y"], to=INT64),
    ]
    weights = [weight("a", np.array([0])), weight("b", np.array([2])), weight("b0", np.int64(5))]
    g = prepared(model(nodes, outputs=[value("y", INT64, None)], inputs=[value("x", shape=(2, 3, 4))], weights=weights)).graph
    assert constant(g, "t").tolist() == [2, 3]
    assert constant(g, "y").item() == 1
    assert constant(g, "x") is None


def test_a_long_chain_of_constants_is_given_up_quietly(model):
    nodes = [node("Add", [f"v{i}", f"v{i}"], [f"v{i + 1}"]) for i in range(2000)] + [node("Add", ["x", "v2000"], ["y"])]
    g = prepared(model(nodes, weights=[weight("v0", np.float32(0))])).graph
    assert constant(g, "v2000") is None
    assert constant(g, "v5").item() == 0


def test_what_onnx_runtime_forgives_is_no_defect():
    assert (
        fatal(
            "[ShapeInferenceError] Inference error(s): (op_type:Add, node name: a): [ShapeInferenceError] Incompatible dimensions"
        )
        == "Add 'a': Incompatible dimensions"
    )
    assert fatal("(op_type:Relu): [ShapeInferenceError] Inferred shape and existing shape differ in rank: (4) vs (0)") == ""
    assert fatal("(op_type:Relu): [TypeInferenceError] Input 0 expected to have type but instead is null") == ""
    assert fatal("something else") == ""


def test_the_model_itself_is_not_changed(model):
    m = model([node("Sigmoid", ["h"], ["y"]), node("Relu", ["x"], ["h"])])
    before = m.proto.SerializeToString()
    prepared(m)
    assert m.proto.SerializeToString() == before
