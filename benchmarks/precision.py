"""Measure a model at each precision, by flags and by the graph: latency, accuracy, and what was delivered.

    python benchmarks/precision.py digits --out precision.json
    python benchmarks/precision.py m.onnx --data t.npz --calibration train.npz --profile x=1x3x224x224:8x3x224x224:8x3x224x224

Measured are fp32, fp16 by the flag and by the graph, int8 by a calibration table and by Q/DQ, the last two with fp16 beside
it as well; then TensorRT itself, whose engines tell in which precision each layer computes. On the CPU provider only what the
graph can say: fp32, fp16 and int8. The calibration runs on the CPU unless --calibrate-on cuda is given. Engines and kernel
timings are kept in the engine cache. The document holds every Run, and is written after each.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.measure.task import TaskMetric
from workbench.model.model import Model
from workbench.options.precision_advice import graph_settings
from workbench.options.profile import ShapeProfile
from workbench.options.releases import NEWEST, installed_release
from workbench.options.settings import Settings
from workbench.runtime.calibration.calibrate import calibrate
from workbench.runtime.calibration.table import FLATBUFFERS_NAME, NATIVE_NAME, write_tables
from workbench.runtime.data.dataset import DataSource
from workbench.runtime.engines.cache import EngineCache
from workbench.runtime.environment import tensorrt_version
from workbench.runtime.job import Plan
from workbench.runtime.worker import Worker
from workbench.samples.catalogue import samples
from workbench.study.convert import convert
from workbench.study.execute import execute
from workbench.study.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.runtime.calibration.records import Calibration
    from workbench.study.run import Run


@dataclass(frozen=True, slots=True)
class Configuration:
    """A model, and how to run it."""

    name: str
    model: Path
    settings: Settings


def main() -> int:
    """Measure and write."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="precision-") as folder, Worker() as worker:
        work = Path(folder)
        model, data, calibration = _given(arguments, work)
        ranges = calibrate(
            model,
            calibration,
            method=arguments.method,
            compare=False,
            samples=arguments.calibration_samples,
            provider=arguments.calibrate_on,
        )
        store = Store(work / "runs.sqlite3")
        reference = str(model.path)
        task = TaskMetric(metric=arguments.metric) if arguments.metric else None
        found: list[dict[str, Any]] = []
        for each in _configurations(model, ranges, arguments, work):
            plan = Plan(
                seconds=arguments.seconds,
                data=data,
                samples=arguments.samples,
                task=task,
                reference=reference,
                layers=arguments.provider == "tensorrt",
                timeout_s=arguments.timeout,
            )
            made, label = Model.load(each.model), each.name
            try:
                run = execute(made, each.settings, plan, store=store, worker=worker, label=label, cache=EngineCache())
            except WorkbenchError as error:
                found.append({"configuration": each.name, "status": "refused", "error": str(error)})
            else:
                found.append({"configuration": each.name, **run.model_dump(mode="json")})
                print(f"{each.name:22s} {_said(run)}", flush=True)
                if arguments.runs is not None:
                    arguments.runs.unlink(missing_ok=True)
                    store.export([kept.id for kept in store.runs(limit=100)], arguments.runs)
            document = {"model": model.name, "calibration": _summary(ranges), "runs": found}
            arguments.out.write_text(json.dumps(document, indent=1), encoding="utf-8")
    print("written:", arguments.out)
    return 0 if all(each["status"] == "ok" for each in found) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="an ONNX file, or a sample's name")
    parser.add_argument("--data", help="an .npz file of inputs, with labels for the accuracy; a sample's own by default")
    parser.add_argument("--calibration", help="an .npz file of inputs to calibrate on; a sample's own by default, else --data")
    parser.add_argument("--method", default="entropy", choices=("minmax", "entropy", "percentile", "distribution"))
    parser.add_argument("--calibration-samples", type=int, default=1000)
    parser.add_argument("--calibrate-on", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--samples", type=int, help="inputs to judge the accuracy on, at most")
    parser.add_argument("--metric", help="such as top1; needs labels. Of samples with labels: top1")
    parser.add_argument("--provider", default="tensorrt", choices=("tensorrt", "cuda", "cpu"))
    parser.add_argument("--profile", action="append", help="NAME=MIN:OPT:MAX; repeatable")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds that each stage of one may take (%(default)s)")
    parser.add_argument("--only", action="append", help="a configuration's name; repeatable")
    parser.add_argument("--runs", type=Path, help="also write the Runs to a file that the app opens as recorded ones")
    parser.add_argument("--out", type=Path, default=Path("precision.json"))
    return parser.parse_args()


def _given(arguments: argparse.Namespace, work: Path) -> tuple[Model, DataSource, DataSource]:
    """Return the model, copied so that new files beside it harm nothing, its test data, and what to calibrate on."""
    sample = next((each for each in samples() if each.name == arguments.model), None)
    data, calibration = arguments.data, arguments.calibration
    path = Path(arguments.model)
    if sample is not None:
        path = work / sample.path.name
        shutil.copy(sample.path, path)
        data = data or sample.test_set or sample.inputs
        calibration = calibration or sample.training_set or sample.inputs
        arguments.metric = arguments.metric or ("top1" if sample.test_set else None)
    if data is None:
        sys.exit("no data: give --data FILE.npz")
    return Model.load(path), _source(data), _source(calibration or data)


def _source(path: str | Path) -> DataSource:
    return DataSource(path=str(Path(path).absolute()))


def _configurations(model: Model, ranges: Calibration, arguments: argparse.Namespace, work: Path) -> Iterator[Configuration]:
    profile = ShapeProfile.from_arguments(arguments.profile or [])
    base = Settings(provider=arguments.provider, profile=profile)
    half, whole = (work / f"{model.path.stem}.{precision}.onnx" for precision in ("fp16", "int8"))
    convert(model, "fp16", out=half)
    convert(model, "int8", ranges=ranges.ranges(), out=whole)
    made = [Configuration("fp32", model.path, base)]
    if arguments.provider == "tensorrt":
        made += _on_tensorrt(model, ranges, base, half, whole)
    else:
        made += [Configuration("fp16 by the graph", half, base), Configuration("int8 by Q/DQ", whole, base)]
    yield from (each for each in made if not arguments.only or each.name in arguments.only)


def _on_tensorrt(model: Model, ranges: Calibration, base: Settings, half: Path, whole: Path) -> list[Configuration]:
    release, tensorrt = installed_release() or NEWEST, tensorrt_version()
    tables = half.parent / "tables"
    write_tables(ranges.ranges(), tables)
    table = {"trt_int8_calibration_table_name": str(tables / FLATBUFFERS_NAME)}
    by_table = base.replace(precision="int8", provider_options=table)
    native_table = {"trt_int8_calibration_table_name": str(tables / NATIVE_NAME), "trt_int8_use_native_calibration_table": True}
    typed = graph_settings(base, ("fp16",), onnxruntime=release, tensorrt=tensorrt)
    quantised = graph_settings(base, ("int8",), onnxruntime=release, tensorrt=tensorrt)
    both: dict[str, Any] = {"trt_fp16_enable": True}
    return [
        Configuration("fp16 by the flag", model.path, base.replace(precision="fp16")),
        Configuration("fp16 by the graph", half, typed),
        Configuration("int8 by a table", model.path, by_table),
        Configuration("int8 by a table of TensorRT's", model.path, by_table.replace(provider_options=native_table)),
        Configuration("int8+fp16 by a table", model.path, by_table.replace(precision="int8", provider_options={**table, **both})),
        Configuration("int8 by Q/DQ", whole, quantised),
        Configuration("int8+fp16 by Q/DQ", whole, base.replace(precision="int8", provider_options=both)),
        *(
            Configuration(f"native {name}", path, settings.replace(provider="native"))
            for name, path, settings in (
                ("fp32", model.path, base),
                ("fp16", model.path, base.replace(precision="fp16")),
                ("int8 by a table", model.path, by_table),
                ("int8 by Q/DQ", whole, base.replace(precision="int8")),
            )
        ),
    ]


def _summary(found: Calibration) -> dict[str, Any]:
    return {
        "method": found.method,
        "samples": found.samples,
        "data": found.data,
        "seconds": found.seconds,
        "ranges": [{"tensor": name, "amax": amax} for name, amax in found.ranges().items()],
    }


def _said(run: Run) -> str:
    if run.error is not None:
        return f"{run.status}: {run.error.message[:120]}"
    latency = f"{run.latency.median_ms:.3f} ms" if run.latency else ""
    worst = max((row.rel_l2 or 0.0 for row in run.accuracy), default=None)
    task = getattr(run, "task", None)
    right = f"{task.metric} {task.value:.4f}" if task is not None else ""
    return f"{latency}  relative L2 {worst:.2e}  {right}" if worst is not None else f"{latency}  {right}"


if __name__ == "__main__":
    sys.exit(main())
