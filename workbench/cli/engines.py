"""``workbench engines``: the engines on disk, whether they can be used, and which may go."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.application import (
    JsonOption,
    OptionsOption,
    Precision,
    ProfileOption,
    Provider,
    StoreOption,
    app,
    open_model,
    print_json,
    reported,
    say_findings,
    settings_of,
)
from workbench.errors import SettingsError

if TYPE_CHECKING:
    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.runtime.engines.listing import ListedEngine

engines = typer.Typer(
    name="engines", help="List the engines on disk, say whether they can be used, and remove them by rule.", rich_markup_mode=None
)
app.add_typer(engines)

CacheOption = Annotated[
    Path | None, typer.Option("--cache", help="The folder of the engine cache.", show_default="the user's cache folder")
]
FolderOption = Annotated[
    Path | None, typer.Option("--folder", help="A folder where ONNX Runtime keeps engines of its own (trt_engine_cache_path).")
]
ModelOption = Annotated[
    Path | None, typer.Option("--model", metavar="MODEL", help="Judge for this model, with the settings given.")
]
EngineProviderOption = Annotated[Provider, typer.Option("--provider", help="Of the settings.")]
PrecisionOption = Annotated[Precision | None, typer.Option("--precision", help="Of the settings.", show_default="fp32")]

DAYS = {"h": 1 / 24, "d": 1.0, "w": 7.0}
BYTES = {"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "B": 1}


@engines.callback(invoke_without_command=True)
def _engines(  # noqa: PLR0913
    context: typer.Context,
    *,
    cache: CacheOption = None,
    folder: FolderOption = None,
    model: ModelOption = None,
    provider: EngineProviderOption = Provider.tensorrt,
    option: OptionsOption = None,
    profile: ProfileOption = None,
    precision: PrecisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the engines on disk, say whether they can be used, and remove them by rule."""
    if context.invoked_subcommand is None:
        list_engines(
            cache=cache,
            folder=folder,
            model=model,
            provider=provider,
            option=option,
            profile=profile,
            precision=precision,
            as_json=as_json,
        )


@engines.command("list")
def list_engines(  # noqa: PLR0913
    *,
    cache: CacheOption = None,
    folder: FolderOption = None,
    model: ModelOption = None,
    provider: EngineProviderOption = Provider.tensorrt,
    option: OptionsOption = None,
    profile: ProfileOption = None,
    precision: PrecisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """List engines: with --model, whether a session with these settings would use each, or why not."""
    from workbench.runtime.engines.cache import EngineCache
    from workbench.runtime.engines.here import session_environment
    from workbench.runtime.engines.listing import list_cache, list_folder
    from workbench.terminal.engines import show_engines

    with reported(as_json=as_json):
        loaded, settings = _judged_for(model, provider, option, profile, precision)
        kept, here = EngineCache(cache), session_environment()
        if folder is not None:
            found = list_folder(folder, here, model=loaded, settings=settings)
        else:
            found = list_cache(kept, here, model=loaded, settings=settings)
    where = str((folder or kept.folder).absolute())
    if as_json:
        documents = [engine.model_dump(mode="json") for engine in found]
        print_json({"folder": where, "bytes": sum(e.bytes for e in found), "engines": documents})
    else:
        show_engines(found, where, here)


@engines.command()
def show(  # noqa: PLR0913
    engine: Annotated[str, typer.Argument(metavar="KEY|FILE", help="The beginning of an engine's key, or an engine's file.")],
    *,
    cache: CacheOption = None,
    model: ModelOption = None,
    provider: EngineProviderOption = Provider.tensorrt,
    option: OptionsOption = None,
    profile: ProfileOption = None,
    precision: PrecisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show all that is known of an engine, and check that its files are whole."""
    from workbench.runtime.engines.cache import EngineCache
    from workbench.runtime.engines.here import session_environment
    from workbench.runtime.engines.listing import find_engine
    from workbench.terminal.engines import show_engine

    with reported(as_json=as_json):
        loaded, settings = _judged_for(model, provider, option, profile, precision)
        found: ListedEngine = find_engine(engine, EngineCache(cache), session_environment(), model=loaded, settings=settings)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        show_engine(found)


@engines.command()
def layers(
    engine: Annotated[str, typer.Argument(metavar="KEY|FILE", help="The beginning of an engine's key, or an engine's file.")],
    *,
    profile_runs: Annotated[
        int, typer.Option("--profile-runs", min=0, metavar="N", help="Run it so often on made-up inputs, to time its layers.")
    ] = 0,
    model: Annotated[
        Path | None, typer.Option("--model", metavar="MODEL", help="Its model, whose nodes are then found in names for certain.")
    ] = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which precision each layer of an engine computes in, and which ONNX nodes it was made of. Needs TensorRT and a GPU."""
    from workbench.runtime.engines.cache import EngineCache
    from workbench.runtime.engines.layers import engine_layers
    from workbench.runtime.engines.listing import find_engine
    from workbench.runtime.environment import environment
    from workbench.terminal.layers import show_layers

    with reported(as_json=as_json):
        kept = EngineCache(cache)
        listed: ListedEngine = find_engine(engine, kept, environment())
        loaded = open_model(model) if model is not None else None
        entry = kept.find(listed.name) if listed.source == "cache" else None
        looked = engine_layers(listed, entry=entry, model=loaded, profile_runs=profile_runs)
    say_findings((*looked.findings, *(warning for each in looked.engines for warning in each.warnings)))
    if as_json:
        found = [each.model_dump(mode="json") for each in looked.engines]
        told = [finding.model_dump(mode="json") for finding in looked.findings]
        print_json({"engine": listed.name, "folder": listed.folder, "engines": found, "findings": told})
    else:
        show_layers(looked.engines)
    raise typer.Exit(0 if len(looked.engines) == len(listed.files) else 1)


@engines.command()
def prune(  # noqa: PLR0913
    *,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="TIME", help="Built before that: 30d, 2w, 12h.")
    ] = None,
    unused_for: Annotated[str | None, typer.Option("--unused-for", metavar="TIME", help="Not used for so long: 14d.")] = None,
    stale: Annotated[
        bool,
        typer.Option("--stale", help="Of another TensorRT or GPU than here, of models that are gone or changed, or set aside."),
    ] = False,
    over: Annotated[
        str | None, typer.Option("--over", metavar="SIZE", help="What the rest may take, such as 10GB; the least used go.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run/--yes", help="Only say what would go; with --yes it goes.")] = True,
    cache: CacheOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove engines of the cache by rule: first a dry run, with --yes for good."""
    from workbench.runtime.engines.cache import EngineCache
    from workbench.runtime.engines.here import session_environment
    from workbench.runtime.engines.prune import Rules
    from workbench.runtime.engines.prune import prune as pruned
    from workbench.study.store import Store
    from workbench.terminal.engines import show_pruning

    with reported(as_json=as_json):
        rules = Rules(
            older_than=read_time(older_than, "--older-than"),
            unused_for=read_time(unused_for, "--unused-for"),
            gone=stale,
            other_machine=stale,
            set_aside=stale,
            over=read_size(over, "--over"),
        )
        if not rules:
            raise SettingsError("No rule is given.", remedy="Give --older-than, --unused-for, --stale or --over.")
        kept, models = EngineCache(cache), Store(store).model_files() if stale else []
        found = pruned(kept, rules, here=session_environment(), models=models, dry_run=dry_run)
    if as_json:
        print_json({"folder": str(kept.folder), "bytes": found.bytes, **found.model_dump(mode="json")})
    else:
        show_pruning(found, str(kept.folder))
    raise typer.Exit(1 if found.problems else 0)


def _judged_for(
    model: Path | None,
    provider: Provider,
    option: list[str] | None,
    profile: list[str] | None,
    precision: Precision | None,
) -> tuple[Model | None, Settings | None]:
    settings = settings_of(provider, option, profile, precision)
    return (open_model(model), settings) if model is not None else (None, None)


def read_time(text: str | None, name: str) -> timedelta | None:
    """Read a time such as ``30d``.

    Raises
    ------
    SettingsError
        For anything else.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hdw])", text or "")
    if text is None:
        return None
    if found is None:
        raise SettingsError(f"{name}: {text!r} is no time.", remedy="Write hours, days or weeks: 12h, 30d, 2w.")
    return timedelta(days=float(found[1]) * DAYS[found[2]])


def read_size(text: str | None, name: str) -> int | None:
    """Read a size such as ``10GB``, in bytes.

    Raises
    ------
    SettingsError
        For anything else.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKMGT]?i?B)", text or "")
    if text is None:
        return None
    if found is None or found[2] not in BYTES:
        raise SettingsError(f"{name}: {text!r} is no size.", remedy="Write a number with its unit: 500MB, 10GB, 4GiB.")
    return int(float(found[1]) * BYTES[found[2]])
