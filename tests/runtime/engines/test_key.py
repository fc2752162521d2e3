import pytest

from workbench.options.settings import Settings
from workbench.runtime.engines.key import architecture_of, engine_key

HASH = "c" * 64


def key(settings=None, *, content=HASH, name="m.onnx", release="1.31.1", tensorrt="10.14.1", capability="9.0"):
    return engine_key(
        content, name, settings or Settings(), onnxruntime=release, tensorrt=tensorrt, compute_capability=capability
    )


@pytest.mark.parametrize(
    "change",
    [
        {"content": "d" * 64},
        {"name": "other.onnx"},
        {"release": "1.30.0"},
        {"tensorrt": "10.13.0"},
        {"capability": "8.9"},
        {"settings": Settings(precision="fp16")},
        {"settings": Settings(provider="native")},
        {"settings": Settings(profile=["x=1x3:2x3:4x3"])},
        {"settings": Settings(provider_options={"trt_builder_optimization_level": 5})},
        {"settings": Settings(provider_options={"trt_op_types_to_exclude": "NonZero"})},
        {"settings": Settings(provider_options={"trt_min_subgraph_size": 5})},
        {"settings": Settings(provider_options={"trt_max_workspace_size": 1 << 30})},
        {"settings": Settings(provider_options={"trt_engine_cache_prefix": "mine"})},
        {"settings": Settings(session_options={"graph_optimization_level": "disable"})},
        {"settings": Settings(session_options={"session.disable_quant_qdq": True})},
        {"settings": Settings(session_options={"session.graph_optimizations_loop_level": "2"})},
        {"settings": Settings(session_options={"session.layer_assignment_settings": "x"})},
    ],
)
def test_whatever_changes_the_engine_changes_the_key(change):
    assert key(**change) != key()


@pytest.mark.parametrize(
    "settings",
    [
        Settings(provider_options={"trt_context_memory_sharing_enable": True}),
        Settings(provider_options={"trt_cuda_graph_enable": True}),
        Settings(provider_options={"trt_detailed_build_log": True}),
        Settings(provider_options={"trt_force_timing_cache": True}),
        Settings(provider_options={"trt_builder_optimization_level": 3}),
        Settings(provider_options={"trt_layer_norm_fp32_fallback": True}),  # does nothing without fp16
        Settings(provider_options={"gpu_mem_limit": 1 << 30}),
        Settings(session_options={"intra_op_num_threads": 2}),
        Settings(session_options={"session.intra_op.allow_spinning": False}),
        Settings(session_options={"mlas.qnbit.force_fp32": "1"}),
        Settings(session_options={"log_severity_level": 0}),
    ],
)
def test_what_only_matters_at_run_time_leaves_the_key(settings):
    assert key(settings) == key()


def test_the_ending_of_the_name_does_not_count():
    assert key(name="m") == key(name="m.onnx")


def test_int8_with_fp16_beside_it_is_another_than_either():
    both = Settings(precision="int8", provider_options={"trt_fp16_enable": True})
    assert len({key(both), key(Settings(precision="int8")), key(Settings(precision="fp16"))}) == 3


def test_engines_for_every_gpu_from_ampere_on_have_one_key():
    portable = Settings(provider_options={"trt_engine_hw_compatible": True})
    assert key(portable, capability="8.9") == key(portable, capability="9.0") != key()
    assert architecture_of("8.9", portable) == "sm80+"
    assert architecture_of("12.0") == "sm120"


def test_the_contents_of_a_calibration_table_count_and_not_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("a", "one"), ("b", "one"), ("c", "two")):
        (tmp_path / name).write_text(text)
    a, b, c = (key(Settings(precision="int8", provider_options={"trt_int8_calibration_table_name": n})) for n in "abc")
    assert a == b != c


def test_a_defaults_value_counts_by_release():
    given = Settings(provider_options={"trt_max_workspace_size": 1 << 30})
    assert key(given, release="1.17.1", tensorrt="8.6.1") == key(release="1.17.1", tensorrt="8.6.1")
