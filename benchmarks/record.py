"""Measure the sample models under a set of Settings on this machine, and write the Runs to a file that opens anywhere.

    python benchmarks/record.py runs.json --provider cpu --provider tensorrt --precision fp32 --precision fp16

The file opens in the app (Results, import) and with ``Store.import_file``; there the Runs are *recorded*.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import product
from pathlib import Path

from packaging.version import Version

from workbench.errors import WorkbenchError
from workbench.model.model import Model
from workbench.options.profile import ShapeProfile
from workbench.options.settings import Settings
from workbench.placement.predict import predict
from workbench.runtime.environment import onnxruntime_release
from workbench.runtime.job import Plan
from workbench.runtime.worker import Worker
from workbench.samples.catalogue import Sample, samples
from workbench.study.execute import execute
from workbench.study.run import Run
from workbench.study.store import Store


def main() -> None:
    """Measure and write."""
    arguments = _arguments()
    chosen = [sample for sample in samples() if not arguments.model or sample.name in arguments.model]
    with tempfile.TemporaryDirectory() as folder, Worker() as worker:
        store = Store(Path(folder) / "runs.sqlite3")
        ids = []
        for sample, settings in product(chosen, _settings(arguments)):
            try:
                run = _record(sample, settings, arguments.seconds, store, worker)
            except WorkbenchError as error:
                print(f"{sample.name:10s} {settings.summary():28s} not run: {error}")
                continue
            ids.append(run.id)
            arguments.out.unlink(missing_ok=True)
            store.export(ids, arguments.out)  # after each: a run that hangs must not take the others along
            print(f"{sample.name:10s} {run.settings.summary():28s} {_said(run)}", flush=True)
    print("written:", arguments.out)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the JSON file to write")
    parser.add_argument("--provider", action="append", choices=("cpu", "cuda", "tensorrt"), help="repeatable")
    parser.add_argument("--precision", action="append", choices=("fp32", "fp16", "bf16", "int8"), help="of TensorRT; repeatable")
    parser.add_argument("--model", action="append", help="a sample's name; repeatable; all of them by default")
    parser.add_argument("--seconds", type=float, default=3.0, help="time to measure each")
    return parser.parse_args()


def _settings(arguments: argparse.Namespace) -> list[Settings]:
    found = []
    for provider in arguments.provider or ("cpu",):
        precisions = (arguments.precision or ["fp32"]) if provider == "tensorrt" else ["fp32"]
        found += [Settings(provider=provider, precision=precision) for precision in precisions]
    return found


def _record(sample: Sample, settings: Settings, seconds: float, store: Store, worker: Worker) -> Run:
    model = Model.load(sample.path)
    sizes = {r.dimension: (r.min, r.opt, r.max) for r in sample.ranges}
    profile = ShapeProfile.of_dimensions(model, sizes)
    plan = Plan(seconds=seconds, iterations=2000, warmup=50, inputs=str(sample.inputs) if sample.inputs else None)
    if settings.provider == "tensorrt" and predict(model, settings, tensorrt=installed_tensorrt()).engines() > 1:
        # An explicit profile would have to name the tensors between the engines too; without one, the shapes seen count.
        return execute(model, settings, plan, store=store, worker=worker)
    return execute(model, settings.replace(profile=profile), plan, store=store, worker=worker)


def installed_tensorrt() -> str:
    """Return the TensorRT whose operator table goes with the installed ONNX Runtime."""
    return "8.6" if Version(onnxruntime_release() or "1.31") < Version("1.18") else "10.16"


def _said(run: Run) -> str:
    if run.error is not None:
        return f"{run.status}: {run.error.kind}: {run.error.message[:200]}"
    worst = max((row.rel_l2 for row in run.accuracy if row.rel_l2 is not None), default=None)
    engines = run.placement.engines() if run.placement else None
    median = f"median {run.latency.median_ms:.3f} ms" if run.latency else "no latency"
    session = f"session {run.build.seconds:.2f} s" if run.build else ""
    return f"{median}, {session}, engines {engines}, worst relative L2 {worst}"


if __name__ == "__main__":
    main()
