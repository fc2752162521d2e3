import urllib.error
import urllib.request

import pytest

from workbench.errors import Unavailable
from workbench.panels import netron_server
from workbench.panels.netron_server import NetronServer, netron_folder, rewritten

PAGE = (
    '<meta name="version" content="9.3.3">\n<meta name="date" content="2026-10-23 19:50:08">\n'
    '<script type="text/javascript" src="index.js"></script></head>'
)


@pytest.fixture
def server():
    made = NetronServer()
    yield made
    made.close()


def get(server, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/{path}", timeout=5) as answer:
        return answer.read(), answer.headers


def status(server, path):
    try:
        get(server, path)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


def test_several_models_are_served_side_by_side(server):
    first = server.register(b"one", "a{}", "first")
    second = server.register(b"two", "b{}", "second")

    assert get(server, f"{server.token}/{first.files[1]}")[0] == b"one"
    assert get(server, f"{server.token}/{second.files[1]}")[0] == b"two"
    assert get(server, f"{server.token}/{second.files[2]}")[0] == b"b{}"
    assert b'content="second"' in get(server, second.path)[0]


def test_page_asks_and_reports_nothing(server):
    html, headers = get(server, server.register(b"", "", "model").path)
    assert b'name="date"' not in html
    assert b'name="version" content="0.0.0"' in html
    assert html.index(b"workbench.js") < html.index(b"index.js")
    assert "connect-src 'self'" in headers["Content-Security-Policy"]
    assert "Set-Cookie" not in headers


def test_unregistered_model_is_forgotten(server):
    page = server.register(b"one", "", "first")
    server.unregister(page)
    assert status(server, page.path) == 404
    assert status(server, f"{server.token}/{page.files[1]}") == 404


@pytest.mark.parametrize(
    "path",
    [
        "{token}/index.html",
        "{token}/__init__.py",
        "{token}/../__init__.py",
        "{token}/..%2f..%2fsix.py",
        "{token}/",
        "{token}",
        "index.js",
        "wrong/index.js",
        "",
    ],
)
def test_nothing_else_is_served(server, path):
    assert status(server, path.format(token=server.token)) == 404


def test_netrons_own_files_are_served_to_who_knows_the_path(server):
    body, headers = get(server, f"{server.token}/index.js?cb=1")
    assert b"exports" in body
    assert headers["Content-Type"] == "text/javascript"


def test_name_of_a_model_is_escaped():
    assert '"><script>' not in rewritten(PAGE, model="m", css="c", name='"><script>')


@pytest.mark.parametrize(
    "part", ['<meta name="version" content="9.3.3">', '<meta name="date" content="2026-10-23 19:50:08">', ' src="index.js"']
)
def test_unknown_netron_is_refused_with_what_is_missing(part):
    with pytest.raises(Unavailable, match=r"does not know Netron .* where it was"):
        rewritten(PAGE.replace(part, ""), model="m", css="c", name="n")


def test_missing_netron_is_said(monkeypatch):
    monkeypatch.setattr(netron_server.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(Unavailable, match="pip install netron"):
        netron_folder()


def test_installed_netron_is_known():
    assert (netron_folder() / "index.js").is_file()
