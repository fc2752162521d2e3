"""Read a node's attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto | None:
    """Return an attribute, or ``None`` where the node has it not."""
    found: onnx.AttributeProto
    for found in node.attribute:
        if found.name == name:
            return found
    return None


def integer(node: onnx.NodeProto, name: str, default: int) -> int:
    """Return an integer attribute."""
    found = attribute(node, name)
    return found.i if found is not None else default


def integers(node: onnx.NodeProto, name: str) -> tuple[int, ...] | None:
    """Return a list of integers, or ``None`` where the node has it not."""
    found = attribute(node, name)
    return tuple(found.ints) if found is not None else None


def text(node: onnx.NodeProto, name: str, default: str) -> str:
    """Return a text attribute."""
    found = attribute(node, name)
    return found.s.decode(errors="replace") if found is not None else default


def texts(node: onnx.NodeProto, name: str) -> tuple[str, ...]:
    """Return a list of texts; empty where the node has it not."""
    found = attribute(node, name)
    return tuple(s.decode(errors="replace") for s in found.strings) if found is not None else ()
