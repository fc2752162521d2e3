"""The command line: the same jobs as in the panels, from a shell.

With ``--json`` a command prints one JSON document on standard output and nothing else; progress and warnings go to
standard error. Exit status: 0 done, 1 the job failed (the document says how), 2 wrong use.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.errors import InputError, SettingsError, StoreError, WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.placement.records import Placement
    from workbench.placement.smallest import Proposal
    from workbench.record import Finding

app = typer.Typer(
    name="workbench",
    help="Optimise ONNX models with ONNX Runtime's TensorRT provider.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Provider(StrEnum):
    """The providers that a session can be asked for."""

    tensorrt = "tensorrt"
    cuda = "cuda"
    cpu = "cpu"


class Precision(StrEnum):
    """The precisions that provider flags can ask for."""

    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"
    int8 = "int8"


ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="An ONNX file.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
StoreOption = Annotated[
    Path | None, typer.Option("--store", help="The file of kept Runs.", show_default="the user's data folder")
]
ProviderOption = Annotated[Provider, typer.Option("--provider", help="Whom to ask for first.")]
OptionsOption = Annotated[
    list[str] | None, typer.Option("--option", "-o", metavar="KEY=VALUE", help="A provider or session option; repeatable.")
]
ProfileOption = Annotated[
    list[str] | None,
    typer.Option("--profile", metavar="NAME=MIN:OPT:MAX", help="An input's shapes, as x=1x3x8x8:4x3x8x8:8x3x8x8."),
]


@contextmanager
def _reported(*, as_json: bool) -> Iterator[None]:
    """Turn the workbench's errors into a message or a document, and an exit status."""
    try:
        yield
    except WorkbenchError as error:
        wrong_use = isinstance(error, (SettingsError, InputError, StoreError))
        kind = getattr(error, "kind", "usage" if wrong_use else "load")
        if as_json:
            failure = {"kind": kind, "message": error.message, "remedy": error.remedy}
            _print_json({"status": "failed", "outcome": "error", "error": failure})
        else:
            _say(f"error: {error}")
        raise typer.Exit(2 if wrong_use else 1) from error


def _print_json(document: Any) -> None:  # noqa: ANN401
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _say_findings(findings: list[Finding] | tuple[Finding, ...]) -> None:
    for finding in findings:
        _say(f"{finding.level}: {finding}")


def _settings(provider: Provider, options: list[str] | None, profile: list[str] | None, precision: Precision | None) -> Settings:
    from workbench.options.catalogue import keys_of
    from workbench.options.profile import ShapeProfile
    from workbench.options.settings import Settings
    from workbench.options.values import read_assignments

    given = read_assignments(options or [])
    session = {key for key in given if "." in key or key in keys_of("session")}
    return Settings(
        provider=provider.value,
        provider_options={key: value for key, value in given.items() if key not in session},
        session_options={key: value for key, value in given.items() if key in session},
        profile=ShapeProfile.from_arguments(profile or []),
        precision=precision.value if precision else None,
    )


def _model(path: Path) -> Model:
    from workbench.model.model import Model

    return Model.load(path)


@app.callback(invoke_without_command=True)
def _main(*, version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        from workbench import __version__

        sys.stdout.write(f"workbench {__version__}\n")
        raise typer.Exit


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

    with _reported(as_json=False):
        if model is not None:
            _model(model)  # a broken file is better told here than in a notebook
        raise typer.Exit(serve(model, port=port, browser=browser))


@app.command()
def doctor(*, as_json: JsonOption = False) -> None:
    """Say what is installed, what can load, what is missing, and the line that installs it."""
    from workbench.runtime.doctor import diagnose
    from workbench.terminal import show_diagnosis

    diagnosis = diagnose()
    if as_json:
        _print_json(diagnosis.model_dump(mode="json"))
    else:
        show_diagnosis(diagnosis)
    raise typer.Exit(0 if diagnosis.can["cpu"] else 1)


@app.command()
def inspect(model: ModelArgument, *, as_json: JsonOption = False) -> None:
    """Show inputs, dynamic dimensions, operators, opset, size and findings of a model."""
    from workbench.terminal import model_document, show_model

    with _reported(as_json=as_json):
        loaded = _model(model)
        if as_json:
            _print_json(model_document(loaded))
        else:
            show_model(loaded)


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
    from workbench.terminal import show_placement, show_proposal

    with _reported(as_json=as_json):
        if smallest_change and not predict:
            raise SettingsError("--smallest-change asks for predictions only.", remedy="Give --predict too.")
        options = [*(option or [])]
        if exclude:
            options.append(f"trt_op_types_to_exclude={exclude}")
        if min_subgraph > 1:
            options.append(f"trt_min_subgraph_size={min_subgraph}")
        if iterations is not None:
            options.append(f"trt_max_partition_iterations={iterations}")
        settings = _settings(provider, options, profile, None)
        loaded = _model(model)
        found = _placement(loaded, settings, trt, predict=predict)
        proposal = _proposal(loaded, settings, trt) if smallest_change else None
    if as_json:
        more = {"proposal": proposal.model_dump(mode="json")} if proposal is not None else {}
        _print_json(found.model_dump(mode="json") | more)
    else:
        show_placement(found)
        if proposal is not None:
            show_proposal(proposal)
    raise typer.Exit(0 if found.outcome == "ok" else 1)


def _placement(model: Model, settings: Settings, trt: str, *, predict: bool) -> Placement:
    from workbench.placement.predict import predict as predicted

    if not predict and settings.provider != "cpu":
        from workbench.runtime.doctor import diagnose

        if not diagnose().can[settings.provider]:
            _say(
                f"warning: no {settings.provider} session can be made here (see `workbench doctor`): the placement is predicted."
            )
            predict = True
    if predict:
        return predicted(model, settings, tensorrt=trt)
    from workbench.study.execute import measure_placement
    from workbench.terminal import Progress

    _say_findings(settings.check(model=model))
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
    from workbench.terminal import Progress, show_ready

    with _reported(as_json=as_json):
        settings = _settings(Provider.tensorrt, option, profile, None)
        loaded = _model(model)
        if inputs is not None:
            from workbench.runtime.inputs import read_inputs

            read_inputs(inputs, loaded)
        path = inputs.absolute() if inputs else None
        with Progress() as progress:
            done = make_ready(
                loaded, settings, out=out, tensorrt=trt, float32=float32, inputs=path, limit_s=limit, on_event=progress.update
            )
    if as_json:
        _print_json(done.model_dump(mode="json"))
    else:
        show_ready(done)
    raise typer.Exit(0 if done.outcome in ("ready", "as it is", "settings") else 1)


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

    with _reported(as_json=as_json):
        settings = _settings(provider, option, profile, precision)
        loaded = _model(model)
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
    _say_findings(done.findings)
    if as_json:
        _print_json(done.model_dump(mode="json"))
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

    with _reported(as_json=as_json):
        found = Store(store).runs(model=model, limit=limit)
    if as_json:
        _print_json([run.model_dump(mode="json") for run in found])
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

    with _reported(as_json=as_json):
        kept = Store(store)
        comparison = compared(kept.get(a), kept.get(b))
    if as_json:
        _print_json(comparison.model_dump(mode="json"))
    else:
        show_comparison(comparison)


def main() -> None:
    """Run the command line."""
    app()
