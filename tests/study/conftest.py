from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from workbench.measure.accuracy import compare_output
from workbench.measure.latency import latency_of
from workbench.options.settings import Settings
from workbench.placement.records import Placement, RuntimeVersions
from workbench.record import Failure
from workbench.runtime.job import Environment, InputUsed, Plan
from workbench.study.run import ModelRef, Run
from workbench.study.store import Store

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def environment():
    def make(**changes):
        values = {
            "host": "h",
            "platform": "p",
            "python": "3.11",
            "cpu": "c",
            "cores": 4,
            "memory_bytes": 1,
            "onnxruntime": "1.31.0",
        }
        return Environment(**(values | changes))

    return make


@pytest.fixture
def run(environment):
    """Make Runs; each is a second younger than the one before."""
    made = []

    def make(median=10.0, *, count=200, error=None, model="net", content_hash="aa", accuracy=(), settings=None, **changes):
        rng = np.random.default_rng(len(made))
        created = START + timedelta(seconds=len(made))
        samples = median * np.exp(0.01 * rng.standard_normal(count)) if median else None
        values = {
            "id": f"{created:%Y%m%d-%H%M%S}-{len(made):06x}",
            "created": created,
            "evidence": "measured",
            "status": "failed" if error else "ok",
            "error": Failure(kind="run", message=error) if error else None,
            "model": ModelRef(name=model, path=f"{model}.onnx", content_hash=content_hash, size_bytes=1),
            "settings": settings or Settings(provider="cpu"),
            "plan": Plan(),
            "environment": environment(),
            "placement": Placement(model=model, evidence="measured", runtime=RuntimeVersions(onnxruntime="1.31.0")),
            "inputs": (InputUsed(name="x", dtype="float32", shape=(1, 8), origin="random"),),
            "latency": latency_of(samples) if samples is not None else None,
            "accuracy": tuple(accuracy) or (output(),),
        }
        made.append(Run(**(values | changes)))
        return made[-1]

    return make


def output(actual=(1.0, 2.0), expected=(1.0, 2.0), name="y"):
    return compare_output(name, np.array(actual), np.array(expected), "reference")


@pytest.fixture
def accuracy():
    return output


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "kept" / "runs.sqlite3")
