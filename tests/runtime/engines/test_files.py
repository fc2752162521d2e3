import contextlib
import os

import pytest

from tests.runtime.engines.ort_files import FUSED, plan, profile, write_engine
from workbench.errors import EngineError
from workbench.runtime.engines.file_name import read_name
from workbench.runtime.engines.files import read_engine_file, read_folder
from workbench.runtime.engines.plan_header import read_header
from workbench.runtime.engines.profile_file import read_profile_file

HASH = "13312345678901234567"


@pytest.mark.parametrize(
    ("suffix", "precisions", "architecture"),
    [
        ("", (), None),
        ("_sm90", (), "sm90"),
        ("_fp16_sm86", ("fp16",), "sm86"),
        ("_fp16_bf16_int8_sm90", ("fp16", "bf16", "int8"), "sm90"),
        ("_fp16_dlacore1_sm87", ("fp16",), "sm87"),
        ("_int8_sm80+", ("int8",), "sm80+"),
        ("_sm120", (), "sm120"),
    ],
)
def test_a_name_tells_node_hash_precision_and_architecture(suffix, precisions, architecture):
    name = read_name(f"{FUSED}{suffix}.engine")
    assert (name.fused, name.model_hash, name.subgraph) == (FUSED, HASH, 0)
    assert (name.precisions, name.architecture, name.form) == (precisions, architecture, "engine")
    assert name.stem == f"{FUSED}{suffix}"


@pytest.mark.parametrize(
    ("ending", "form"),
    [(".engine", "engine"), (".engine.encrypted", "encrypted"), (".stripped.engine", "stripped"), (".plan", "engine")],
)
def test_the_ending_tells_the_form(ending, form):
    assert read_name(f"{FUSED}_sm90{ending}").form == form


def test_a_prefix_of_the_users_own_and_a_subgraph_of_control_flow_are_read():
    name = read_name(f"my_net_v2_{HASH}_3_fp16_sm90.engine")
    assert (name.prefix, name.model_hash, name.subgraph, name.precisions) == ("my_net_v2", HASH, 3, ("fp16",))
    name = read_name(f"TensorrtExecutionProvider_TRTKernel_subgraph_then_branch_2_{HASH}_1_5_sm75.engine")
    assert (name.subgraph, name.model_hash, name.prefix) == (1, HASH, "")
    assert name.fused.startswith("TensorrtExecutionProvider_TRTKernel_subgraph_then_branch_2")


@pytest.mark.parametrize("given", ["resnet.engine", "a_b.engine", "model_fp16.plan", "x.engine", ".engine"])
def test_other_names_say_nothing(given):
    name = read_name(given)
    assert (name.fused, name.model_hash, name.subgraph, name.precisions, name.architecture) == ("", "", None, (), None)


@pytest.mark.parametrize("version", [(8, 6, 1, 6), (10, 14, 1, 48), (8, 6, 0, 12)])
def test_the_header_tells_the_version(version):
    assert read_header(plan(version)).tensorrt == ".".join(map(str, version))


@pytest.mark.parametrize("size", range(28))
def test_a_header_that_is_cut_off_tells_nothing(size):
    header = read_header(plan()[:size])
    assert header.tensorrt is None
    assert "cut off" in header.problem


def test_an_unknown_serialisation_is_no_guess_and_no_fault():
    header = read_header(plan(serialisation=1))
    assert (header.tensorrt, header.problem) == (None, "")


@pytest.mark.parametrize("version", [(8, 5, 3, 1), (0, 0, 0, 0), (232, 0, 0, 0)])
def test_bytes_that_are_no_version_of_a_plan_with_one_are_no_guess(version):
    assert read_header(plan(version)).tensorrt is None


def test_a_file_of_another_kind_is_called_so(tmp_path):
    found = read_engine_file(write_engine(tmp_path, content=b"PK\3\4" + b"\0" * 60))
    assert "does not begin as a TensorRT plan" in found.problem
    assert found.tensorrt is None
    assert found.architecture == "sm90"


def test_an_encrypted_engine_says_no_version_and_is_no_fault(tmp_path):
    found = read_engine_file(
        write_engine(tmp_path, f"{FUSED}_sm90.engine.encrypted", content=os.urandom(200), ranges={"x": [0, 1, 8, 4]})
    )
    assert (found.tensorrt, found.problem, found.form, found.profiled) == (None, "", "encrypted", True)


def test_bytes_of_a_profile_are_those_of_flexbuffers(tmp_path):
    # by hand, from FlexBuffers' documented layout: key; vector; vector of keys; map with the type of its value; root
    expected = b"x\0" + b"\x04\x00\x01\x08\x04" + b"\x01\x08" + b"\x01\x01\x01\x09\x2c" + b"\x02\x24\x01"
    assert profile({"x": [0, 1, 8, 4]}) == expected
    (tmp_path / "a.profile").write_bytes(expected)
    (bounds,) = read_profile_file(tmp_path / "a.profile")
    assert (bounds.name, bounds.axes, bounds.min, bounds.opt, bounds.max) == ("x", (0,), (1,), (4,), (8,))


def test_ranges_of_one_profile_are_sorted_by_axis(tmp_path):
    write_engine(tmp_path, ranges={"image": [2, 224, 800, 640, 0, 1, 8, 8], "größe": [0, 1, 70_000, 300]})
    (found,) = read_folder(tmp_path)
    by_name = {bounds.name: bounds for bounds in found.bounds}
    assert found.profiled
    assert found.problem == ""
    image = by_name["image"]
    assert (image.axes, image.min, image.opt, image.max, image.profile) == ((0, 2), (1, 224), (8, 640), (8, 800), 0)
    assert by_name["größe"].max == (70_000,)


def test_several_profiles_are_told_apart(tmp_path):
    numbers = [1, 16, 64, 32, 1, 65, 512, 128, 0, 1, 4, 1, 0, 1, 32, 8]
    write_engine(tmp_path, ranges={"ids": numbers})
    (found,) = read_folder(tmp_path)
    assert [(b.profile, b.min, b.opt, b.max) for b in found.bounds] == [
        (0, (1, 16), (1, 32), (4, 64)),
        (1, (1, 65), (8, 128), (32, 512)),
    ]


def test_profiles_of_releases_before_1_15_have_no_opt(tmp_path):
    write_engine(tmp_path, f"{FUSED}_fp16.engine", ranges={"X": [0, 1, 3, 1, 3, 3, 2, 2, 6], "Y": [0, 1, 3]})
    (found,) = read_folder(tmp_path)
    assert [(b.name, b.axes, b.min, b.opt, b.max) for b in found.bounds] == [
        ("X", (0, 1, 2), (1, 3, 2), (), (3, 3, 6)),
        ("Y", (0,), (1,), (), (3,)),
    ]


def test_twelve_numbers_of_an_old_profile_are_not_taken_for_a_new_one(tmp_path):
    # in fours: axis 0 from 1 to 3, opt 1 is a range, but axis 3 twice and opts out of range are not
    write_engine(tmp_path, ranges={"X": [0, 1, 3, 1, 3, 9, 2, 2, 6, 3, 5, 7]})
    (found,) = read_folder(tmp_path)
    assert found.bounds[0].axes == (0, 1, 2, 3)
    assert found.bounds[0].opt == ()


def test_values_of_a_shape_tensor_may_be_negative(tmp_path):
    write_engine(tmp_path, ranges={"target": [0, -1, -1, -1, 1, 7, 28, 14]})
    (found,) = read_folder(tmp_path)
    assert (found.bounds[0].min, found.bounds[0].max) == ((-1, 7), (-1, 28))


def test_an_input_without_a_dynamic_axis_is_left_out(tmp_path):
    write_engine(tmp_path, ranges={"fixed": [], "x": [0, 1, 8, 4]})
    (found,) = read_folder(tmp_path)
    assert [bounds.name for bounds in found.bounds] == ["x"]


def test_every_cut_and_every_flipped_byte_of_a_profile_ends_in_ranges_or_one_message(tmp_path):
    whole = profile({"image": [0, 1, 8, 8, 2, 224, 800, 640], "mask": [0, 1, 8, 8]})
    path = tmp_path / "a.profile"
    damaged = [whole[:size] for size in range(len(whole))]
    damaged += [whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :] for at in range(len(whole)) for flip in (1, 0x80, 0xFF)]
    for content in damaged:
        path.write_bytes(content)
        with contextlib.suppress(EngineError):
            assert all(bounds.axes for bounds in read_profile_file(path))


def test_a_bad_profile_is_told_with_the_engine_and_the_rest_is_listed(tmp_path):
    write_engine(tmp_path, f"{FUSED}_sm90.engine", ranges=b"no profile at all")
    write_engine(tmp_path, "other.engine", ranges={"x": [0, 1, 8, 4]})
    write_engine(tmp_path, "empty.engine", content=b"")
    (tmp_path / "TensorrtExecutionProvider_cache_sm90.timing").write_bytes(b"timing")
    bad, empty, good = read_folder(tmp_path)
    assert "no profile of ONNX Runtime" in bad.problem
    assert not bad.profiled
    assert bad.tensorrt == "8.6.1.6"
    assert (empty.bytes, empty.problem) == (0, "The file is empty: its writing was cut off.")
    assert (good.problem, len(good.bounds)) == ("", 1)


def test_a_folder_in_place_of_an_engine_does_not_hide_the_others(tmp_path):
    (tmp_path / "odd.engine").mkdir()
    write_engine(tmp_path)
    found = read_folder(tmp_path)
    assert [bool(file.problem) for file in found] == [False, True]


def test_a_missing_file_or_folder_is_one_clear_error(tmp_path):
    with pytest.raises(EngineError, match="cannot be read: No such file"):
        read_engine_file(tmp_path / "none.engine")
    with pytest.raises(EngineError, match="folder of engines cannot be read"):
        read_folder(tmp_path / "none")
    assert read_folder(tmp_path) == []
