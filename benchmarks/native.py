"""Build and run models through TensorRT itself, and put together what must hold on a machine with a GPU.

    WORKBENCH_TENSORRT_PYTHON=PYTHON python benchmarks/native.py MODELS... --out native.json --cached ENGINES...

``PYTHON`` is the interpreter that has tensorrt; this one where the variable is not set.

For each ONNX file, in fp32 and in fp16: the first build, its latency with arrays copied in and out, with buffers on the GPU and
with a CUDA graph, the agreement with ONNX Runtime's CPU provider, the layers' times and precisions, and the second session, which
must find the plan in the cache. Each file of ``--cached``, such as an engine that ONNX Runtime's provider kept, is loaded, looked
into and timed. The summary is JSON, written after every model.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a script's own folder is there, not the project's

from workbench.errors import WorkbenchError
from workbench.options.settings import Settings
from workbench.options.values import read_assignments
from workbench.runtime.job import Job, Plan
from workbench.runtime.native.plan_report import inspect_plan
from workbench.runtime.worker import Worker

if TYPE_CHECKING:
    from workbench.runtime.job import Outcome

PRECISIONS = ("fp32", "fp16")
WAYS = (("host", False), ("device", False), ("device", True))
SHOWN = 5


@dataclass
class Result:
    """What came of one model in one precision; times in milliseconds, ``None`` where there is none.

    Attributes
    ----------
    latency : dict of str to float
        Median, by where the buffers lie and whether a graph was launched.
    worst : float or None
        The largest relative L2 error of an output against the CPU provider.
    cached : str or None
        What the second session found: ``engine``.
    slowest : list of str
        The layers that took longest, with their time an inference.
    """

    model: str
    precision: str
    status: str
    error: str | None
    tensorrt: str | None
    build_s: float | None = None
    plan_bytes: int | None = None
    latency: dict[str, float] = field(default_factory=dict)
    worst: float | None = None
    cached: str | None = None
    cached_s: float | None = None
    layers_ms: float | None = None
    slowest: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


def measure(path: Path, precision: str, arguments: argparse.Namespace, worker: Worker, cache: str) -> Result:
    """Run one model in one precision in every way."""
    given = read_assignments(arguments.option)
    settings = Settings(provider="native", precision=precision, provider_options=given, profile=arguments.profile)
    plan = Plan(profile=True, timeout_s=arguments.timeout)
    first = worker.run(Job(model=str(path), settings=settings, plan=plan, cache=cache))
    result = _result(path, precision, first)
    if first.status != "ok":
        return result
    for buffers, graph in WAYS:
        options = {**settings.provider_options, "trt_cuda_graph_enable": graph}
        other = plan.model_copy(update={"buffers": buffers, "profile": False, "accuracy": False})
        again = worker.run(Job(model=str(path), settings=settings.replace(provider_options=options), plan=other, cache=cache))
        name = f"{buffers}{' graph' if graph else ''}"
        if again.latency is not None:
            result.latency[name] = again.latency.median_ms
        if again.status != "ok":
            result.findings.append(f"{name}: {again.error.message if again.error else again.status}")
        result.findings += [f"{name}: {finding}" for finding in again.findings if finding.where == "trt_cuda_graph_enable"]
        if again.build is not None:
            result.cached, result.cached_s = again.build.cache, again.build.seconds
    return result


def _result(path: Path, precision: str, outcome: Outcome) -> Result:
    environment, build, profile, placement = outcome.environment, outcome.build, outcome.profile, outcome.placement
    return Result(
        model=path.name,
        precision=precision,
        status=outcome.status,
        error=outcome.error.message if outcome.error else None,
        tensorrt=environment.tensorrt if environment else None,
        build_s=build.seconds if build else None,
        plan_bytes=build.engines[0].bytes if build and build.engines else None,
        worst=max((row.rel_l2 for row in outcome.accuracy if row.rel_l2 is not None), default=None),
        layers_ms=sum(node.total_ms for node in profile.nodes) / profile.runs if profile else None,
        slowest=[f"{node.name}: {node.total_ms / profile.runs:.4f}" for node in profile.nodes[:SHOWN]] if profile else [],
        notes=list(placement.notes) if placement else [],
        findings=[str(finding) for finding in outcome.findings],
    )


def look_into(path: Path, runs: int) -> dict[str, Any]:
    """Return what a plan file holds; an error is a result."""
    try:
        report = inspect_plan(path, profile_runs=runs)
    except WorkbenchError as error:
        return {"file": path.name, "error": str(error)}
    slowest = sorted((layer for layer in report.layers if layer.ms is not None), key=lambda layer: -(layer.ms or 0))
    return {
        "file": path.name,
        "tensorrt": report.tensorrt,
        "inputs": [f"{tensor.name} {tensor.dtype} {tensor.shape}" for tensor in report.inputs],
        "profiles": [str(bounds) for bounds in report.profiles],
        "layers": len(report.layers),
        "with_nodes": sum(bool(layer.nodes) for layer in report.layers),
        "detailed": report.detailed,
        "delivered": report.delivered().sentence(),
        "layers_ms": sum(layer.ms for layer in slowest if layer.ms is not None) if slowest else None,
        "run_ms": report.run_ms,
        "slowest": [f"{layer.name}: {layer.ms:.4f}" for layer in slowest[:SHOWN]],
    }


def main() -> None:
    """Measure, and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--cached", nargs="*", type=Path, default=[], help="plan files to look into")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--option", "-o", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--profile", action="append", default=[], metavar="NAME=MIN:OPT:MAX")
    parser.add_argument("--runs", type=int, default=20, help="of the layers' times of --cached")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds that a stage may take")
    arguments = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {"models": [], "plans": []}
    with tempfile.TemporaryDirectory() as cache, Worker() as worker:
        for path in arguments.models:
            for precision in PRECISIONS:
                result = measure(path, precision, arguments, worker, cache)
                found["models"].append(asdict(result))
                arguments.out.write_text(json.dumps(found, indent=1))
                print(f"{path.name} {precision}: {result.status} {result.latency} {result.error or ''}", flush=True)
        for path in (*arguments.cached, *sorted(Path(cache).rglob("*.engine"))):
            found["plans"].append(look_into(path, arguments.runs))
            arguments.out.write_text(json.dumps(found, indent=1))
            print(f"{path.name}: {found['plans'][-1].get('error') or found['plans'][-1]['delivered']}", flush=True)


if __name__ == "__main__":
    main()
