"""What TensorRT's parser complains of, in the words of the model: its nodes' names and operators."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workbench.errors import JobError
from workbench.runtime.native.companion import NativeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.model.model import Model

SHOWN = 5
OWN_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
REMEDY = "`workbench placement` tells which nodes TensorRT takes; ONNX Runtime's TensorRT provider leaves the others to CUDA."


@contextmanager
def readable(model: Model) -> Iterator[None]:
    """Raise what TensorRT's parser complains of with the names of the model's nodes, as a :class:`JobError`."""
    try:
        yield
    except NativeError as error:
        if not error.errors:
            raise
        shown = [_complaint(row, model) for row in error.errors[:SHOWN]]
        more = len(error.errors) - len(shown)
        text = "; nor ".join(shown) + (f"; and {more} more" if more else "")
        kind = _kind(error.errors, model)
        raise JobError(f"TensorRT's parser does not take {text}.", kind=kind, remedy=REMEDY) from error


def _complaint(row: dict[str, Any], model: Model) -> str:
    name, operator = _node(row, model)
    text = " ".join(str(row["text"]).split()).rstrip(".")
    what = f"node {name!r} ({operator})" if name else "the model"
    return f"{what}: {text or row['code']}"


def _node(row: dict[str, Any], model: Model) -> tuple[str, str]:
    """Return name and operator of the node that a complaint is about; empty where it is about none."""
    if row.get("name"):
        return str(row["name"]), str(row.get("operator") or "?")
    graph = model.proto.graph.node
    if not 0 <= row["node"] < len(graph):
        return "", ""
    # nodes of control-flow bodies are not counted: the parser's index is that of the main graph
    node = [node for node in model.nodes if not node.parent][row["node"]]
    return node.name, node.op_type


def _kind(errors: list[dict[str, Any]], model: Model) -> str:
    operators = {_node(row, model)[1] for row in errors}
    own = {node.op_type for node in model.nodes if node.domain in OWN_DOMAINS}
    foreign = {node.op_type for node in model.nodes} - own
    return "custom-op" if operators & foreign else "load"
