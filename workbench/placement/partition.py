"""How ONNX Runtime's TensorRT provider cuts a graph into engines, given which operations the parser takes.

The parser is asked about a group of nodes. It answers with the runs around one node that it cannot import; each run
is asked about again, until the parser takes it whole. A run that has to be asked about again needs a shape on each of
its inputs, else the session fails. At last all runs become one engine if that makes no cycle, or else stay as they are
(``tensorrt_execution_provider.cc``: ``GetCapability``, ``GetSupportedList``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.placement.ordering import depth_first

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from workbench.placement.dataflow import Graph, Op
    from workbench.placement.refusal import Refusal

EXACT = 400_000  # node visits, some half a second: beyond, the order of the whole graph stands for that of its parts

Run = list["Op"]


@dataclass(frozen=True, slots=True)
class Parser:
    """What is known of the parser and of the release that asks it.

    Attributes
    ----------
    refused : mapping of Op to Refusal
        The operations that it does not take, and why.
    at_once : frozenset of Op
        Those that it takes out all together wherever it is asked, without looking further at them.
    last_first : bool
        Whether it reports the last such node of a group (TensorRT 9.1 and later) or the first.
    by_depth : bool
        Whether ONNX Runtime re-orders each group depth first (releases before 1.19).
    deepest : int
        How often the parser may be asked about a part of a part, the whole group included: beyond, ONNX Runtime drops
        every group (``trt_max_partition_iterations``).
    """

    refused: Mapping[Op, Refusal]
    at_once: frozenset[Op]
    last_first: bool
    by_depth: bool
    deepest: int


class NoShape(Exception):
    """A run that the parser must be asked about again has an input without a shape."""

    def __init__(self, value: str, op: Op) -> None:
        super().__init__(value)
        self.value, self.op = value, op


class TooDeep(Exception):
    """The parser would have to be asked more often than ONNX Runtime allows."""


def supported_runs(group: Run, graph: Graph, parser: Parser, before: Mapping[Op, Sequence[Op]]) -> list[Run]:
    """Return the runs of a group that the parser takes.

    Raises
    ------
    NoShape, TooDeep
        As the session's creation would fail, or give TensorRT up.
    """
    bad = sum(op in parser.refused for op in group)
    if not bad:
        return [group] if group else []
    if parser.by_depth and bad * len(group) <= EXACT:
        runs = list(_replayed(group, graph, parser, before))
    else:
        runs = _cut(group, graph, parser)
        if _levels(group, parser) > parser.deepest:
            raise TooDeep
    return runs


def _replayed(group: Run, graph: Graph, parser: Parser, before: Mapping[Op, Sequence[Op]]) -> Iterator[Run]:
    """Ask about a group as ONNX Runtime does: re-ordered, one refused node at a time."""
    pending = [(group, 1)]
    too_deep = False
    while pending:
        part, level = pending.pop()
        if level > 1:
            _check_shapes(part, graph)
        # ONNX Runtime still asks about the other parts, and fails if one of their inputs has no shape.
        if level > parser.deepest:
            too_deep = True
            continue
        inside = set(part)
        order = depth_first(
            part, {op: [w for w in before[op] if w in inside] for op in part}, {op: i for i, op in enumerate(part)}
        )
        bad = _taken_out(order, parser)
        if not bad:
            yield order
            continue
        pending.extend((piece, level + 1) for piece in reversed(_pieces(order, bad)))
    if too_deep:
        raise TooDeep


def _levels(group: Run, parser: Parser) -> int:
    """Return how often the parser is asked, one question leading to the next, until it takes what is left of a group."""
    failing = [sum(op in parser.refused for op in part) for part in _pieces(group, parser.at_once)]
    if not parser.at_once.intersection(group):
        return 1 + sum(failing)
    # The first question takes out all of those, and one more node: of the last part that fails, or of the first.
    at = [i for i, count in enumerate(failing) if count]
    if at:
        failing[at[-1] if parser.last_first else at[0]] -= 1
    return 2 + max(failing, default=0)


def _taken_out(order: Run, parser: Parser) -> set[Op]:
    """Return what one question takes out of a group: what it never looks at, and one node that fails."""
    failing = [op for op in order if op in parser.refused and op not in parser.at_once]
    return {op for op in order if op in parser.at_once} | set(failing[-1:] if parser.last_first else failing[:1])


def _pieces(order: Run, without: Container[Op]) -> list[Run]:
    """Return the runs between some nodes."""
    runs: list[Run] = [[]]
    for op in order:
        if op in without:
            runs.append([])
        else:
            runs[-1].append(op)
    return [run for run in runs if run]


def _cut(group: Run, graph: Graph, parser: Parser) -> list[Run]:
    """Cut a group at each refused node; its order stays as it is through all levels."""
    parts = _pieces(group, parser.at_once) if parser.at_once.intersection(group) else [group]
    for part in parts:
        if len(parts) > 1:
            _check_shapes(part, graph)
        bad = [i for i, op in enumerate(part) if op in parser.refused]
        # A piece that still holds refused nodes is asked about too: the one before the last, or the one after the first.
        if bad:
            _check_shapes(part[: bad[-1]] if parser.last_first else part[bad[0] + 1 :], graph)
    runs = _pieces(group, parser.refused)
    for run in runs:
        _check_shapes(run, graph)
    return runs


def _check_shapes(part: Run, graph: Graph) -> None:
    written = {name for op in part for name in op.outputs}
    for op in part:
        for name in op.reads:
            if name not in written and not graph.is_constant(name) and not graph.specified(name):
                raise NoShape(name, op)


def consolidated(runs: list[Run], order: Sequence[Op], before: Mapping[Op, Sequence[Op]]) -> list[Run]:
    """Return all runs as one, if no path leads from TensorRT through another provider back to it; else as they are."""
    if len(runs) < 2:
        return runs
    ours = {op for run in runs for op in run}
    after_ours: set[Op] = set()
    for op in order:
        if op in ours:
            if any(w in after_ours for w in before[op]):
                return runs
        elif any(w in ours or w in after_ours for w in before[op]):
            after_ours.add(op)
    return [[op for op in order if op in ours]]


def cut_points(order: Run, excluded: Container[Op], *, holes: bool) -> list[Run]:
    """Return the groups that the parser is asked about first.

    Parameters
    ----------
    excluded : container of Op
        What is kept from the parser.
    holes : bool
        Whether what lies before and after an excluded operation stays one group (releases before 1.19).
    """
    if holes:
        return [[op for op in order if op not in excluded]]
    return _pieces(order, excluded)
