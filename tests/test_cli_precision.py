import json
import shutil

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from workbench.cli import app
from workbench.runtime.calibration import calibrate as calibration
from workbench.runtime.calibration.process import answered
from workbench.runtime.ready.process import TASKS
from workbench.samples.catalogue import samples
from workbench.study import convert as conversion

pytest.importorskip("onnxruntime")

BY_NAME = {sample.name: sample for sample in samples()}


@pytest.fixture
def folder(tmp_path):
    for name in ("digits", "encoder"):
        shutil.copy(BY_NAME[name].path, tmp_path / f"{name}.onnx")
    with np.load(BY_NAME["digits"].training_set) as file:
        np.savez(tmp_path / "data.npz", image=file["image"][:48])
    return tmp_path


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Do in this process what users have done in others: starting them takes longer than the tests."""
    monkeypatch.setattr(calibration, "_perform", lambda errand, _limit, _cancelled, report: answered(errand, report))
    monkeypatch.setattr(conversion, "perform", lambda errand, *_: TASKS[errand.task](errand))


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def calibrate(folder, *more):
    options = ["--data", folder / "data.npz", "--state", folder / "state", "--one-method", "--method", "minmax"]
    return call("calibrate", folder / "digits.onnx", *options, *more)


def test_calibrate_writes_a_table_and_a_quantised_model_that_convert_and_run_can_use(folder):
    done = calibrate(folder, "--table", folder / "t.flatbuffers", "--qdq", folder / "q.onnx", "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["samples"] == 48
    assert document["tables"] == [str(folder / "t.flatbuffers")]
    assert document["table_findings"] == []
    assert document["qdq"]["compared"][0]["outputs"][0]["rel_l2"] < 0.1
    assert len(document["tensors"]) == 11
    converted = call("convert", folder / "digits.onnx", "--to", "int8", "--table", folder / "t.flatbuffers", "--json")
    assert json.loads(converted.stdout)["target"] == str(folder / "digits.int8.onnx")


def test_a_second_calibration_goes_on_from_the_first_unless_it_is_restarted(folder):
    for more, resumed in (((), 0), ((), 48), (("--restart",), 0)):
        assert json.loads(calibrate(folder, "--json", *more).stdout)["resumed"] == resumed


def test_a_folder_gets_all_tables_and_people_get_a_summary(folder):
    done = calibrate(folder, "--table", folder / "tables")
    assert done.exit_code == 0
    assert len(list((folder / "tables").iterdir())) == 4
    assert "48 samples of data.npz" in done.stdout


def test_all_methods_stand_side_by_side_where_they_are_asked_for(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    alone = calibrate(folder).stdout
    assert "minmax" in alone
    assert "entropy" not in alone
    together = calibrate(folder, "--all-methods").stdout
    assert all(method in together for method in ("minmax", "entropy", "percentile", "distribution"))


def test_a_misspelt_node_is_refused_before_anything_is_calibrated(folder, monkeypatch):
    monkeypatch.setattr(calibration, "_perform", None)
    done = calibrate(folder, "--qdq", folder / "q.onnx", "--exclude-node", "/stage1/conv/Con")
    assert done.exit_code != 0
    assert "/stage1/conv/Conv" in done.stderr


def test_an_opset_without_quantisers_is_refused_before_anything_is_calibrated(folder, monkeypatch):
    monkeypatch.setattr(calibration, "_perform", None)
    old = onnx.load(folder / "digits.onnx")
    old.opset_import[0].version = 9
    onnx.save(old, folder / "digits.onnx")
    done = calibrate(folder, "--qdq", folder / "q.onnx")
    assert done.exit_code != 0
    assert "opset is 9" in done.stderr


def test_nodes_to_keep_are_read_from_files_too(folder):
    (folder / "lines.txt").write_text("/head/Softmax\n\n/stage1/conv/Conv\n")
    (folder / "list.json").write_text('["/head/Softmax"]')
    for name, count in (("lines.txt", 2), ("list.json", 1)):
        done = call("convert", folder / "digits.onnx", "--to", "bf16", "--keep", f"@{folder / name}", "--json")
        assert len(json.loads(done.stdout)["keep"]) == count
    assert call("convert", folder / "digits.onnx", "--to", "fp16", "--keep", "@nowhere").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--to", "int8"), "--table"),
        (("--to", "fp16", "--table", "t.json"), "for --to int8"),
        (("--to", "fp16", "--keep", "/head/softmax"), "Did you mean"),
        (("--to", "int8", "--table", "nowhere.json"), "cannot be read"),
    ],
)
def test_wrong_use_is_one_message(folder, arguments, said):
    done = call("convert", folder / "digits.onnx", *arguments, "--json")
    assert done.exit_code == 2
    error = json.loads(done.stdout)["error"]
    assert said in error["message"] + error["remedy"]


def test_a_table_that_has_nowhere_to_go_is_refused_before_calibration(folder, monkeypatch):
    monkeypatch.setattr(calibration, "_perform", None)
    done = calibrate(folder, "--table", folder / "nowhere" / "t.json")
    assert done.exit_code == 2
    assert "the folder does not exist" in done.stderr


def test_a_file_that_is_no_npz_is_never_proposed_to_be_unpickled(folder):
    done = call("convert", folder / "digits.onnx", "--to", "fp16", "--inputs", folder / "encoder.onnx")
    assert done.exit_code == 2
    assert "it is another kind of file" in done.stderr
    assert "pickle" not in done.stderr


def test_a_table_of_another_model_is_refused(folder):
    calibrate(folder, "--table", folder / "t.cache")
    done = call("convert", folder / "encoder.onnx", "--to", "int8", "--table", folder / "t.cache")
    assert done.exit_code == 2
    assert "another model" in done.stderr


def test_data_that_do_not_fit_are_refused(folder):
    np.savez(folder / "data.npz", other=np.ones(3, np.float32))
    assert calibrate(folder).exit_code == 2


def test_a_model_that_was_lowered_before_is_told_from_one_in_float32(folder):
    calibrate(folder, "--table", folder / "t.flatbuffers", "--qdq", folder / "q.onnx")
    call("convert", folder / "digits.onnx", "--to", "fp16")

    again = call("convert", folder / "q.onnx", "--to", "int8", "--table", folder / "t.flatbuffers", "--json")
    assert "holds Q/DQ nodes already" in json.loads(again.stdout)["error"]["message"]
    options = ["--data", folder / "data.npz", "--state", folder / "state", "--one-method", "--method", "minmax", "--json"]
    told = json.loads(call("calibrate", folder / "q.onnx", *options).stdout)["findings"]
    assert any("QuantizeLinear nodes already" in finding["seen"] for finding in told)
    search = call("sensitivity", folder / "digits.fp16.onnx", "--store", folder / "s.sqlite3", "--json")
    assert "it is lowered already" in json.loads(search.stdout)["error"]["message"]


def test_elements_that_are_not_finite_are_told_and_not_hidden_in_the_distances(folder):
    proto = onnx.load(str(folder / "encoder.onnx"))
    mask = next(tensor for tensor in proto.graph.initializer if tensor.name == "mask.drop")
    mask.CopyFrom(onnx.numpy_helper.from_array(np.array(-1e9, np.float32), mask.name))
    onnx.save(proto, str(folder / "masked.onnx"))
    np.savez(folder / "empty.npz", input_ids=np.ones((1, 8), np.int64), attention_mask=np.zeros((1, 8), np.int64))

    done = call("convert", folder / "masked.onnx", "--to", "fp16", "--inputs", folder / "empty.npz")
    assert done.exit_code == 0
    assert "embedding: 64 elements are NaN or infinite" in " ".join(done.stdout.split())


def test_the_help_lists_all_commands_in_the_order_of_need():
    from workbench.cli.application import ORDER

    lines = call("--help").stdout.partition("Commands:")[2].splitlines()
    assert [line.split()[0] for line in lines if line.strip()] == list(ORDER)
