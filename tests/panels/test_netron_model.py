import onnx
import pytest

from tests.panels.models import chain_model, split_placement
from workbench.panels.netron_model import shown_model
from workbench.placement.records import CPU, TENSORRT

COLOURS = {TENSORRT: "#009E73", CPU: "#E69F00"}


@pytest.fixture
def model(tmp_path):
    return chain_model(tmp_path / "chain.onnx")


def parsed(shown):
    return onnx.ModelProto.FromString(shown.data)


def test_nodes_get_the_names_of_the_model(model):
    shown = shown_model(model)
    names = [node.name for node in parsed(shown).graph.node]
    assert names[0] == "Add_0"
    assert {node.name for node in shown.nodes} == {node.name for node in model.nodes}
    assert all(node.provider is None for node in shown.nodes)


def test_nodes_tell_who_runs_them_and_why(model):
    graph = parsed(shown_model(model, split_placement(model))).graph
    told = {entry.key: entry.value for entry in graph.node[-1].metadata_props}
    assert told == {"provider": CPU, "group": "1", "reason": "control flow", "evidence": "predicted"}
    body = graph.node[-1].attribute[0].g
    assert {entry.key: entry.value for entry in body.node[0].metadata_props}["provider"] == CPU


def test_model_itself_is_not_changed(model):
    before = model.proto.SerializeToString()
    shown_model(model, split_placement(model), fold=True)
    assert model.proto.SerializeToString() == before


def test_weights_are_left_out(tmp_path):
    model = chain_model(tmp_path / "chain.onnx")
    tensor = model.proto.graph.initializer.add()
    tensor.name, tensor.data_type, tensor.data_location = "far", onnx.TensorProto.FLOAT, onnx.TensorProto.EXTERNAL
    tensor.dims.append(9)
    tensor.external_data.add(key="location", value="elsewhere.bin")

    for tensor in parsed(shown_model(model)).graph.initializer[1:]:
        assert not tensor.raw_data
        assert not tensor.external_data
        assert tensor.dims


def test_group_becomes_one_call_of_a_valid_function(model):
    shown = shown_model(model, split_placement(model), fold=True)
    proto = parsed(shown)

    call, choice = proto.graph.node
    assert shown.folded == 1
    assert call.name == "Engine 1 (6)"
    assert (list(call.input), list(call.output)) == (["x"], ["t5"])
    assert choice.op_type == "If"
    (function,) = proto.functions
    assert [node.op_type for node in function.node] == ["Constant", *["Add"] * 6]
    onnx.checker.check_model(proto)


def test_folded_group_stands_for_its_members_both_ways(model):
    shown = shown_model(model, split_placement(model), fold=True)
    call = parsed(shown).graph.node[0].name

    assert shown.shown_for("/block/add 3") == call
    assert len(shown.members_of(call)) == 6
    assert shown.members_of("choice") == ("choice",)
    assert shown.members_of("/block/add 3") == ("/block/add 3",)
    assert shown.shown_for("nothing") == ""


def test_small_models_are_not_folded_unless_asked(model):
    assert shown_model(model, split_placement(model)).folded == 0


def test_colours_are_found_by_the_escaped_name(model):
    css = shown_model(model, split_placement(model)).css(COLOURS)
    assert "#node-name-\\2f block\\2f add\\20 3" in css
    assert "--workbench-fill:#E69F00;--workbench-text:#000" in css
    assert "--workbench-fill:#009E73;--workbench-text:#000" in css


def test_nodes_without_provider_have_no_colour(model):
    assert "#node-name" not in shown_model(model).css(COLOURS)
