"""How well predicted placements agree with those that sessions were seen to have.

    python benchmarks/placement.py MODELS --tensorrt recorded.json --release 8.6 --onnxruntime 1.17.1
    python benchmarks/placement.py MODELS --cuda recorded.json --onnxruntime 1.31.1

`MODELS` is a folder of ``NAME.onnx``. A file of recorded TensorRT placements holds by model name ``outcome``
(``ok``, ``crash`` or ``error:KIND``), ``trt_groups`` (lists of node names), ``cuda`` and ``cpu`` (node names); one of
CUDA placements holds ``assigned`` (``ep`` and ``nodes`` with a ``name``) and ``error``. Recorded names are those of the
graph after ONNX Runtime's optimisation, so nodes are compared by the names that both have.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.placement.predict import predict
from workbench.placement.records import CPU, CUDA, TENSORRT, Placement
from workbench.placement.support import RELEASES

NAMES = {TENSORRT: "tensorrt", CUDA: "cuda", CPU: "cpu"}


@dataclass(frozen=True)
class Truth:
    """What a session was seen to do: its outcome, the provider of each named node, and the engines."""

    outcome: str
    provider: dict[str, str]
    engines: frozenset[frozenset[str]]


@dataclass(frozen=True)
class Score:
    """One model's prediction against the truth; node counts are of names that both have."""

    model: str
    truth: str
    predicted: str
    nodes: int
    agreeing: int
    groups: bool | None
    seconds: float
    wrong: tuple[str, ...]

    @property
    def outcome(self) -> bool:
        """Whether the predicted outcome is the true one."""
        return self.truth == self.predicted


def truth_of(record: dict[str, Any]) -> Truth:
    """Read one model's record, of either kind."""
    if "assigned" in record:
        nodes = {n["name"]: p["ep"] for p in record["assigned"] or () for n in p["nodes"] if n["name"]}
        return Truth(_outcome(record["error"]), nodes, frozenset())
    provider = dict.fromkeys(record["cpu"], CPU) | dict.fromkeys(record["cuda"], CUDA)
    # Where a session fell back to another provider, the engines that it tried first are the placement.
    provider |= {name: TENSORRT for group in record["trt_groups"] for name in group}
    provider.pop("", None)
    # ONNX Runtime could not resolve the graph that it built for the parser.
    outcome = record["outcome"].replace("error:resolve", "error:build")
    return Truth(outcome, provider, frozenset(frozenset(group) for group in record["trt_groups"]))


def _outcome(error: str) -> str:
    if not error:
        return "ok"
    kinds = {"not a registered function/op": "custom-op", "only *guarantees* support": "opset"}
    return "error:" + next((kind for text, kind in kinds.items() if text in error), "load")


def score(name: str, truth: Truth, placement: Placement, seconds: float) -> Score:
    """Compare one prediction with the truth."""
    predicted = "ok" if placement.error is None else f"error:{placement.error.kind}"
    predicted = predicted.replace("error:crash", "crash")
    ours = {node.name: node.provider for node in placement.nodes if node.provider is not None}
    common = ours.keys() & truth.provider.keys() if truth.outcome == predicted == "ok" else set()
    wrong = tuple(
        f"{n}: {NAMES[truth.provider[n]]}, not {NAMES[ours[n] or '']}" for n in sorted(common) if truth.provider[n] != ours[n]
    )
    groups = None
    if truth.outcome == predicted == "ok" and any(group & ours.keys() for group in truth.engines):
        engines = {frozenset(group.nodes) & common for group in placement.groups if group.provider == TENSORRT}
        groups = {group & common for group in truth.engines} - {frozenset()} == engines - {frozenset()}
    return Score(name, truth.outcome, predicted, len(common), len(common) - len(wrong), groups, seconds, wrong)


def run(models: Path, truths: dict[str, Any], settings: Settings, arguments: argparse.Namespace) -> list[Score]:
    """Predict every recorded model that is in the folder."""
    scores = []
    for name, record in truths.items():
        path = models / f"{name}.onnx"
        if not path.is_file():
            continue
        try:
            model = Model.load(path)
        except WorkbenchError as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
            continue
        start = time.perf_counter()
        placement = predict(model, settings, tensorrt=arguments.release, onnxruntime=arguments.onnxruntime)
        scores.append(score(name, truth_of(record), placement, time.perf_counter() - start))
    return scores


def report(scores: list[Score], *, details: int) -> None:
    """Print a line for each model, and the sums."""
    width = max((len(s.model) for s in scores), default=5)
    for s in scores:
        groups = {True: "groups exact", False: "GROUPS DIFFER", None: ""}[s.groups]
        mark = "" if s.outcome else "  <- OUTCOME"
        share = f"{s.agreeing:5}/{s.nodes:<5}" if s.nodes else " " * 11
        print(f"{s.model:{width}}  {s.truth:16} {s.predicted:16} {share} {s.seconds * 1e3:6.0f} ms  {groups}{mark}")
        for line in s.wrong[:details]:
            print(f"{'':{width}}    {line}")
    ran = [s for s in scores if s.nodes]
    nodes, agreeing = sum(s.nodes for s in ran), sum(s.agreeing for s in ran)
    judged = [s.groups for s in scores if s.groups is not None]
    print(f"\noutcome    {sum(s.outcome for s in scores)} of {len(scores)} models")
    if nodes:
        mean = statistics.mean(s.agreeing / s.nodes for s in ran)
        print(f"nodes      {agreeing} of {nodes} ({agreeing / nodes:.2%}), {mean:.2%} on the mean of {len(ran)} models")
    if judged:
        print(f"groups     exact on {sum(judged)} of {len(judged)} models")
    times = sorted(s.seconds for s in scores)
    if times:
        print(f"time       median {statistics.median(times) * 1e3:.0f} ms, longest {times[-1] * 1e3:.0f} ms")


def release_in(name: str) -> str | None:
    """Return the release that a file's name such as ``placements_trt86.json`` tells; ``None`` where it tells none."""
    found = re.search(r"trt_?(\d[\d.]*\d)", name)
    digits = found[1].replace(".", "") if found else ""
    return next((release for release in RELEASES if release.replace(".", "") == digits), None)


def main() -> None:
    """Read the arguments, predict, and report."""
    parser = argparse.ArgumentParser(description="Compare predicted placements with recorded ones.")
    parser.add_argument("models", type=Path, help="folder of models, NAME.onnx")
    parser.add_argument("--tensorrt", type=Path, metavar="JSON", help="recorded placements of TensorRT sessions")
    parser.add_argument("--cuda", type=Path, metavar="JSON", help="recorded placements of CUDA sessions")
    parser.add_argument("--release", help="the TensorRT of the recorded sessions; as the file's name says, such as ..._trt86")
    parser.add_argument("--onnxruntime", help="the ONNX Runtime of the recorded sessions")
    parser.add_argument("--details", type=int, default=0, metavar="N", help="show up to N wrong nodes of each model")
    arguments = parser.parse_args()
    if arguments.tensorrt is None and arguments.cuda is None:
        parser.error("give --tensorrt or --cuda")
    given = arguments.release
    for provider, path in (("tensorrt", arguments.tensorrt), ("cuda", arguments.cuda)):
        if path is not None:
            arguments.release = given or release_in(path.name) or "10.16"
            print(
                f"== {provider}: {path.name}"
                + (f", predicted for TensorRT {arguments.release}" if provider == "tensorrt" else "")
            )
            settings = Settings(provider=provider)
            report(run(arguments.models, json.loads(path.read_text()), settings, arguments), details=arguments.details)


if __name__ == "__main__":
    main()
