"""``workbench run``, ``runs`` and ``compare``: measure, list and compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.application import (
    Buffers,
    CacheOption,
    JsonOption,
    ModelArgument,
    NoCacheOption,
    OptionsOption,
    Precision,
    ProfileOption,
    Provider,
    ProviderOption,
    StoreOption,
    app,
    cache_of,
    open_model,
    print_json,
    reported,
    say,
    say_findings,
    settings_of,
)
from workbench.cli.data import (
    DataOption,
    KeepOutputsOption,
    LabelsOption,
    MetricOption,
    MetricOutputOption,
    PreprocessOption,
    ReferenceOption,
    SamplesOption,
    judging,
)
from workbench.cli.limits import read_limits
from workbench.errors import SettingsError

if TYPE_CHECKING:
    from workbench.model.model import Model
    from workbench.runtime.job import Plan
    from workbench.study.run import Run
    from workbench.study.store import Store

TimeoutOption = Annotated[
    list[str] | None,
    typer.Option(
        "--timeout",
        metavar="[STAGE=]SECONDS",
        help="What each stage may take, or one of them, as session=1200; repeatable.",
        show_default="1800",
    ),
]
PrecisionOption = Annotated[
    Precision | None, typer.Option("--precision", help="What TensorRT may use beside FP32.", show_default="fp32")
]
InputsOption = Annotated[
    Path | None, typer.Option("--inputs", metavar="FILE.npz", help="One array for each input.", show_default="random")
]
BuffersOption = Annotated[
    Buffers, typer.Option("--buffers", help="Where inputs and outputs lie: NumPy arrays (host), or on the GPU (device).")
]
LayersOption = Annotated[
    bool | None,
    typer.Option(
        "--layers/--no-layers",
        help="Say which precision each layer of TensorRT's engines computes in, and how long it takes.",
        show_default="where a lower precision was asked for and an engine was built",
    ),
]


@app.command()
def run(  # noqa: PLR0913
    model: ModelArgument,
    *,
    provider: ProviderOption = Provider.tensorrt,
    option: OptionsOption = None,
    profile: ProfileOption = None,
    precision: PrecisionOption = None,
    inputs: InputsOption = None,
    data: DataOption = None,
    labels: LabelsOption = None,
    preprocess: PreprocessOption = None,
    samples: SamplesOption = None,
    metric: MetricOption = None,
    metric_output: MetricOutputOption = None,
    reference: ReferenceOption = None,
    keep_outputs: KeepOutputsOption = False,
    warmup: Annotated[int, typer.Option(min=0, help="Inferences that are not timed.")] = 10,
    iterations: Annotated[int, typer.Option(min=1, help="Timed inferences, at most.")] = 1000,
    seconds: Annotated[float, typer.Option(help="Time to measure, at most.")] = 3.0,
    timeout: TimeoutOption = None,
    buffers: BuffersOption = Buffers.host,
    seed: Annotated[int, typer.Option(help="Of random inputs.")] = 0,
    label: Annotated[str, typer.Option(help="Your own name for the Run.")] = "",
    accuracy: Annotated[bool, typer.Option("--accuracy/--no-accuracy", help="Compare the outputs with a CPU reference.")] = True,
    profile_nodes: Annotated[bool, typer.Option("--profile-nodes", help="Also say how long each node takes.")] = False,
    layers: LayersOption = None,
    cache: CacheOption = None,
    no_cache: NoCacheOption = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build and measure once, and keep the Run."""
    from workbench.study.execute import execute
    from workbench.study.store import Store
    from workbench.terminal.results import Progress, show_run

    with reported(as_json=as_json):
        settings = settings_of(provider, option, profile, precision)
        loaded = open_model(model)
        judged: dict[str, Any] = {"samples": samples, "metric": metric, "output": metric_output, "reference": reference}
        numbers = {"warmup": warmup, "iterations": iterations, "seconds": seconds, "seed": seed, "buffers": buffers.value}
        fields = judging(data, labels, preprocess, **judged, keep_outputs=keep_outputs) | numbers | {"layers": layers}
        plan = _plan(timeout, accuracy=accuracy, profile=profile_nodes, inputs=_checked(inputs, loaded), **fields)
        kept, engines = Store(store), cache_of(cache, no_cache=no_cache)
        with Progress() as progress:
            done = execute(loaded, settings, plan, store=kept, on_event=progress.update, label=label, cache=engines)
    say_findings(done.findings)
    if as_json:
        print_json(done.model_dump(mode="json"))
    else:
        show_run(done)
    raise typer.Exit(0 if done.status == "ok" else 1)


def _checked(inputs: Path | None, model: Model) -> str | None:
    """Return the absolute path of a file of inputs that fits the model."""
    from workbench.runtime.data.inputs import read_inputs

    if inputs is None:
        return None
    read_inputs(inputs, model)
    return str(inputs.absolute())


def _plan(timeout: list[str] | None, **fields: Any) -> Plan:  # noqa: ANN401  # the Plan's own types
    """Return the Plan that the arguments ask for."""
    from workbench.runtime.job import Plan

    limit, stages = read_limits(timeout or [])
    try:
        return Plan(timeout_s=limit, stage_timeouts=stages, **fields)
    except ValueError as error:
        raise SettingsError(f"--seconds must be more than 0: got {fields['seconds']:g}.") from error


@app.command()
def runs(  # noqa: PLR0913
    *,
    model: Annotated[str | None, typer.Option("--model", help="Only Runs of the model with this name.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 20,
    import_file: Annotated[
        Path | None, typer.Option("--import", metavar="FILE", help="Keep the Runs of a JSON file, and list those that are new.")
    ] = None,
    samples: Annotated[bool, typer.Option("--samples", help="Keep the Runs that were recorded on a GPU, too.")] = False,
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="Write the Runs named by IDS to a new JSON file.")
    ] = None,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[IDS]...", help="Runs, for --export.", show_default=False)] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the kept Runs; or take Runs from a file, or write some to one."""
    from workbench.study.store import Store
    from workbench.terminal.results import show_runs

    with reported(as_json=as_json):
        kept = Store(store)
        if ids and export is None:
            raise SettingsError(f"{', '.join(ids)}: which Runs to list is not chosen by ids.", remedy="Add --export FILE.")
        if export is not None:
            found = _export(kept, ids or [], export)
        elif import_file is not None or samples:
            found = _import(kept, import_file, samples=samples)
        else:
            found = kept.runs(model=model, limit=limit)
    if as_json:
        print_json([run.model_dump(mode="json") for run in found])
    else:
        show_runs(found)


def _export(store: Store, ids: list[str], file: Path) -> list[Run]:
    if not ids:
        raise SettingsError("--export: no Run was named.", remedy="Write for instance: workbench runs --export FILE ID ID")
    say(f"written: {store.export(ids, file)}")
    return [store.get(each) for each in ids]


def _import(store: Store, file: Path | None, *, samples: bool) -> list[Run]:
    """Keep the Runs of a file, and those recorded of the samples; return those that were new."""
    from workbench.study.recorded import recorded_files

    files = [*([file] if file is not None else []), *(recorded_files() if samples else ())]
    new = [id_ for each in files for id_ in store.import_file(each)]
    say(f"{len(new)} Runs are new in {store.path}")
    return [store.get(each) for each in new]


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
    from workbench.terminal.results import show_comparison

    with reported(as_json=as_json):
        kept = Store(store)
        comparison = compared(kept.get(a), kept.get(b))
    if as_json:
        print_json(comparison.model_dump(mode="json"))
    else:
        show_comparison(comparison)
