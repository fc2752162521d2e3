import pytest

from workbench.errors import SettingsError
from workbench.options import settings as settings_module
from workbench.options.settings import Settings

DYNAMIC = ["x=1x3x8x8:2x3x8x8:4x3x8x8", "mask=1x77:2x77:4x77"]
NEWEST = "1.31"


def found(options=None, *, release=NEWEST, model=None, **fields):
    findings = Settings(provider_options=options, **fields).check(release, model)
    assert all(finding.seen and finding.meaning for finding in findings)
    return {finding.where: finding for finding in findings}


def test_default_settings_have_no_findings(static, digits):
    assert Settings().check(NEWEST) == []
    assert Settings().check(NEWEST, static) == []
    assert Settings(provider="cpu").check(NEWEST, digits) == []


# Releases


@pytest.mark.parametrize(
    ("options", "release", "part"),
    [
        ({"trt_op_types_to_exclude": "NonZero"}, "1.20", "does not know trt_op_types_to_exclude: it came with 1.21"),
        ({"trt_engine_hw_compatible": True}, "1.18.0", "it came with 1.18.1"),
        ({"use_tf32": False}, "1.17.1", "it came with 1.18"),
        ({"trt_bf16_enable": True}, "1.22", "Choose another precision, or install release 1.23"),
    ],
)
def test_options_of_later_releases_are_refused(options, release, part):
    with pytest.raises(SettingsError) as error:
        Settings(provider_options=options).check(release)
    assert part in str(error.value)
    Settings(provider_options=options).check(NEWEST)


def test_values_of_later_releases_are_refused():
    settings = Settings(session_options={"graph_optimization_level": "layout"})
    with pytest.raises(SettingsError, match=r"ONNX Runtime 1.22: .*disable, basic, extended, all"):
        settings.check("1.22")
    assert settings.check("1.23") == []


def test_options_of_an_unused_provider_are_no_error_in_any_release():
    findings = found({"trt_op_types_to_exclude": "NonZero", "trt_bf16_enable": True}, provider="cuda", release="1.17")
    assert set(findings) == {"trt_op_types_to_exclude", "precision"}
    assert "the provider is 'cuda'" in findings["trt_op_types_to_exclude"].meaning


def test_a_release_outside_is_a_warning():
    assert "outside 1.17 to 1.31" in found(release="1.16.3")["onnxruntime"].seen
    assert "1.31" in found(release="1.40")["onnxruntime"].meaning
    with pytest.raises(SettingsError, match="no release"):
        Settings().check("latest")


def test_the_installed_release_is_the_default(monkeypatch):
    settings = Settings(precision="bf16")
    monkeypatch.setattr(settings_module, "installed_release", lambda: "1.20.1")
    with pytest.raises(SettingsError, match=r"1\.20\.1"):
        settings.check()
    monkeypatch.setattr(settings_module, "installed_release", lambda: None)
    assert settings.check() == []


# Options that do nothing beside the others


@pytest.mark.parametrize(
    ("options", "also", "where"),
    [
        ({"trt_int8_calibration_table_name": "t"}, {"trt_int8_enable": True}, "trt_int8_calibration_table_name"),
        ({"trt_dla_enable": True}, {"trt_fp16_enable": True}, "trt_dla_enable"),
        ({"trt_dla_core": 1}, {"trt_dla_enable": True}, "trt_dla_core"),
        ({"trt_layer_norm_fp32_fallback": True}, {"trt_bf16_enable": True}, "trt_layer_norm_fp32_fallback"),
        ({"trt_engine_cache_path": "c"}, {"trt_engine_cache_enable": True}, "trt_engine_cache_path"),
        ({"trt_engine_cache_path": "c"}, {"trt_timing_cache_enable": True}, "trt_engine_cache_path"),
        ({"trt_engine_cache_path": "c"}, {"trt_dump_ep_context_model": True}, "trt_engine_cache_path"),
        ({"trt_engine_cache_prefix": "c"}, {"trt_engine_cache_enable": True}, "trt_engine_cache_prefix"),
        ({"trt_timing_cache_path": "c"}, {"trt_timing_cache_enable": True}, "trt_timing_cache_path"),
        ({"trt_force_timing_cache": True}, {"trt_timing_cache_enable": True}, "trt_force_timing_cache"),
        ({"trt_engine_hw_compatible": True}, {"trt_engine_cache_enable": True}, "trt_engine_hw_compatible"),
        ({"trt_engine_decryption_lib_path": "l"}, {"trt_engine_decryption_enable": True}, "trt_engine_decryption_lib_path"),
        ({"trt_ep_context_file_path": "f"}, {"trt_dump_ep_context_model": True}, "trt_ep_context_file_path"),
        ({"tunable_op_tuning_enable": True}, {"tunable_op_enable": True}, "tunable_op_tuning_enable"),
    ],
)
def test_a_useless_option_is_a_warning_until_what_it_needs_is_on(options, also, where):
    finding = found(options)[where]
    assert finding.level == "warning"
    assert finding.action
    seen = [f.seen for f in Settings(provider_options=options | also).check(NEWEST) if f.where == where]
    assert not any("no effect" in text for text in seen)


@pytest.mark.parametrize(
    "key", ["trt_build_heuristics_enable", "trt_force_sequential_engine_build", "enable_skip_layer_norm_strict_mode"]
)
def test_options_that_never_do_anything_are_a_warning(key):
    assert "no effect" in found({key: True})[key].seen
    assert found({key: False}) == {}


def test_precision_means_nothing_without_tensorrt():
    assert "in the types of the file" in found(provider="cpu", precision="fp16")["precision"].meaning


def test_session_options_that_do_nothing(monkeypatch):
    assert "one after the other" in found(session_options={"inter_op_num_threads": 2})["inter_op_num_threads"].meaning
    assert found(session_options={"inter_op_num_threads": 2, "execution_mode": "parallel"}) == {}
    finding = found(session_options={"ep.context_enable": "1"})["ep.context_enable"]
    assert "trt_dump_ep_context_model" in finding.meaning


def test_unknown_entries_are_a_warning_with_the_nearest():
    finding = found(session_options={"session.disable_cpu_fallback": "1"})["session.disable_cpu_fallback"]
    assert "session.disable_cpu_ep_fallback" in finding.action
    assert found(session_options={"session.dynamic_block_base": 4, "mlas.use_lut_gemm": "1"}) == {}


def test_entries_of_later_releases_are_a_warning():
    options = {"session.record_ep_graph_assignment_info": True}
    assert (
        "came with ONNX Runtime 1.24"
        in found(session_options=options, release="1.23.2")["session.record_ep_graph_assignment_info"].seen
    )
    assert found(session_options=options) == {}


def test_no_provider_left_is_refused():
    with pytest.raises(SettingsError, match="forbids the CPU"):
        Settings(provider="cpu", session_options={"session.disable_cpu_ep_fallback": True}).check(NEWEST)


# Dangers


def test_onnxruntimes_own_engine_cache_is_a_warning():
    finding = found({"trt_engine_cache_enable": True})["trt_engine_cache_enable"]
    assert "old engine" in finding.meaning
    assert "trt_engine_cache_prefix" in finding.action


def test_addresses_mean_nothing_in_the_worker():
    assert "process of their own" in found({"user_compute_stream": 12345})["user_compute_stream"].meaning


def test_a_source_cannot_be_taken_away():
    assert "-CUDNN" in found({"trt_tactic_sources": "+CUBLAS,-CUDNN"})["trt_tactic_sources"].seen
    assert found({"trt_tactic_sources": "+CUBLAS"}) == {}


def test_a_workspace_of_zero_means_no_limit_from_1_19_on_only():
    assert "1 GiB" in found({"trt_max_workspace_size": 0}, release="1.18.1")["trt_max_workspace_size"].meaning
    assert found({"trt_max_workspace_size": 0}) == {}


def test_ep_context_models_want_a_relative_cache_path():
    options = {"trt_dump_ep_context_model": True, "trt_engine_cache_path": "/abs"}
    assert "relative" in found(options)["trt_engine_cache_path"].meaning
    assert "trt_engine_cache_path" not in found(options | {"trt_engine_cache_path": "rel"})
    assert "2 GB" in found(options | {"trt_ep_context_embed_mode": 1})["trt_ep_context_embed_mode"].meaning


def test_tf32_and_memory_limits_do_not_reach_tensorrt():
    assert "NVIDIA_TF32_OVERRIDE" in found({"use_tf32": False})["use_tf32"].action
    assert found({"gpu_mem_limit": "1GiB"})["gpu_mem_limit"].level == "info"
    assert found({"gpu_mem_limit": "1GiB", "use_tf32": False}, provider="cuda") == {}


def test_other_dangers_of_building():
    findings = found({"trt_weight_stripped_engine_enable": True, "trt_extra_plugin_lib_paths": "a.so"})
    assert set(findings) == {"trt_weight_stripped_engine_enable", "trt_extra_plugin_lib_paths"}


# With a model


def test_excluded_operators_are_compared_with_the_model(static):
    finding = found({"trt_op_types_to_exclude": "Rellu,NonZero"}, model=static)["trt_op_types_to_exclude"]
    assert "Rellu, NonZero" in finding.seen
    assert "'Relu'" in finding.action
    assert found({"trt_op_types_to_exclude": "Relu"}, model=static) == {}


def test_spaces_between_excluded_operators_are_a_warning(static):
    finding = found({"trt_op_types_to_exclude": "Relu, NonZero"})["trt_op_types_to_exclude"]
    assert "Relu,NonZero" in finding.action


def test_dynamic_inputs_want_a_profile(dynamic):
    assert "x, mask have dynamic dimensions" in found(model=dynamic)["profile"].seen
    assert found(model=dynamic, profile=DYNAMIC) == {}
    assert found(model=dynamic, provider="cpu") == {}


def test_a_profile_for_a_static_model_is_useless(static):
    assert "fixed shapes" in found(model=static, profile=["x=1x3x8x8"])["profile"].seen


def test_a_profile_that_does_not_fit_is_refused(dynamic):
    with pytest.raises(SettingsError, match="mask"):
        Settings(profile=DYNAMIC[:1]).check(NEWEST, dynamic)


def test_names_that_onnxruntime_splits_are_refused_for_tensorrt_only(make_model):
    model = make_model({"x:0": ["n", 2]})
    settings = Settings(profile=["x:0=1x2:2x2:4x2"])
    with pytest.raises(SettingsError, match="Rename the input"):
        settings.check(NEWEST, model)
    assert [f.level for f in settings.replace(provider="cuda").check(NEWEST, model)] == ["warning"]


def test_cuda_graphs_want_fixed_shapes_and_no_control_flow(dynamic, static, make_model):
    from onnx import TensorProto, helper

    options = {"trt_cuda_graph_enable": True}
    assert "trt_cuda_graph_enable" in found(options, model=dynamic, profile=DYNAMIC)
    assert found(options, model=dynamic, profile=["x=1x3x8x8", "mask=1x77"]) == {}
    assert found(options, model=static) == {}
    branch = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["b"])], "b", [], [helper.make_tensor_value_info("b", TensorProto.FLOAT, [1])]
    )
    condition = helper.make_tensor("c", TensorProto.BOOL, [], [True])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    flow = make_model({"x": [1]}, (), initializers=[condition], nodes=[node])
    assert "control flow: If" in found(options, model=flow)["trt_cuda_graph_enable"].seen


@pytest.mark.parametrize(
    ("release", "warned"), [("1.17.1", True), ("1.18.0", False), ("1.26.1", False), ("1.27", True), ("1.31.1", True)]
)
def test_half_precision_models_need_the_flag_where_networks_are_weakly_typed(half, release, warned):
    findings = found(model=half, release=release)
    assert ("precision" in findings) == warned
    assert found(model=half, release=release, precision="fp16") == {}
    assert found(model=half, release=release, provider="cuda") == {}


def test_casts_to_half_precision_count_too(make_model):
    from onnx import TensorProto, helper

    casts = [
        helper.make_node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["h"], ["y"], to=TensorProto.FLOAT),
    ]
    assert "float16" in found(model=make_model({"x": [1]}, (), nodes=casts))["precision"].seen


def test_quantised_models_need_the_flag_where_networks_are_weakly_typed(quantised):
    assert "precision='int8'" in found(model=quantised)["precision"].action
    assert found(model=quantised, precision="int8") == {}
    assert found(model=quantised, release="1.26") == {}


@pytest.mark.parametrize(
    ("release", "precision", "warned"), [("1.26", "fp32", False), ("1.26", "fp16", True), ("1.27", "fp32", True)]
)
def test_fp8_models_work_only_strongly_typed(quantised_fp8, release, precision, warned):
    findings = found(model=quantised_fp8, release=release, precision=precision)
    assert ("precision" in findings) == warned
    if warned:
        assert "float8_e4m3fn" in findings["precision"].seen


def test_int8_wants_a_table_or_a_quantised_model_but_not_both(static, quantised):
    assert "no scaling factors" in found(model=static, precision="int8")["precision"].meaning
    table = {"trt_int8_calibration_table_name": "calibration.flatbuffers"}
    assert found(table, model=static, precision="int8") == {}
    assert "build fails" in found(table, model=quantised, precision="int8")["trt_int8_calibration_table_name"].meaning


def test_the_layer_norm_fallback_leaves_layernormalization_alone(make_model):
    from onnx import TensorProto, helper

    scale = helper.make_tensor("s", TensorProto.FLOAT, [4], [1.0] * 4)
    model = make_model({"x": [1, 4]}, (), initializers=[scale], nodes=[helper.make_node("LayerNormalization", ["x", "s"], ["y"])])
    options = {"trt_layer_norm_fp32_fallback": True}
    assert "1 LayerNormalization" in found(options, model=model, precision="fp16")["trt_layer_norm_fp32_fallback"].seen


def test_findings_read_well_on_the_samples(digits, detector, encoder):
    for model in (digits, detector, encoder):
        for finding in Settings(precision="int8").check(NEWEST, model):
            assert finding.where
            assert str(finding).count("..") == 0
