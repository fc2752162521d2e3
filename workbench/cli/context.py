"""``workbench context``: dump a model as an EP context model, or check one before it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.application import (
    JsonOption,
    ModelArgument,
    OptionsOption,
    Precision,
    ProfileOption,
    Provider,
    app,
    open_model,
    print_json,
    reported,
    settings_of,
)


@app.command()
def context(  # noqa: PLR0913
    model: ModelArgument,
    *,
    check: Annotated[bool, typer.Option("--check", help="Only check MODEL, an EP context model, against this machine.")] = False,
    embed: Annotated[bool, typer.Option("--embed", help="Put the engine into the ONNX file (up to 2 GB).")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The file to write.", show_default="MODEL_ctx.onnx beside it")
    ] = None,
    option: OptionsOption = None,
    profile: ProfileOption = None,
    precision: Annotated[
        Precision | None, typer.Option("--precision", help="What TensorRT may use beside FP32.", show_default="fp32")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", metavar="DIR", help="Whose kernel timings are used.", show_default="the user's")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that building may take.")] = 1800.0,
    as_json: JsonOption = False,
) -> None:
    """Build a model's engine once, and write an ONNX file that loads with it at once; or check such a file."""
    from workbench.runtime.engines.cache import EngineCache
    from workbench.runtime.engines.context import check_context
    from workbench.runtime.engines.here import session_environment
    from workbench.study.context import dump_context
    from workbench.terminal.context import show_context, show_dump
    from workbench.terminal.results import Progress

    with reported(as_json=as_json):
        loaded = open_model(model)
        if check:
            checked = check_context(loaded, session_environment())
            if as_json:
                print_json(checked.model_dump(mode="json") | {"outcome": "ok" if checked.usable else "error"})
            else:
                show_context(checked)
            raise typer.Exit(0 if checked.usable else 1)
        settings = settings_of(Provider.tensorrt, option, profile, precision)
        with Progress() as progress:
            dumped = dump_context(
                loaded,
                settings,
                out,
                embed=embed,
                here=session_environment(),
                cache=EngineCache(cache),
                on_event=progress.update,
                timeout_s=timeout,
            )
    if as_json:
        print_json(dumped.model_dump(mode="json") | {"outcome": "ok"})
    else:
        show_dump(dumped)
