"""``workbench placement`` and ``workbench ready``: who runs each node, and making a model fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.application import (
    JsonOption,
    ModelArgument,
    OptionsOption,
    ProfileOption,
    Provider,
    ProviderOption,
    app,
    open_model,
    print_json,
    reported,
    say,
    say_findings,
    settings_of,
)
from workbench.errors import SettingsError

if TYPE_CHECKING:
    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.placement.records import Placement
    from workbench.placement.smallest import Proposal


@app.command()
def placement(  # noqa: PLR0913
    model: ModelArgument,
    *,
    predict: Annotated[bool, typer.Option("--predict", help="Predict without a session.")] = False,
    trt: Annotated[str, typer.Option("--trt", help="The TensorRT to predict for: 8.6, 10.1, 10.16 or 11.1.")] = "10.16",
    exclude: Annotated[str, typer.Option("--exclude", metavar="OP,OP", help="Operators to keep off TensorRT.")] = "",
    min_subgraph: Annotated[int, typer.Option("--min-subgraph", min=1, help="Smallest TensorRT group, in nodes.")] = 1,
    iterations: Annotated[
        int | None, typer.Option("--iterations", min=1, help="How often TensorRT's parser may be asked.", show_default="1000")
    ] = None,
    smallest_change: Annotated[
        bool, typer.Option("--smallest-change", help="With --predict: also search what makes the model one engine.")
    ] = False,
    provider: ProviderOption = Provider.tensorrt,
    option: OptionsOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who runs each node, and why: measured from a session, or predicted."""
    from workbench.terminal.results import show_placement, show_proposal

    with reported(as_json=as_json):
        if smallest_change and not predict:
            raise SettingsError("--smallest-change asks for predictions only.", remedy="Give --predict too.")
        options = [*(option or [])]
        if exclude:
            options.append(f"trt_op_types_to_exclude={exclude}")
        if min_subgraph > 1:
            options.append(f"trt_min_subgraph_size={min_subgraph}")
        if iterations is not None:
            options.append(f"trt_max_partition_iterations={iterations}")
        settings = settings_of(provider, options, profile, None)
        loaded = open_model(model)
        found = _placement(loaded, settings, trt, predict=predict)
        proposal = _proposal(loaded, settings, trt) if smallest_change else None
    if as_json:
        more = {"proposal": proposal.model_dump(mode="json")} if proposal is not None else {}
        print_json(found.model_dump(mode="json") | more)
    else:
        show_placement(found)
        if proposal is not None:
            show_proposal(proposal)
    raise typer.Exit(0 if found.outcome == "ok" else 1)


def _placement(model: Model, settings: Settings, trt: str, *, predict: bool) -> Placement:
    from workbench.placement.predict import predict as predicted

    if not predict and settings.provider != "cpu":
        from workbench.runtime.doctor.diagnosis import diagnose

        if not diagnose().can[settings.provider]:
            say(f"warning: no {settings.provider} session can be made here (see `workbench doctor`): the placement is predicted.")
            predict = True
    if predict:
        return predicted(model, settings, tensorrt=trt)
    from workbench.study.execute import measure_placement
    from workbench.terminal.results import Progress

    say_findings(settings.check(model=model))
    with Progress() as progress:
        return measure_placement(model, settings, on_event=progress.update)


def _proposal(model: Model, settings: Settings, trt: str) -> Proposal:
    from workbench.placement.smallest import smallest_change
    from workbench.placement.what_if import WhatIf

    return smallest_change(WhatIf(model, settings, tensorrt=trt))


@app.command()
def ready(  # noqa: PLR0913
    model: ModelArgument,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The new file.", show_default="NAME.ready.onnx beside it")
    ] = None,
    trt: Annotated[str, typer.Option("--trt", help="The TensorRT to make it ready for: 8.6, 10.1, 10.16 or 11.1.")] = "10.16",
    option: OptionsOption = None,
    profile: ProfileOption = None,
    inputs: Annotated[
        Path | None, typer.Option("--inputs", metavar="FILE.npz", help="One array for each input.", show_default="random")
    ] = None,
    float32: Annotated[bool, typer.Option("--float32", help="Compute float64 in float32; changes numbers.")] = False,
    limit: Annotated[float, typer.Option("--limit", min=1, help="Seconds that all of it may take.")] = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Make a model ready for TensorRT: missing shapes, names, versions and types, in a new file."""
    from workbench.study.ready import make_ready
    from workbench.terminal.results import Progress, show_ready

    with reported(as_json=as_json):
        settings = settings_of(Provider.tensorrt, option, profile, None)
        loaded = open_model(model)
        if inputs is not None:
            from workbench.runtime.data.inputs import read_inputs

            read_inputs(inputs, loaded)
        path = inputs.absolute() if inputs else None
        with Progress() as progress:
            done = make_ready(
                loaded, settings, out=out, tensorrt=trt, float32=float32, inputs=path, limit_s=limit, on_event=progress.update
            )
    if as_json:
        print_json(done.model_dump(mode="json"))
    else:
        show_ready(done)
    raise typer.Exit(0 if done.outcome in ("ready", "as it is", "settings") else 1)
