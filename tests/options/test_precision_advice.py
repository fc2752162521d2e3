import onnx
import pytest

from workbench.errors import SettingsError
from workbench.options.precision_advice import advise, flags_to_graph, graph_settings, supports
from workbench.options.settings import Settings
from workbench.samples.catalogue import sample_path


@pytest.mark.parametrize(
    ("release", "tensorrt", "strong", "flags"),
    [
        ("1.17.1", "8.6.1", False, True),
        ("1.18", "10.0.1", True, True),
        ("1.26", "10.14.1", True, True),
        ("1.27", "10.14.1", False, True),
        ("1.31.1", "10.16", False, True),
        ("1.31.1", "11.0", True, False),
    ],
)
def test_types_of_the_file_are_kept_where_the_release_does(release, tensorrt, strong, flags):
    given = advise("fp16", onnxruntime=release, tensorrt=tensorrt)
    assert (given.strongly_typed, given.flags, given.exact) == (strong, flags, strong)
    assert given.graph_flags == (() if strong else ("fp16",))
    assert given.backend == ("flags" if flags else "graph")


def test_nodes_to_keep_need_the_graph():
    assert advise("fp16", onnxruntime="1.25", keep=True).backend == "graph"
    weak = advise("fp16", onnxruntime="1.31", keep=True)
    assert weak.backend == "graph"
    assert any("may still lower" in note for note in weak.notes)
    assert any("regression" in note for note in weak.notes)


@pytest.mark.parametrize(
    ("release", "tensorrt", "backend"),
    [
        ("1.17.1", "8.6", "none"),
        ("1.20", "10.4", "graph"),
        ("1.24", "10.14", "flags"),
        ("1.31", "10.14", "flags"),
        ("1.31", "11", "graph"),
    ],
)
def test_bfloat16_came_to_the_graph_first_and_to_the_flags_later(release, tensorrt, backend):
    assert advise("bf16", onnxruntime=release, tensorrt=tensorrt).backend == backend


def test_int8_is_advised_as_qdq_and_the_table_is_named():
    given = advise("int8", onnxruntime="1.17.1", tensorrt="8.6")
    assert (given.backend, given.graph_flags) == ("graph", ("int8",))
    assert any("calibration table" in note for note in given.notes)
    assert not any("calibration table" in note for note in advise("int8", tensorrt="11").notes)


@pytest.mark.parametrize(
    ("precision", "capability", "there"),
    [
        ("fp16", "6.1", False),
        ("fp16", "7.5", True),
        ("int8", "6.0", False),
        ("int8", "6.1", True),
        ("bf16", "7.5", False),
        ("bf16", "9.0", True),
    ],
)
def test_gpus_differ(precision, capability, there):
    assert supports(precision, capability) is there
    assert advise(precision, compute_capability=capability).gpu is there


def test_what_is_no_version_is_refused():
    with pytest.raises(SettingsError, match="TensorRT"):
        advise("fp16", tensorrt="ten")
    with pytest.raises(SettingsError, match="compute capability"):
        supports("fp16", "sm90")


def test_settings_for_a_graph_with_types_have_the_flags_that_the_release_needs():
    given = Settings(
        precision="int8",
        provider_options={"trt_fp16_enable": True, "trt_int8_calibration_table_name": "t", "trt_min_subgraph_size": 2},
    )
    weak = graph_settings(given, ("int8", "fp16"), onnxruntime="1.31")
    assert weak.precision == "int8"
    assert dict(weak.provider_options) == {"trt_fp16_enable": True, "trt_min_subgraph_size": 2}
    strong = graph_settings(given, ("int8", "fp16"), onnxruntime="1.26", tensorrt="10.14")
    assert (strong.precision, dict(strong.provider_options)) == ("fp32", {"trt_min_subgraph_size": 2})


def test_flags_become_a_graph_and_the_settings_to_run_it_with():
    model = onnx.load(str(sample_path("digits")))
    new, settings, changes = flags_to_graph(model, Settings(precision="fp16"), keep=["/head/Softmax"], onnxruntime="1.25")
    assert settings.precision == "fp32"
    assert any("asked for" in change for change in changes)
    assert {t.data_type for t in new.graph.initializer} == {onnx.TensorProto.FLOAT16}
    ranges = {"image": 1.0, "/stage1/activation/Relu_output_0": 4.0}
    both = Settings(precision="int8", provider_options={"trt_fp16_enable": True})
    new, settings, _ = flags_to_graph(model, both, ranges=ranges, onnxruntime="1.17.1", tensorrt="8.6")
    assert settings == both
    assert {"QuantizeLinear", "Cast"} <= {node.op_type for node in new.graph.node}


def test_int8_without_ranges_and_float32_are_refused():
    model = onnx.load(str(sample_path("digits")))
    with pytest.raises(SettingsError, match="needs ranges"):
        flags_to_graph(model, Settings(precision="int8"))
    with pytest.raises(SettingsError, match="float32"):
        flags_to_graph(model, Settings())
