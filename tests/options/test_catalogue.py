import re

import pytest

from workbench.errors import SettingsError
from workbench.options.catalogue import catalogue, groups, keys_of, option, versions_of
from workbench.options.settings import CPU, CUDA, TENSORRT
from workbench.options.values import read_value
from workbench.placement import records

ALL = [spec for provider in ("tensorrt", "cuda", "session") for spec in catalogue(provider)]
NOT_PYTHON = {
    "has_user_compute_stream",
    "trt_load_user_initializer",
    "trt_onnx_bytestream",
    "trt_onnx_bytestream_size",
    "trt_external_data_bytestream",
    "trt_external_data_bytestream_size",
}


@pytest.mark.parametrize(
    ("release", "count"),
    [
        ("1.17", 36),
        ("1.17.1", 36),
        ("1.18.0", 37),
        ("1.18.1", 40),
        ("1.19", 40),
        ("1.20", 40),
        ("1.20.1", 40),
        ("1.21", 41),
        ("1.22", 42),
        ("1.23", 43),
        ("1.27.0", 43),
        ("1.31", 43),
        ("1.31.1", 43),
        (None, 43),
    ],
)
def test_each_release_accepts_as_many_tensorrt_options_from_python_as_it_really_does(release, count):
    assert len(keys_of("tensorrt", release)) == count


def test_49_tensorrt_options_exist_and_six_of_them_cannot_be_set_from_python():
    specs = catalogue("tensorrt")
    assert len(specs) == 49
    assert {spec.key for spec in specs if not spec.python} == NOT_PYTHON
    assert all(spec.effect == "not-python" and spec.instead for spec in specs if not spec.python)


def test_the_cuda_provider_has_23_options():
    assert len(catalogue("cuda", "1.31")) == 23
    assert option("cuda", "enable_cudnn", "1.27") is None
    assert option("cuda", "use_tf32", "1.17") is None


def test_the_workspace_default_changed_with_1_19():
    assert option("tensorrt", "trt_max_workspace_size", "1.18.1").default == 1 << 30
    assert option("tensorrt", "trt_max_workspace_size", "1.19").default == 0
    assert option("tensorrt", "trt_max_workspace_size").default == 0
    assert [spec.default for spec in versions_of("tensorrt", "trt_max_workspace_size")] == [0, 1 << 30]


def test_the_layout_level_came_with_1_23():
    assert "layout" not in option("session", "graph_optimization_level", "1.22.1").choices
    assert "layout" in option("session", "graph_optimization_level", "1.23").choices


@pytest.mark.parametrize("provider", ["tensorrt", "cuda", "session"])
@pytest.mark.parametrize("release", [None, "1.17", "1.18.1", "1.22", "1.31"])
def test_a_key_stands_once_in_a_release(provider, release):
    keys = [spec.key for spec in catalogue(provider, release)]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: f"{spec.provider}-{spec.key}")
def test_an_option_is_described_and_takes_its_own_default(spec):
    assert spec.group
    assert spec.help.endswith((".", "model.")), spec.help
    assert "\n" not in spec.help
    if spec.default is not None:
        assert read_value(spec, spec.default) == spec.default
        assert read_value(spec, str(spec.default)) == spec.default
    if spec.since is not None:
        assert re.fullmatch(r"1\.\d+(\.\d+)?", spec.since)
    if spec.effect == "rebuild" and spec.key != "trt_max_partition_iterations":
        assert spec.ort_cache is not None


def test_stale_engine_options_are_marked():
    stale = {spec.key for spec in catalogue("tensorrt") if spec.ort_cache == "stale"}
    assert stale == {
        "trt_min_subgraph_size",
        "trt_max_workspace_size",
        "trt_int8_calibration_table_name",
        "trt_int8_use_native_calibration_table",
        "trt_layer_norm_fp32_fallback",
        "trt_sparsity_enable",
        "trt_builder_optimization_level",
        "trt_auxiliary_streams",
        "trt_tactic_sources",
        "trt_extra_plugin_lib_paths",
        "trt_op_types_to_exclude",
        "trt_preview_features",
    }


def test_full_provider_names_work_too_and_are_those_of_placements():
    assert catalogue(TENSORRT) == catalogue("tensorrt")
    assert catalogue("cpu") == ()
    assert (TENSORRT, CUDA, CPU) == (records.TENSORRT, records.CUDA, records.CPU)


def test_releases_outside_the_supported_ones_count_as_the_nearest():
    assert catalogue("tensorrt", "1.16.3") == catalogue("tensorrt", "1.17")
    assert catalogue("tensorrt", "1.99") == catalogue("tensorrt", "1.31")
    assert catalogue("tensorrt", "1.23.0.dev20250801") == catalogue("tensorrt", "1.23")


def test_unknown_providers_and_releases_are_refused():
    with pytest.raises(SettingsError, match="tensorrt"):
        catalogue("tensort")
    with pytest.raises(SettingsError, match="no release of ONNX Runtime"):
        catalogue("tensorrt", "newest")


def test_groups_are_listed_in_order_of_the_options():
    assert groups("tensorrt")[:3] == ("Precision", "INT8", "Building")
    assert set(groups("cuda")) == {"Device", "Memory and streams", "Convolution", "Kernels", "Tuning"}
