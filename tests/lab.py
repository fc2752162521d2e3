"""A real JupyterLab server and a headless Chromium that looks at it.

::

    with Lab(folder) as lab:
        lab.write("n.ipynb", ["from workbench import Workbench", "Workbench()"])
        with lab.open("n.ipynb") as page:
            page.run_all()
            page.view.wait_for_selector(".wb-panel")
            page.shot("panel.png")
            assert page.outside == []

The server has settings, workspaces and a token of its own; nothing of the user's is read or written.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=Translate,OptimizationHints,MediaRouter",
]
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
}
INSIDE = ("http://127.0.0.1", "http://localhost", "ws://127.0.0.1", "ws://localhost", "data:", "blob:", "about:", "chrome-error:")
# Of JupyterLab itself, in a fresh profile and with no network
# processLuminoMessage: ipywidgets, when a box is emptied while a view in it is still being made
HARMLESS = ("favicon", "WebGL", "swiftshader", "Autofill", "processLuminoMessage")


def chromium():
    """Return the path of a Chromium, or ``None``."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))
    return os.environ.get("CHROMIUM") or next((path for path in found if path), None)


def need_browser():
    """Skip the test where there is no browser; fail instead where CI runs it."""
    if chromium() is None:
        told = "no Chromium on the PATH: install the package `chromium`, or set CHROMIUM to its path"
        if os.environ.get("CI"):
            pytest.fail(told)
        pytest.skip(told)


class Lab:
    """A JupyterLab server in `folder`, and a browser; a context manager."""

    def __init__(self, folder, *, theme="JupyterLab Light"):
        self.folder = Path(folder)
        self.root = self.folder / "root"
        self.token = secrets.token_hex(16)
        self.settings = SETTINGS | {"@jupyterlab/apputils-extension:themes": {"theme": theme}}
        self.port = free_port()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        self.root.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            self._serve(stack)
            self._browse(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        self._stack.close()

    def _serve(self, stack):
        home = self.folder / "jupyter"
        overrides = home / "config" / "labconfig" / "default_setting_overrides.json"
        overrides.parent.mkdir(parents=True, exist_ok=True)
        overrides.write_text(json.dumps(self.settings))
        places = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
        }
        environment = os.environ | {name: str(home / place) for name, place in places.items()}
        environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        command = [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            f"--ServerApp.port={self.port}",
            "--ServerApp.port_retries=0",
        ]
        command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={self.root}", f"--IdentityProvider.token={self.token}"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.append("--ServerApp.allow_root=True")
        log = stack.enter_context((self.folder / "server.log").open("w"))
        self.server = subprocess.Popen(command, env=environment, cwd=self.root, stdout=log, stderr=subprocess.STDOUT)
        stack.callback(self._stop)
        wait_until(self._answers, 60, f"JupyterLab did not start; see {self.folder / 'server.log'}")

    def _stop(self):
        self.server.terminate()
        try:
            self.server.wait(15)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait(15)

    def _answers(self):
        if self.server.poll() is not None:
            pytest.fail(f"JupyterLab ended: {(self.folder / 'server.log').read_text()[-2000:]}")
        try:
            return self.get("api/status") is not None
        except OSError:
            return False

    def _browse(self, stack):
        from playwright.sync_api import sync_playwright

        playwright = stack.enter_context(sync_playwright())
        self.browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        stack.callback(self.browser.close)

    def get(self, path):
        request = urllib.request.Request(f"{self.url}/{path}", headers={"Authorization": f"token {self.token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def write(self, name, cells):
        """Write a notebook of code cells into the server's folder."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = self.root / name
        nbformat.write(notebook, path)
        return path

    def open(self, name, *, width=1400, height=1000):
        """Open a notebook in a page of its own, and wait for its kernel."""
        return LabPage(self, name, width, height)


class LabPage:
    """A notebook in a page; a context manager.

    Attributes
    ----------
    view : playwright.sync_api.Page
        To click and look.
    outside : list of str
        Addresses asked for that are not on this machine.
    errors : list of str
        Errors of the page's scripts, and those that it wrote to its console.
    """

    def __init__(self, lab, name, width, height):
        self.lab, self.name = lab, name
        self.outside, self.errors = [], []
        self.context = lab.browser.new_context(viewport={"width": width, "height": height})
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.view = self.context.new_page()
        self.context.on("request", lambda request: self._note_request(request.url))
        self.view.on("console", self._note_message)
        self.view.on("pageerror", lambda error: self._note_error(str(error)))
        self.load()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.context.close()
        for session in self._sessions():
            request = urllib.request.Request(
                f"{self.lab.url}/api/sessions/{session['id']}",
                method="DELETE",
                headers={"Authorization": f"token {self.lab.token}"},
            )
            urllib.request.urlopen(request, timeout=10).close()

    def _note_request(self, url):
        if not url.startswith(INSIDE):
            self.outside.append(url)

    def _note_message(self, message):
        # The workbench speaks through its kernel's comm: what JupyterLab asks the server's API for is not its own.
        asked = message.location.get("url", "")
        if message.type == "error" and not ("Failed to load resource" in message.text and "/api/" in asked):
            self._note_error(f"{message.text} {asked}".rstrip())

    def _note_error(self, text):
        # Our scripts are blobs; a trace without one lies in JupyterLab or ipywidgets alone, whose views race at times.
        elsewhere = "\n    at " in text and "blob:" not in text
        if not elsewhere and not any(word in text for word in HARMLESS):
            self.errors.append(text)

    def load(self):
        """Load the page, or load it anew with its kernel going on."""
        address = f"{self.lab.url}/lab/workspaces/auto-{secrets.token_hex(3)}/tree/{self.name}?reset&token={self.lab.token}"
        self.view.goto(address)
        self.view.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        wait_until(self._kernel_idle, 60, "the kernel did not start")

    def _sessions(self):
        return [session for session in self.lab.get("api/sessions") if session["path"] == self.name]

    def _kernel_idle(self):
        # Waits in the browser's own loop, so that its events go on.
        self.view.wait_for_timeout(50)
        return any(s["kernel"]["connections"] > 0 and s["kernel"]["execution_state"] == "idle" for s in self._sessions())

    def run_all(self, timeout_s=120):
        """Run all cells by the menu; return the seconds until the last has ended."""
        cells = self.view.locator(".jp-CodeCell").count()
        begin = time.monotonic()
        self.view.click(".lm-MenuBar-itemLabel:text-is('Run')")
        self.view.click(".lm-Menu-itemLabel:text-is('Run All Cells')")
        prompts = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]"
        done = f"{prompts}.filter(e => /\\[\\d+\\]/.test(e.textContent)).length >= {cells}"
        self.view.wait_for_function(done, timeout=timeout_s * 1000)
        return time.monotonic() - begin

    def save(self):
        """Save the notebook by the menu; its outputs are then there after a reload."""
        before = (self.lab.root / self.name).stat().st_mtime_ns
        self.view.click(".lm-MenuBar-itemLabel:text-is('File')")
        self.view.click(".lm-Menu-itemLabel:text-is('Save Notebook')")
        wait_until(
            lambda: (self.lab.root / self.name).stat().st_mtime_ns != before or self.view.wait_for_timeout(50), 10, "not saved"
        )

    def printed(self):
        """Return what the cells printed."""
        return "\n".join(self.view.locator(".jp-OutputArea-output[data-mime-type*='vnd.jupyter.std']").all_inner_texts())

    def shot(self, path):
        """Save a picture of the page."""
        self.view.screenshot(path=str(path))


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(true, timeout_s, told):
    """Wait until `true()`; fail with `told` when that takes too long."""
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            pytest.fail(told)
        time.sleep(0.05)
