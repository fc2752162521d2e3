"""Where tensors pass from one provider, or engine, to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.placement.dataflow import UNKNOWN
from workbench.placement.kernels import KernelTable
from workbench.placement.records import CPU, CUDA, TENSORRT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workbench.placement.dataflow import Graph, Op, Value
    from workbench.placement.records import Placement

SEPARATORS = "/_:-."  # ONNX Runtime puts one of them behind the name of a node that it fused


@dataclass(frozen=True, slots=True)
class Place:
    """Who runs an operation: the provider, and its group where that is known."""

    provider: str
    group: int | None

    def differs(self, other: Place) -> bool:
        """Whether a tensor between the two crosses a boundary; nodes of CUDA or the CPU count as one."""
        if self.provider != other.provider:
            return True
        return self.provider == TENSORRT and self.group != other.group


@dataclass(frozen=True, slots=True)
class Crossing:
    """A tensor between two places.

    Attributes
    ----------
    source, target : str or None
        The providers; ``None`` for the caller.
    ends : tuple of (int or None)
        The groups at both ends.
    copied : bool
        Whether it is copied between the memories of the host and of the GPU.
    to_host : bool
        Whether it is needed in the host's memory.
    """

    tensor: str
    source: str | None
    target: str | None
    ends: tuple[int | None, int | None]
    copied: bool
    to_host: bool
    value: Value = UNKNOWN


def crossings(placement: Placement, graph: Graph) -> tuple[Crossing, ...]:
    """Return where tensors cross a boundary, each tensor once for each pair of places.

    Parameters
    ----------
    graph : Graph
        The model's, as ``workbench.placement.prepare`` makes it.
    """
    return tuple(dict.fromkeys(_Walk(placement).all(graph)))


class _Walk:
    """Follow every tensor from its writer to its readers."""

    def __init__(self, placement: Placement) -> None:
        self.places = places_of(placement)
        self.kernels = KernelTable.load()
        self.around: dict[Graph, Op] = {}

    def all(self, graph: Graph) -> Iterator[Crossing]:
        for home, op in graph.walk():
            for body in op.bodies:
                self.around[body] = op
            if op.removed:
                continue
            place = self.places.get(op.name)
            for index, name in enumerate(op.inputs):
                if name and place is not None:
                    yield from self._between(home, name, place, host=self._reads_on_host(op, index, place))
        for body, op in self.around.items():
            place = self.places.get(op.name)
            for name in body.outputs:
                if place is not None:
                    yield from self._between(body, name, place, host=place.provider == CPU)
        for name in graph.outputs:
            yield from self._between(graph, name, None, host=True)

    def _between(self, home: Graph, name: str, target: Place | None, *, host: bool) -> Iterator[Crossing]:
        if home.is_constant(name):
            return
        found = self._source(home, name)
        if found is None:
            return
        source, from_host = found
        if (source is None and target is None) or (source is not None and target is not None and not source.differs(target)):
            return
        yield Crossing(
            tensor=name,
            source=source.provider if source is not None else None,
            target=target.provider if target is not None else None,
            ends=(source.group if source is not None else None, target.group if target is not None else None),
            copied=from_host != host,
            to_host=host,
            value=home.value(name),
        )

    def _source(self, home: Graph, name: str) -> tuple[Place | None, bool] | None:
        """Return who writes a value (the caller: ``None``), and whether to the host's memory; ``None`` where nobody is known."""
        scope: Graph | None = home
        while scope is not None:
            op = scope.producer.get(name)
            if op is not None:
                place = self.places.get(op.name)
                if place is not None:
                    return place, self._writes_on_host(op, name, place)
                # Nobody runs it any more: it went into another node, or only passed on what it reads.
                passed = next((i for i in op.inputs if i and not scope.is_constant(i)), "")
                if not passed:
                    return None
                name = passed
            elif name in scope.inputs:
                return self._given(scope)
            else:
                scope = scope.parent
        return None

    def _given(self, scope: Graph) -> tuple[Place | None, bool] | None:
        """Return who gives a graph its inputs: the caller, or the operation around a body."""
        around = self.around.get(scope)
        if around is None:
            return None, True
        place = self.places.get(around.name)
        return (place, place.provider == CPU) if place is not None else None

    def _writes_on_host(self, op: Op, name: str, place: Place) -> bool:
        return place.provider == CPU or (place.provider == CUDA and op.outputs.index(name) in self.kernels.cpu_outputs(op))

    def _reads_on_host(self, op: Op, index: int, place: Place) -> bool:
        return place.provider == CPU or (place.provider == CUDA and index in self.kernels.cpu_inputs(op))


def places_of(placement: Placement) -> Mapping[str, Place]:
    """Return the place of each node, also of those that a session reports under the name of what they were fused into."""
    fused: dict[str, Place] = {}
    names = {node.name for node in placement.nodes if node.provider is None}
    for index, group in enumerate(placement.groups):
        for made in group.nodes:
            for cut in range(len(made) - 1, 0, -1):
                if made[cut] in SEPARATORS and made[:cut] in names:
                    fused.setdefault(made[:cut], Place(group.provider, index))
                    break
    return fused | {n.name: Place(n.provider, n.group) for n in placement.nodes if n.provider is not None}
