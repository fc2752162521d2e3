"""Give every node a name of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.model.graph import nodes_of

if TYPE_CHECKING:
    import onnx


def name_nodes(proto: onnx.ModelProto) -> list[str]:
    """Give each node without a name, or with one that a node before it has, a name of its own.

    Parameters
    ----------
    proto : onnx.ModelProto
        Changed in place; names that are unique stay.

    Returns
    -------
    list of str
        What changed, in words; empty when every node had a name of its own.
    """
    empty = double = 0
    for node in nodes_of(proto.graph):
        if node.proto.name == node.name:
            continue
        empty, double = empty + (not node.proto.name), double + bool(node.proto.name)
        node.proto.name = node.name
    parts = [f"{empty} that had none"] * bool(empty) + [f"{double} that shared one"] * bool(double)
    return [f"Gave nodes a name of their own: {' and '.join(parts)}."] if parts else []
