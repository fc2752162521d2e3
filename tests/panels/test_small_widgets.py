import pytest

from workbench.panels.activity import StageTime
from workbench.panels.code_view import CodeView
from workbench.panels.path_field import PathField
from workbench.panels.progress_view import ProgressView
from workbench.panels.upload_button import UploadButton


@pytest.mark.parametrize(
    ("widget", "text"),
    [
        (lambda: CodeView("a\nb"), "CodeView(2 lines)"),
        (lambda: PathField("Path", lambda _: (), print), "PathField('')"),
        (lambda: ProgressView(["starting"]), "ProgressView(nothing yet)"),
        (lambda: UploadButton(".onnx", print), "UploadButton('.onnx')"),
    ],
)
def test_reprs_are_short(widget, text):
    assert repr(widget()) == text


def test_progress_leaves_out_the_end_which_takes_no_time():
    view = ProgressView(["starting", "measuring"])
    view.show("Running", [StageTime("starting", 1.0), StageTime("done", 0.0)], 1.0)
    assert view.stages == [["starting", 1.0]]
    assert view.running
    view.end("digits", failed=True)
    assert (view.text, view.running, view.failed) == ("digits", False, True)
    assert repr(view) == "ProgressView(digits)"


def test_uploaded_file_is_handed_over(browser_says):
    given = []
    button = UploadButton(".onnx", lambda name, content: given.append((name, content)))
    message = {"method": "custom", "content": {"name": "m.onnx"}}
    button._handle_msg({"content": {"data": message}, "buffers": [memoryview(b"bytes")]})
    assert given == [("m.onnx", b"bytes")]
