"""Delta debugging: the smallest part of a set with which a test still passes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


def smallest(items: Sequence[T], test: Callable[[list[T]], bool]) -> list[T]:
    """Return a part of `items` that passes a test and of which no single item can be left out.

    The algorithm ddmin of Zeller and Hildebrandt (IEEE Transactions on Software Engineering 28, 2002): try ever finer
    parts, and what is left without one of them, and go on with whatever passes. Other parts of the same size, or smaller

    Parameters
    ----------
    items : sequence
        That pass the test as a whole; those likely to be needed first.
    test : callable
        Takes a list of items, in their order. It need not be monotonic.
    """
    kept, parts = list(items), 2
    while len(kept) > 1:
        chunks = _chunks(kept, min(parts, len(kept)))
        found = next((chunk for chunk in chunks if test(chunk)), None)
        if found is not None:
            kept, parts = found, 2
            continue
        rests = [[item for other in chunks if other is not chunk for item in other] for chunk in chunks]
        # With two chunks each rest is a chunk. The last chunks are the least likely to be needed: they go first.
        rest = next((rest for rest in reversed(rests) if len(chunks) > 2 and test(rest)), None)
        if rest is not None:
            kept, parts = rest, max(len(chunks) - 1, 2)
        elif len(chunks) == len(kept):
            break
        else:
            parts = len(chunks) * 2
    return kept


def _chunks(items: list[T], count: int) -> list[list[T]]:
    """Return parts of nearly equal size."""
    ends = [round(len(items) * at / count) for at in range(count + 1)]
    return [items[start:end] for start, end in itertools.pairwise(ends) if start < end]
