"""Search the smallest change of options or shapes that makes a model one TensorRT engine.

Candidates: a higher iteration limit, static dimensions, a minimum subgraph size, operator types to exclude. They are tried
alone, then two and three kinds together; every candidate is verified by asking what would happen. Nodes that TensorRT
refuses are only named: to replace them is a change of the model, which no option makes.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.placement.dimensions import dimension_names, sizes_of
from workbench.placement.question import Question
from workbench.placement.records import TENSORRT, Cause, Placement
from workbench.placement.wording import counted
from workbench.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workbench.options.settings import Settings
    from workbench.placement.what_if import WhatIf

ENOUGH = 0.5  # of the nodes that TensorRT has now, or of all where there is no session: one engine of fewer is no success
LIMIT_S = 10.0
SIZES = 4  # minimum subgraph sizes that are tried: those that drop the fewest nodes
NAMED = 4  # operator types that a sentence names
LENGTH = 64  # a dimension that is no batch, where no profile says its size
OWN: tuple[Cause, ...] = ("operator", "type", "attribute")  # causes that lie in a node itself


class Refused(Record):
    """An operator that TensorRT refuses, how often it stands in the model, and why."""

    op_type: str
    count: int
    reason: str


class Proposal(Record):
    """The smallest change that was found.

    Attributes
    ----------
    question : Question or None
        What to ask for; the question at the start where nothing has to change, ``None`` where no change helps.
    changes : tuple of str
        What differs from the start, as a user would write it.
    placement : Placement
        What is predicted with it; without it, where there is none.
    sentence : str
        The finding in words, with what it costs; or that nothing was found.
    refused : tuple of Refused
        The nodes to replace or remove in the model, the commonest first, which may win more than an option.
    asked : int
        How many questions were asked.
    complete : bool
        Whether all candidates were tried before the time was over.
    """

    question: Question | None
    changes: tuple[str, ...]
    placement: Placement
    sentence: str
    refused: tuple[Refused, ...]
    asked: int
    complete: bool


def smallest_change(
    what_if: WhatIf, settings: Settings | None = None, *, start: Question | None = None, limit_s: float = LIMIT_S
) -> Proposal:
    """Return the smallest change that makes a model one TensorRT engine, or say that none was found.

    Parameters
    ----------
    settings : Settings or None
        Where to start from, and whose profile gives the sizes of dimensions that are made static; those of `what_if` if
        ``None``.
    start : Question or None
        What to change as little as possible; what the settings answer as they are if ``None``, for the TensorRT that
        `what_if` starts from.
    limit_s : float
        Seconds that the search may take; the question at hand is still answered.

    Returns
    -------
    Proposal
        With fewer kinds of changes before more, then fewer changes, then with more nodes on TensorRT. An engine counts
        where it keeps at least half of the nodes that TensorRT has at the start, or half of all where no session can be made.
    """
    settings = settings or what_if.settings
    if start is None:
        start = Question.of(settings, what_if.base.tensorrt) if settings is not None else what_if.base
    search = _Search(what_if, settings, start, time.monotonic() + limit_s)
    if search.good(search.placement):
        return search.proposal(search.start, "TensorRT already has one engine: nothing has to change.")
    if search.start.tensorrt and search.placement.runtime.tensorrt is None:
        return search.proposal(None, "TensorRT was not asked for, so that no option makes an engine.")
    found = search.run()
    if found is not None:
        return search.proposal(found, "")
    return search.proposal(None, _nothing(search))


@dataclass
class _Search:
    """Asks questions, and keeps the best answer."""

    what_if: WhatIf
    settings: Settings | None
    start: Question
    until: float
    asked: int = 0
    complete: bool = True
    answers: dict[Question, Placement] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.placement = self.ask(self.start)
        ours, total = _ours(self.placement), len(self.placement.nodes)
        self.enough = ENOUGH * (ours or total)

    def ask(self, question: Question) -> Placement:
        if question not in self.answers:
            self.asked += 1
            self.answers[question] = self.what_if.ask(question)
        return self.answers[question]

    def good(self, placement: Placement) -> bool:
        return placement.outcome == "ok" and placement.engines() == 1 and _ours(placement) >= getattr(self, "enough", 1)

    def run(self) -> Question | None:
        """Try one kind of change, then two, then three; return the best of the first round that has any."""
        level = [self.start]
        for _ in range(3):
            tried = [asked for question in level for asked in self.step(question)]
            best = [question for question in tried if self.good(self.ask(question))]
            if best:
                smallest = [self.pruned(question) for question in best]
                return max(smallest, key=lambda q: (-_size(q, self.start), _ours(self.ask(q))))
            # Go on from what came nearest: a session at all, then few engines, then many nodes.
            level = sorted(dict.fromkeys(tried), key=lambda q: _distance(self.ask(q)))[:3]
        return None

    def pruned(self, question: Question) -> Question:
        """Return a good question without the excluded types and the static dimensions that it does not need."""
        for name in question.exclude:
            less = question.replace(exclude=tuple(n for n in question.exclude if n != name))
            if name not in self.start.exclude and self.no_worse(less, question):
                question = less
        for pair in question.static:
            less = question.replace(static=tuple(p for p in question.static if p != pair))
            if self.no_worse(less, question):
                question = less
        return question

    def no_worse(self, less: Question, more: Question) -> bool:
        return self.good(self.ask(less)) and _ours(self.ask(less)) >= _ours(self.ask(more))

    def step(self, question: Question) -> Iterator[Question]:
        """Yield the questions that differ from one by one kind of change, as long as there is time."""
        kinds: tuple[Callable[[Question], Iterator[Question]], ...] = (self.deeper, self.fixed, self.without, self.larger)
        for kind in kinds:
            for changed in kind(question):
                if time.monotonic() > self.until:
                    self.complete = False
                    return
                self.ask(changed)
                yield changed

    def deeper(self, question: Question) -> Iterator[Question]:
        """Raise the iteration limit where it ended the partitioning: each refused node may take one question."""
        if any("trt_max_partition_iterations" in note for note in self.ask(question).notes):
            needed = len(self.placement.nodes) + 1
            yield question.replace(iterations=max(needed, question.iterations))

    def fixed(self, question: Question) -> Iterator[Question]:
        """Make each dynamic dimension static, then all of them."""
        sizes = _sizes(self.what_if, self.settings)
        left = {name: size for name, size in sizes.items() if name not in dict(question.static)}
        if not question.static:
            yield from (question.replace(static=((name, size),)) for name, size in left.items() if len(left) > 1)
        if left:
            yield question.replace(static=(*question.static, *left.items()))

    def without(self, question: Question) -> Iterator[Question]:
        """Exclude types: those that are refused, all together, and those of small engines, one after the other."""
        placement = self.ask(question)
        refused = {node.op_type for node in placement.nodes if node.cause in OWN}
        shapeless = {node.op_type for node in placement.nodes if node.cause == "shape"}
        for own in dict.fromkeys(frozenset(types - set(question.exclude)) for types in (refused, refused | shapeless)):
            if own:
                yield question.replace(exclude=(*question.exclude, *own))
        yield from self.fewer(question, placement)

    def fewer(self, question: Question, placement: Placement) -> Iterator[Question]:
        """Exclude greedily the types that stand in small engines only, as long as that leaves fewer engines."""
        engines = placement.engines()
        while engines > 1:
            candidate = question.replace(exclude=(*question.exclude, *_small_types(placement)))
            if candidate == question:
                return
            yield candidate
            placement = self.ask(candidate)
            if not placement.engines() < engines:
                return
            question, engines = candidate, placement.engines()

    def larger(self, question: Question) -> Iterator[Question]:
        """Raise the minimum subgraph size past the smaller engines."""
        sizes = sorted({len(g.nodes) for g in self.ask(question).groups if g.provider == TENSORRT}, reverse=True)
        for size in sizes[1 : SIZES + 1]:
            if size + 1 > question.min_subgraph:
                yield question.replace(min_subgraph=size + 1)

    def proposal(self, question: Question | None, sentence: str) -> Proposal:
        placement = self.ask(question or self.start)
        changes = question.changes_from(self.start) if question is not None else ()
        return Proposal(
            question=question,
            changes=changes,
            placement=placement,
            sentence=sentence or _found(changes, self.placement, placement),
            refused=_refused(self.placement),
            asked=self.asked,
            complete=self.complete,
        )


def _size(question: Question, start: Question) -> int:
    """Return how many things a question changes: each type, each dimension, each number."""
    options = (question.min_subgraph != start.min_subgraph) + (question.iterations != start.iterations)
    return len(set(question.exclude) ^ set(start.exclude)) + len(set(question.static) ^ set(start.static)) + options


def _ours(placement: Placement) -> int:
    return sum(node.provider == TENSORRT for node in placement.nodes)


def _distance(placement: Placement) -> tuple[bool, bool, int, int]:
    engines = placement.engines()
    return placement.outcome != "ok", not engines, engines, -_ours(placement)


def _small_types(placement: Placement) -> tuple[str, ...]:
    """Return the operator types of the smallest engine that do not stand in the largest, so that it alone is touched."""
    kinds = {node.name: node.op_type for node in placement.nodes}
    engines = sorted((g.nodes for g in placement.groups if g.provider == TENSORRT), key=len)
    largest = {kinds.get(name, "") for name in engines[-1]}
    for nodes in engines[:-1]:
        types = {kinds.get(name, "") for name in nodes} - {""}
        if types and not types & largest:
            return tuple(sorted(types))
    return ()


def _sizes(what_if: WhatIf, settings: Settings | None) -> dict[str, int]:
    """Return a size for each dynamic dimension: the profile's optimum, or 1 for the first axis and a length for others."""
    model = what_if.model
    firsts = {n for spec in model.inputs if spec.shape for n in [spec.shape[0] or f"{spec.name}:0"] if not isinstance(n, int)}
    sizes = {name: 1 if name in firsts else LENGTH for name in dimension_names(model)}
    ranges = settings.profile.ranges if settings is not None else ()
    named = {spec.name for spec in model.inputs}
    return sizes | sizes_of(model, {r.name: r.opt for r in reversed(ranges) if r.name in named})


def _refused(placement: Placement) -> tuple[Refused, ...]:
    # Without a session, the node whose missing shape ends it would be taken if it had one.
    causes = OWN if placement.error is not None else (*OWN, "shape")
    found = Counter((n.op_type, n.reason.partition(";")[0].rstrip(".")) for n in placement.nodes if n.cause in causes)
    return tuple(Refused(op_type=op, count=count, reason=why) for (op, why), count in found.most_common())


def _found(changes: tuple[str, ...], before: Placement, after: Placement) -> str:
    then, now = _ours(before), _ours(after)
    what = f"With {' and '.join(changes)}, TensorRT runs {counted(now, 'node')} as one engine"
    if before.error is not None:
        return f"{what}; as it is, no session can be made."
    lost = f", {counted(then - now, 'node')} fewer than now" if then > now else ""
    return f"{what} instead of {before.engines()}{lost}."


def _nothing(search: _Search) -> str:
    tried = "" if search.complete else " in the time given"
    refused, error = _refused(search.placement), search.placement.error
    if error is not None and not refused:
        return f"None was found{tried}: no option and no static dimension that was tried helps. {error.message}"
    what = "no option and no static dimension that was tried makes the model one engine with at least half of its nodes"
    if not refused:
        return f"None was found{tried}: {what}."
    counts: Counter[str] = Counter()
    for r in refused:
        counts[r.op_type] += r.count
    names = ", ".join(f"{count} {op_type}" for op_type, count in counts.most_common(NAMED))
    more = " and others" if len(counts) > NAMED else ""
    return f"None was found{tried}: {what}. What is left is to replace or remove what TensorRT refuses: {names}{more}."
