"""How the time of what a user waits for grows with the model: seconds at N nodes, and at 2 N as a ratio.

    python benchmarks/scaling.py --nodes 5000

A ratio near 2 is linear time, one near 4 quadratic. Times of one run are comparable with each other only.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a script's own folder is there, not the project's

import onnx
from onnx import TensorProto, helper

from workbench.figures.placement import placement_data, placement_figure
from workbench.model.model import Model
from workbench.placement.predict import predict
from workbench.placement.question import Question
from workbench.placement.what_if import WhatIf

T = TypeVar("T")


def chain(path: Path, nodes: int) -> Path:
    """Write a model of so many nodes, one after the other, of which TensorRT refuses every fortieth."""
    made = [
        helper.make_node("Hardmax" if i % 40 == 39 else ("Relu", "Exp", "Neg")[i % 3], [f"v{i}"], [f"v{i + 1}"], f"n{i}")
        for i in range(nodes)
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 8]) for name in ("v0", f"v{nodes}")]
    graph = helper.make_graph(made, "chain", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def measured(path: Path) -> dict[str, float]:
    """Return the seconds of each thing that is done with a model."""
    found: dict[str, float] = {}

    def timed(name: str, call: Callable[[], T]) -> T:
        began = time.perf_counter()
        result = call()
        found[name] = time.perf_counter() - began
        return result

    model = timed("load", lambda: Model.load(path))
    timed("nodes", lambda: model.nodes)
    placement = timed("predict", lambda: predict(model, tensorrt="8.6"))
    what_if = WhatIf(model)
    timed("first question", lambda: what_if.ask(Question()))
    timed("next question", lambda: what_if.ask(Question(exclude=("Neg",))))
    timed("figure", lambda: placement_figure(placement_data(placement)))
    return found


def main() -> None:
    """Measure both sizes, and print a line for each thing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=5000)
    nodes = parser.parse_args().nodes
    with tempfile.TemporaryDirectory() as folder:
        measured(chain(Path(folder) / "first.onnx", 100))  # imports, tables
        small = measured(chain(Path(folder) / "small.onnx", nodes))
        large = measured(chain(Path(folder) / "large.onnx", 2 * nodes))
    for name, seconds in small.items():
        print(f"{name:15} {seconds:8.3f} s at {nodes:,} nodes, {large[name] / seconds:5.2f} times that at {2 * nodes:,}")


if __name__ == "__main__":
    main()
