from onnx import TensorProto, helper

from workbench.model.data_dependent import data_dependent


def found(graph, *nodes, **parts):
    return data_dependent(graph(list(nodes), **parts))


def test_what_follows_from_content_is_dependent_and_what_follows_from_shapes_is_not(graph):
    shape = helper.make_node("Shape", ["x"], ["s"])
    same = helper.make_node("Reshape", ["x", "s"], ["r"])
    hits = helper.make_node("NonZero", ["x"], ["n"])
    moved = helper.make_node("Transpose", ["n"], ["y"])

    assert found(graph, shape, same, hits, moved) == {"n", "y"}


def test_the_shape_of_a_dependent_tensor_is_content(graph):
    nodes = [
        helper.make_node("NonZero", ["x"], ["n"]),
        helper.make_node("Shape", ["n"], ["s"]),
        helper.make_node("ConstantOfShape", ["s"], ["y"]),
    ]

    assert found(graph, *nodes) == {"n", "y"}


def test_the_order_of_nodes_does_not_matter(graph):
    nodes = [helper.make_node("Relu", ["n"], ["y"]), helper.make_node("NonZero", ["x"], ["n"])]

    assert found(graph, *nodes) == {"n", "y"}


def test_a_branch_that_the_content_chooses_is_dependent(graph):
    body = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["b"])], "b", [], [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)]
    )
    cast = helper.make_node("Cast", ["x"], ["c"], to=TensorProto.BOOL)
    choice = helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body)

    assert found(graph, cast, choice) == {"y"}


def test_an_operator_of_another_domain_may_do_anything(graph):
    assert found(graph, helper.make_node("Odd", ["x"], ["y"], domain="local")) == {"y"}
