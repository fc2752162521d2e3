"""What commands that take data share: their options, and what they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.errors import InputError, nearest

if TYPE_CHECKING:
    from workbench.runtime.data.dataset import DataSource, Preprocessing

DATA = (
    "Many inputs. An .npz file has one array for each of the model's inputs, under its name; the first axis counts samples, or "
    "lies before the model's own, and then each entry is fed alone. A folder of images needs --preprocess."
)
LABELS = (
    "What is right: an array in the .npz file, or a file (.npy, .npz, .csv, .txt) with one label for each sample. Without it, "
    "arrays called label, labels, target, targets or y are taken, or the names of the images' folders."
)
METRIC = "top1, top5, or a function metric(y_true, y_pred) as package.module:function or file.py:function."
PREPROCESS = (
    "What is done to images, as size=224x224,resize=256,mean=0.485/0.456/0.406,std=0.229/0.224/0.225,scale=1/255,"
    "layout=NCHW,channels=RGB: (pixel * scale - mean) / std."
)
REFERENCE = (
    "What the outputs are compared with: an .onnx model, run on the CPU; an .npz file with an array for each output; or run:ID, "
    "a Run that kept its outputs."
)

DataOption = Annotated[Path | None, typer.Option("--data", metavar="FILE.npz|DIR", help=DATA, show_default="one input, random")]
LabelsOption = Annotated[str | None, typer.Option("--labels", metavar="KEY|FILE", help=LABELS, show_default=False)]
SamplesOption = Annotated[int | None, typer.Option("--samples", min=1, help="At most so many of them.", show_default="all")]
MetricOption = Annotated[
    str | None, typer.Option("--metric", metavar="top1|top5|MODULE:FUNCTION", help=METRIC, show_default=False)
]
MetricOutputOption = Annotated[
    str | None,
    typer.Option("--metric-output", metavar="NAME", help="The output that predicts.", show_default="the first with scores"),
]
PreprocessOption = Annotated[
    str | None, typer.Option("--preprocess", metavar="KEY=VALUE,...", help=PREPROCESS, show_default=False)
]
ReferenceOption = Annotated[
    str | None,
    typer.Option("--reference", metavar="FILE|run:ID", help=REFERENCE, show_default="the model on the CPU, not optimised"),
]
KeepOutputsOption = Annotated[
    bool, typer.Option("--keep-outputs", help="Keep the outputs, so that other Runs can be compared with this one.")
]


def source_of(data: Path | None, labels: str | None, preprocess: str | None, limit: int | None = None) -> DataSource | None:
    """Return the data that the arguments name; ``None`` where they name none.

    Raises
    ------
    InputError
        When labels or preprocessing are given without data, or are not understood.
    """
    from workbench.runtime.data.dataset import DataSource

    if data is None:
        if labels is not None or preprocess is not None:
            raise InputError("--labels and --preprocess say something of data, and there are none.", remedy="Give --data.")
        return None
    beside = Path(labels).expanduser() if labels is not None else None
    named = str(beside.absolute()) if beside is not None and beside.is_file() else labels
    declared = None if preprocess is None else preprocessing_of(preprocess)
    return DataSource(path=str(data.expanduser().absolute()), labels=named, limit=limit, preprocessing=declared)


def judging(  # noqa: PLR0913
    data: Path | None,
    labels: str | None,
    preprocess: str | None,
    *,
    samples: int | None,
    metric: str | None,
    output: str | None,
    reference: str | None,
    keep_outputs: bool,
) -> dict[str, Any]:
    """Return the fields of a Plan that say what outputs are compared with, and on what."""
    from workbench.measure.task import TaskMetric

    if metric is None and output is not None:
        raise InputError("--metric-output needs a metric.", remedy="Give --metric, such as top1.")
    return {
        "data": source_of(data, labels, preprocess),
        "samples": samples,
        "task": TaskMetric(metric=metric, output=output) if metric is not None else None,
        "reference": reference,
        "keep_outputs": keep_outputs,
    }


def preprocessing_of(text: str) -> Preprocessing:
    """Read ``size=224x224,mean=0.5/0.5/0.5`` and so on.

    Raises
    ------
    InputError
        When a name or a value is not understood.
    """
    from pydantic import ValidationError

    from workbench.runtime.data.dataset import Preprocessing

    values: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        if name not in Preprocessing.model_fields:
            known = list(Preprocessing.model_fields)
            hint = f"{nearest(name, known)} Known are {', '.join(known)}.".strip()
            raise InputError(f"--preprocess: there is no {name!r}.", remedy=hint)
        values[name] = _value(name, value)
    try:
        return Preprocessing(**values)
    except ValidationError as error:
        reason = error.errors()[0]
        where = reason["loc"][0] if reason["loc"] else "it"
        raise InputError(f"--preprocess: {where}: {reason['msg'].lower()}.", remedy=PREPROCESS) from error


def _value(name: str, text: str) -> object:
    if name == "size":
        return tuple(text.lower().split("x"))
    if name in ("mean", "std"):
        return tuple(text.split("/"))
    if name == "scale" and "/" in text:
        above, _, below = text.partition("/")
        try:
            return float(above) / float(below)
        except (ValueError, ZeroDivisionError):
            return text
    return text
