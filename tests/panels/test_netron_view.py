import pytest

from tests.panels.models import chain_model, split_placement
from workbench.panels.netron_model import shown_model
from workbench.panels.netron_server import NetronServer
from workbench.panels.netron_view import NetronView


@pytest.fixture
def server():
    made = NetronServer()
    yield made
    made.close()


@pytest.fixture
def shown(tmp_path):
    model = chain_model(tmp_path / "chain.onnx")
    return shown_model(model, split_placement(model))


def test_shown_model_has_an_address(server, shown):
    view = NetronView(server=server)
    view.show(shown, {}, "chain")
    assert view.port == server.port
    assert server.read(view.path)


def test_next_model_replaces_the_one_before(server, shown):
    view = NetronView(server=server)
    view.show(shown, {}, "chain")
    before = view.path
    view.ready = 7

    view.show(shown, {}, "chain")

    assert server.read(before) is None
    assert server.read(view.path)
    assert view.ready == 0


@pytest.mark.parametrize("end", ["clear", "close"])
def test_cleared_and_closed_views_serve_nothing(server, shown, end):
    view = NetronView(server=server)
    view.show(shown, {}, "chain")
    path = view.path
    getattr(view, end)()
    assert server.read(path) is None


def test_click_in_the_graph_reaches_python(server, browser_says):
    view = NetronView(server=server)
    browser_says(view, selected="conv", absent=False)
    assert view.selected == "conv"


def test_repr_is_short(server, shown):
    view = NetronView(server=server)
    assert repr(view) == "NetronView(no model)"
    view.show(shown, {}, "chain")
    assert repr(view) == "NetronView(0 nodes drawn)"
