"""Dump models as EP context models on a machine with a GPU, load them, and see that what cannot work is refused.

    python benchmarks/context.py resnet50.onnx --profile x=1x3x224x224:8x3x224x224:32x3x224x224 --precision fp16 --out ctx.json

For each model, with the engine beside the file and in it: seconds of the dump and of the sessions made from it (in a fresh
process, and again in the same one; with and without graph optimisation), whether the Run says ``context``, and how its outputs
compare with the original model's on the CPU. Then the detector sample, which TensorRT 8.6 takes in parts: the dump is refused
beforehand, and what ONNX Runtime itself would have written is looked at (``--anyway``). The summary is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a script's own folder is there, not the project's

from workbench.errors import WorkbenchError
from workbench.model.model import Model
from workbench.options.profile import ShapeProfile
from workbench.options.settings import Settings
from workbench.options.values import read_assignments
from workbench.runtime.engines.context import check_context
from workbench.runtime.engines.here import session_environment
from workbench.runtime.job import Environment, Plan
from workbench.runtime.worker import Worker
from workbench.samples.catalogue import sample_path
from workbench.study.context import context_obstacles, dump_context
from workbench.study.execute import execute
from workbench.study.run import Run
from workbench.study.store import Store

QUICK = {"warmup": 3, "iterations": 200, "seconds": 1.0}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--profile", action="append", default=[], metavar="NAME=MIN:OPT:MAX")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("-o", "--option", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--anyway", action="store_true", help="also let ONNX Runtime dump what is refused, and look at it")
    parser.add_argument("--timeout", type=float, default=600.0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--store", type=Path, help="keep the Runs in this file")
    arguments = parser.parse_args()
    here, found = session_environment(), []
    store = Store(arguments.store) if arguments.store is not None else None
    settings = Settings(
        profile=ShapeProfile.from_arguments(arguments.profile),
        precision=arguments.precision,
        provider_options=read_assignments(arguments.option),
    )
    for path in arguments.models:
        model = Model.load(path)
        dynamic = any(spec.dynamic for spec in model.inputs)
        own = settings if dynamic else settings.replace(profile=ShapeProfile())
        for embed in (False, True):
            found.append(_ladder(model, own, here, embed=embed, timeout_s=arguments.timeout, store=store))
            _write(arguments.out, here, found)
    found.append(_refused(arguments))
    _write(arguments.out, here, found)


def _write(out: Path, here: Environment, found: list[dict[str, Any]]) -> None:
    document = {"environment": here.model_dump(mode="json"), "found": found}
    out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(found[-1], indent=1) + "\n")


def _ladder(  # noqa: PLR0913
    model: Model, settings: Settings, here: Environment, *, embed: bool, timeout_s: float, store: Store | None
) -> dict[str, Any]:
    """Dump once, and load the result in several ways."""
    row: dict[str, Any] = {"model": model.name, "embed": embed, "settings": settings.summary()}
    with tempfile.TemporaryDirectory() as folder:
        try:
            dumped = dump_context(model, settings, Path(folder) / "dumped.onnx", embed=embed, here=here, timeout_s=timeout_s)
        except WorkbenchError as error:
            return {**row, "refused": str(error)}
        row |= {"dump_s": dumped.seconds, "bytes": dumped.bytes, "engine": dumped.engine, "files": _files(Path(folder))}
        row["check"] = dumped.checked.model_dump(mode="json")
        loaded = Model.load(dumped.path)
        plan = Plan(**QUICK, reference=str(model.path), timeout_s=timeout_s)
        plain = settings.replace(provider_options={})
        unoptimised = plain.replace(session_options={"graph_optimization_level": "disable"})
        with Worker() as worker:
            row["loads"] = [
                _told(name, execute(loaded, given, plan, worker=worker, store=store))
                for name, given in (("first", plain), ("again", plain), ("without optimisation", unoptimised))
            ]
        row["right"] = all(load["status"] == "ok" and load["cache"] == "context" for load in row["loads"])
    return row


def _told(name: str, run: Run) -> dict[str, Any]:
    return {
        "how": name,
        "status": run.status,
        "error": run.error.message if run.error else None,
        "session_s": run.build.seconds if run.build else None,
        "cache": run.build.cache if run.build else None,
        "median_ms": run.latency.median_ms if run.latency else None,
        "rel_l2": [row.rel_l2 for row in run.accuracy],
        "findings": [str(finding) for finding in run.findings],
    }


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _refused(arguments: argparse.Namespace) -> dict[str, Any]:
    """Ask for a dump of a model that TensorRT takes in parts; with --anyway, let ONNX Runtime try."""
    model = Model.load(sample_path("detector"))
    settings = Settings(profile=["image=1x3x64x64:1x3x160x160:1x3x320x320"])
    row: dict[str, Any] = {"model": model.name, "refused": [str(f) for f in context_obstacles(model, settings)]}
    if not arguments.anyway:
        return row
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "anyway.onnx"
        options = {
            "trt_dump_ep_context_model": True,
            "trt_ep_context_file_path": str(made),
            "trt_engine_cache_enable": True,
            "trt_builder_optimization_level": 0,
        }
        # Without a profile: with one, ONNX Runtime refuses the session before it dumps anything.
        dumping = Settings(provider_options=options)
        plan = Plan(**QUICK, accuracy=False, timeout_s=arguments.timeout)
        row["anyway"] = _told("dump", execute(model, dumping, plan))
        row["files"] = _files(Path(folder))
        if made.is_file():
            row["check"] = check_context(Model.load(made), session_environment()).model_dump(mode="json")
            row["load"] = _told("load", execute(Model.load(made), Settings(), plan))
    return row


if __name__ == "__main__":
    main()
