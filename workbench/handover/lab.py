"""Opens JupyterLab on the workbench notebook."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import platformdirs

from workbench.errors import Unavailable

APP = "workbench.ipynb"
MODEL_VARIABLE = "WORKBENCH_MODEL"
# Searched by Jupyter beside the user's own configuration. It turns JupyterLab's announcements off: they ask the network
# for news, and cover the page's corner with a question about it.
CONFIGURATION = Path(__file__).with_name("jupyter")


def notebooks_folder() -> Path:
    """Return the folder that holds the app and the tutorials, and may be written to.

    In a clone it is the repository's. An installed package keeps its notebooks read-only, so the user gets a copy in
    the data folder; files that are there already are left as the user made them.

    Raises
    ------
    Unavailable
        When the notebooks did not come with the installation.
    """
    package = Path(__file__).resolve().parents[1]
    clone = package.parent / "notebooks"
    if (clone / APP).is_file():
        return clone
    bundled = package / "notebooks"
    if not (bundled / APP).is_file():
        raise Unavailable(
            f"The notebooks did not come with this installation: {bundled} holds no {APP}.", remedy="Install it again."
        )
    target = platformdirs.user_data_path("trt-workbench") / "notebooks"
    target.mkdir(parents=True, exist_ok=True)
    for notebook in bundled.glob("*.ipynb"):
        if not (target / notebook.name).exists():
            shutil.copy(notebook, target)
    return target


def command(folder: Path, *, port: int, browser: bool) -> list[str]:
    """Return the command that serves JupyterLab with the app open."""
    options = [
        f"--ServerApp.root_dir={folder}",
        f"--ServerApp.port={port}",
        f"--LabApp.default_url=/lab/tree/{APP}",
    ]
    if not browser:
        options.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")  # containers; the server listens on this machine only, and asks for its token
    return [sys.executable, "-m", "jupyterlab", *options]


def environment(model: Path | None) -> dict[str, str]:
    """Return the environment that the server, and so each kernel, gets."""
    paths = os.pathsep.join(filter(None, (str(CONFIGURATION), os.environ.get("JUPYTER_CONFIG_PATH"))))
    chosen = {MODEL_VARIABLE: str(model.expanduser().absolute())} if model is not None else {}
    return {**os.environ, "JUPYTER_CONFIG_PATH": paths, **chosen}


def serve(model: Path | None, *, port: int, browser: bool) -> int:
    """Serve the workbench until the user ends it.

    Parameters
    ----------
    model : Path or None
        The model to open; the digits sample where there is none.
    port : int
        The next free one is taken where it is in use.
    browser : bool
        Whether to open one.

    Returns
    -------
    int
        The server's exit status.
    """
    process = subprocess.Popen(command(notebooks_folder(), port=port, browser=browser), env=environment(model))
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the server has the signal too, and asks its own question
