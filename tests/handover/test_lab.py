import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.lab import free_port
from workbench.errors import Unavailable
from workbench.handover import lab


def test_a_clone_is_served_from_its_own_notebooks():
    assert lab.notebooks_folder() == Path(__file__).parents[2] / "notebooks"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return the folder of a package that was installed, away from any clone."""
    package = tmp_path / "site" / "workbench"
    (package / "handover").mkdir(parents=True)
    monkeypatch.setattr(lab, "__file__", str(package / "handover" / "lab.py"))
    monkeypatch.setattr(lab.platformdirs, "user_data_path", lambda name: tmp_path / "data" / name)
    return package


def test_an_installed_package_gives_the_user_a_copy_and_keeps_own_changes(installed):
    (installed / "notebooks").mkdir()
    (installed / "notebooks" / lab.APP).write_text("new")

    folder = lab.notebooks_folder()
    assert (folder / lab.APP).read_text() == "new"

    (folder / lab.APP).write_text("their own")
    assert (lab.notebooks_folder() / lab.APP).read_text() == "their own"


def test_an_installation_without_notebooks_says_so(installed):
    with pytest.raises(Unavailable, match="did not come with this installation"):
        lab.notebooks_folder()


def test_the_model_reaches_the_kernels_as_a_full_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert lab.environment(Path("a.onnx"))[lab.MODEL_VARIABLE] == str(tmp_path / "a.onnx")
    assert lab.MODEL_VARIABLE not in {**lab.environment(None)} or lab.MODEL_VARIABLE in os.environ


def test_the_server_opens_the_app_and_asks_the_network_for_no_news(tmp_path):
    port = free_port()
    command = [*lab.command(lab.notebooks_folder(), port=port, browser=False), "--IdentityProvider.token=t"]
    environment = lab.environment(None) | {"JUPYTER_CONFIG_DIR": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path)}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stderr=log, stdout=log)
    try:
        page = _page(f"http://127.0.0.1:{port}/lab?token=t")
        default = _page(f"http://127.0.0.1:{port}/?token=t", full=True)
    finally:
        server.terminate()
        server.wait(20)

    config = json.loads(page.partition('id="jupyter-config-data"')[2].partition(">")[2].partition("</script>")[0])
    assert "@jupyterlab/apputils-extension:announcements" in config["disabledExtensions"]
    assert default.endswith("/lab/tree/workbench.ipynb?token=t") or "/lab/tree/workbench.ipynb" in default


def _page(address, *, full=False):
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return answer.url if full else answer.read().decode()
        except OSError:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.2)


def test_a_broken_model_is_told_before_a_server_starts(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"no model")

    done = subprocess.run(
        [sys.executable, "-m", "workbench", "lab", str(tmp_path / "m.onnx")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "m.onnx" in done.stderr
