"""Ask again under other circumstances: what moves when an option, a release or a dimension is changed.

The graph is prepared once for each set of static dimensions and never changed, so that a question costs only the
partitioning itself.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from workbench.placement.crossing import crossings
from workbench.placement.dimensions import check_dimensions
from workbench.placement.oracle import Remembered
from workbench.placement.plan import plan_of
from workbench.placement.predict import assigned, without_graph
from workbench.placement.prepare import Prepared, prepare
from workbench.placement.question import NEWEST, Question
from workbench.placement.records import TENSORRT
from workbench.placement.support import SupportTable
from workbench.placement.verdict import SHORT
from workbench.placement.wording import counted
from workbench.record import Record

if TYPE_CHECKING:
    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.placement.dataflow import Graph
    from workbench.placement.oracle import Oracle
    from workbench.placement.records import Placement

__all__ = ["Move", "PlacementDifference", "Question", "WhatIf", "difference"]

KEPT = 4  # prepared graphs, each for other static dimensions


class Move(Record):
    """A node that another provider runs.

    Attributes
    ----------
    before, after : str or None
        The providers; ``None`` where nobody runs it.
    """

    node: str
    op_type: str
    before: str | None
    after: str | None


class PlacementDifference(Record):
    """What changes from one placement of a model to another.

    Attributes
    ----------
    moves : tuple of Move
        In the file's order.
    engines_before, engines_after : int
        How many TensorRT engines there are.
    boundaries_before, boundaries_after : int or None
        How many tensors pass from one provider, or engine, to another; ``None`` where the graph was not at hand.
    sentence : str
        All of it in words.
    """

    moves: tuple[Move, ...]
    engines_before: int
    engines_after: int
    boundaries_before: int | None = None
    boundaries_after: int | None = None
    sentence: str


class WhatIf:
    """Answers questions about one model.

    Parameters
    ----------
    model : Model
        The model; its weights are not read.
    settings : Settings or None
        What no question asks about, such as the provider and the graph optimisation level.
    oracle : Oracle or None
        Who knows what the parser of one TensorRT takes; questions about others, and all by default, go to the tables.
    tensorrt : str or None
        The TensorRT to start from: one of ``workbench.placement.support.RELEASES``; the oracle's if ``None``, and the newest
        where there is no oracle.

    Attributes
    ----------
    base : Question
        What the settings answer as they are: where to start from.
    """

    def __init__(
        self, model: Model, settings: Settings | None = None, *, oracle: Oracle | None = None, tensorrt: str | None = None
    ) -> None:
        self.model, self.settings = model, settings
        self.base = Question.of(settings, tensorrt or (oracle.release if oracle is not None else NEWEST))
        self._oracle = oracle
        self._graphs: dict[tuple[bool, bool, tuple[tuple[str, int], ...]], Prepared] = {}
        self._oracles: dict[str, Remembered] = {}

    def ask(self, question: Question) -> Placement:
        """Return the placement that a question describes.

        Raises
        ------
        SettingsError
            For a TensorRT without an operator table, or a dimension that the model's inputs do not have.
        """
        check_dimensions(self.model, dict(question.static))
        plan = plan_of(self.settings, question, oracle=self._answers(question.tensorrt))
        placement = without_graph(self.model, plan)
        if placement is None:
            prepared = self._prepared(question, optimised=plan.optimised, inlines_branches=plan.inlines_branches)
            placement = assigned(self.model, plan, prepared)
        return placement

    def difference(self, before: Placement, after: Placement) -> PlacementDifference:
        """Return what changes from one answer to another, boundaries included."""
        graph = self._prepared(self.base, optimised=True, inlines_branches=True).graph
        return _difference(before, after, graph)

    def _answers(self, tensorrt: str) -> Remembered:
        """Return who answers for a TensorRT; an operation of a prepared graph is judged once."""
        if tensorrt not in self._oracles:
            own = self._oracle is not None and self._oracle.release == tensorrt
            self._oracles[tensorrt] = Remembered(self._oracle if own and self._oracle else SupportTable.load(tensorrt))
        return self._oracles[tensorrt]

    def _prepared(self, question: Question, *, optimised: bool, inlines_branches: bool) -> Prepared:
        key = (optimised, inlines_branches, question.static)
        found = self._graphs.pop(key, None)
        if found is None:
            sizes = dict(question.static)
            found = prepare(self.model, optimised=optimised, inlines_branches=inlines_branches, sizes=sizes)
        self._graphs[key] = found  # the last one asked about comes last
        if len(self._graphs) > KEPT:
            self._graphs.pop(next(iter(self._graphs)))
            for oracle in self._oracles.values():
                oracle.forget()
        return found


def difference(before: Placement, after: Placement) -> PlacementDifference:
    """Return what changes from one placement of a model to another; without the graph, boundaries are not counted."""
    return _difference(before, after, None)


def _difference(before: Placement, after: Placement, graph: Graph | None) -> PlacementDifference:
    then = {node.name: node.provider for node in before.nodes}
    moves = tuple(
        Move(node=node.name, op_type=node.op_type, before=then.get(node.name), after=node.provider)
        for node in after.nodes
        if then.get(node.name) != node.provider
    )
    boundaries = [None if graph is None else _boundaries(placement, graph) for placement in (before, after)]
    counts = [_change("engine", before.engines(), after.engines()), _change("boundary", *boundaries)]
    return PlacementDifference(
        moves=moves,
        engines_before=before.engines(),
        engines_after=after.engines(),
        boundaries_before=boundaries[0],
        boundaries_after=boundaries[1],
        sentence=_sentence(before, after, moves, [text for text in counts if text]),
    )


def _boundaries(placement: Placement, graph: Graph) -> int:
    return sum(c.source is not None and c.target is not None for c in crossings(placement, graph))


def _sentence(before: Placement, after: Placement, moves: tuple[Move, ...], counts: list[str]) -> str:
    if after.error is not None:
        same = before.error is not None and before.error.message == after.error.message
        return (
            f"{'Still no' if before.error is not None else 'No'} session{'' if same else f': {after.error.message}'}".rstrip(".")
            + "."
        )
    if before.error is not None:
        ours = sum(node.provider == TENSORRT for node in after.nodes)
        return (
            f"A session can be made: TensorRT runs {counted(ours, 'node')} of "
            f"{sum(n.provider is not None for n in after.nodes)} as {counted(after.engines(), 'engine')}."
        )
    said = [*_moved(moves), *counts]
    return f"{'; '.join(said)}." if said else "Nothing changes."


def _moved(moves: tuple[Move, ...]) -> list[str]:
    ways = Counter((move.before, move.after) for move in moves)
    return [f"{counted(count, 'node')} from {_name(old)} to {_name(new)}" for (old, new), count in ways.most_common()]


def _name(provider: str | None) -> str:
    return SHORT.get(provider, provider) if provider is not None else "nobody"


def _change(noun: str, before: int | None, after: int | None) -> str:
    if before is None or after is None or before == after:
        return ""
    return f"{counted(before, noun)} before, {after} after"
