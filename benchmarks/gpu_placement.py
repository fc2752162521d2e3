"""Measure who runs the nodes of many models on this machine, and compare with what sessions were seen to do before.

    python benchmarks/gpu_placement.py MODELS... --out found.json --expected recorded.json -o trt_builder_optimization_level=0

`MODELS` are ONNX files, or folders of them. `found.json` holds by model name what ``workbench placement --json`` prints, and
is written after every model; models that it holds already are not run again. The expected file is one that
``benchmarks/placement.py`` reads. Recorded names are those of the graph after ONNX Runtime's optimisation, and so are those
in a placement's groups: they are compared by name, and what only one side has is counted.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a script's own folder is there, not the project's

from benchmarks.placement import truth_of
from workbench.errors import WorkbenchError
from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.options.values import read_assignments
from workbench.placement.records import TENSORRT, Placement, RuntimeVersions
from workbench.record import Failure
from workbench.runtime.worker import Worker
from workbench.study.execute import measure_placement

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOWN = 6


@dataclass(frozen=True)
class Agreement:
    """How a measured placement compares with an expected one.

    Attributes
    ----------
    groups : bool or None
        Whether the engines hold the same nodes, of those that both name; ``None`` where neither has an engine.
    sizes : tuple of tuple of int
        The engines' numbers of nodes, expected and found, unnamed ones included.
    agreeing, common : int
        Nodes that both name, and those of them with the same provider.
    missing, extra : int
        Named nodes that only the expected placement has, and nodes with a name of their own that only the found one has.
    wrong : tuple of str
        The nodes that differ.
    """

    outcome: tuple[str, str]
    groups: bool | None
    sizes: tuple[tuple[int, ...], tuple[int, ...]]
    agreeing: int
    common: int
    missing: int
    extra: int
    wrong: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether outcome, engines and providers are the same."""
        return self.outcome[0] == self.outcome[1] and self.groups is not False and not (self.wrong or self.missing)


def compare(record: dict[str, Any], placement: Placement) -> Agreement:
    """Compare a measured placement with a recorded one, of either kind that ``benchmarks/placement.py`` reads."""
    truth = truth_of(record)
    outcome = (truth.outcome, outcome_of(placement))
    names = truth.provider
    ours = {name: group.provider for group in placement.groups for name in group.nodes}
    engines = [group for group in placement.groups if group.provider == TENSORRT]
    recorded = record.get("trt_groups", ())
    sizes = tuple(sorted(map(len, recorded), reverse=True)), tuple(sorted((len(g.nodes) for g in engines), reverse=True))
    groups, common = None, ours.keys() & names.keys()
    if outcome == ("ok", "ok") and (engines or recorded):
        found = {frozenset(group.nodes).intersection(names) for group in engines} - {frozenset()}
        wanted = {group - {""} for group in truth.engines} - {frozenset()}
        # where all nodes are unnamed, their numbers must do
        groups = found == wanted and (bool(wanted) or sizes[0] == sizes[1])
    wrong = tuple(f"{n}: {names[n]}, found {ours[n]}" for n in sorted(common) if names[n] != ours[n])
    if outcome != ("ok", "ok"):
        return Agreement(outcome, groups, sizes, 0, 0, 0, 0, ())
    missing, extra = len(names.keys() - ours.keys()), len(ours.keys() - names.keys())
    return Agreement(outcome, groups, sizes, len(common) - len(wrong), len(common), missing, extra, wrong)


def outcome_of(placement: Placement) -> str:
    """Return a placement's outcome as recorded placements have it: ``ok``, ``crash`` or ``error:KIND``."""
    if placement.error is None:
        return "ok"
    return "crash" if placement.error.kind == "crash" else f"error:{placement.error.kind}"


def measure(path: Path, settings: Settings, worker: Worker, timeout_s: float) -> Placement:
    """Return the placement of one model's session; an error is an outcome."""
    try:
        model = Model.load(path)
        return measure_placement(model, settings, worker=worker, timeout_s=timeout_s)
    except WorkbenchError as error:
        failure = Failure(kind="load", message=error.message, remedy=error.remedy)
        return Placement(model=path.stem, evidence="measured", runtime=RuntimeVersions(), outcome="error", error=failure)


def files_of(given: list[Path]) -> list[Path]:
    """Return the ONNX files that are meant, the smallest first within a folder."""
    found = []
    for path in given:
        inside = sorted(path.glob("*.onnx"), key=lambda p: p.stat().st_size) if path.is_dir() else [path]
        found += inside
    return found


def line_of(document: dict[str, Any], seconds: float, agreement: Agreement | None) -> Iterator[str]:
    """Yield what is printed of one model."""
    engines = [len(g["nodes"]) for g in document["groups"] if g["provider"] == TENSORRT]
    kind = f"error:{document['error']['kind']}" if document["error"] else "ok"
    shares = ", ".join(f"{p.removesuffix('ExecutionProvider')} {s:.1%}" for p, s in document["coverage"].items())
    yield f"{document['model']:34} {kind:16} {seconds:6.1f} s  engines {engines[:SHOWN]}{'…' * (len(engines) > SHOWN)}  {shares}"
    if document["error"]:
        yield f"    {document['error']['message'][:200]}"
    yield from (f"    note: {note}" for note in document["notes"])
    if agreement is not None and not agreement.same:
        yield f"    DIFFERS: {agreement.outcome[0]} expected, groups {agreement.groups}, sizes {agreement.sizes}"
        yield f"    {agreement.agreeing} of {agreement.common} nodes agree, {agreement.missing} missing, {agreement.extra} extra"
        yield from (f"    {line}" for line in agreement.wrong[:SHOWN])


def summary_of(found: dict[str, Any]) -> Iterator[str]:
    """Yield the sums over all models that have an expected placement."""
    compared = [entry["agreement"] for entry in found.values() if entry["agreement"]]
    if not compared:
        return
    judged = [a["groups"] for a in compared if a["groups"] is not None]
    agreeing, common = sum(a["agreeing"] for a in compared), sum(a["common"] for a in compared)
    yield f"\noutcome    {sum(a['outcome'][0] == a['outcome'][1] for a in compared)} of {len(compared)} models"
    yield f"nodes      {agreeing} of {common}, {sum(a['missing'] for a in compared)} missing"
    if judged:
        yield f"groups     exact on {sum(judged)} of {len(judged)} models"


def run(files: list[Path], expected: dict[str, Any], settings: Settings, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure every file, keep and print what is found."""
    out: Path = arguments.out
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else {}
    began = time.perf_counter()
    with Worker() as worker:
        for path in files:
            name = path.stem
            if name in found or time.perf_counter() - began > arguments.total:
                continue
            start = time.perf_counter()
            placement = measure(path, settings, worker, arguments.limit)
            agreement = compare(expected[name], placement) if name in expected else None
            entry = placement.model_dump(mode="json") | {"seconds": time.perf_counter() - start}
            found[name] = entry | {"agreement": asdict(agreement) if agreement else None}
            part = out.with_suffix(".part")
            part.write_text(json.dumps(found, indent=1), encoding="utf-8")
            part.replace(out)
            print("\n".join(line_of(entry, entry["seconds"], agreement)), flush=True)
    left = [path.stem for path in files if path.stem not in found]
    if left:
        print(f"not run for lack of time: {', '.join(left)}")
    return found


def main() -> None:
    """Read the arguments, measure, compare."""
    parser = argparse.ArgumentParser(description="Measure placements and compare them with recorded ones.")
    parser.add_argument("models", type=Path, nargs="+", help="ONNX files, or folders of them")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="JSON", help="what is found; models it holds are not run again"
    )
    parser.add_argument("--expected", type=Path, metavar="JSON", help="recorded placements")
    parser.add_argument("--provider", choices=("tensorrt", "cuda", "cpu"), default="tensorrt")
    parser.add_argument("--option", "-o", action="append", default=[], metavar="KEY=VALUE", help="a provider option; repeatable")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds that one model may take (%(default)s)")
    parser.add_argument("--total", type=float, default=float("inf"), help="begin no model after so many seconds")
    parser.add_argument("--only-expected", action="store_true", help="leave models out that the expected file has not")
    arguments = parser.parse_args()
    expected = json.loads(arguments.expected.read_text(encoding="utf-8")) if arguments.expected else {}
    files = [path for path in files_of(arguments.models) if path.stem in expected or not arguments.only_expected]
    settings = Settings(provider=arguments.provider, provider_options=read_assignments(arguments.option))
    print("\n".join(summary_of(run(files, expected, settings, arguments))))


if __name__ == "__main__":
    main()
