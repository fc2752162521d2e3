import onnx
import pytest
from onnx import TensorProto, helper

from workbench.model.model import Model

node = helper.make_node


def levels(path):
    return {(f.level, f.where) for f in Model.load(path).findings()}


def test_a_plain_static_model_has_no_findings(saved):
    assert Model.load(saved([node("Relu", ["x"], ["y"], "r")], shape=(1, 8))).findings() == []


def test_embedded_weights_do_not_trouble_the_checker(matmul, external):
    for path in (matmul, external):
        assert levels(path) == {("info", "x")}


def test_what_the_checker_refuses_is_a_warning(saved):
    found = Model.load(saved([node("Relu", ["x", "x"], ["y"], "r")], shape=(1,))).findings()
    assert [(f.level, f.where) for f in found] == [("warning", "graph")]
    assert "Relu" in found[0].seen


def test_large_constants_in_bodies_are_checked_as_the_rest(saved, graph, tensor, weights):
    constant = node("Constant", [], ["b"], "c", value=tensor(weights, "b"))
    body = graph([constant, node("Relu", ["b", "b"], ["r"], "bad")], inputs=(), outputs=("r",))
    path = saved([node("If", ["c"], ["y"], "if", then_branch=body, else_branch=body)], inputs=("c",), shape=(1,))
    assert any("Relu" in f.seen for f in Model.load(path).findings())


def test_experimental_operators_print_nothing(saved, capfd):
    path = saved([node("ImageScaler", ["x"], ["y"], "s", scale=1.0)])
    Model.load(path).findings()
    assert capfd.readouterr() == ("", "")


def test_missing_and_repeated_names_are_told(saved):
    path = saved([node("Relu", ["x"], ["a"], "r"), node("Relu", ["a"], ["b"], "r"), node("Exp", ["b"], ["y"])], shape=(1,))
    (found,) = Model.load(path).findings()
    assert found.seen.startswith("2 of 3 nodes")


def test_dynamic_dimensions_ask_for_a_profile(saved):
    (found,) = Model.load(saved([node("Relu", ["x"], ["y"], "r")], shape=("batch", 3))).findings()
    assert (found.level, found.where) == ("info", "x")
    assert "batch" in found.seen


def test_an_unknown_rank_is_a_warning(saved):
    assert ("warning", "x") in levels(saved([node("Relu", ["x"], ["y"], "r")], shape=None))


@pytest.mark.parametrize("kind", [TensorProto.STRING, TensorProto.UINT16])
def test_an_input_type_that_tensorrt_does_not_take_is_told(model, tmp_path, kind):
    proto = model([node("Identity", ["x"], ["y"], "i")], shape=(1,))
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.elem_type = kind
    path = tmp_path / "typed.onnx"
    path.write_bytes(proto.SerializeToString())
    (found,) = Model.load(path).findings()
    assert found.where == "x"


def test_a_payload_that_does_not_fit_its_shape_is_an_error(matmul):
    proto = onnx.load(matmul)
    proto.graph.initializer[0].dims[:] = [64, 127]
    matmul.write_bytes(proto.SerializeToString())
    found = Model.load(matmul).findings()[0]
    assert (found.level, found.where) == ("error", "w")
    assert "32,768 bytes, its shape asks for 32,512" in found.seen
