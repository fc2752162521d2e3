from pathlib import Path

import numpy as np
import pytest

from workbench.errors import SettingsError
from workbench.options.catalogue import option
from workbench.options.values import read_assignments, read_value, write_value

FLAG = option("tensorrt", "trt_sparsity_enable")
LEVEL = option("tensorrt", "trt_builder_optimization_level")
WORKSPACE = option("tensorrt", "trt_max_workspace_size")
STREAMS = option("tensorrt", "trt_auxiliary_streams")
SEARCH = option("cuda", "cudnn_conv_algo_search")
FOLDER = option("tensorrt", "trt_engine_cache_path")
MODE = option("tensorrt", "trt_ep_context_embed_mode")
SOURCES = option("tensorrt", "trt_tactic_sources")


@pytest.mark.parametrize("value", [True, 1, "1", "true", "True", "TRUE", " true "])
def test_what_means_true(value):
    assert read_value(FLAG, value) is True


@pytest.mark.parametrize("value", [False, 0, "0", "false", "False"])
def test_what_means_false(value):
    assert read_value(FLAG, value) is False


@pytest.mark.parametrize("value", ["yes", "", 2, 1.0, None, "2"])
def test_other_words_are_no_flag(value):
    with pytest.raises(SettingsError, match="true or false"):
        read_value(FLAG, value)


@pytest.mark.parametrize(("value", "number"), [(3, 3), ("3", 3), (" 5 ", 5), (np.int64(2), 2)])
def test_whole_numbers(value, number):
    assert read_value(LEVEL, value) == number
    assert type(read_value(LEVEL, value)) is int


@pytest.mark.parametrize("value", [6, -1, "3.5", 3.0, True, "three", ""])
def test_numbers_out_of_range_say_the_range(value):
    with pytest.raises(SettingsError, match=r"from 0 to 5.*default is 3"):
        read_value(LEVEL, value)


def test_minus_one_is_allowed_where_it_means_something():
    assert read_value(STREAMS, "-1") == -1
    with pytest.raises(SettingsError, match="-1 or more"):
        read_value(STREAMS, -2)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GiB", 4 << 30),
        ("4 gib", 4 << 30),
        ("512MiB", 512 << 20),
        ("1.5G", 3 << 29),
        ("2GB", 2 * 10**9),
        ("100", 100),
        ("8KB", 8000),
        ("64B", 64),
    ],
)
def test_sizes_take_units(text, size):
    assert read_value(WORKSPACE, text) == size


@pytest.mark.parametrize("text", ["4XiB", "GiB", "-4GiB", "4 GiB or so"])
def test_wrong_sizes_show_the_form(text):
    with pytest.raises(SettingsError, match="1GiB"):
        read_value(WORKSPACE, text)


def test_only_sizes_take_units():
    with pytest.raises(SettingsError):
        read_value(LEVEL, "3K")


def test_choices_ignore_case_and_name_the_nearest():
    assert read_value(SEARCH, "heuristic") == "HEURISTIC"
    assert read_value(MODE, "1") == 1
    with pytest.raises(SettingsError, match=r"EXHAUSTIVE, HEURISTIC, DEFAULT.*Did you mean 'HEURISTIC'"):
        read_value(SEARCH, "HEURISTICS")
    with pytest.raises(SettingsError, match="one of 0, 1"):
        read_value(MODE, 2)


def test_paths_are_text():
    assert read_value(FOLDER, Path("cache/engines")) == "cache/engines"
    with pytest.raises(SettingsError, match="a path"):
        read_value(FOLDER, 3)


def test_tactic_sources_have_a_form():
    assert read_value(SOURCES, "+CUDNN,-CUBLAS_LT") == "+CUDNN,-CUBLAS_LT"
    with pytest.raises(SettingsError, match="EDGE_MASK_CONVOLUTIONS"):
        read_value(SOURCES, "CUDNN")


def test_values_are_written_in_each_parsers_words():
    assert write_value(True, flags=("True", "False")) == "True"
    assert write_value(False) == "0"
    assert write_value(7) == "7"


def test_assignments_of_a_shell():
    assert read_assignments(["a=1", "b = x=y "]) == {"a": "1", "b": "x=y"}
    with pytest.raises(SettingsError, match="not KEY=VALUE"):
        read_assignments(["trt_fp16_enable"])
    with pytest.raises(SettingsError, match="given twice"):
        read_assignments(["a=1", "a=2"])
