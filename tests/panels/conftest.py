import ipywidgets as widgets
import pytest


@pytest.fixture(autouse=True)
def _close_widgets():
    yield
    widgets.Widget.close_all()


@pytest.fixture
def browser_says():
    """Give a widget the message that a browser would send."""

    def update(widget, **state):
        widget._handle_msg({"content": {"data": {"method": "update", "state": state, "buffer_paths": []}}, "buffers": []})

    return update


@pytest.fixture
def browser_clicks():
    def click(widget):
        widget._handle_msg({"content": {"data": {"method": "custom", "content": {"event": "click"}}}, "buffers": []})

    return click
