"""Answers of a real parser, kept by what they depend on, so that they serve where no TensorRT is installed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import ValidationError

from workbench.errors import InputError
from workbench.placement.records import Cause
from workbench.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable

    import onnx

    from workbench.placement.dataflow import Graph, Op
    from workbench.placement.oracle import Oracle

LONGEST = 200  # characters of an attribute's value; a longer one is kept as its hash


class RecordedAnswer(Record):
    """What a parser said of operations with one signature.

    Attributes
    ----------
    signature : str
        As :func:`signature` returns it.
    refused : bool
        Whether the parser does not take them.
    cause : str or None
        Of a refusal, its kind.
    text : str
        Of a refusal, the reason as one clause.
    """

    signature: str
    refused: bool
    cause: Cause | None = None
    text: str = ""


class Recording(Record):
    """The answers of one TensorRT's parser.

    Attributes
    ----------
    tensorrt : str
        The release that answered, one of ``workbench.placement.support.RELEASES``.
    """

    tensorrt: str
    answers: tuple[RecordedAnswer, ...] = ()

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a recording that :meth:`write` wrote.

        Raises
        ------
        InputError
            When the file cannot be read, or holds something else.
        """
        try:
            return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read: {error}.", remedy="Check the path.") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise InputError(f"{path}: no recording of a parser's answers: {where}: {first['msg']}.") from error

    def write(self, path: str | Path) -> None:
        """Write the recording as JSON."""
        Path(path).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def with_graph(self, oracle: Oracle, graph: Graph) -> Self:
        """Return this recording with what an oracle says of the operations of a graph and its bodies.

        Where operations of one signature are answered differently, something else decides, so none of it is kept.
        """
        known = {answer.signature: answer for answer in self.answers}
        torn: set[str] = set()
        for answer in _answers(oracle, graph):
            other = known.setdefault(answer.signature, answer)
            if other.refused != answer.refused:
                torn.add(answer.signature)
        kept = (known[key] for key in sorted(known) if key not in torn)
        return type(self)(tensorrt=self.tensorrt, answers=tuple(kept))


def _answers(oracle: Oracle, graph: Graph) -> Iterable[RecordedAnswer]:
    for home, op in graph.walk():
        if not op.removed:
            refusal = oracle.verdict(op, home)
            cause, text = (refusal.cause, refusal.text) if refusal is not None else (None, "")
            yield RecordedAnswer(signature=signature(op, home), refused=refusal is not None, cause=cause, text=text)


def signature(op: Op, graph: Graph) -> str:
    """Return what a parser's answer is taken to depend on, as text that is equal for equal operations.

    Operator and its version, attributes, and of each input the element type, the rank, and whether it is constant. The
    domain is left out: the parser ignores it.
    """
    inputs: list[list[object] | None] = []
    for name in op.inputs:
        value = graph.value(name) if name else None
        rank = None if value is None or value.shape is None else len(value.shape)
        inputs.append(None if value is None else [value.element, rank, name in graph.constants])
    attributes = sorted((a.name, _value(a)) for a in op.proto.attribute)
    bodies = [[inner.op_type for inner in body.live()] for body in op.bodies]
    return json.dumps([op.op_type, op.version, attributes, inputs, bodies], separators=(",", ":"))


def _value(attribute: onnx.AttributeProto) -> str:
    import onnx

    if attribute.type in (attribute.GRAPH, attribute.GRAPHS):
        return "body"
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.type in (attribute.TENSOR, attribute.SPARSE_TENSOR, attribute.TYPE_PROTO):
        value = value.SerializeToString(deterministic=True)
    text = repr(list(value) if isinstance(value, (list, tuple)) else value)
    return text if len(text) <= LONGEST else hashlib.sha256(text.encode()).hexdigest()
