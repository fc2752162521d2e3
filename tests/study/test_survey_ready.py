import onnx
import pytest
from onnx import TensorProto, helper

from workbench.model.model import Model
from workbench.study.configuration import parse_configurations
from workbench.study.survey_ready import ReadyModel, ready_model


@pytest.fixture
def unnamed(tmp_path):
    specs = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])] for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", *specs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "net.onnx")
    return Model.load(tmp_path / "net.onnx")


def test_a_new_file_is_written_under_a_free_name(unnamed):
    paths = [ready_model(unnamed).model.path.name for _ in range(2)]

    assert paths == ["net.ready.onnx", "net.ready-2.onnx"]


def test_a_model_that_needs_nothing_stays_as_it_is(digits, tmp_path):
    copy = tmp_path / "digits.onnx"
    copy.write_bytes(digits.path.read_bytes())
    found = ready_model(Model.load(copy), tensorrt="8.6")

    assert found.note.startswith("Made ready for TensorRT 8.6")
    assert found.model.path.parent == tmp_path


def test_options_that_the_model_needs_go_to_tensorrt_only(digits):
    made = ReadyModel(digits, (("trt_op_types_to_exclude", "NonZero"),), "")

    found = made.configured(parse_configurations(["cpu", "tensorrt fp16", "tensorrt trt_op_types_to_exclude=Loop"]))

    excluded = [each.settings.provider_options.get("trt_op_types_to_exclude") for each in found]
    assert excluded == [None, "NonZero", "Loop"]
    assert [each.name for each in found][1] == "tensorrt fp16"
