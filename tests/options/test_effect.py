import pytest

from workbench.options.catalogue import catalogue
from workbench.options.effect import effect_of_change
from workbench.options.settings import Settings

BASE = Settings()
PROFILE = ["x=1x3x8x8:2x3x8x8:4x3x8x8", "mask=1x77:2x77:4x77"]


def change(before=None, after=None, **more):
    return effect_of_change(Settings(provider_options=before), Settings(provider_options=after), **more)


def test_equal_settings_change_nothing():
    result = effect_of_change(BASE, Settings())
    assert (result.effect, result.options, result.stale) == ("none", (), False)
    assert str(result) == "nothing changed"


def test_a_default_written_out_is_no_change():
    assert change(None, {"trt_builder_optimization_level": 3}).effect == "none"
    assert change({"trt_sparsity_enable": False}, None).effect == "none"


def test_the_default_is_that_of_the_release():
    assert change(None, {"trt_max_workspace_size": 1 << 30}, release="1.18").effect == "none"
    assert change(None, {"trt_max_workspace_size": 1 << 30}, release="1.19").effect == "rebuild"


@pytest.mark.parametrize(
    ("options", "effect", "cache"),
    [
        ({"trt_builder_optimization_level": 5}, "rebuild", "stale"),
        ({"trt_min_subgraph_size": 5}, "rebuild", "stale"),
        ({"trt_op_types_to_exclude": "NonZero"}, "rebuild", "stale"),
        ({"device_id": 1}, "rebuild", "name"),
        ({"trt_engine_cache_enable": True}, "reuse", None),
        ({"trt_timing_cache_enable": True}, "reuse", None),
        ({"trt_dump_subgraphs": True}, "reuse", None),
        ({"trt_cuda_graph_enable": True}, "runtime", None),
        ({"gpu_mem_limit": "1GiB"}, "runtime", None),
        ({"trt_build_heuristics_enable": True}, "ignored", None),
    ],
)
def test_what_one_option_does(options, effect, cache):
    result = change(None, options)
    (line,) = result.options
    assert (result.effect, line.effect, line.ort_cache) == (effect, effect, cache)
    assert line.option in options
    assert line.why.endswith(".")
    assert effect_of_change(Settings(provider_options=options), BASE).effect == effect


def test_stale_engines_are_foreseen():
    assert change(None, {"trt_builder_optimization_level": 5}).stale
    assert not change(None, {"trt_builder_optimization_level": 5, "trt_fp16_enable": True}).stale
    assert not change(None, {"trt_fp16_enable": True}).stale
    assert "would load the old engine" in change(None, {"trt_sparsity_enable": True}).options[0].why


def test_the_strongest_effect_counts_and_stands_first():
    result = change(None, {"trt_engine_cache_enable": True, "trt_sparsity_enable": True, "use_tf32": False})
    assert result.effect == "rebuild"
    assert [line.effect for line in result.options] == ["rebuild", "reuse", "runtime"]


@pytest.mark.parametrize(
    "options",
    [
        {"trt_int8_calibration_table_name": "t"},
        {"trt_dla_core": 1},
        {"trt_timing_cache_path": "t"},
        {"trt_layer_norm_fp32_fallback": True},
    ],
)
def test_an_option_that_does_nothing_beside_the_others_is_ignored(options):
    result = change(None, options)
    assert result.effect == "ignored"
    assert "off" in result.options[0].why


def test_an_option_that_did_something_before_counts():
    before = Settings(precision="int8", provider_options={"trt_int8_calibration_table_name": "a"})
    after = before.replace(provider_options={"trt_int8_calibration_table_name": "b"})
    result = effect_of_change(before, after)
    assert (result.effect, result.stale) == ("rebuild", True)


def test_precision():
    result = effect_of_change(BASE, Settings(precision="int8", provider_options={"trt_fp16_enable": True}))
    (line,) = result.options
    assert (line.option, line.before, line.after) == ("precision", "fp32", "int8+fp16")
    assert (line.effect, line.ort_cache) == ("rebuild", "name")
    assert effect_of_change(Settings(provider="cpu"), Settings(provider="cpu", precision="fp16")).effect == "ignored"


def test_profiles(dynamic, static):
    with_profile = Settings(profile=PROFILE)
    result = effect_of_change(BASE, with_profile, dynamic)
    assert [line.option for line in result.options] == ["profile of mask", "profile of x"]
    assert {(line.effect, line.ort_cache) for line in result.options} == {("rebuild", "profile")}
    assert result.options[0].before == "none"
    assert result.options[0].after == "1x77:2x77:4x77"
    wider = with_profile.replace(profile=[PROFILE[0], "mask=1x77:2x77:8x77"])
    assert [line.option for line in effect_of_change(with_profile, wider).options] == ["profile of mask"]
    assert effect_of_change(BASE, with_profile, static).effect == "ignored"
    assert effect_of_change(BASE.replace(provider="cpu"), with_profile.replace(provider="cpu")).effect == "runtime"


def test_providers():
    assert effect_of_change(Settings(provider="cpu"), BASE).effect == "rebuild"
    assert effect_of_change(BASE, Settings(provider="cuda")).effect == "runtime"
    result = effect_of_change(BASE, Settings(provider="cuda", provider_options={"trt_sparsity_enable": True}))
    assert [(line.option, line.effect) for line in result.options] == [
        ("provider", "runtime"),
        ("trt_sparsity_enable", "ignored"),
    ]


def test_session_options():
    def session(provider="tensorrt", **options):
        return effect_of_change(Settings(provider=provider), Settings(provider=provider, session_options=options))

    assert session(graph_optimization_level="basic").options[0].ort_cache == "name"
    assert session(graph_optimization_level="basic").effect == "rebuild"
    assert session("cpu", graph_optimization_level="basic").effect == "runtime"
    assert session(intra_op_num_threads=4).effect == "runtime"
    assert session(inter_op_num_threads=4).effect == "ignored"
    assert session(**{"session.something_new": "1"}).effect == "runtime"
    assert session(**{"ep.context_enable": "1"}).effect == "ignored"


def test_excluding_an_operator_that_the_model_does_not_have_is_ignored(static):
    assert change(None, {"trt_op_types_to_exclude": "NonZero"}, model=static).effect == "ignored"
    assert change(None, {"trt_op_types_to_exclude": "NonZero,Relu"}, model=static).effect == "rebuild"


@pytest.mark.parametrize("spec", [s for s in catalogue("tensorrt") if s.python and s.type == "bool"], ids=lambda s: s.key)
def test_every_flag_has_an_effect_and_a_reason(spec):
    result = change(None, {spec.key: True})
    assert len(result.options) == 1
    assert result.options[0].why
    assert spec.key in str(result) or "precision" in str(result)
