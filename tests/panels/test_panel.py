import ipywidgets as widgets
import pytest

from workbench.errors import ModelError
from workbench.panels import markup
from workbench.panels.background import Background, InlineExecutor
from workbench.panels.panel import Panel
from workbench.panels.style import stylesheet
from workbench.record import Finding


@pytest.fixture
def panel():
    return Panel("Model", background=Background(InlineExecutor()))


def raise_(error):
    raise error


def test_error_of_a_user_is_shown_with_its_remedy(panel, browser_clicks):
    button = widgets.Button()
    button.on_click(panel.guard(lambda _: raise_(ModelError("m.onnx: the file is empty.", remedy="Export it again."))))

    browser_clicks(button)

    assert isinstance(panel.failure, ModelError)
    assert "m.onnx: the file is empty." in panel.status.value
    assert "Export it again." in panel.status.value
    assert "wb-error" in panel.status.value


def test_unforeseen_error_is_called_a_bug_and_logged(panel, caplog):
    panel.guard(lambda: raise_(KeyError("x")))()

    assert "bug: KeyError" in panel.status.value
    assert isinstance(panel.failure, KeyError)
    assert "Traceback" in caplog.text


def test_next_thing_that_the_user_does_clears_a_failure(panel):
    panel.guard(lambda: raise_(ModelError("broken")))()
    assert panel.guard(lambda: 3)() == 3
    assert panel.failure is None
    assert panel.status.value == ""


def test_drawing_shows_its_errors_and_clears_none(panel):
    panel.redraw(lambda: raise_(ModelError("broken")))()
    assert "broken" in panel.status.value
    assert panel.redraw(lambda: 3)() == 3
    assert "broken" in panel.status.value


def test_success_leaves_other_messages_alone(panel):
    panel.say("Loaded.", "success")
    panel.guard(lambda: None)()
    assert "Loaded." in panel.status.value


def test_messages_are_escaped(panel):
    panel.say("<script>", "warning", "<b>")
    assert "<script>" not in panel.status.value
    assert "&lt;script&gt;" in panel.status.value
    assert "&lt;b&gt;" in panel.status.value


def test_task_ends_in_the_panel(panel):
    results = []
    panel.run_in_thread(lambda: 4, results.append)
    assert results == [4]


def test_error_of_a_task_and_of_its_end_are_shown(panel):
    panel.run_in_thread(lambda: raise_(ModelError("gone")), print)
    assert "gone" in panel.status.value
    panel.run_in_thread(lambda: 1, lambda _: raise_(ModelError("gone too")))
    assert "gone too" in panel.status.value


def test_repr_is_short(panel):
    assert repr(panel) == "Panel(Model)"


def test_one_style_sheet_serves_all_panels(panel):
    assert stylesheet() is stylesheet()
    assert ".wb-notice" in stylesheet().value
    assert panel.children[0] is stylesheet()


def test_markup_escapes_all_text():
    nasty = '<i title="x">&'
    finding = Finding(level="warning", where=nasty, seen=nasty, meaning=nasty, action=nasty)
    for html in (
        markup.badge(nasty, nasty, nasty),
        markup.facts([(nasty, nasty)]),
        markup.heading(nasty, nasty),
        markup.note(nasty),
        markup.finding_list([finding]),
        markup.grid([nasty], [[nasty]]),
        markup.notice("info", nasty, nasty),
    ):
        assert "<i" not in html
