from onnx import helper

from workbench.model.names import name_nodes


def test_nodes_without_a_name_and_with_a_shared_one_get_their_own(model):
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], "same"),
        helper.make_node("Relu", ["a"], ["b"], "same"),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    proto = model(nodes)

    changes = name_nodes(proto)

    names = [node.name for node in proto.graph.node]
    assert names[0] == "same"
    assert len({*names}) == 3
    assert all(names)
    assert changes == ["Gave nodes a name of their own: 1 that had none and 1 that shared one."]


def test_names_that_are_unique_stay(model):
    proto = model([helper.make_node("Relu", ["x"], ["y"], "only")])

    assert name_nodes(proto) == []
    assert proto.graph.node[0].name == "only"
