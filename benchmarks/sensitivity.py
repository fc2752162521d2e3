"""How long the search takes to find a planted overflow in a transformer.

    python benchmarks/sensitivity.py [--layers 12] [--hidden 64] [--provider cuda]

Builds the sample encoder with more layers, and multiplies the hidden state of one layer by a number that float16 does not
hold the result of, only to divide by it again: two nodes, whose numbers are right in float32 and infinite in float16. The
search does not know which; it must find them, and nothing else.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.runtime.lowering.trials import Lowering
from workbench.samples.encoder import Encoder, Sizes
from workbench.study.sensitivity import find_sensitive

FACTOR = 3e5


def planted(proto: onnx.ModelProto, after: str) -> onnx.ModelProto:
    """Return a model whose numbers leave float16's range between two nodes behind the node called `after`.

    Parameters
    ----------
    proto : onnx.ModelProto
        The model; changed in place.
    after : str
        The node whose output is multiplied and divided again.
    """
    graph = proto.graph
    at = next(i for i, node in enumerate(graph.node) if node.name == after)
    source = graph.node[at].output[0]
    graph.initializer.append(numpy_helper.from_array(np.float32(FACTOR).reshape(()), "planted.factor"))
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name == source:
                node.input[i] = "planted.out"
    scaled = helper.make_node("Mul", [source, "planted.factor"], ["planted.scaled"], name="/planted/Mul")
    back = helper.make_node("Div", ["planted.scaled", "planted.factor"], ["planted.out"], name="/planted/Div")
    nodes = [*graph.node[: at + 1], scaled, back, *graph.node[at + 1 :]]
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)
    onnx.checker.check_model(proto)
    return proto


def main() -> None:
    """Search once, and print what was found and how long it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--after", default="/layer7/mlp/residual/Add")
    parser.add_argument("--provider", choices=("cpu", "cuda", "tensorrt"), default="cpu", help="who runs the candidates")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "planted.onnx"
        proto = Encoder(Sizes(layers=given.layers, hidden=given.hidden, inner=2 * given.hidden)).model()
        path.write_bytes(planted(proto, given.after).SerializeToString())
        model = Model.load(path)
        began = time.perf_counter()
        order = Lowering(model=str(path), settings=Settings(provider=given.provider))
        found = find_sensitive(model, order, on_trial=lambda trial: print(f"{trial.seconds:6.2f} s  {trial}", flush=True))
        seconds = time.perf_counter() - began
    print(f"{len(model.nodes)} nodes, {model.parameters:,} parameters: {found.sentence}")
    for row in found.ranking:
        if row.keep:
            print(f"  {row.node.name}: {'; '.join(row.node.causes)}")
    print(f"{seconds:.1f} s, {found.tried} sets; verified in the real graph: {found.verified}")


if __name__ == "__main__":
    main()
