import pytest

from tests.placement.build import FLOAT, INT64, node, value, weight
from workbench.placement.ordering import by_priority, depth_first, edges
from workbench.placement.partition import NoShape, Parser, TooDeep, consolidated, cut_points, supported_runs
from workbench.placement.prepare import prepare


def graph_of(model, nodes, **kwargs):
    return prepare(model(nodes, **kwargs), optimised=False, inlines_branches=False).graph


def names(ops):
    return [op.name for op in ops]


def chain(*names_):
    """Relu after Relu; each node has the name of what it writes."""
    return [node("Relu", [before], [after]) for before, after in zip(("x", *names_), names_, strict=False)]


def parser(graph, refused, *, at_once=(), last_first=True, by_depth=False, deepest=1000):
    bad = {op: "" for op in graph.ops if op.name in refused}
    return Parser(bad, frozenset(op for op in bad if op.name in at_once), last_first, by_depth, deepest)


@pytest.mark.parametrize("last_first", [True, False])
@pytest.mark.parametrize("by_depth", [True, False])
def test_refused_nodes_cut_a_group_into_runs(model, last_first, by_depth):
    graph = graph_of(model, chain("a", "b", "c", "d", "y"))
    runs = supported_runs(graph.ops, graph, parser(graph, {"b", "d"}, last_first=last_first, by_depth=by_depth), edges(graph.ops))
    assert [names(run) for run in runs] == [["a"], ["c"], ["y"]]


def test_an_accepted_group_needs_no_shapes(model):
    graph = graph_of(model, chain("a", "y"), inputs=[value("x", FLOAT, None)])
    assert [names(r) for r in supported_runs(graph.ops, graph, parser(graph, ()), edges(graph.ops))] == [["a", "y"]]


def test_a_group_asked_about_again_needs_shapes(model):
    graph = graph_of(model, chain("a", "b", "y"), inputs=[value("x", FLOAT, (None, 4))])
    with pytest.raises(NoShape) as missing:
        supported_runs(graph.ops, graph, parser(graph, {"b"}), edges(graph.ops))
    assert missing.value.value == "x"


def test_what_is_taken_out_at_once_asks_for_no_shapes_in_between(model):
    graph = graph_of(model, chain("a", "b", "y"), inputs=[value("x", FLOAT, (None, 4))])
    runs = supported_runs(graph.ops[1:], graph, parser(graph, {"b", "y"}, at_once={"b", "y"}), edges(graph.ops))
    assert runs == []


def test_a_named_dimension_is_a_shape(model):
    graph = graph_of(model, chain("a", "b", "y"), inputs=[value("x", FLOAT, ("batch", 4))])
    assert len(supported_runs(graph.ops, graph, parser(graph, {"b"}), edges(graph.ops))) == 2


def test_too_many_refused_nodes_end_it(model):
    graph = graph_of(model, chain("a", "b", "c", "y"))
    with pytest.raises(TooDeep):
        supported_runs(graph.ops, graph, parser(graph, {"a", "c"}, deepest=2), edges(graph.ops))


def test_joining_is_all_or_nothing(model):
    nodes = [node("Relu", ["x"], ["a"]), node("Exp", ["a"], ["b"]), node("Add", ["a", "b"], ["y"]), node("Neg", ["x"], ["z"])]
    graph = graph_of(model, nodes, outputs=["y", "z"])
    a, b, y, z = graph.ops
    before = edges(graph.ops)
    assert [names(r) for r in consolidated([[a], [y, z]], graph.ops, before)] == [["a"], ["y", "z"]]
    assert [names(r) for r in consolidated([[a, b], [z]], graph.ops, before)] == [["a", "b", "z"]]
    assert consolidated([[a]], graph.ops, before) == [[a]]


def test_cut_points_keep_or_leave_holes(model):
    graph = graph_of(model, chain("a", "b", "y"))
    out = {graph.ops[1]}
    assert [names(g) for g in cut_points(graph.ops, out, holes=False)] == [["a"], ["y"]]
    assert [names(g) for g in cut_points(graph.ops, out, holes=True)] == [["a", "y"]]


def test_shapes_come_first_in_order_of_priority(model):
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Exp", ["a"], ["b"]),
        node("Shape", ["a"], ["s"]),
        node("Reshape", ["b", "s"], ["y"]),
    ]
    graph = graph_of(model, nodes)
    assert names(by_priority(graph.ops, edges(graph.ops))) == ["a", "s", "b", "y"]


def test_depth_first_visits_the_last_input_first(model):
    nodes = [node("Relu", ["x"], ["a"]), node("Exp", ["x"], ["b"]), node("Add", ["a", "b"], ["y"]), node("Neg", ["x"], ["z"])]
    graph = graph_of(model, nodes, outputs=["y", "z"])
    order = depth_first(graph.ops, edges(graph.ops), {op: op.position for op in graph.ops})
    assert names(order) == ["z", "b", "a", "y"]


def test_file_positions_break_ties_when_nodes_are_out_of_order(model):
    nodes = [node("Add", ["a", "b"], ["y"]), node("Exp", ["x"], ["b"]), node("Relu", ["x"], ["a"])]
    graph = graph_of(model, nodes)
    assert names(by_priority(graph.ops, edges(graph.ops))) == ["b", "a", "y"]


def test_constants_need_no_shape(model):
    nodes = [node("Relu", ["x"], ["a"]), node("Det", ["a"], ["d"]), node("Gather", ["w", "i"], ["y"])]
    inputs = [value("x", FLOAT, (2, 2)), value("i", INT64, ("n",))]
    graph = graph_of(model, nodes, outputs=["y", "d"], inputs=inputs, weights=[weight("w", [1.0, 2.0])])
    assert len(supported_runs(graph.ops, graph, parser(graph, {"d"}), edges(graph.ops))) == 2
