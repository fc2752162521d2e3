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


def test_the_model_before_is_served_until_the_next_is_drawn(server, shown):
    view = NetronView(server=server)
    view.show(shown, {}, "chain")
    before = view.path
    view.ready = 7

    view.show(shown, {}, "chain")

    assert view.ready == 0
    assert server.read(view.path)
    assert server.read(before), "the browser may be loading it still"
    view.ready = 7
    assert server.read(view.path)
    assert server.read(before) is None


def test_models_that_nobody_looks_at_do_not_pile_up(server, shown):
    view = NetronView(server=server)
    paths = []
    for _ in range(20):
        view.show(shown, {}, "chain")
        paths.append(view.path)
    assert sum(server.read(path) is not None for path in paths) < 10


def test_closed_view_serves_nothing(server, shown):
    view = NetronView(server=server)
    view.show(shown, {}, "chain")
    first = view.path
    view.clear()
    view.show(shown, {}, "chain")
    second = view.path
    view.close()
    assert server.read(first) is None
    assert server.read(second) is None


def test_click_in_the_graph_reaches_python(server, browser_says):
    view = NetronView(server=server)
    browser_says(view, selected="conv", absent=False)
    assert view.selected == "conv"


def test_repr_is_short(server, shown):
    view = NetronView(server=server)
    assert repr(view) == "NetronView(no model)"
    view.show(shown, {}, "chain")
    assert repr(view) == "NetronView(0 nodes drawn)"
