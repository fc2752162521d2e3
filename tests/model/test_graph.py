from onnx import helper

from workbench.model.graph import bodies_of, captured, nodes_of


def test_own_names_are_kept_and_others_made_from_operator_and_position(graph):
    nodes = [helper.make_node("Relu", ["x"], ["a"], "mine"), helper.make_node("Exp", ["a"], ["y"])]
    assert [n.name for n in nodes_of(graph(nodes))] == ["mine", "Exp_1"]


def test_names_are_unique_even_when_made_up_names_stand_in_the_file(graph):
    given = ["a", "a", "", "a_1", "Relu_2", "Relu_2", "Relu_2_5", "a_1_"]
    nodes = [helper.make_node("Relu", ["x"], [f"t{i}"], name) for i, name in enumerate(given)]
    names = [n.name for n in nodes_of(graph(nodes))]
    assert len(set(names)) == len(names)
    assert [n for n, g in zip(names, given, strict=True) if n == g] == ["a", "a_1", "Relu_2", "Relu_2_5", "a_1_"]


def test_nodes_of_bodies_follow_their_parent_and_name_it(graph):
    body = graph([helper.make_node("Relu", ["x"], ["b"], "inner")], inputs=(), outputs=("b",))
    nodes = [
        helper.make_node("If", ["c"], ["i"], "", then_branch=body, else_branch=body),
        helper.make_node("Exp", ["i"], ["y"], "inner"),
    ]
    found = nodes_of(graph(nodes, inputs=("x", "c")))
    assert [(n.name, n.parent) for n in found] == [("If_0", ""), ("inner", "If_0"), ("inner_2", "If_0"), ("inner_3", "")]


def test_bodies_are_found_in_attributes_without_a_type(graph):
    node = helper.make_node("If", ["c"], ["i"], then_branch=graph([]), else_branch=graph([]))
    for attribute in node.attribute:
        attribute.ClearField("type")
    assert len(bodies_of(node)) == 2


def test_a_body_captures_what_it_reads_from_outside_at_any_depth(graph):
    inner = graph([helper.make_node("Add", ["far", "mid"], ["r"])], inputs=(), outputs=("r",))
    nodes = [
        helper.make_node("Relu", ["near"], ["mid"]),
        helper.make_node("If", ["c"], ["o"], then_branch=inner, else_branch=inner),
    ]
    assert captured(graph(nodes, inputs=("c",), outputs=("o", "outer"))) == {"near", "far", "outer"}
