import pytest
from onnx import TensorProto, checker, helper

from workbench.errors import ModelError
from workbench.model.opset import Versions, ir_version_needed, lower_versions

OLD = Versions(opset=15, ml_opset=2, ir_version=8)


def test_an_opset_whose_operators_are_the_same_before_only_gets_the_lower_number(model):
    proto, changes = lower_versions(model([helper.make_node("Relu", ["x"], ["y"])], opset=17), OLD)

    assert proto.opset_import[0].version == 15
    assert proto.graph.node[0].op_type == "Relu"
    assert "the operators used are the same" in changes[0]
    assert proto.ir_version == 8


def test_other_operators_go_through_onnxs_converter(model):
    newest = Versions(opset=18, ml_opset=2, ir_version=9)
    proto, changes = lower_versions(model([helper.make_node("Identity", ["x"], ["y"])], opset=21), newest)

    assert {o.domain: o.version for o in proto.opset_import}[""] == 18
    assert "version converter rewrote Identity" in changes[0]
    checker.check_model(proto)


def test_an_operator_that_did_not_exist_before_is_an_error(model):
    with pytest.raises(ModelError, match=r"Gelu.*opset 15"):
        lower_versions(model([helper.make_node("Gelu", ["x"], ["y"])], opset=20), OLD)


def test_a_domain_that_no_node_uses_gets_the_lower_number(model):
    proto = model([helper.make_node("Relu", ["x"], ["y"])], opset=15)
    proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 5))

    proto, changes = lower_versions(proto, OLD)

    assert {o.domain: o.version for o in proto.opset_import}["ai.onnx.ml"] == 2
    assert changes[0] == "Lowered opset 5 of ai.onnx.ml to 2: no node uses it."


def test_what_the_runtime_reads_is_left_alone(model):
    proto = model([helper.make_node("Relu", ["x"], ["y"])], opset=15)
    proto.ir_version = 8

    assert lower_versions(proto, OLD)[1] == []


def test_the_ir_version_is_not_lowered_below_what_an_element_type_needs(model):
    proto = model([helper.make_node("Relu", ["x"], ["y"])], opset=15)
    proto.ir_version = 10
    proto.graph.initializer.append(helper.make_tensor("w", TensorProto.FLOAT8E4M3FN, [1], [1.0]))

    assert ir_version_needed(proto) == 9
    with pytest.raises(ModelError, match="IR version 9"):
        lower_versions(proto, OLD)
