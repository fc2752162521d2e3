"""An operation with what is known of its inputs and outputs, as the rules of TensorRT's importers ask for it."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.placement.constants import Array, constant
from workbench.placement.dataflow import UNKNOWN, Graph, Op, Shape, Value

Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Operands:
    """An operation with what is known of its inputs and outputs, and the TensorRT that is asked."""

    op: Op
    graph: Graph
    version: Version

    def given(self, index: int) -> bool:
        """Whether an optional input is there."""
        return index < len(self.op.inputs) and bool(self.op.inputs[index])

    def value(self, index: int) -> Value:
        """Return what is known of an input."""
        return self.graph.value(self.op.inputs[index]) if self.given(index) else UNKNOWN

    def result(self, index: int) -> Value:
        """Return what is known of an output."""
        name = self.op.outputs[index] if index < len(self.op.outputs) else ""
        return self.graph.value(name) if name else UNKNOWN

    def element(self, index: int) -> str:
        """Return the element type of an input; empty where it is unknown."""
        return self.value(index).element

    def shape(self, index: int) -> Shape | None:
        """Return the shape of an input."""
        return self.value(index).shape

    def rank(self, index: int) -> int | None:
        """Return the rank of an input; ``None`` where it is unknown."""
        shape = self.shape(index)
        return None if shape is None else len(shape)

    def is_constant(self, index: int) -> bool:
        """Whether the parser sees an input as a weight; one that is absent does not count.

        A body's part comes to the parser with the body's own weights only: those of the graph around it are mere inputs.
        """
        return self.given(index) and self.op.inputs[index] in self.graph.constants

    def lacks(self, index: int, what: str) -> str:
        """Say that an input has to be a weight; empty where it is one, or absent."""
        if not self.given(index) or self.is_constant(index):
            return ""
        if self.graph.is_constant(self.op.inputs[index]):
            return f"{self.op.op_type} needs {what} as weights of its own body, not of the graph around it"
        return f"{self.op.op_type} needs {what} that never change"

    def array(self, index: int) -> Array | None:
        """Return the value of a small weight."""
        return constant(self.graph, self.op.inputs[index]) if self.is_constant(index) else None
