"""``workbench sensitivity``: what breaks lower precision."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    say,
    say_findings,
    settings_of,
)
from workbench.cli.data import (
    DataOption,
    LabelsOption,
    MetricOption,
    MetricOutputOption,
    PreprocessOption,
    source_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.measure.task import TaskMetric
    from workbench.study.sensitivity_records import Trial

TOLD_S = 1.0
SAMPLES, LABELLED = 16, 1000  # inputs that a set is run on, without and with labels


class Lower(StrEnum):
    """What nodes are lowered to."""

    fp16 = "fp16"
    bf16 = "bf16"
    int8 = "int8"


TARGET = "What must hold: rel_l2=0.01, cosine=0.999, sqnr=30 or top1-drop=0.5; several with commas between."
TargetOption = Annotated[
    str | None, typer.Option("--target", help=TARGET, show_default="rel_l2 of 0.01, 0.05, 0.1 for fp16, bf16, int8")
]
ToOption = Annotated[Lower, typer.Option("--to", help="The precision to lower nodes to.")]
LimitOption = Annotated[float, typer.Option("--limit", min=1, help="Seconds after which the best set so far is given.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="FILE.onnx", help="Write the lowered model with the nodes found in float32.")
]
TableOption = Annotated[
    Path | None,
    typer.Option("--table", metavar="FILE", help="A calibration table with the ranges for int8.", show_default="the data's own"),
]
SamplesOption = Annotated[
    int | None,
    typer.Option("--samples", min=1, help="At most so many of them.", show_default=f"{SAMPLES}; with labels {LABELLED}"),
]
ClipOption = Annotated[bool, typer.Option("--clip", help="Clip weights beyond the precision's range in place of infinity.")]


@app.command()
def sensitivity(  # noqa: PLR0913
    model: ModelArgument,
    *,
    to: ToOption = Lower.fp16,
    provider: ProviderOption = Provider.cpu,
    option: OptionsOption = None,
    profile: ProfileOption = None,
    data: DataOption = None,
    labels: LabelsOption = None,
    preprocess: PreprocessOption = None,
    samples: SamplesOption = None,
    metric: MetricOption = None,
    metric_output: MetricOutputOption = None,
    target: TargetOption = None,
    clip: ClipOption = False,
    table: TableOption = None,
    limit: LimitOption = 600.0,
    out: OutOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the smallest set of nodes to keep in float32 so that a target holds.

    Answers are kept beside the store: a search that was interrupted goes on where it was. On the CPU provider half
    precision is emulated, rounding by rounding; elsewhere each set is a model of its own.
    """
    from workbench.runtime.lowering.trials import Lowering
    from workbench.study.sensitivity import find_sensitive, write_repaired
    from workbench.study.store import Store
    from workbench.study.target import Target
    from workbench.terminal.accuracy import show_sensitivity

    with reported(as_json=as_json):
        settings = settings_of(provider, option, profile, None)
        loaded, wanted = open_model(model), Target.parse(target) if target else None
        source = source_of(data, labels, preprocess)
        asked = _task(metric, metric_output, drop=wanted is not None and wanted.task_drop is not None)
        count = samples or (LABELLED if asked is not None else SAMPLES)
        what: dict[str, Any] = {"to": to.value, "settings": settings, "clip": clip, "ranges": _ranges(table)}
        lowering = Lowering(model=str(loaded.path), data=source, samples=count, task=asked, **what)
        folder = Store(store).path.parent / "sensitivity"
        with _interruptible() as cancelled:
            found = find_sensitive(
                loaded, lowering, wanted, limit_s=limit, folder=folder, cancelled=cancelled, on_trial=_Progress().show
            )
        changes = write_repaired(loaded, found, out) if out is not None and found.holds else ()
    say_findings(found.findings)
    if as_json:
        print_json({**found.model_dump(mode="json"), "sentence": found.sentence, "tools": found.tools()})
    else:
        show_sensitivity(found, out if found.holds else None, changes)
    raise typer.Exit(0 if found.holds else 1)


def _ranges(table: Path | None) -> dict[str, float] | None:
    from workbench.runtime.calibration.table import read_table

    return None if table is None else read_table(table).ranges()


class _Progress:
    """Tells of sets that were tried: the first, those that make the best smaller, and one a second."""

    def __init__(self) -> None:
        self.best: int | None = None
        self.told = -TOLD_S

    def show(self, trial: Trial) -> None:
        """Tell of one set."""
        better = trial.best != self.best
        if trial.fresh and (better or trial.seconds - self.told >= TOLD_S):
            say(f"{trial.seconds:6.1f} s  {trial}")
            self.best, self.told = trial.best, trial.seconds


def _task(metric: str | None, output: str | None, *, drop: bool) -> TaskMetric | None:
    from workbench.measure.task import TaskMetric

    if metric is None and not drop:
        return None
    return TaskMetric(metric=metric or "top1", output=output)


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Let Ctrl-C end the search with what it found so far; a second one ends the program."""
    cancelled = threading.Event()

    def stop(*_: object) -> None:
        if cancelled.is_set():
            raise KeyboardInterrupt
        say("stopping: the best set so far follows; run the same again to go on")
        cancelled.set()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield cancelled
    finally:
        signal.signal(signal.SIGINT, before)
