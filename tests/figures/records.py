"""Runs and placements to draw."""

from datetime import UTC, datetime

import numpy as np

from workbench.measure.accuracy import OutputAccuracy
from workbench.measure.latency import latency_of
from workbench.options.settings import Settings
from workbench.placement.records import CPU, CUDA, TENSORRT, Group, PlacedNode, Placement, RuntimeVersions, coverage
from workbench.record import Failure
from workbench.runtime.job import Plan
from workbench.study.run import ModelRef, Run


def run(label="a run", samples=None, *, provider="cpu", evidence="measured", error=None, status="ok", accuracy=()):
    return Run(
        id=f"id-{label}",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        evidence=evidence,
        label=label,
        model=ModelRef(name="model", path="model.onnx", content_hash=None, size_bytes=None),
        settings=Settings(provider=provider),
        plan=Plan(),
        status="failed" if error else status,
        error=Failure(kind=error, message="It failed.") if error else None,
        latency=latency_of(samples) if samples is not None else None,
        accuracy=tuple(accuracy),
    )


def samples(median=2.0, count=500, seed=0):
    rng = np.random.default_rng(seed)
    return (median * np.exp(0.05 * rng.standard_normal(count) ** 2)).tolist()


def output(name="logits", **changes):
    values = {
        "output": name,
        "reference": "CPU, no graph optimisation",
        "max_abs": 1e-4,
        "mean_abs": 1e-5,
        "rel_l2": 2e-5,
        "cosine": 0.9999,
        "sqnr_db": 94.0,
        "identical": False,
        "nan": 0,
        "inf": 0,
        "shape": (1, 10),
        "reference_shape": (1, 10),
    }
    return OutputAccuracy(**(values | changes))


def identical(name):
    return output(name, max_abs=0.0, mean_abs=0.0, rel_l2=0.0, cosine=1.0, sqnr_db=None, identical=True)


def incomparable(name, note):
    return output(name, max_abs=None, mean_abs=None, rel_l2=None, cosine=None, sqnr_db=None, note=note)


PROVIDERS = {"T": TENSORRT, "G": CUDA, "C": CPU, "-": None}


def placement(pattern, *, evidence="measured", notes=(), model="model.onnx"):
    """Make a placement from a pattern such as ``"TTT|TT-GC"``; ``|`` begins another TensorRT engine."""
    nodes, groups, engine = [], [], None
    for letter in pattern:
        if letter == "|":
            engine = None
            continue
        name, provider = f"/node{len(nodes)}/MatMul", PROVIDERS[letter]
        if provider == TENSORRT and engine is not None:
            groups[engine][1].append(name)
            group = engine
        elif provider is not None:
            groups.append((provider, [name]))
            group = len(groups) - 1
        else:
            group = None
        engine = group if provider == TENSORRT else engine if provider is None else None
        nodes.append(PlacedNode(name=name, op_type="MatMul", provider=provider, group=group, reason=f"reason of {letter}"))
    return Placement(
        model=model,
        evidence=evidence,
        runtime=RuntimeVersions(onnxruntime="1.31.1", tensorrt="10.16"),
        groups=tuple(Group(provider=provider, nodes=tuple(names)) for provider, names in groups),
        nodes=tuple(nodes),
        coverage=coverage(nodes),
        notes=tuple(notes),
    )
