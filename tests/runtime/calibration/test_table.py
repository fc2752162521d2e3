import json
import struct

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from packaging.version import Version

from workbench.errors import SettingsError
from workbench.model.model import Model
from workbench.runtime.calibration.check import check_table
from workbench.runtime.calibration.table import (
    FLATBUFFERS_NAME,
    NATIVE_NAME,
    Table,
    TableEntry,
    read_table,
    write_table,
    write_tables,
)

RANGES = {"b": 11.82, "a": 0.5, "ü: odd name": 1e-3}
HERE = "onnxruntime.quantization"


def rounded(ranges):
    return {name: float(np.float32(value)) for name, value in ranges.items()}


def library(release=None):
    ort = pytest.importorskip("onnxruntime")
    pytest.importorskip(HERE)
    version = Version(ort.__version__)
    if release == "1.17" and version.release[:2] != (1, 17):
        pytest.skip("needs onnxruntime 1.17")
    if release == "1.20" and version < Version("1.20"):
        pytest.skip("needs onnxruntime 1.20 or later")
    from onnxruntime.quantization import calibrate, quant_utils

    return calibrate, quant_utils


@pytest.mark.parametrize("name", [FLATBUFFERS_NAME, NATIVE_NAME, "calibration.json", "calibration.cache"])
def test_what_is_written_is_read_back(tmp_path, name):
    files = write_tables(RANGES, tmp_path)
    assert sorted(file.name for file in files) == sorted([FLATBUFFERS_NAME, NATIVE_NAME, "calibration.json", "calibration.cache"])
    table = read_table(tmp_path / name)
    assert table.ranges() == pytest.approx(rounded(RANGES), rel=1e-6)
    assert [entry.tensor for entry in table.entries] == sorted(RANGES)


def test_onnxruntimes_own_classes_read_our_file(tmp_path):
    pytest.importorskip(HERE)
    from onnxruntime.quantization.CalTableFlatBuffers.TrtTable import TrtTable

    write_tables(RANGES, tmp_path)
    theirs = TrtTable.GetRootAs((tmp_path / FLATBUFFERS_NAME).read_bytes(), 0)
    found = {theirs.Dict(i).Key().decode(): float(theirs.Dict(i).Value()) for i in range(theirs.DictLength())}
    assert found == rounded(RANGES)


def test_tensorrts_own_format_holds_scales_in_hexadecimal(tmp_path):
    write_table({"data": 1.0}, tmp_path / "t.cache", tensorrt=8601)
    assert (tmp_path / "t.cache").read_text() == "TRT-8601-EntropyCalibration2\ndata: 3c010204\n"
    assert struct.unpack(">f", bytes.fromhex("3c010204"))[0] * 127 == pytest.approx(1)
    (tmp_path / "t.cache").write_text("TRT-7103-EntropyCalibration2\ndata: 3c010a14\n(Unnamed Layer* 3) [Constant]_output: 0\n")
    table = read_table(tmp_path / "t.cache")
    assert (table.kind, table.header) == ("tensorrt", "TRT-7103-EntropyCalibration2")
    assert [entry.amax for entry in table.entries] == [pytest.approx(1.00025, rel=1e-4), 0.0]


def test_ranges_that_are_zero_are_left_out_and_wrong_ones_refused(tmp_path):
    write_tables({"x": 0.0, "y": 1.0}, tmp_path)
    assert read_table(tmp_path / FLATBUFFERS_NAME).ranges() == {"y": 1.0}
    for value in (-1.0, float("nan"), float("inf")):
        with pytest.raises(SettingsError, match="'x'"):
            write_tables({"x": value}, tmp_path)


def test_the_library_writes_the_greater_end_instead_of_the_greater_magnitude(tmp_path):
    calibrate, quant_utils = library("1.20")
    ends = {"c": (-11.82, -6.31), "p": (-9.31, 8.91)}
    data = {
        name: calibrate.TensorData(lowest=np.array(low, np.float32), highest=np.array(high, np.float32))
        for name, (low, high) in ends.items()
    }
    quant_utils.write_calibration_table(calibrate.TensorsData(calibrate.CalibrationMethod.MinMax, data), str(tmp_path))
    theirs = read_table(tmp_path / "calibration.flatbuffers").ranges()
    assert theirs == pytest.approx({"c": -6.31, "p": 8.91}, rel=1e-6)
    ours = write_table({name: max(abs(low), abs(high)) for name, (low, high) in ends.items()}, tmp_path / "ours.flatbuffers")
    assert read_table(ours).ranges() == pytest.approx({"c": 11.82, "p": 9.31}, rel=1e-6)


def test_the_library_of_1_17_cannot_write_its_own_result(tmp_path):
    calibrate, quant_utils = library("1.17")
    data = {"x": calibrate.TensorData(lowest=np.array(0, np.float32), highest=np.array(1, np.float32))}
    with pytest.raises(TypeError, match="Object of type TensorsData is not JSON serializable"):
        quant_utils.write_calibration_table(calibrate.TensorsData(calibrate.CalibrationMethod.MinMax, data), str(tmp_path))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.flatbuffers", b""),
        ("a.flatbuffers", b"\x10\x00\x00\x00" + b"\xff" * 40),
        ("a.flatbuffers", b"no table at all, only text"),
        ("a.json", b'{"x": [1, 2]}'),
        ("a.json", b'{"x": 1'),
        ("a.cache", b"one\ntwo\n"),
        ("a.cache", b"TRT-8600-X\nx: zz\n"),
        ("a.cache", b"TRT-8600-X\n3f800000\n"),
        ("a.bin", bytes(range(256))),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_a_sentence(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SettingsError, match="no calibration table"):
        read_table(tmp_path / name)


def test_every_cut_of_a_table_is_refused_or_read_and_never_crashes(tmp_path):
    whole = write_table(RANGES, tmp_path / "t.flatbuffers").read_bytes()
    for size in range(len(whole)):
        (tmp_path / "cut.flatbuffers").write_bytes(whole[:size])
        try:
            assert len(read_table(tmp_path / "cut.flatbuffers").entries) <= len(RANGES)
        except SettingsError:
            continue


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match="nowhere"):
        read_table(tmp_path / "nowhere.flatbuffers")


@pytest.fixture
def model(tmp_path):
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "z")]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["y"], ["z"])], "g", [info[0]], [info[1]]
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, str(tmp_path / "small.onnx"))
    return Model.load(tmp_path / "small.onnx")


def table(**ranges):
    return Table(kind="onnxruntime", entries=tuple(TableEntry(tensor=name, amax=value) for name, value in ranges.items()))


def test_a_table_that_fits_has_no_findings(model):
    assert check_table(table(x=1.0, y=1.0, z=1.0), model) == []


def test_a_table_of_another_model_gives_one_message(model):
    (finding,) = check_table(table(a=1.0, b=2.0), model)
    assert finding.level == "error"
    assert "another model" in finding.meaning


def test_tensors_missing_or_foreign_and_ranges_that_are_none_give_one_message_each(model):
    found = check_table(table(x=1.0, y=-6.31, old=1.0), model)
    assert [f.seen for f in found] == [
        "1 ranges are zero, negative or not finite",
        "1 of the model's 3 tensors have no range",
        "1 of the table's 3 tensors are not in small",
    ]
    assert check_table(table(), model)[0].seen == "the table is empty"


def test_the_librarys_json_is_read_where_it_holds_numbers(tmp_path):
    (tmp_path / "c.json").write_text(json.dumps({"a": 1.5}))
    assert read_table(tmp_path / "c.json").ranges() == {"a": 1.5}
