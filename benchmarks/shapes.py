"""See on a machine with a GPU that what is said of shapes before a run is what happens.

    python benchmarks/shapes.py --out shapes.json

A small model that TensorRT takes in two parts is run with an explicit profile that names the model's input alone (ONNX Runtime
refuses the session), with the completed one (it runs), with shapes inside and outside it, with two profiles (only the first is
used), with an input whose value decides a shape, and without a profile, where a larger shape builds anew inside the run. For each
request the answer given beforehand stands beside what came. The summary is JSON; exit status 1 where one differs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a script's own folder is there, not the project's

from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.placement.engine_inputs import complete_profile, engine_inputs
from workbench.placement.requests import answer_request
from workbench.runtime.engines.here import session_environment
from workbench.runtime.job import Plan
from workbench.runtime.worker import Worker
from workbench.study.execute import execute, measure_placement
from workbench.study.shapes import foretold

FAST = {"trt_builder_optimization_level": 0}
ONE, TWO = ["x=1x16:8x16:32x16"], ["x=1x16:2x16:4x16", "x=8x16:16x16:32x16"]


def main() -> None:
    """Run all cases, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Worker() as worker:
        bench = Bench(Path(folder), worker)
        rows = [*bench.split(), *bench.whole(), *bench.values()]
    document = {"environment": session_environment().model_dump(mode="json"), "rows": rows}
    arguments.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        sys.stdout.write(f"{'ok ' if row['right'] else 'NO '} {row['case']}: {row['said']} / {row['came']}\n")
    sys.exit(0 if all(row["right"] for row in rows) else 1)


class Bench:
    """The models, and the one worker."""

    def __init__(self, folder: Path, worker: Worker) -> None:
        self.folder, self.worker = folder, worker

    def split(self) -> list[dict[str, Any]]:
        """Run a model that TensorRT takes in two parts."""
        model = self._model("split", [("Relu", "x", "a"), ("Hardmax", "a", "b"), ("Exp", "b", "y")])
        plain = Settings(profile=ONE, provider_options=FAST)
        placement = measure_placement(model, Settings(provider_options=FAST), worker=self.worker)
        named = [f"{each.engine}:{each.name}" for each in engine_inputs(placement, model)]
        completed, told = complete_profile(model, plain, placement)
        rows = [_row("engine inputs", ["0:x", "1:b"], named, right=named == ["0:x", "1:b"])]
        refused = execute(model, plain, self._plan(8), worker=self.worker)
        text = refused.error.message if refused.error else refused.status
        said = [str(finding) for finding in foretold(model, plain)]
        right = bool(said) and "provide all the dynamic shape inputs" in text
        rows.append(_row("profile of the input alone", said, text, right=right))
        whole = plain.replace(profile=completed)
        return [
            *rows,
            *(self._ask(model, whole, n, case=f"completed profile, {n}") for n in (1, 8, 32, 33)),
            *map(_finding, told),
        ]

    def whole(self) -> list[dict[str, Any]]:
        """Run a model that TensorRT takes whole, with two profiles, and without one."""
        model = self._model("whole", [("Relu", "x", "a"), ("Exp", "a", "y")])
        two = Settings(profile=TWO, provider_options=FAST)
        rows = [self._ask(model, two, n, case=f"two profiles, {n}") for n in (2, 16, 6)]
        once = Settings(provider_options=FAST)
        return [*rows, self._ask(model, once, 8, case="no profile, 8")]

    def values(self) -> list[dict[str, Any]]:
        """Run a model with an input whose value decides a shape."""
        model = self._model("values", [("Expand", "x,size", "a"), ("Relu", "a", "y")], size=True)
        settings = Settings(profile=["x=1x16:8x16:32x16", "size=16:16:16"], provider_options=FAST)
        return [self._ask(model, settings, 8, case="a value that decides a shape", size=16)]

    def _ask(self, model: Model, settings: Settings, batch: int, *, case: str, size: int | None = None) -> dict[str, Any]:
        """Answer beforehand, then run; a session of its own for each request."""
        request = {"x": (batch, 16)} | ({} if size is None else {"size": (size,)})
        answer = answer_request(model, settings, request)
        run = execute(model, settings, self._plan(batch, size), worker=self.worker)
        came = run.status if run.error is None else f"{run.status}: {run.error.message}"
        wanted = answer.error in came if answer.result == "fails" else run.status == "ok"
        return _row(case, answer.sentence, came, right=wanted, seconds=run.build.seconds if run.build else None)

    def _plan(self, batch: int, size: int | None = None) -> Plan:
        path = self.folder / f"inputs{batch}.npz"
        arrays: dict[str, Any] = {"x": np.ones((batch, 16), np.float32)}
        if size is not None:
            arrays["size"] = np.array([size], np.int64)
        np.savez(path, **arrays)
        return Plan(warmup=1, iterations=10, seconds=0.2, accuracy=False, inputs=str(path), timeout_s=300.0)

    def _model(self, name: str, nodes: list[tuple[str, str, str]], *, size: bool = False) -> Model:
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16])]
        inputs += [helper.make_tensor_value_info("size", TensorProto.INT64, [1])] if size else []
        made = [helper.make_node(op, given.split(","), [out], name=out) for op, given, out in nodes]
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 16])]
        graph = helper.make_graph(made, name, inputs, outputs)
        path = self.folder / f"{name}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return Model.load(path)


def _row(case: str, said: object, came: object, *, right: bool, seconds: float | None = None) -> dict[str, Any]:
    return {"case": case, "said": said, "came": came, "right": right, "seconds": seconds}


def _finding(finding: object) -> dict[str, Any]:
    return _row("completion", str(finding), "", right=True)


if __name__ == "__main__":
    main()
