import threading

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from workbench.errors import ModelError, SettingsError
from workbench.model.model import Model
from workbench.placement.predict import predict
from workbench.runtime.ready.steps_apart import perform
from workbench.study import ready, ready_files
from workbench.study.ready import make_ready


def saved(path, nodes, inputs, outputs, weights=(), *, opset=17):
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializer=list(weights))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return Model.load(path)


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


@pytest.fixture
def expanded(tmp_path):
    """Return a model in which only a run shows the shape of what TensorRT's parts exchange."""
    nodes = [
        helper.make_node("Expand", ["x", "s"], ["m"], "expand"),
        helper.make_node("Relu", ["m"], ["r"], "relu"),
        helper.make_node("Det", ["r"], ["d"], "det"),
        helper.make_node("Sigmoid", ["d"], ["y"], "sigmoid"),
    ]
    inputs = [value("x", ["n", 4, 4]), value("s", ["k"], TensorProto.INT64)]
    return saved(tmp_path / "expanded.onnx", nodes, inputs, [value("y", None)])


def test_a_model_without_shapes_becomes_one_that_is_predicted_to_run(expanded):
    assert predict(expanded, tensorrt="8.6").error.kind == "shape"

    done = make_ready(expanded, tensorrt="8.6")

    assert done.outcome == "ready", done.message
    assert done.path == str(expanded.path.with_name("expanded.ready.onnx"))
    assert done.equal is True
    assert done.changes
    assert done.before.error.kind == "shape"
    assert done.after.error is None
    assert predict(Model.load(done.path), tensorrt="8.6").error is None
    assert {path.name for path in expanded.path.parent.iterdir()} == {"expanded.onnx", "expanded.ready.onnx"}


def test_the_next_new_file_gets_another_name(expanded):
    make_ready(expanded, tensorrt="8.6")

    assert make_ready(expanded, tensorrt="8.6").path.endswith("expanded.ready-2.onnx")


def test_a_model_that_is_ready_needs_no_file(digits, tmp_path):
    copy = tmp_path / "digits.onnx"
    copy.write_bytes(digits.path.read_bytes())

    done = make_ready(Model.load(copy), tensorrt="10.16")

    assert (done.outcome, done.path, done.changes) == ("as it is", None, ())
    assert list(tmp_path.iterdir()) == [copy]


def test_names_and_versions_are_mended_too(tmp_path):
    model = saved(tmp_path / "new.onnx", [helper.make_node("Relu", ["x"], ["y"])], [value("x", [2])], [value("y", [2])], opset=21)

    done = make_ready(model, tensorrt="8.6")

    assert done.outcome == "ready"
    assert any("Lowered opset 21" in change for change in done.changes)
    assert any("a name of their own" in change for change in done.changes)
    assert Model.load(done.path).opset == 20
    assert done.equal is True


def test_what_cannot_be_made_ready_says_why(tmp_path):
    nodes = [helper.make_node("DecodeImage", ["x"], ["y"], "decode", domain="com.microsoft.extensions")]
    model = saved(tmp_path / "odd.onnx", nodes, [value("x", [2])], [value("y", [2])])

    done = make_ready(model, tensorrt="8.6")

    assert (done.outcome, done.path) == ("failed", None)
    assert "DecodeImage" in done.message


def test_a_file_that_exists_is_never_overwritten(expanded, tmp_path):
    taken = tmp_path / "taken.onnx"
    taken.write_text("mine")

    with pytest.raises(SettingsError, match="exists already"):
        make_ready(expanded, out=taken)
    with pytest.raises(OSError, match="exists"):
        ready_files.publish(expanded.path, taken)
    assert taken.read_text() == "mine"


def test_a_model_with_external_data_stays_beside_it(tmp_path):
    weight = numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [value("x", [1, 64])], [value("y", [1, 64])])
    graph.initializer.append(weight)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "big.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="big.data", size_threshold=0)
    (tmp_path / "elsewhere").mkdir()
    model = Model.load(path)

    with pytest.raises(SettingsError, match="weights lie there"):
        make_ready(model, out=tmp_path / "elsewhere" / "new.onnx")
    done = make_ready(model)

    assert done.outcome == "ready"
    assert done.equal is True
    assert Model.load(done.path).size_bytes > 16_384


def test_a_file_of_more_than_2_gib_is_refused(expanded, monkeypatch):
    monkeypatch.setattr(ready_files, "LARGEST_MESSAGE", 100)

    with pytest.raises(ModelError, match="2 GiB"):
        make_ready(expanded)


def test_work_can_be_followed_and_cancelled(expanded):
    cancelled, stages = threading.Event(), []

    def on_event(event):
        stages.append(event.stage)
        cancelled.set()

    done = make_ready(expanded, tensorrt="8.6", on_event=on_event, cancelled=cancelled)

    assert stages[0] == "names, versions and types"
    assert done.outcome == "cancelled"
    assert [path.name for path in expanded.path.parent.iterdir()] == ["expanded.onnx"]


def test_float64_is_kept_unless_asked_for(tmp_path):
    nodes = [helper.make_node("Mul", ["x", "w"], ["y"], "mul")]
    weight = numpy_helper.from_array(np.array([0.1, 0.2]), "w")
    model = saved(
        tmp_path / "double.onnx", nodes, [value("x", [2], TensorProto.DOUBLE)], [value("y", [2], TensorProto.DOUBLE)], [weight]
    )

    assert make_ready(model).outcome == "as it is"
    done = make_ready(model, float32=True)

    assert done.outcome == "ready"
    assert any("numbers change" in change for change in done.changes)
    assert done.compared[0].outputs[0].max_abs > 0


def test_a_new_model_that_ends_the_process_is_not_kept_where_the_original_does_not(expanded, monkeypatch):
    def crashes_on_drafts(errand, *rest):
        if errand.task == "compare" and errand.target != errand.source:
            return ready.Answer(status="crashed", why="It was ended by SIGSEGV.")
        return perform(errand, *rest)

    monkeypatch.setattr(ready, "perform", crashes_on_drafts)

    done = make_ready(expanded, tensorrt="8.6")

    assert done.outcome != "ready"
    assert [path.name for path in expanded.path.parent.iterdir()] == ["expanded.onnx"]
