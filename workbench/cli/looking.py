"""``workbench lab``, ``doctor`` and ``inspect``: open the workbench, look at this machine and at a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.application import (
    JsonOption,
    ModelArgument,
    app,
    open_model,
    print_json,
    reported,
)


@app.command()
def lab(
    model: Annotated[
        Path | None, typer.Argument(metavar="[MODEL]", help="An ONNX file.", show_default="the digits sample")
    ] = None,
    *,
    port: Annotated[int, typer.Option(help="Port of the server; the next free one where it is taken.")] = 8888,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
) -> None:
    """Open JupyterLab on the workbench."""
    from workbench.handover.lab import serve

    with reported(as_json=False):
        if model is not None:
            open_model(model)  # a broken file is better told here than in a notebook
        raise typer.Exit(serve(model, port=port, browser=browser))


@app.command()
def doctor(*, as_json: JsonOption = False) -> None:
    """Say what is installed, what can load, what is missing, and the line that installs it."""
    from workbench.runtime.doctor.diagnosis import diagnose
    from workbench.terminal.results import show_diagnosis

    diagnosis = diagnose()
    if as_json:
        print_json(diagnosis.model_dump(mode="json"))
    else:
        show_diagnosis(diagnosis)
    raise typer.Exit(0 if diagnosis.can["cpu"] else 1)


@app.command()
def inspect(model: ModelArgument, *, as_json: JsonOption = False) -> None:
    """Show inputs, dynamic dimensions, operators, opset, size and findings of a model."""
    from workbench.runtime.engines.context import context_findings
    from workbench.terminal.results import model_document, show_model

    with reported(as_json=as_json):
        loaded = open_model(model)
        more = context_findings(loaded)
        if as_json:
            print_json(model_document(loaded, more))
        else:
            show_model(loaded, more)
