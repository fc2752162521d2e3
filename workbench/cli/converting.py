"""``workbench calibrate`` and ``workbench convert``: ranges for INT8, and models in lower precision."""

from __future__ import annotations

import json
import tempfile
import threading
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.application import (
    JsonOption,
    ModelArgument,
    ProfileOption,
    app,
    open_model,
    print_json,
    reported,
    say_findings,
)
from workbench.cli.data import DATA, PreprocessOption, SamplesOption, source_of
from workbench.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workbench.model.model import Model
    from workbench.record import Finding
    from workbench.runtime.calibration.records import Calibration
    from workbench.runtime.calibration.records import Progress as Done
    from workbench.runtime.data.dataset import DataSource
    from workbench.study.convert import Converted
    from workbench.terminal.results import Progress


class Method(StrEnum):
    """How a range is found."""

    minmax = "minmax"
    entropy = "entropy"
    percentile = "percentile"
    distribution = "distribution"


class Runner(StrEnum):
    """Who runs the model on the samples."""

    cpu = "cpu"
    cuda = "cuda"


class Lowered(StrEnum):
    """What a model is converted to."""

    fp16 = "fp16"
    bf16 = "bf16"
    int8 = "int8"


TABLE = (
    "Write the table: FILE.flatbuffers for ONNX Runtime, FILE.json, or another ending for TensorRT's own format; a folder, "
    "for all of them."
)
KEEP = "A node to leave as it is; repeatable. @FILE reads names from a text file, one a line, or from a JSON list."
ExcludeNodeOption = Annotated[list[str] | None, typer.Option("--exclude-node", metavar="NODE", help=KEEP)]
ExcludeOpOption = Annotated[
    list[str] | None, typer.Option("--exclude-op", metavar="OP", help="An operator to leave as it is; repeatable.")
]


DataOption = Annotated[Path, typer.Option("--data", metavar="FILE.npz|DIR", help=DATA, show_default=False)]
MethodOption = Annotated[Method, typer.Option("--method", help="Whose thresholds go into the table.")]
BatchOption = Annotated[int, typer.Option("--batch", min=1, help="Samples fed in one go, where the model allows it.")]
RunnerOption = Annotated[Runner, typer.Option("--provider", help="Who runs the model.")]
CompareOption = Annotated[bool, typer.Option("--all-methods/--one-method", help="Find the thresholds of all methods, or of one.")]
TableOption = Annotated[Path | None, typer.Option("--table", metavar="FILE|DIR", help=TABLE, show_default=False)]
QdqOption = Annotated[
    Path | None, typer.Option("--qdq", metavar="FILE.onnx", help="Also write the model quantised by Q/DQ.", show_default=False)
]
ResumeOption = Annotated[bool, typer.Option("--resume/--restart", help="Go on where an earlier calibration stopped.")]
StateOption = Annotated[
    Path | None, typer.Option("--state", metavar="DIR", help="Where progress is kept.", show_default="the user's cache")
]


@app.command()
def calibrate(  # noqa: PLR0913
    model: ModelArgument,
    *,
    data: DataOption,
    method: MethodOption = Method.entropy,
    samples: SamplesOption = None,
    batch: BatchOption = 8,
    preprocess: PreprocessOption = None,
    provider: RunnerOption = Runner.cpu,
    compare: CompareOption = False,
    table: TableOption = None,
    qdq: QdqOption = None,
    exclude_node: ExcludeNodeOption = None,
    exclude_op: ExcludeOpOption = None,
    resume: ResumeOption = True,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the ranges of the activations for INT8 on your data, and write them as a table or into the model."""
    from workbench.model.precision.qdq import check_quantisable
    from workbench.runtime.calibration.calibrate import calibrate as calibrated
    from workbench.study.convert import target_of
    from workbench.terminal.results import Progress

    with reported(as_json=as_json):
        loaded = open_model(model)
        target = target_of(loaded, "int8", qdq) if qdq is not None else None
        left_out = _names(exclude_node), exclude_op or []
        if target is not None:
            check_quantisable(loaded.proto, left_out[0])
        source = source_of(data, None, preprocess, samples)
        assert source is not None
        _check_folder(table)
        with Progress() as progress:
            found = calibrated(
                loaded,
                source,
                method=method.value,
                compare=compare,
                batch=batch,
                provider=provider.value,
                resume=resume,
                folder=state,
                on_progress=_shown(progress),
            )
            files = _tables(found, table)
            checked = _checked(loaded, files)
            quantised = None
            if target is not None:
                with _feed(loaded, source, batch) as inputs:
                    quantised = _quantised(loaded, found, left_out, target, inputs, progress)
    _answer(found, files, checked, quantised, as_json=as_json)


def _quantised(  # noqa: PLR0913, PLR0917
    model: Model, found: Calibration, left_out: tuple[list[str], list[str]], target: Path, inputs: Path, progress: Progress
) -> Converted:
    from workbench.study.convert import convert as converted

    nodes, operators = left_out
    ranges, update = found.ranges(), progress.update
    return converted(model, "int8", keep=nodes, exclude_ops=operators, ranges=ranges, out=target, inputs=inputs, on_event=update)


def _answer(found: Calibration, files: list[Path], checked: list[Finding], quantised: Converted | None, *, as_json: bool) -> None:
    from workbench.terminal.calibration import show_calibration, show_converted

    say_findings([*found.findings, *checked, *(quantised.findings if quantised else ())])
    if as_json:
        print_json(_document(found, files, checked, quantised))
        return
    show_calibration(found, files)
    if quantised is not None:
        show_converted(quantised)


def _shown(progress: Progress) -> Callable[[Done], None]:
    """Return what shows how far a calibration is: each number on a terminal, otherwise each stage once."""
    from workbench.runtime.job import Event

    def show(done: Done) -> None:
        stage = str(done) if progress.status is not None else done.stage
        progress.update(Event(stage=stage, elapsed_s=done.elapsed_s))

    return show


@contextmanager
def _feed(model: Model, source: DataSource, batch: int) -> Iterator[Path]:
    """Give a file with the first samples: random inputs would lie outside the ranges."""
    import numpy as np

    from workbench.runtime.data.dataset import open_dataset

    with tempfile.TemporaryDirectory(prefix="workbench-calibrate-") as folder:
        path = Path(folder) / "inputs.npz"
        with path.open("wb") as file:
            feeds: dict[str, Any] = next(iter(open_dataset(source, model).batches(batch)))
            np.savez(file, **feeds)
        yield path


def _tables(found: Calibration, path: Path | None) -> list[Path]:
    from workbench.runtime.calibration.table import write_table, write_tables

    if path is None:
        return []
    path = path.expanduser().absolute()
    if path.is_dir() or not path.suffix:
        return write_tables(found.ranges(), path)
    return [write_table(found.ranges(), path)]


def _check_folder(table: Path | None) -> None:
    """Refuse a table for which there is no folder, before anything is calibrated.

    Raises
    ------
    SettingsError
        When there is none.
    """
    path = table.expanduser().absolute() if table is not None else None
    if path is not None and path.suffix and not path.is_dir() and not path.parent.is_dir():
        raise SettingsError(f"{path}: the folder does not exist.", remedy="Make it first.")


def _checked(model: Model, files: list[Path]) -> list[Finding]:
    """Read back what was written, and check it."""
    from workbench.runtime.calibration.check import check_table
    from workbench.runtime.calibration.table import read_table

    return [finding for file in files[:1] for finding in check_table(read_table(file), model)]


def _document(found: Calibration, files: list[Path], checked: list[Finding], quantised: Converted | None) -> dict[str, Any]:
    return {
        "status": "ok",
        **found.model_dump(mode="json"),
        "tables": [str(file) for file in files],
        "table_findings": [finding.model_dump(mode="json") for finding in checked],
        "qdq": quantised.model_dump(mode="json") if quantised is not None else None,
    }


def _names(given: list[str] | None) -> list[str]:
    """Return node names; ``@FILE`` stands for those in a file.

    Raises
    ------
    SettingsError
        When such a file cannot be read.
    """
    found: list[str] = []
    for name in given or []:
        if not name.startswith("@"):
            found.append(name)
            continue
        try:
            text = Path(name[1:]).expanduser().read_text(encoding="utf-8")
            found += (
                json.loads(text)
                if text.lstrip().startswith("[")
                else [line.strip() for line in text.splitlines() if line.strip()]
            )
        except (OSError, ValueError) as error:
            raise SettingsError(f"{name[1:]}: no list of nodes: {error}.", remedy="Write one name a line.") from error
    return list(dict.fromkeys(found))


@app.command()
def convert(  # noqa: PLR0913
    model: ModelArgument,
    *,
    to: Annotated[Lowered, typer.Option("--to", help="The precision.", show_default=False)],
    keep: Annotated[list[str] | None, typer.Option("--keep", metavar="NODE", help=KEEP)] = None,
    exclude_op: ExcludeOpOption = None,
    table: Annotated[
        Path | None, typer.Option("--table", metavar="FILE", help="The calibration table, for int8.", show_default=False)
    ] = None,
    clip: Annotated[bool, typer.Option("--clip", help="Clip weights beyond float16's range in place of infinity.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The new file.", show_default="NAME.TO.onnx beside it")
    ] = None,
    inputs: Annotated[
        Path | None, typer.Option("--inputs", metavar="FILE.npz", help="One array for each input.", show_default="random")
    ] = None,
    profile: ProfileOption = None,
    limit: Annotated[float, typer.Option("--limit", min=1, help="Seconds that each comparison may take.")] = 120.0,
    as_json: JsonOption = False,
) -> None:
    """Write the model in lower precision, and compare its outputs with the original's."""
    from workbench.options.profile import ShapeProfile
    from workbench.study.convert import convert as converted
    from workbench.terminal.calibration import show_converted
    from workbench.terminal.results import Progress

    with reported(as_json=as_json):
        loaded = open_model(model)
        shapes = ShapeProfile.from_arguments(profile or [])
        if inputs is not None:
            from workbench.runtime.data.inputs import read_inputs

            read_inputs(inputs, loaded)
        ranges, checked = _ranges(loaded, to, table, exclude_op)
        with Progress() as progress:
            done = converted(
                loaded,
                to.value,
                keep=_names(keep),
                exclude_ops=exclude_op or [],
                ranges=ranges,
                clip=clip,
                out=out,
                inputs=inputs,
                profile=shapes,
                limit_s=limit,
                cancelled=threading.Event(),
                on_event=progress.update,
            )
    say_findings([*checked, *done.findings])
    if as_json:
        print_json({"status": "ok", **done.model_dump(mode="json")})
    else:
        show_converted(done)


def _ranges(
    model: Model, to: Lowered, table: Path | None, exclude_op: list[str] | None
) -> tuple[dict[str, float] | None, list[Finding]]:
    """Return the ranges of a table, and what is odd about it.

    Raises
    ------
    SettingsError
        When the table is missing, of another model, or not for this precision.
    """
    from workbench.runtime.calibration.check import check_table
    from workbench.runtime.calibration.table import read_table

    if to != Lowered.int8 and (table is not None or exclude_op):
        raise SettingsError("--table and --exclude-op are for --to int8.", remedy="Leave them out; --keep names nodes.")
    if table is None:
        return None, []
    read = read_table(table)
    found = check_table(read, model)
    for finding in found:
        if finding.level == "error":
            raise SettingsError(f"{table}: {finding.seen}.", remedy=f"{finding.meaning} {finding.action}".strip())
    return read.ranges(), found
