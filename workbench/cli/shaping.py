"""``workbench shapes``: what a shape profile must name, one proposed from real shapes, and what a request will do."""

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
    StoreOption,
    app,
    open_model,
    print_json,
    reported,
    settings_of,
)
from workbench.errors import SettingsError

if TYPE_CHECKING:
    from workbench.model.model import Model
    from workbench.options.propose import Proposal
    from workbench.options.settings import Settings
    from workbench.placement.records import Placement
    from workbench.placement.requests import Answer
    from workbench.record import Finding
    from workbench.study.store import Store


@app.command()
def shapes(  # noqa: PLR0913
    model: ModelArgument,
    *,
    provider: ProviderOption = Provider.tensorrt,
    profile: ProfileOption = None,
    option: OptionsOption = None,
    complete: Annotated[bool, typer.Option("--complete", help="Add the tensors between engines to the profile.")] = False,
    from_file: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE.csv", help="Propose a profile from real shapes: a column a dimension, or name,shape."
        ),
    ] = None,
    from_runs: Annotated[bool, typer.Option("--from-runs", help="Propose a profile from the inputs of kept Runs.")] = False,
    request: Annotated[
        list[str] | None,
        typer.Option("--request", metavar="NAME=SHAPE", help="Say what a request will do, as x=3x3x224x224; one for each input."),
    ] = None,
    trt: Annotated[
        str | None, typer.Option("--trt", help="The TensorRT to predict for: 8.6, 10.1, 10.16 or 11.1.", show_default="installed")
    ] = None,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="Take the placement that this Run measured.")] = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", metavar="DIR", help="Where engines are looked for.", show_default="the user's")
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at the shapes of a model's engines: what must be given, what to give, and what a request will do."""
    from workbench.study.shapes import shapes_report
    from workbench.study.store import Store
    from workbench.terminal.shapes import show_shapes

    with reported(as_json=as_json):
        if from_file is not None and from_runs:
            raise SettingsError("--from and --from-runs both say where the shapes come from.", remedy="Give one of them.")
        loaded, kept = open_model(model), Store(store)
        settings = settings_of(provider, option, profile, None)
        proposal, told = _proposal(loaded, from_file, kept if from_runs else None)
        if proposal is not None and not settings.profile:
            settings = settings.replace(profile=proposal.profile)
        settings.profile.check(loaded)
        found = shapes_report(loaded, settings, _placement(loaded, settings, trt, run, kept), complete=complete)
        if found.completed is not None:
            settings = settings.replace(profile=found.completed)
        answer = _answer(loaded, settings, request, cache, kept) if request else None
    found = found.model_copy(update={"proposal": proposal, "answer": answer, "findings": (*told, *found.findings)})
    if as_json:
        best = found.completed if found.completed is not None else found.profile
        more = {"outcome": "error" if found.wrong else "ok", "arguments": best.to_arguments(), "options": best.to_options()}
        print_json(found.model_dump(mode="json") | more)
    else:
        show_shapes(found)
    raise typer.Exit(1 if found.wrong else 0)


def _proposal(model: Model, path: Path | None, store: Store | None) -> tuple[Proposal | None, list[Finding]]:
    from workbench.options.propose import propose_profile
    from workbench.options.seen import read_shapes
    from workbench.study.requests import shapes_of_runs

    if path is not None:
        return propose_profile(model, read_shapes(path, model)), []
    if store is None:
        return None, []
    seen, told = shapes_of_runs(store, model)
    return propose_profile(model, seen), told


def _placement(model: Model, settings: Settings, trt: str | None, run: str | None, store: Store) -> Placement:
    """Return the placement of a kept Run of this model, or predict one."""
    from workbench.placement.predict import predict
    from workbench.placement.releases import tensorrt_for

    if run is None:
        return predict(model, settings.replace(provider="tensorrt"), tensorrt=trt or tensorrt_for())
    kept = store.get(run)
    if kept.placement is None or kept.placement.outcome != "ok":
        raise SettingsError(f"Run {kept.id}: it has no placement.", remedy="Name a Run whose session was made.")
    if {node.name for node in kept.placement.nodes} != {node.name for node in model.nodes}:
        raise SettingsError(f"Run {kept.id} is of another model: {kept.model.name}.", remedy="Name a Run of this model.")
    return kept.placement


def _answer(model: Model, settings: Settings, texts: list[str], cache: Path | None, store: Store) -> Answer:
    from workbench.placement.requests import parse_requests
    from workbench.runtime.engines.cache import EngineCache
    from workbench.runtime.engines.here import session_environment
    from workbench.study.requests import answer_here

    request = parse_requests(texts)
    return answer_here(model, settings, request, environment=session_environment(), cache=EngineCache(cache), store=store)
