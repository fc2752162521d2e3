"""Who says what TensorRT's parser takes: a table, answers that were recorded, or the parser itself.

``SupportTable`` (``workbench.placement.support``) is the oracle that needs nothing else.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Protocol

from workbench.placement.asking import TooLarge, model_of
from workbench.placement.ordering import by_priority, edges
from workbench.placement.recorded import Recording, signature
from workbench.placement.refusal import Refusal
from workbench.placement.support import FROM_TABLE, SupportTable
from workbench.placement.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from workbench.model.model import Model
    from workbench.placement.dataflow import Graph, Op

    Answer = Sequence[tuple[Sequence[int], bool]]

CLASSICAL = "ai.onnx.ml"
QUESTIONS = 1000  # to one parser about one graph: ONNX Runtime's own limit on the depth


class Oracle(Protocol):
    """What the partitioning asks about TensorRT's parser.

    Attributes
    ----------
    release : str
        The TensorRT that it speaks of, such as ``10.16``.
    version : tuple of int
        The release as two numbers.
    """

    @property
    def release(self) -> str: ...  # noqa: D102

    @property
    def version(self) -> tuple[int, int]: ...  # noqa: D102

    def cuts_at_once(self, op: Op) -> bool:
        """Whether the parser takes such operations out of a graph all together, and not one for each time it is asked."""
        ...

    def verdict(self, op: Op, graph: Graph) -> Refusal | None:
        """Return why the parser does not take an operation of a graph; ``None`` if it takes it."""
        ...

    def notes(self) -> tuple[str, ...]:
        """Return what a reader must know of the answers that were given so far."""
        ...


class _Beside:
    """An oracle that knows the rest from a release's table."""

    def __init__(self, release: str) -> None:
        self.table = SupportTable.load(release)

    @property
    def release(self) -> str:
        """The TensorRT that it speaks of."""
        return self.table.release

    @property
    def version(self) -> tuple[int, int]:
        """The release as two numbers."""
        return self.table.version

    def cuts_at_once(self, op: Op) -> bool:
        """Whether the parser takes such operations out of a graph all together."""
        return self.table.cuts_at_once(op)


class RecordedOracle(_Beside):
    """Answers that a real parser gave to operations with the same signature before.

    Parameters
    ----------
    recording : Recording
        The answers.

    Notes
    -----
    An operation whose signature was not seen is judged by the release's table, and the reason says so.
    """

    def __init__(self, recording: Recording) -> None:
        super().__init__(recording.tensorrt)
        self._answers = {answer.signature: answer for answer in recording.answers}
        self._seen: set[Op] = set()
        self._unseen: set[Op] = set()

    def verdict(self, op: Op, graph: Graph) -> Refusal | None:
        """Return why the parser did not take such an operation; ``None`` if it took it."""
        known = self._answers.get(signature(op, graph))
        if known is not None:
            self._seen.add(op)
            return Refusal(known.cause or "attribute", known.text) if known.refused else None
        self._unseen.add(op)
        guess = self.table.verdict(op, graph)
        return Refusal(guess.cause, f"{guess.text} (not seen in the recorded answers)") if guess is not None else None

    def notes(self) -> tuple[str, ...]:
        """Return how many operations were not seen."""
        seen = f"{counted(len(self._seen), 'node')} judged as TensorRT {self.release}'s parser answered for such a node before"
        if not self._unseen:
            return (f"{seen}.",)
        return (f"{seen}, {counted(len(self._unseen), 'node')} not seen there and judged by its table.", FROM_TABLE)


class ParserOracle(_Beside):
    """The parser itself, asked as ONNX Runtime asks it: about a graph, then about the parts that it returns.

    Parameters
    ----------
    model : Model
        The model that will be predicted, for the operator sets that it imports.
    ask : callable
        Takes a serialized model and returns the parser's answer: for each part, the indices of its nodes and whether the
        parser takes it (``tensorrt.OnnxParser.supports_model_v2``).
    release : str
        The table whose release is the nearest to the parser's: it says how the parser reports, and explains refusals.
    """

    def __init__(self, model: Model, ask: Callable[[bytes], Answer], release: str) -> None:
        super().__init__(release)
        self._model, self._ask = model, ask
        self._taken: dict[Graph, set[Op] | None] = {}
        self._asked = 0

    def verdict(self, op: Op, graph: Graph) -> Refusal | None:
        """Return why the parser does not take an operation; ``None`` if it takes it."""
        if graph not in self._taken:
            self._taken[graph] = self._judge(graph)
        taken = self._taken[graph]
        if taken is not None and op in taken:
            return None
        why = self.table.verdict(op, graph)
        if taken is None:
            return why
        if why is not None:
            return why
        return Refusal("attribute", f"the parser of TensorRT {self.release} refuses this {op.op_type}")

    def notes(self) -> tuple[str, ...]:
        """Return how often the parser was asked, and about what it was not."""
        notes = [f"TensorRT's own parser was asked {counted(self._asked, 'time')} what it takes."]
        if any(taken is None for taken in self._taken.values()):
            notes.append(f"Part of the model is too large to be given to it and was judged by a table. {FROM_TABLE}")
        return tuple(notes)

    def _judge(self, graph: Graph) -> set[Op] | None:
        """Return the operations of a graph that the parser takes; ``None`` where it cannot be asked."""
        ops = graph.live()
        pending = _askable(by_priority(ops, edges(ops)), graph)
        taken: set[Op] = set()
        for _ in range(QUESTIONS):
            if not pending:
                break
            run = pending.pop()
            try:
                data = model_of(run, graph, self._model.opsets, self._model.ir_version)
            except TooLarge:
                return None
            self._asked += 1
            for indices, whole in self._ask(data):
                part = [run[i] for i in indices]
                if whole:
                    taken.update(part)
                elif 0 < len(part) < len(run):
                    pending.append(part)
        return taken


def _askable(ops: Sequence[Op], graph: Graph) -> list[list[Op]]:
    """Cut what no TensorRT can have out of a graph: it has no strings, and nothing of ONNX's classical learning.

    The parser is not asked about these: it cannot even read a weight that is a string.
    """
    runs = groupby(ops, key=lambda op: op.domain != CLASSICAL and not any(_is_string(name, graph) for name in _tensors(op)))
    return [list(run) for takes, run in runs if takes]


def _tensors(op: Op) -> Iterator[str]:
    return filter(None, (*op.reads, *op.outputs))


def _is_string(name: str, graph: Graph) -> bool:
    return graph.value(name).element == "string"


class Remembered:
    """An oracle that judges each operation once; for graphs that do not change."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self._said: dict[Op, Refusal | None] = {}

    @property
    def release(self) -> str:
        """The TensorRT that it speaks of."""
        return self.oracle.release

    @property
    def version(self) -> tuple[int, int]:
        """The release as two numbers."""
        return self.oracle.version

    def cuts_at_once(self, op: Op) -> bool:
        """Whether the parser takes such operations out of a graph all together."""
        return self.oracle.cuts_at_once(op)

    def verdict(self, op: Op, graph: Graph) -> Refusal | None:
        """Return why the parser does not take an operation of a graph; ``None`` if it takes it."""
        if op not in self._said:
            self._said[op] = self.oracle.verdict(op, graph)
        return self._said[op]

    def notes(self) -> tuple[str, ...]:
        """Return what a reader must know of the answers that were given so far."""
        return self.oracle.notes()

    def forget(self) -> None:
        """Forget all answers, so that their graphs can go."""
        self._said.clear()
