import pytest
from onnx import TensorProto, helper, shape_inference

from workbench.model.known_shapes import Ran, copy_shapes, name_dimensions, specified, write_observed

FLOAT = TensorProto.FLOAT


@pytest.fixture
def split(model):
    """Return a model with a tensor `m` between two nodes of which nothing is known."""
    return model([helper.make_node("Odd", ["x"], ["m"], "one"), helper.make_node("Odd", ["m"], ["y"], "two")])


def info(graph, name):
    return {i.name: i for i in graph.value_info}.get(name)


def dims(value):
    return [d.dim_value if d.HasField("dim_value") else d.dim_param for d in value.type.tensor_type.shape.dim]


def ran(node, *shapes):
    return Ran(node, ((FLOAT, (1, 8)),), tuple((FLOAT, shape) for shape in shapes))


def test_a_dimension_that_never_changes_is_a_number_and_another_gets_a_name(split):
    written = write_observed(split.graph, [ran("one", (1, 5)), ran("one", (2, 5))], varied=True)

    assert written == ["m"]
    first, second = dims(info(split.graph, "m"))
    assert isinstance(first, str)
    assert first
    assert second == 5


def test_without_another_size_to_compare_with_every_dimension_gets_a_name(split):
    write_observed(split.graph, [ran("one", (1, 5))], varied=False)

    assert all(isinstance(dim, str) for dim in dims(info(split.graph, "m")))


def test_a_dimension_that_follows_from_content_gets_a_name(model):
    proto = model([helper.make_node("NonZero", ["x"], ["m"], "one"), helper.make_node("Odd", ["m"], ["y"], "two")])
    pairs = ((TensorProto.INT64, (2, 3)),)

    write_observed(proto.graph, [Ran("one", (), pairs), Ran("one", (), pairs)], varied=True)

    assert all(isinstance(dim, str) for dim in dims(info(proto.graph, "m")))


def test_a_rank_that_changes_is_not_written(split):
    assert write_observed(split.graph, [ran("one", (1, 5)), ran("one", (5,))], varied=True) == []
    assert info(split.graph, "m") is None


def test_what_the_model_says_already_stays(split):
    split.graph.value_info.append(helper.make_tensor_value_info("m", FLOAT, ["batch", 7]))

    assert write_observed(split.graph, [ran("one", (1, 5))], varied=True) == []
    assert dims(info(split.graph, "m")) == ["batch", 7]


def test_dimensions_without_name_get_one_and_names_that_inference_made_up_stay_equal(split):
    split.graph.value_info.extend(
        [
            helper.make_tensor_value_info("m", FLOAT, ["unk__1", None, 3]),
            helper.make_tensor_value_info("n", FLOAT, ["unk__1", "dim_0"]),
        ]
    )

    assert name_dimensions(split.graph) == 2
    first, second, third = dims(info(split.graph, "m"))
    assert first == dims(info(split.graph, "n"))[0]
    assert len({first, second, "dim_0"}) == 3
    assert third == 3
    assert specified(info(split.graph, "m"))


def test_a_scalar_is_specified_and_an_unknown_rank_is_not():
    assert specified(helper.make_tensor_value_info("s", FLOAT, []))
    assert not specified(helper.make_tensor_value_info("u", FLOAT, None))
    assert not specified(None)


def test_inferred_shapes_are_copied_into_bodies_too(model):
    body = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["m"]), helper.make_node("Relu", ["m"], ["b"])],
        "b",
        [],
        [helper.make_tensor_value_info("b", FLOAT, None)],
    )
    nodes = [
        helper.make_node("Cast", ["x"], ["c"], to=TensorProto.BOOL),
        helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body),
    ]
    proto = model(nodes)
    inferred = shape_inference.infer_shapes(proto)

    assert copy_shapes(inferred.graph, proto.graph) >= 3
    assert dims(info(proto.graph.node[1].attribute[0].g, "m")) == ["N", 8]
