import os
import signal
import sys
import threading
import time

import onnx
import pytest
from onnx import TensorProto, helper

from workbench.runtime.ready.steps_apart import Errand, perform

NEVER = threading.Event()


@pytest.fixture
def unshaped(tmp_path):
    """Return a model in which only a run shows the shape of `m`: Reshape reads its shape from an input."""
    x, s = (
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8]),
        helper.make_tensor_value_info("s", TensorProto.INT64, [1]),
    )
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    nodes = [
        helper.make_node("Expand", ["x", "s"], ["m"], "expand"),
        helper.make_node("Relu", ["m"], ["r"], "relu"),
        helper.make_node("Reshape", ["r", "minus"], ["y"], "reshape"),
    ]
    minus = helper.make_tensor("minus", TensorProto.INT64, [1], [-1])
    graph = helper.make_graph(nodes, "g", [x, s], [y], initializer=[minus])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def errand(unshaped, tmp_path):
    def make(task, **changes):
        return Errand(task=task, source=str(unshaped), target=str(tmp_path / "new.onnx"), **changes)

    return make


def values(path):
    return {info.name: info for info in onnx.load(path).graph.value_info}


def test_shapes_that_a_run_shows_are_written(errand, tmp_path):
    answer = perform(errand("observe"), 30, NEVER)

    assert answer.status == "done"
    assert "2 runs on the CPU" in answer.changes[0]
    assert len(values(tmp_path / "new.onnx")["m"].type.tensor_type.shape.dim) == 2


def test_the_original_file_is_not_touched_and_the_current_folder_stays_clean(errand, unshaped, tmp_path, monkeypatch):
    before = unshaped.read_bytes()
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)

    for task in ("fix", "infer", "observe", "freeze"):
        assert perform(errand(task), 30, NEVER).status == "done"

    assert unshaped.read_bytes() == before
    assert list(folder.iterdir()) == []


def test_static_inputs_are_written_into_the_folded_model(errand, tmp_path):
    answer = perform(errand("freeze"), 30, NEVER)

    assert answer.changes[0] == "Made input 'x' static: 1 × 8."
    shape = onnx.load(tmp_path / "new.onnx").graph.input[0].type.tensor_type.shape
    assert [d.dim_value for d in shape.dim] == [1, 8]


def test_a_model_is_equal_to_itself_on_two_sizes(errand, unshaped):
    answer = perform(errand("compare").model_copy(update={"target": str(unshaped)}), 30, NEVER)

    assert [each.equal for each in answer.compared] == [True, True]
    assert len({each.shapes for each in answer.compared}) == 2


def test_a_model_with_other_outputs_is_not_equal(errand, unshaped, tmp_path):
    other = onnx.load(unshaped)
    other.graph.node[1].op_type = "Neg"
    onnx.save(other, tmp_path / "new.onnx")

    answer = perform(errand("compare"), 30, NEVER)

    assert not any(each.equal for each in answer.compared)


def test_a_step_that_takes_too_long_is_ended(errand, monkeypatch):
    stuck(monkeypatch, "import time; time.sleep(60)")

    answer = perform(errand("infer"), 0.5, NEVER)

    assert answer.status == "timeout"


def test_a_step_can_be_cancelled(errand, monkeypatch):
    stuck(monkeypatch, "import time; time.sleep(60)")
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()

    assert perform(errand("infer"), 30, cancelled).status == "cancelled"


def test_a_step_that_dies_says_how(errand, monkeypatch):
    stuck(monkeypatch, f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})")

    answer = perform(errand("infer"), 30, NEVER)

    assert answer.status == "crashed"
    assert "SIGSEGV" in answer.why


def test_what_a_step_started_ends_with_it(errand, monkeypatch, tmp_path):
    child = tmp_path / "child"
    stuck(
        monkeypatch,
        "import subprocess, time, pathlib; "
        f"p = subprocess.Popen(['sleep', '60']); pathlib.Path({str(child)!r}).write_text(str(p.pid)); time.sleep(60)",
    )

    perform(errand("infer"), 1.5, NEVER)

    time.sleep(0.2)
    pid = int(child.read_text())
    assert not alive(pid)


def alive(pid):
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().split()[2] != "Z"
    except OSError:
        return False


def stuck(monkeypatch, code):
    """Let the process run some code instead of an errand."""
    monkeypatch.setattr("workbench.runtime.process.python_module", lambda *_: [sys.executable, "-c", code])
