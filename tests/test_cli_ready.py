"""``workbench ready``: one JSON document, the exit status, and the new file."""

import json
import subprocess
import sys

import onnx
import pytest
from onnx import TensorProto, helper


@pytest.fixture
def unnamed(tmp_path):
    specs = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])] for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", *specs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "unnamed.onnx")
    return tmp_path / "unnamed.onnx"


def shell(*arguments):
    command = [sys.executable, "-m", "workbench", "ready", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


def test_ready_writes_a_new_file_and_says_what_changed(unnamed, tmp_path):
    done = shell(unnamed, "--out", tmp_path / "new.onnx", "--json")

    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert found["outcome"] == "ready"
    assert found["equal"] is True
    assert found["path"] == str(tmp_path / "new.onnx")
    assert onnx.load(found["path"]).graph.node[0].name
    assert [step["remedy"] for step in found["steps"]] == ["fix", "compare"]


def test_a_file_that_exists_is_wrong_use(unnamed):
    done = shell(unnamed, "--out", unnamed, "--json")

    assert done.returncode == 2
    assert "nothing is overwritten" in json.loads(done.stdout)["error"]["message"]


def test_for_people_it_prints_the_steps(unnamed):
    done = shell(unnamed)

    assert done.returncode == 0
    assert "unnamed.ready.onnx" in done.stdout
    assert "comparing outputs" in done.stdout
