import onnx
import pytest
from onnx import helper

from workbench.errors import ModelError
from workbench.model.model import Model

node = helper.make_node


def test_an_undefined_tensor_names_the_node_and_the_tensor(saved):
    with pytest.raises(ModelError, match=r"node 0 \(Add 'plus'\) reads tensor 'ghost', which nothing writes"):
        Model.load(saved([node("Add", ["x", "ghost"], ["y"], "plus")]))


def test_two_writers_of_one_tensor_are_both_named(saved):
    with pytest.raises(ModelError, match=r"'y' is written twice: by node 1 \(Exp 'b'\) and by node 0 \(Relu 'a'\)"):
        Model.load(saved([node("Relu", ["x"], ["y"], "a"), node("Exp", ["x"], ["y"], "b")]))


def test_writing_an_input_is_refused(saved):
    with pytest.raises(ModelError, match="graph input or weight"):
        Model.load(saved([node("Relu", ["x"], ["x"]), node("Relu", ["x"], ["y"])]))


def test_writing_what_a_constant_writes_is_refused(saved):
    with pytest.raises(ModelError, match="written twice"):
        Model.load(saved([node("Relu", ["x"], ["y"]), node("Constant", [], ["y"], value_float=1.0)]))


def test_constants_that_repeat_a_name_are_accepted(saved):
    constants = [node("Constant", [], ["c"], value_float=v) for v in (1.0, 2.0)]
    assert len(Model.load(saved([*constants, node("Add", ["x", "c"], ["y"])])).nodes) == 3


def test_a_cycle_names_its_nodes_and_not_those_behind_it(saved):
    nodes = [
        node("Neg", ["b"], ["y"], "behind"),
        node("Add", ["x", "b"], ["a"], "one"),
        node("Relu", ["a"], ["b"], "two"),
    ]
    with pytest.raises(ModelError, match="cycle through") as caught:
        Model.load(saved(nodes))
    assert "'one'" in str(caught.value)
    assert "'two'" in str(caught.value)
    assert "'behind'" not in str(caught.value)


def test_a_node_that_reads_its_own_output_is_a_cycle(saved):
    with pytest.raises(ModelError, match=r"cycle through node 0 \(Add 'self'\)\."):
        Model.load(saved([node("Add", ["x", "y"], ["y"], "self")]))


def test_a_cycle_through_a_body_is_found(saved, graph):
    body = graph([node("Relu", ["later"], ["b"])], inputs=(), outputs=("b",))
    nodes = [node("If", ["c"], ["i"], "if", then_branch=body, else_branch=body), node("Neg", ["i"], ["later"], "neg")]
    with pytest.raises(ModelError, match="cycle"):
        Model.load(saved(nodes, inputs=("c",), outputs=("later",)))


def test_unsorted_nodes_are_allowed_and_told(saved):
    model = Model.load(saved([node("Exp", ["a"], ["y"]), node("Relu", ["x"], ["a"])]))
    assert not model.in_order
    assert any("topological" in f.seen for f in model.findings())


def test_a_constant_behind_its_reader_is_unsorted(saved):
    nodes = [node("Add", ["x", "c"], ["y"]), node("Constant", [], ["c"], value_float=1.0)]
    assert not Model.load(saved(nodes)).in_order
    assert Model.load(saved(nodes[::-1])).in_order


def test_ten_thousand_unsorted_nodes_are_noticed(saved):
    chain = [node("Relu", [f"t{i}"], [f"t{i + 1}"], f"n{i}") for i in range(10_000)]
    path = saved(chain[::-1], inputs=("t0",), outputs=("t10000",))
    assert not Model.load(path).in_order


def test_a_graph_without_outputs_is_refused(saved):
    with pytest.raises(ModelError, match="no outputs"):
        Model.load(saved([node("Relu", ["x"], ["y"])], outputs=()))


def test_an_output_that_nothing_writes_is_refused(saved):
    with pytest.raises(ModelError, match="output 'z' is written by no node"):
        Model.load(saved([node("Relu", ["x"], ["y"])], outputs=("y", "z")))


def test_an_input_or_a_weight_may_be_an_output(saved, weights, tensor):
    assert Model.load(saved([], outputs=("x", "w"), weights=[tensor(weights, "w")])).nodes == ()


def test_a_node_without_an_operator_is_refused(saved):
    with pytest.raises(ModelError, match=r"node 0 \(no operator 'n'\) has no operator"):
        Model.load(saved([onnx.NodeProto(name="n", input=["x"], output=["y"])]))


def test_an_undefined_tensor_in_a_body_is_found(saved, graph):
    body = graph([node("Relu", ["ghost"], ["b"])], inputs=(), outputs=("b",))
    with pytest.raises(ModelError, match="ghost"):
        Model.load(saved([node("If", ["c"], ["y"], then_branch=body, else_branch=body)], inputs=("c",)))


def test_a_body_may_read_what_surrounds_it_and_give_it_back(saved, graph):
    body = graph([], inputs=(), outputs=("a",))
    nodes = [node("Relu", ["x"], ["a"]), node("If", ["c"], ["y"], then_branch=body, else_branch=body)]
    assert Model.load(saved(nodes, inputs=("x", "c"))).in_order


def test_an_undefined_tensor_in_a_function_names_the_function(saved):
    function = helper.make_function("local", "F", ["a"], ["f"], [node("Add", ["a", "ghost"], ["f"])], [])
    with pytest.raises(ModelError, match="function 'F': node 0"):
        Model.load(saved([node("F", ["x"], ["y"], domain="local")], functions=[function]))


def test_optional_inputs_left_out_are_no_tensors(saved):
    assert Model.load(saved([node("Clip", ["x", "", ""], ["y"])])).nodes[0].op_type == "Clip"


def test_a_name_that_is_no_text_is_a_model_error(saved):
    path = saved([node("Relu", ["x"], ["y"], "namename")])
    path.write_bytes(path.read_bytes().replace(b"namename", b"\xff\xfe\xff\xfename"))
    with pytest.raises(ModelError, match=r"not UTF-8 text: b'\\xff\\xfe"):
        Model.load(path)
