"""Who runs each operation of a graph: TensorRT first, then CUDA, then the CPU, as ONNX Runtime asks them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.placement.cuda import cuda_leaves, shape_arithmetic
from workbench.placement.kernels import KernelTable
from workbench.placement.ordering import depth_first, edges
from workbench.placement.records import CPU, CUDA, TENSORRT
from workbench.placement.tensorrt import Engine, TensorRT

if TYPE_CHECKING:
    from workbench.placement.dataflow import Graph, Op
    from workbench.placement.plan import Plan
    from workbench.placement.records import Cause
    from workbench.placement.refusal import Refusal

BESIDE = {"small", "neighbour"}  # causes that do not lie in the node itself
SHAPE_ARITHMETIC = "shape arithmetic, which ONNX Runtime keeps on the CPU where its data is"


@dataclass
class Assignment:
    """Who runs each operation.

    Attributes
    ----------
    provider : dict of Op to str
        Operations that nobody can run are missing.
    engine : dict of Op to Engine
        For the operations that TensorRT runs.
    reason : dict of Op to str
        Why it runs there, the providers that do not take it first.
    cause : dict of Op to str
        What keeps from TensorRT those that it does not run, one of ``workbench.placement.records.Cause``.
    stopped : str
        Why TensorRT was given up for a whole graph; empty where it was not.
    """

    plan: Plan
    provider: dict[Op, str] = field(default_factory=dict)
    engine: dict[Op, Engine] = field(default_factory=dict)
    reason: dict[Op, str] = field(default_factory=dict)
    cause: dict[Op, Cause] = field(default_factory=dict)
    stopped: str = ""

    def run(self, graph: Graph) -> None:
        """Ask the providers in order about a graph and its bodies.

        Raises
        ------
        NoShape, NotBuilt
            When TensorRT's partitioning ends the session's creation.
        """
        for provider in self.plan.providers:
            if provider == TENSORRT and self.plan.support is not None:
                tensorrt = TensorRT(self.plan.support, self)
                tensorrt.claim(graph)
                tensorrt.settle(graph)
            elif provider == CUDA:
                self._cuda(graph)
            elif provider == CPU:
                self._cpu(graph)

    def _cuda(self, graph: Graph) -> None:
        ops = graph.live()
        for op in ops:
            for body in op.bodies:
                self._cuda(body)
        kernels = KernelTable.load()
        tentative = []
        for op in ops:
            if op not in self.provider:
                why = kernels.find(CUDA, op, graph).reason or cuda_leaves(op)
                if why:
                    self._add_reason(op, why)
                else:
                    tentative.append(op)
        if not tentative:
            return
        on_cpu = shape_arithmetic(graph, depth_first(ops, edges(ops), {op: op.position for op in ops}), tentative)
        for op in tentative:
            self.provider[op] = CPU if op in on_cpu else CUDA
            self._add_reason(op, SHAPE_ARITHMETIC if op in on_cpu else "CUDA has a kernel")
            # TensorRT would take it: that it ends up here is no loss, so this is the cause, not what is beside it.
            if op in on_cpu and self.cause.get(op, "small") in BESIDE:
                self.cause[op] = "shape-arithmetic"

    def _cpu(self, graph: Graph) -> None:
        kernels = KernelTable.load()
        for home, op in graph.walk():
            if op.removed or op in self.provider:
                continue
            lookup = kernels.find(CPU, op, home)
            if lookup.found or kernels.find_widened(op, home).found:
                self.provider[op] = CPU
                self._add_reason(
                    op, "the CPU has a kernel" if lookup.found else "the CPU runs it in float32, with casts around it"
                )
            else:
                self._add_reason(op, lookup.reason)

    def refuse(self, op: Op, refusal: Refusal) -> None:
        """Note why TensorRT does not take an operation."""
        self.reason[op], self.cause[op] = refusal.text, refusal.cause

    def _add_reason(self, op: Op, why: str) -> None:
        first = self.reason.get(op)
        self.reason[op] = f"{first}; {why}" if first else why
