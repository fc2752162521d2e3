"""What breaks lower precision: the smallest set of nodes to keep in float32 so that a target holds."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from workbench.errors import ModelError, SettingsError
from workbench.model.model import Model
from workbench.record import Finding
from workbench.runtime.job import Plan
from workbench.runtime.judgement import check_plan
from workbench.runtime.lowering.trials import Cancelled, Ground, Lowering, Prober, SetMeasured
from workbench.study.delta import smallest
from workbench.study.journal import Journal
from workbench.study.sensitivity_records import RankedNode, Sensitivity, SetError, Trial, unverified
from workbench.study.target import Target

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Sequence

    import onnx

    from workbench.model.precision.half_result import Halved
    from workbench.model.precision.qdq_result import Quantised
    from workbench.runtime.lowering.trials import NodeEvidence

# Choices of this package: some ten times what rounding alone costs models that lower well
DEFAULT_TARGETS = {"fp16": Target(rel_l2=1e-2), "bf16": Target(rel_l2=5e-2), "int8": Target(rel_l2=0.1)}
LIMIT_S = 600.0
RUNS_GRAPHS = ("cpu", "cuda", "tensorrt")
HIERARCHY_FROM = 24  # nodes from which whole operators and blocks are tried before single nodes
MOST_GROUPS = 40


class Probes(Protocol):
    """What tries sets of nodes: a process of ONNX Runtime, or anything that answers alike."""

    def open(self) -> Ground:
        """Make ready, and return what was found."""

    def measure(self, keep: Iterable[str], *, emulate: bool | None = None) -> SetMeasured:
        """Lower all candidates but these."""


class _Over(Exception):
    """There is no time left."""


def find_sensitive(  # noqa: PLR0913
    model: Model,
    lowering: Lowering,
    target: Target | None = None,
    *,
    limit_s: float = LIMIT_S,
    folder: Path | None = None,
    on_trial: Callable[[Trial], None] | None = None,
    cancelled: threading.Event | None = None,
) -> Sensitivity:
    """Search for the smallest set of nodes to keep in float32.

    Nodes that look guilty are tried first, then whole operators and blocks; what holds is made smaller by delta debugging
    until no single node can be left out.

    Parameters
    ----------
    model : Model
        In float32.
    lowering : Lowering
        To what precision, on which provider and inputs; its `model` is filled in here.
    target : Target, optional
        What the outputs must still be; by default a relative L2 distance of 0.01 for fp16, 0.05 for bf16, 0.1 for int8.
    limit_s : float
        Seconds after which the best set so far is returned.
    folder : Path, optional
        Where answers are kept, so that the same search goes on where it was; nothing is kept without one.
    on_trial : callable, optional
        Called after each set that was tried.
    cancelled : threading.Event, optional
        Ends the search; what was found so far is returned.

    Returns
    -------
    Sensitivity
        Also where the target cannot be met, or there was too little time.

    Raises
    ------
    InputError
        When the data do not fit the model, or labels are wanted and missing.
    JobError, ModelError, StoreError
        When the model or the provider cannot be used, the model's file has gone, or answers cannot be kept.
    """
    lowering = lowering.model_copy(update={"model": str(model.path)})
    _check(lowering, model)
    began = time.monotonic()
    target = target or DEFAULT_TARGETS[lowering.to]

    def stopped() -> bool:
        return (cancelled is not None and cancelled.is_set()) or time.monotonic() - began > limit_s

    with Prober(lowering, stopped) as prober:
        try:
            ground = prober.open()
        except Cancelled:
            return _nothing(model, lowering, target, time.monotonic() - began)
        journal = Journal(None if folder is None else folder / f"{_key(model, lowering, ground)}.jsonl")
        search = Search(prober, ground, target, journal, on_trial or (lambda _: None), stopped)
        return search.result(model.name, model.content_hash(), lowering, began)


def _check(lowering: Lowering, model: Model) -> None:
    if lowering.settings.provider not in RUNS_GRAPHS:
        raise SettingsError(
            f"The search runs changed graphs with ONNX Runtime, which {lowering.settings.provider!r} does not use.",
            remedy=f"Choose {', '.join(RUNS_GRAPHS)}.",
        )
    lowering.settings.check(model=model)
    check_plan(Plan(data=lowering.data, samples=lowering.samples, task=lowering.task), model)


def _key(model: Model, lowering: Lowering, ground: Ground) -> str:
    """Return what the answers depend on, as a file's name: other targets find the same answers."""
    asked = lowering.model_dump_json(exclude={"model", "data", "samples", "seed"})
    parts = (model.content_hash(), asked, ground.inputs, str(ground.emulated))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def _nothing(model: Model, lowering: Lowering, target: Target, seconds: float) -> Sensitivity:
    return Sensitivity(
        model=model.name,
        content_hash=model.content_hash(),
        lowering=lowering,
        target=target,
        status="stopped",
        keep=(),
        ranking=(),
        lowered=None,
        repaired=None,
        verified=None,
        tried=0,
        recalled=0,
        seconds=seconds,
        evidence="measured",
    )


class Search:
    """One search over sets of nodes.

    Parameters
    ----------
    probes : Probes
        What tries a set.
    ground : Ground
        What is known before.
    target : Target
        What must hold.
    journal : Journal
        Answers so far.
    on_trial : callable
        Called after each set that was tried.
    stopped : callable
        Whether to end now.
    """

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        probes: Probes,
        ground: Ground,
        target: Target,
        journal: Journal,
        on_trial: Callable[[Trial], None],
        stopped: Callable[[], bool],
    ) -> None:
        self.probes, self.ground, self.target, self.journal = probes, ground, target, journal
        self.on_trial, self.stopped = on_trial, stopped
        self.order = [node.name for node in sorted(ground.candidates, key=_suspicion)]
        self.best: list[str] | None = None
        self.tried = 0
        self.known_before, self.recalled = frozenset(journal.known), set[frozenset[str]]()
        self.began = time.monotonic()

    def result(self, name: str, content_hash: str, lowering: Lowering, began: float) -> Sensitivity:
        """Search, and return what was found."""
        complete, verified = True, None
        lowered = None
        try:
            lowered = self.error([])
            keep = self._find()
            if keep is not None:
                verified = self._verify(keep)
        except (_Over, Cancelled):
            complete, keep = False, self.best
        return Sensitivity(
            model=name,
            content_hash=content_hash,
            lowering=lowering,
            target=self.target,
            status=("found" if complete else "stopped") if keep is not None else ("impossible" if complete else "stopped"),
            keep=tuple(keep or ()),
            ranking=self._ranking(keep or []),
            lowered=lowered,
            repaired=None if keep is None else self._known(keep),
            verified=verified,
            tried=self.tried,
            recalled=len(self.recalled),
            seconds=time.monotonic() - began,
            samples=self.ground.samples,
            origin=self.ground.origin,
            emulated=self.ground.emulated,
            findings=self._findings(verified),
            evidence="measured",
        )

    def _find(self) -> list[str] | None:
        """Return the smallest set that holds; ``None`` where not even keeping everything does."""
        if self.holds([]):
            return []
        start = self._suspects() or self._grouped()
        if start is None:
            return None
        if len(start) >= HIERARCHY_FROM:
            start = self._coarse(start)
        return self._in_order(smallest(start, self.holds))

    def _suspects(self) -> list[str] | None:
        """Return the first suspects that together suffice; ``None`` where half of all nodes do not."""
        hard = [node.name for node in self.ground.candidates if node.hard]
        hard = [name for name in self.order if name in set(hard)]
        sizes, at = [], 1
        while at <= len(self.order) // 2:
            sizes.append(at)
            at *= 2
        sets = [self.order[:size] for size in sizes]
        if hard and hard not in sets:
            sets.append(hard)
        return next((each for each in sorted(sets, key=len) if self.holds(each)), None)

    def _grouped(self) -> list[str] | None:
        """Return the smallest operator or block that suffices alone, or else everything, if that does."""
        groups = sorted(self._groups(self.order), key=len)
        for group in groups[:MOST_GROUPS]:
            if self.holds(group):
                return group
        return self.order if self.holds(self.order) else None

    def _coarse(self, names: list[str]) -> list[str]:
        """Leave out whole operators and blocks as far as the target still holds."""
        parts = self._partition(names)
        if len(parts) < 2:
            return names
        kept = smallest(parts, lambda chosen: self.holds([name for part in chosen for name in part]))
        return [name for name in names if any(name in part for part in kept)]

    def _partition(self, names: Sequence[str]) -> list[list[str]]:
        """Return the nodes by block and operator, the most suspicious part first; every node is in one part."""
        parts: dict[tuple[str, str], list[str]] = defaultdict(list)
        operators = {node.name: node.op_type for node in self.ground.candidates}
        for name in names:
            parts[_block(name), operators[name]].append(name)
        return list(parts.values())

    def _groups(self, names: Sequence[str]) -> list[list[str]]:
        """Return the nodes of each operator, and those of each block."""
        groups: dict[str, list[str]] = defaultdict(list)
        operators = {node.name: node.op_type for node in self.ground.candidates}
        for name in names:
            groups[f"operator {operators[name]}"].append(name)
            if block := _block(name):
                groups[f"block {block}"].append(name)
        return [group for group in groups.values() if len(group) < len(names)]

    def holds(self, keep: list[str]) -> bool:
        """Whether the target holds with these nodes in float32."""
        return self.error(keep).ok

    def error(self, keep: Sequence[str]) -> SetError:
        """Return what the outputs lose with these nodes in float32, measured or known."""
        key = frozenset(keep)
        measured = self.journal.known.get(key)
        fresh = measured is None
        if measured is None:
            if self.stopped():
                raise _Over
            measured = self.probes.measure(keep)
            self.journal.add(key, measured)
            self.tried += 1
        self.recalled |= {key} & self.known_before
        error = SetError.of(measured, self.target)
        if error.ok and (self.best is None or len(keep) < len(self.best)):
            self.best = list(keep)
        best = None if self.best is None else len(self.best)
        self.on_trial(
            Trial(number=self.tried, kept=len(key), error=error, best=best, seconds=time.monotonic() - self.began, fresh=fresh)
        )
        return error

    def _known(self, keep: Sequence[str]) -> SetError | None:
        measured = self.journal.known.get(frozenset(keep))
        return None if measured is None else SetError.of(measured, self.target)

    def _verify(self, keep: Sequence[str]) -> SetError | None:
        """Return what the real graph loses where candidates were emulated; ``None`` where they were real."""
        if not self.ground.emulated:
            return None
        if self.stopped():
            return None
        return SetError.of(self.probes.measure(keep, emulate=False), self.target)

    def _in_order(self, names: Sequence[str]) -> list[str]:
        return [name for name in self.order if name in set(names)]

    def _ranking(self, keep: Sequence[str]) -> tuple[RankedNode, ...]:
        """Return all candidates, those to keep first and then the most suspicious."""
        by_name = {node.name: node for node in self.ground.candidates}
        order = [*keep, *(name for name in self.order if name not in set(keep))]
        alone = {next(iter(k)): m for k, m in self.journal.known.items() if len(k) == 1}
        return tuple(
            RankedNode(
                node=by_name[name],
                keep=name in set(keep),
                alone=SetError.of(alone[name], self.target) if name in alone else None,
            )
            for name in order
        )

    def _findings(self, verified: SetError | None) -> tuple[Finding, ...]:
        found = list(self.ground.findings)
        failed = [m.failure for m in self.journal.known.values() if m.failure]
        if failed:
            seen = f"{len(failed)} sets could not be run, and count as failing: {failed[0]}"
            found.append(Finding(level="warning", where="search", seen=seen))
        return (*found, *unverified(verified))


def _suspicion(node: NodeEvidence) -> tuple[int, float, float]:
    """Order nodes: infinite numbers first, the larger the sooner; then by how much error they add."""
    return (0 if node.hard else 1, -(node.largest or 0.0) if node.hard else 0.0, -node.growth)


def _block(name: str) -> str:
    """Return the part of a path-like name that says which block a node is in: all but its last two parts."""
    parts = [part for part in name.replace(".", "/").split("/") if part]
    return "/".join(parts[:-2])


def write_repaired(model: Model, found: Sensitivity, path: Path) -> tuple[str, ...]:
    """Write the model in lower precision with the nodes found kept in float32.

    Parameters
    ----------
    model : Model
        In float32; the one that was searched.
    found : Sensitivity
        What to keep.
    path : Path
        The file to write.

    Returns
    -------
    tuple of str
        What changed, in words.

    Raises
    ------
    ModelError
        When the file cannot be written, or the search was for int8, whose ranges come from calibration.
    """
    import onnx

    to, ranges = found.lowering.to, found.lowering.ranges
    if to == "int8" and ranges is None:
        raise ModelError("INT8 graphs are written from calibrated ranges.", remedy="Calibrate, and search with that table.")
    try:
        proto, change = _repaired(onnx.load(str(model.path)), found)
        onnx.save(proto, str(path))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be written: {error}.", remedy="Name another file.") from error
    return tuple(change.changes())


def _repaired(proto: onnx.ModelProto, found: Sensitivity) -> tuple[onnx.ModelProto, Halved | Quantised]:
    from workbench.model.precision.half import to_half
    from workbench.model.precision.qdq import insert_qdq

    if found.lowering.to == "int8":
        return insert_qdq(proto, found.lowering.ranges or {}, exclude_nodes=found.keep)
    return to_half(proto, to=found.lowering.to, keep=found.keep, clip=found.lowering.clip)
