"""Ask TensorRT's own parser instead of the table, and compare the engines predicted so with those of recorded sessions.

    python benchmarks/parser.py MODELS... --expected recorded.json --tensorrt 8.6 --python /path/of/an/interpreter/with/tensorrt

Needs a GPU and the tensorrt package, in this interpreter or in the one named.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a script's own folder is there, not the project's

from benchmarks.gpu_placement import files_of
from benchmarks.placement import truth_of
from workbench.errors import WorkbenchError
from workbench.model.model import Model
from workbench.placement.oracle import ParserOracle
from workbench.placement.predict import predict
from workbench.placement.records import TENSORRT, Placement
from workbench.runtime.parser import Parser


def main() -> None:
    """Ask, compare and print."""
    arguments = _arguments()
    truths = json.loads(arguments.expected.read_text())
    same = asked = 0
    with Parser(python=arguments.python) as parser:
        print("TensorRT", parser.tensorrt)
        for path in files_of(arguments.models):
            if truths.get(path.stem, {}).get("outcome") != "ok":
                continue
            began = time.perf_counter()
            try:
                model = Model.load(path)
                oracle = ParserOracle(model, parser, arguments.tensorrt)
                found = predict(model, tensorrt=arguments.tensorrt, oracle=oracle)
            except WorkbenchError as error:
                print(f"{path.stem:32s} {error}")
                continue
            asked += 1
            truth = truth_of(truths[path.stem])
            # Names that only one side has come from nodes that ONNX Runtime fused or folded.
            both = {node.name for node in found.nodes if node.provider is not None} & truth.provider.keys()
            equal = found.outcome == "ok" and engines_of(found, both) == {group & both for group in truth.engines} - {frozenset()}
            same += equal
            seconds = time.perf_counter() - began
            print(
                f"{path.stem:32s} {found.engines():3d} engines  {'same' if equal else 'DIFFERENT'}  {seconds:.1f} s", flush=True
            )
    print(f"the parser's engines are the session's on {same} of {asked} models")


def engines_of(placement: Placement, among: set[str]) -> set[frozenset[str]]:
    """Return the nodes of each engine, those among the given names."""
    groups = (frozenset(group.nodes) & among for group in placement.groups if group.provider == TENSORRT)
    return {group for group in groups if group}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, help="ONNX files, or folders of them")
    parser.add_argument("--expected", type=Path, required=True, help="recorded placements")
    parser.add_argument("--tensorrt", default="8.6", help="whose table explains refusals")
    parser.add_argument("--python", help="the interpreter that has tensorrt; this one by default")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except WorkbenchError as error:
        sys.exit(str(error))
