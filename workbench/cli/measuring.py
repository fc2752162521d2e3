"""``workbench run``, ``runs`` and ``compare``: measure, list and compare."""

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
    ProviderOption,
    StoreOption,
    app,
    open_model,
    print_json,
    reported,
    say_findings,
    settings_of,
)
from workbench.errors import SettingsError


@app.command()
def run(  # noqa: PLR0913
    model: ModelArgument,
    *,
    provider: ProviderOption = Provider.tensorrt,
    option: OptionsOption = None,
    profile: ProfileOption = None,
    precision: Annotated[
        Precision | None, typer.Option("--precision", help="What TensorRT may use beside FP32.", show_default="fp32")
    ] = None,
    inputs: Annotated[
        Path | None, typer.Option("--inputs", metavar="FILE.npz", help="One array for each input.", show_default="random")
    ] = None,
    warmup: Annotated[int, typer.Option(min=0, help="Inferences that are not timed.")] = 10,
    iterations: Annotated[int, typer.Option(min=1, help="Timed inferences, at most.")] = 1000,
    seconds: Annotated[float, typer.Option(help="Time to measure, at most.")] = 3.0,
    timeout: Annotated[float, typer.Option(help="Seconds that one stage may take.")] = 1800.0,
    seed: Annotated[int, typer.Option(help="Of random inputs.")] = 0,
    label: Annotated[str, typer.Option(help="Your own name for the Run.")] = "",
    accuracy: Annotated[bool, typer.Option("--accuracy/--no-accuracy", help="Compare the outputs with a CPU reference.")] = True,
    profile_nodes: Annotated[bool, typer.Option("--profile-nodes", help="Also say how long each node takes.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build and measure once, and keep the Run."""
    from workbench.runtime.job import Plan
    from workbench.study.execute import execute
    from workbench.study.store import Store
    from workbench.terminal import Progress, show_run

    with reported(as_json=as_json):
        settings = settings_of(provider, option, profile, precision)
        loaded = open_model(model)
        if inputs is not None:
            from workbench.runtime.inputs import read_inputs

            read_inputs(inputs, loaded)
        path = str(inputs.absolute()) if inputs else None
        try:
            plan = Plan(
                accuracy=accuracy,
                profile=profile_nodes,
                warmup=warmup,
                iterations=iterations,
                seconds=seconds,
                inputs=path,
                seed=seed,
                timeout_s=timeout,
            )
        except ValueError as error:
            raise SettingsError(f"--seconds and --timeout must be more than 0: got {seconds:g} and {timeout:g}.") from error
        kept = Store(store)
        with Progress() as progress:
            done = execute(loaded, settings, plan, store=kept, on_event=progress.update, label=label)
    say_findings(done.findings)
    if as_json:
        print_json(done.model_dump(mode="json"))
    else:
        show_run(done)
    raise typer.Exit(0 if done.status == "ok" else 1)


@app.command()
def runs(
    *,
    model: Annotated[str | None, typer.Option("--model", help="Only Runs of the model with this name.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 20,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the kept Runs."""
    from workbench.study.store import Store
    from workbench.terminal import show_runs

    with reported(as_json=as_json):
        found = Store(store).runs(model=model, limit=limit)
    if as_json:
        print_json([run.model_dump(mode="json") for run in found])
    else:
        show_runs(found)


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help="A Run's id, or the beginning of it.")],
    b: Annotated[str, typer.Argument(help="Another's.")],
    *,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which of two Runs is faster, and whether the difference can be trusted."""
    from workbench.study.compare import compare as compared
    from workbench.study.store import Store
    from workbench.terminal import show_comparison

    with reported(as_json=as_json):
        kept = Store(store)
        comparison = compared(kept.get(a), kept.get(b))
    if as_json:
        print_json(comparison.model_dump(mode="json"))
    else:
        show_comparison(comparison)
