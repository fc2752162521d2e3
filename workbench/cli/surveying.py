"""``workbench survey``: one model in many configurations, one table."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.application import (
    Buffers,
    JsonOption,
    StoreOption,
    app,
    open_model,
    print_json,
    reported,
    say,
)
from workbench.cli.limits import read_limits
from workbench.errors import SettingsError

if TYPE_CHECKING:
    from workbench.model.model import Model
    from workbench.runtime.engines.cache import EngineCache
    from workbench.runtime.job import Event, Plan
    from workbench.study.survey_rows import Entry, Survey
    from workbench.terminal.results import Progress

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE", help="An ONNX file, or package.module:callable that makes a PyTorch module.", show_default=False
    ),
]
ArgsOption = Annotated[str | None, typer.Option("--args", metavar="JSON", help="What the callable is called with.")]
InputOption = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="NAME=SHAPE[:DTYPE]", help="An input of the module, as x=1x3x224x224; repeatable."),
]
DynamicOption = Annotated[
    list[str] | None,
    typer.Option("--dynamic", metavar="DIM", help="batch: the first axis of every input; or NAME:AXIS=DIM; repeatable."),
]
ConfigOption = Annotated[
    list[str] | None,
    typer.Option(
        "--config",
        "--configs",
        metavar="TEXT",
        help="As 'tensorrt fp16 KEY=VALUE' or 'torch compile'; several with commas; repeatable.",
        show_default="PyTorch, CPU, CUDA, TensorRT, native",
    ),
]
OnnxOption = Annotated[
    Path | None, typer.Option("--onnx", help="Where to write the exported model.", show_default="CALLABLE.onnx")
]


@app.command()
def survey(  # noqa: PLR0913
    source: SourceArgument,
    *,
    args: ArgsOption = None,
    input_: InputOption = None,
    dynamic: DynamicOption = None,
    opset: Annotated[int, typer.Option(help="Of the exported model.")] = 17,
    onnx: OnnxOption = None,
    config: ConfigOption = None,
    batch: Annotated[list[int] | None, typer.Option("--batch", min=1, help="A size of the batch; repeatable.")] = None,
    baseline: Annotated[str | None, typer.Option(help="What speed-ups are over.", show_default="the first row")] = None,
    tolerance: Annotated[float, typer.Option(help="Relative L2 distance up to which outputs are right.")] = 1e-2,
    ready: Annotated[bool, typer.Option("--ready", help="Make the model ready for TensorRT before.")] = False,
    trt: Annotated[str, typer.Option("--trt", help="The TensorRT to make it ready for.")] = "10.16",
    warmup: Annotated[int, typer.Option(min=0, help="Inferences that are not timed.")] = 10,
    iterations: Annotated[int, typer.Option(min=1, help="Timed inferences, at most.")] = 1000,
    seconds: Annotated[float, typer.Option(help="Time to measure each, at most.")] = 3.0,
    buffers: Annotated[Buffers, typer.Option("--buffers", help="Where inputs and outputs lie.")] = Buffers.host,
    timeout: Annotated[list[str] | None, typer.Option("--timeout", metavar="[STAGE=]SECONDS", help="Of each stage.")] = None,
    limit: Annotated[float, typer.Option("--limit", help="Seconds for all; then the one that runs is ended.")] = float("inf"),
    seed: Annotated[int, typer.Option(help="Of random weights and inputs.")] = 0,
    accuracy: Annotated[bool, typer.Option("--accuracy/--no-accuracy", help="Compare outputs with a CPU reference.")] = True,
    cache: Annotated[Path | None, typer.Option("--cache", help="The folder of the engine cache.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Build each engine anew.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a model in many configurations, keep each as a Run, and show one table."""
    from workbench.terminal.results import Progress
    from workbench.terminal.survey import show_survey

    began = time.monotonic()
    with reported(as_json=as_json):
        plan = _plan(timeout, warmup, iterations, seconds, seed, buffers, accuracy=accuracy)
        with Progress() as progress:
            model = _model(source, args, input_ or [], dynamic or [], onnx, opset, seed)
            todo = _Order(source, config or [], batch or [], baseline, tolerance, began + limit, trt if ready else None)
            found = _survey(todo, model, plan, store, _cache(cache, no_cache=no_cache), progress)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        show_survey(found)
    raise typer.Exit(0 if any(row.status == "ok" for row in found.rows) else 1)


class _Order:
    """What is asked of the survey."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        source: str,
        configurations: list[str],
        batches: list[int],
        baseline: str | None,
        tolerance: float,
        until: float,
        ready_for: str | None,
    ) -> None:
        self.source, self.configurations, self.batches, self.baseline = source, configurations, batches, baseline
        self.tolerance, self.until, self.ready_for = tolerance, until, ready_for
        if not tolerance > 0:
            raise SettingsError(f"--tolerance must be more than 0: got {tolerance:g}.")


def _survey(  # noqa: PLR0913, PLR0917
    order: _Order, model: Model, plan: Plan, store: Path | None, cache: EngineCache | None, progress: Progress
) -> Survey:
    from workbench.model.pytorch.origin import torch_origin
    from workbench.study.configuration import parse_configurations
    from workbench.study.store import Store
    from workbench.study.survey import survey as surveyed
    from workbench.study.survey_rows import About

    configurations = parse_configurations(order.configurations or None)
    origin = torch_origin(model)
    notes = [str(origin)] if origin is not None else []
    if order.ready_for is not None:
        from workbench.study.survey_ready import ready_model

        made = ready_model(model, tensorrt=order.ready_for, on_event=progress.update)
        model, configurations = made.model, made.configured(configurations)
        notes.append(made.note)
    teller = _Teller(progress)
    return surveyed(
        model,
        configurations,
        plan,
        batches=order.batches,
        baseline=order.baseline,
        tolerance=order.tolerance,
        store=Store(store),
        cache=cache,
        on_event=teller.event,
        on_entry=teller.entry,
        limit_s=order.until - time.monotonic(),
        about=About(order.source, tuple(notes), origin.unsteady if origin is not None else ()),
    )


class _Teller:
    """Tells on standard error what is being run, and each configuration as it is done."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def event(self, event: Event) -> None:
        self.progress.update(event)

    @staticmethod
    def entry(entry: Entry) -> None:
        found = entry.run.latency if entry.run is not None and entry.status == "ok" else None
        batch = f" · batch {entry.batch}" if entry.batch is not None else ""
        told = f"median {found.median_ms:.3f} ms" if found is not None else entry.why or entry.status
        say(f"{entry.configuration}{batch}: {told}")


def _plan(  # noqa: PLR0913, PLR0917
    timeout: list[str] | None, warmup: int, iterations: int, seconds: float, seed: int, buffers: Buffers, *, accuracy: bool
) -> Plan:
    from workbench.runtime.job import Plan

    limit, stages = read_limits(timeout or [])
    if not seconds > 0:
        raise SettingsError(f"--seconds must be more than 0: got {seconds:g}.")
    return Plan(
        warmup=warmup,
        iterations=iterations,
        seconds=seconds,
        seed=seed,
        buffers=buffers.value,
        accuracy=accuracy,
        timeout_s=limit,
        stage_timeouts=stages,
    )


def _cache(folder: Path | None, *, no_cache: bool) -> EngineCache | None:
    from workbench.runtime.engines.cache import EngineCache

    if no_cache and folder is not None:
        raise SettingsError("--cache and --no-cache contradict each other.", remedy="Give one of them.")
    return None if no_cache else EngineCache(folder)


def _model(  # noqa: PLR0913, PLR0917
    source: str, args: str | None, inputs: list[str], dynamic: list[str], onnx: Path | None, opset: int, seed: int
) -> Model:
    """Return the model of a file, or export the module that a callable makes."""
    from workbench.model.pytorch.source import build_module, dynamic_of, example_of, is_module_source

    if not is_module_source(source) or Path(source).exists():
        given = {"--args": args, "--input": inputs, "--dynamic": dynamic, "--onnx": onnx}
        for option, value in given.items():
            if value:
                raise SettingsError(f"{option} is for package.module:callable, and {source} is taken for an ONNX file.")
        return open_model(Path(source))
    from workbench.model.model import Model

    sys.path.insert(0, os.getcwd())  # noqa: PTH109  # as `python -m` does, for modules in the current folder
    say(f"exporting {source}")
    module = build_module(source, args, seed=seed)
    example = example_of(inputs, seed=seed)
    path = onnx or Path(f"{source.partition(':')[2]}.onnx")
    return Model.from_torch(module, example, dynamic=dynamic_of(dynamic), path=path, opset=opset)
