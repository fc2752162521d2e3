import pytest

from workbench.options.catalogue import keys_of
from workbench.options.effect import effect_of_change
from workbench.options.native import BY_OPTION, USED
from workbench.options.settings import Settings


def native(**more):
    return Settings(provider="native", **more)


def test_every_option_named_here_is_one_of_tensorrt_s():
    known = set(keys_of("tensorrt"))
    assert known >= USED
    assert known >= BY_OPTION.keys()
    assert not USED & BY_OPTION.keys()


@pytest.mark.parametrize(
    ("key", "value", "because"),
    [
        ("trt_min_subgraph_size", 5, "the whole model or nothing"),
        ("trt_op_types_to_exclude", "NonZero", "the whole model or nothing"),
        ("trt_dump_ep_context_model", True, "no EP context models"),
        ("trt_engine_cache_enable", True, "the workbench's own cache"),
        ("trt_layer_norm_fp32_fallback", True, "ONNX Runtime's provider does this"),
        ("trt_weight_stripped_engine_enable", True, "ONNX Runtime's TensorRT provider does this"),
        ("gpu_mem_limit", "1GiB", "an option of the CUDA provider"),
    ],
)
def test_what_only_onnx_runtime_knows_is_told_as_useless(key, value, because):
    (finding,) = native(provider_options={key: value}, precision="fp16").check("1.31")
    assert finding.where == key
    assert because.lower() in finding.meaning.lower()


@pytest.mark.parametrize(
    "key", ["trt_builder_optimization_level", "trt_cuda_graph_enable", "trt_engine_hw_compatible", "device_id"]
)
def test_what_tensorrt_itself_knows_is_not(key):
    assert native(provider_options={key: 1}).check("1.31") == []


def test_a_release_of_onnx_runtime_does_not_limit_tensorrt_itself():
    assert native(precision="bf16").check("1.17") == []


def test_session_options_mean_nothing_to_tensorrt_itself():
    (finding,) = native(session_options={"intra_op_num_threads": 2}).check("1.31")
    assert "no session of ONNX Runtime" in finding.meaning


def test_open_shapes_and_missing_ranges_are_foreseen(dynamic, static, quantised):
    (finding,) = native().check("1.31", dynamic)
    assert (finding.level, finding.where) == ("info", "profile")
    assert "'x', 'mask'" in finding.seen
    (finding,) = native(precision="int8").check("1.31", static)
    assert "refuses to build" in finding.meaning
    assert native(precision="int8").check("1.31", quantised) == []


def test_a_change_names_a_rebuild_and_leaves_onnx_runtime_s_cache_out():
    before = native(profile=["x=1x4:2x4:8x4"])
    after = native(profile=["x=1x4:2x4:9x4"], precision="fp16", provider_options={"trt_builder_optimization_level": 5})
    change = effect_of_change(before, after)
    assert change.effect == "rebuild"
    assert {line.option for line in change.options} == {"precision", "profile of x", "trt_builder_optimization_level"}
    assert {(line.effect, line.ort_cache) for line in change.options} == {("rebuild", None)}
    assert not change.stale
    assert "ONNX Runtime" not in str(change)


def test_a_change_of_what_it_does_not_use_is_ignored():
    change = effect_of_change(native(), native(provider_options={"trt_min_subgraph_size": 3}))
    assert change.effect == "ignored"
    assert effect_of_change(native(), native(session_options={"intra_op_num_threads": 2})).effect == "ignored"


@pytest.mark.parametrize("other", ["cpu", "cuda", "tensorrt"])
def test_going_there_builds_an_engine(other):
    (line,) = effect_of_change(Settings(provider=other), native()).options
    assert (line.effect, line.why) == ("rebuild", "TensorRT itself builds one engine of the whole model.")
    (line,) = effect_of_change(native(), Settings(provider=other)).options
    assert line.effect == ("rebuild" if other == "tensorrt" else "runtime")


def test_the_summary_names_the_precision():
    assert native(precision="fp16").summary() == "native fp16"
