"""Serves Netron's pages, and the models to be shown in them, to browsers on this machine.

Netron's own server asks for consent, reports to Google Analytics, refuses to work 180 days after its release, shows one
model a process, and serves every file of the model's folder. Its pages need none of that: they are static files that
read what to show from ``<meta>`` elements of ``index.html``. This server rewrites those and serves

- ``graph-N.html``: the page for model N, without release date (no age stop) and as version 0.0.0 (no telemetry),
- ``model-N.onnx`` and ``model-N.css``: the model and the colours of its nodes, from memory,
- Netron's scripts, styles and images, and nothing else of the disk,

all below a random path that nobody else on the machine can guess. The address is 127.0.0.1; pages are reached from
there, or through jupyter-server-proxy.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import secrets
import threading
from dataclasses import dataclass, field
from functools import cache
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from workbench.errors import Unavailable

PAGE_SCRIPT = Path(__file__).parent / "static" / "netron_page.js"
TYPES = {
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".onnx": "application/octet-stream",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
# What the page may load: its own files and what it makes itself; so no request can leave the machine.
POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; base-uri 'none'; form-action 'none'"
)
VERSION = re.compile(r'<meta name="version" content="[^"]*">')
DATE = re.compile(r'<meta name="date" content="[^"]*">\s*')
SCRIPT = '<script type="text/javascript" src="index.js"></script>'
CONSENT = "_getCookie('consent')"


@dataclass(frozen=True, slots=True)
class Page:
    """A registered model: its page's path below the server's root, and what belongs to it."""

    path: str
    files: tuple[str, ...]


@dataclass(slots=True)
class NetronServer:
    """A small web server for Netron's pages on a free port of 127.0.0.1.

    Raises
    ------
    Unavailable
        When Netron is not installed, or its pages are not as this module expects them.
    """

    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    _folder: Path = field(init=False)
    _files: dict[str, bytes] = field(init=False, default_factory=dict)
    _numbers: count[int] = field(init=False, default_factory=lambda: count(1))
    _server: ThreadingHTTPServer = field(init=False)

    def __post_init__(self) -> None:
        self._folder = netron_folder()
        self._files["workbench.js"] = PAGE_SCRIPT.read_bytes()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="workbench-netron", daemon=True).start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def register(self, model: bytes, css: str, name: str) -> Page:
        """Serve a model until :meth:`unregister`.

        Parameters
        ----------
        model : bytes
            An ONNX model; nothing of it may lie in other files.
        css : str
            Style rules for its nodes; the element of a node is ``#node-name-<name>``.
        name : str
            Shown as the page's title.
        """
        number = next(self._numbers)
        page = Page(f"{self.token}/graph-{number}.html", (f"graph-{number}.html", f"model-{number}.onnx", f"model-{number}.css"))
        html, model_file, css_file = page.files
        text = (self._folder / "index.html").read_text("utf-8")
        self._files[css_file] = css.encode()
        self._files[model_file] = model
        self._files[html] = rewritten(text, model=model_file, css=css_file, name=name).encode()
        return page

    def unregister(self, page: Page) -> None:
        """Stop serving a model, and forget it."""
        for file in page.files:
            self._files.pop(file, None)

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()

    def read(self, path: str) -> tuple[bytes, str] | None:
        """Return the content and type of what is served at a path, or ``None``."""
        root, _, file = path.lstrip("/").partition("/")
        kind = TYPES.get(Path(file).suffix)
        if not secrets.compare_digest(root.encode(), self.token.encode()) or kind is None or "/" in file or "\\" in file:
            return None
        if file in self._files:
            return self._files[file], kind
        static = self._folder / file
        # Only Netron's own pages and their data: a package folder holds no secrets, but its Python files are no page.
        if file == "index.html" or not static.is_file():
            return None
        body = static.read_bytes()
        return (_plain_brackets(body) if file == "view.js" else body), kind


def _plain_brackets(script: bytes) -> bytes:
    """Write shapes in square brackets: Netron's angle brackets are CJK letters, which many machines have no font for."""
    return script.replace(rb"\u3008", b"[").replace(rb"\u3009", b"]")


@cache
def shared_server() -> NetronServer:
    """Return this process's server; it is started at the first call."""
    return NetronServer()


def netron_folder() -> Path:
    """Return the folder of Netron's pages, after a check that they are as this module expects them.

    Raises
    ------
    Unavailable
        When Netron is not installed, or another one.
    """
    spec = importlib.util.find_spec("netron")
    if spec is None or spec.origin is None:
        msg = "The graph view needs Netron, which is not installed."
        raise Unavailable(msg, remedy="Run `pip install netron`.")
    folder = Path(spec.origin).parent
    page, browser = folder / "index.html", folder / "browser.js"
    if not (page.is_file() and browser.is_file()):
        raise _unknown("its page is missing")
    rewritten(page.read_text("utf-8"), model="", css="", name="")
    if CONSENT not in browser.read_text("utf-8"):
        raise _unknown("its consent check is not where it was")
    return folder


def rewritten(html: str, *, model: str, css: str, name: str) -> str:
    """Return Netron's page as one that shows `model` with the colours of `css`, and asks and reports nothing.

    Raises
    ------
    Unavailable
        When the page lacks what is to be rewritten.
    """
    for what, found in (("version", VERSION.search(html)), ("release date", DATE.search(html)), ("script", SCRIPT in html)):
        if not found:
            raise _unknown(f"its page has no {what} where it was")
    entries = {"type": "Python", "version": "0.0.0", "file": model, "identifier": f"{name}.onnx", "name": name}
    metas = "".join(f'<meta name="{key}" content="{escape(value)}">' for key, value in entries.items())
    html = DATE.sub("", VERSION.sub(lambda _: metas, html, count=1), count=1)
    link = f'<link rel="stylesheet" type="text/css" href="{escape(css)}">'
    # Before Netron's own script, so that it runs first; the style comes last, so that it wins.
    html = html.replace(SCRIPT, f'<script type="text/javascript" src="workbench.js"></script>{SCRIPT}', 1)
    return html.replace("</head>", f"{link}</head>", 1)


def _unknown(what: str) -> Unavailable:
    version = importlib.metadata.version("netron")
    msg = f"The graph view does not know Netron {version}: {what}."
    return Unavailable(msg, remedy="Run `pip install netron==9.3.3`, or go on without the graph.")


def _handler(server: NetronServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "workbench"
        sys_version = ""

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            found = server.read(path)
            if found is None:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            body, kind = found
            self.send_response(HTTPStatus.OK)
            fixed = path.endswith((".js", ".json", ".png", ".ico", "grapher.css"))
            headers = {
                "Content-Type": kind,
                "Content-Length": str(len(body)),
                "Content-Security-Policy": POLICY,
                "Cache-Control": "private, max-age=86400" if fixed else "no-store",
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "no-referrer",
            }
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
            """Say nothing: a request is nothing that a notebook's user wants to read of."""

    return Handler
