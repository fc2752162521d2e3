"""How many models without shapes can be made ready for TensorRT, and how long it takes.

    python benchmarks/ready.py MODELS --tensorrt 8.6
    python benchmarks/ready.py MODELS --tensorrt 8.6 --recorded recorded.json

`MODELS` is a folder of ``NAME.onnx``, or single files. Those are taken that are predicted to fail for missing shapes or,
with a file of recorded placements, those that were seen to: by model name, an ``outcome`` of ``error:shape``. New files
go to a folder that is removed afterwards, unless ``--out`` names one.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.model.external import external_chunks
from workbench.model.model import Model
from workbench.placement.predict import predict
from workbench.study.ready import make_ready

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.study.ready_records import Readied


def models_of(arguments: argparse.Namespace) -> Iterator[Model]:
    """Yield the models that have no shapes, as was recorded or as is predicted."""
    recorded = json.loads(arguments.recorded.read_text()) if arguments.recorded else None
    paths = [p for given in arguments.models for p in (sorted(given.glob("*.onnx")) if given.is_dir() else [given])]
    for path in paths:
        if recorded is not None and recorded.get(path.stem, {}).get("outcome") != "error:shape":
            continue
        try:
            model = Model.load(path)
        except WorkbenchError as error:
            print(f"{path.stem}: left out: {error}", file=sys.stderr)
            continue
        if recorded is None:
            error = predict(model, tensorrt=arguments.tensorrt).error
            if error is None or error.kind != "shape":
                continue
        yield model


def made(model: Model, arguments: argparse.Namespace, folder: Path) -> Readied:
    """Make one model ready, beside the original where it has external data."""
    beside = next(external_chunks(model.proto, model.path), None) is not None
    out = None if beside else folder / f"{model.name}.ready.onnx"
    return make_ready(model, tensorrt=arguments.tensorrt, out=out, limit_s=arguments.limit)


def report(results: list[Readied], *, details: bool) -> None:
    """Print a line for each model, and the sum."""
    width = max((len(r.model) for r in results), default=5)
    for r in results:
        last = next((s.words for s in reversed(r.steps) if s.outcome == "enough"), "-")
        equal = {True: "equal", False: "DIFFERENT", None: "not compared"}[r.equal]
        after = f"{r.after.engines} engines" if r.after is not None else ""
        print(f"{r.model:{width}}  {r.outcome:9} {r.seconds:5.1f} s  {equal:12} {len(r.compared)} sizes  {after:11} {last}")
        if details or r.outcome in ("failed", "cancelled"):
            print(f"{'':{width}}    {r.message}")
        for change in r.changes if details else ():
            print(f"{'':{width}}    {change}")
    ready = sum(r.outcome in ("ready", "settings", "as it is") for r in results)
    if results:
        print(f"\nready {ready} of {len(results)} ({ready / len(results):.0%}), longest {max(r.seconds for r in results):.1f} s")


def main() -> None:
    """Read the arguments, make the models ready, and report."""
    parser = argparse.ArgumentParser(description="Make models without shapes ready for TensorRT.")
    parser.add_argument("models", type=Path, nargs="+", help="folders of models, or files")
    parser.add_argument("--tensorrt", default="10.16", help="the TensorRT to make them ready for (%(default)s)")
    parser.add_argument("--recorded", type=Path, metavar="JSON", help="recorded placements: only models that had no shapes")
    parser.add_argument("--out", type=Path, help="keep the new files in this folder")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for each model (%(default)s)")
    parser.add_argument("--details", action="store_true", help="print what changed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.out or Path(scratch)
        folder.mkdir(exist_ok=True)
        results = []
        for model in models_of(arguments):
            print(f"{model.name} ...", file=sys.stderr)
            results.append(made(model, arguments, folder))
        report(results, details=arguments.details)


if __name__ == "__main__":
    main()
