"""The orders in which ONNX Runtime walks the nodes of a graph: what lies next to what decides how runs are cut."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workbench.placement.dataflow import Op

FIRST = {"Shape", "Size"}


def edges(ops: Sequence[Op]) -> dict[Op, tuple[Op, ...]]:
    """Return for each operation those among `ops` that write what it reads, each once."""
    writer = {name: op for op in ops for name in op.outputs if name}
    return {op: tuple(dict.fromkeys(writer[n] for n in op.reads if n in writer)) for op in ops}


def by_priority(ops: Sequence[Op], before: Mapping[Op, Sequence[Op]]) -> list[Op]:
    """Order by readiness: Shape and Size first, then the lower node index.

    Parameters
    ----------
    before : mapping of Op to sequence of Op
        As :func:`edges` returns it.
    """
    after: dict[Op, list[Op]] = {}
    waits: dict[Op, int] = {}
    for op in ops:
        waits[op] = len(before[op])
        for writer in before[op]:
            after.setdefault(writer, []).append(op)
    heap = [_priority(op, i) for i, op in enumerate(ops) if not waits[op]]
    heapq.heapify(heap)
    number = {op: i for i, op in enumerate(ops)}
    order = []
    while heap:
        op = ops[heapq.heappop(heap)[2]]
        order.append(op)
        for reader in after.get(op, ()):
            waits[reader] -= 1
            if not waits[reader]:
                heapq.heappush(heap, _priority(reader, number[reader]))
    return order


def _priority(op: Op, number: int) -> tuple[bool, int, int]:
    return op.op_type not in FIRST, op.position, number


def depth_first(ops: Sequence[Op], before: Mapping[Op, Sequence[Op]], rank: Mapping[Op, int]) -> list[Op]:
    """Order as older releases do: depth first from the outputs, writers before readers.

    Parameters
    ----------
    rank : mapping of Op to int
        Node indices in the graph at hand.
    """
    read = {writer for op in ops for writer in before[op]}
    stack = [(op, False) for op in sorted(ops, key=rank.__getitem__) if op not in read]
    seen: set[Op] = set()
    order = []
    while stack:
        op, leaving = stack.pop()
        if leaving:
            order.append(op)
        elif op not in seen:
            seen.add(op)
            stack.append((op, True))
            stack.extend((w, False) for w in sorted(before[op], key=rank.__getitem__) if w not in seen)
    return order
