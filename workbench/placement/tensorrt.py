"""What TensorRT claims of a graph, and in which engines (``tensorrt_execution_provider.cc``: ``GetCapability``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.placement.ordering import by_priority, depth_first, edges
from workbench.placement.partition import Parser, TooDeep, consolidated, cut_points, supported_runs
from workbench.placement.records import TENSORRT
from workbench.placement.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from workbench.placement.assignment import Assignment
    from workbench.placement.dataflow import Graph, Op
    from workbench.placement.oracle import Oracle

CONTROL_FLOW = {"If", "Loop", "Scan"}
# Types of constants that the parser cannot convert. It says so without naming a node, so no node is taken out and the
# question is repeated until ONNX Runtime gives TensorRT up.
UNREADABLE = {"string", "int16", "uint16", "uint32", "uint64", "complex64", "complex128"}
QUANTIZERS = {"QuantizeLinear", "DequantizeLinear"}
# Operators that can be imported whatever the rank of their inputs is
ANY_RANK = {
    *("Abs", "Add", "And", "Cast", "CastLike", "Ceil", "Clip", "Cos", "Div", "Dropout", "Elu", "Equal", "Erf", "Exp", "Expand"),
    *("Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "If", "IsInf", "IsNaN", "LeakyRelu"),
    *("Less", "LessOrEqual", "Log", "Loop", "Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "Range"),
    *("Reciprocal", "Relu", "Reshape", "Round", "Scan", "Selu", "Shape", "Sigmoid", "Sign", "Sin", "Size", "Softplus"),
    *("Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tan", "Tanh", "Where", "Xor"),
}


class NotBuilt(Exception):
    """ONNX Runtime cannot build the graph that it wants to ask the parser about."""

    def __init__(self, op: Op) -> None:
        super().__init__(op.name)
        self.op = op


class Engine:
    """One TensorRT engine; operations are said to be in it by :class:`Assignment`."""


class TensorRT:
    """Claims for TensorRT what its parser takes.

    Parameters
    ----------
    support : Oracle
        What the parser takes.
    assignment : Assignment
        Receives providers, engines and reasons.
    """

    def __init__(self, support: Oracle, assignment: Assignment) -> None:
        self.support, self.to, self.plan = support, assignment, assignment.plan

    def claim(self, graph: Graph, around: Op | None = None) -> None:
        """Claim operations of a graph; bodies come before the operation around them.

        Raises
        ------
        NoShape, NotBuilt
            When the partitioning ends the session's creation.
        """
        ops = graph.live()
        for op in ops:
            for body in op.bodies:
                self.claim(body, op)
        before = edges(ops)
        order = depth_first(ops, before, {op: op.position for op in ops}) if self.plan.old else by_priority(ops, before)
        kept = []
        for run in self._runs(graph, order, before):
            if len(run) >= self.plan.smallest:
                kept.append(run)
            else:
                why = f"TensorRT takes it, but in a run of {len(run)} of the {self.plan.smallest} nodes that a subgraph must have"
                self._explain(run, Refusal("small", why))
        runs = consolidated(kept, order, before)
        # A body that TensorRT takes whole is not made an engine: it waits for the operation around it.
        waits = around is not None and around.op_type in CONTROL_FLOW and sum(map(len, runs)) == len(ops)
        for run in runs:
            self._take(run, None if waits else Engine())

    def settle(self, graph: Graph) -> None:
        """Give bodies that TensorRT took whole to the engine around them, or else an engine of their own."""
        for op in graph.live():
            for body in op.bodies:
                waiting = [o for o in body.live() if self.to.provider.get(o) == TENSORRT and o not in self.to.engine]
                engine = self.to.engine.get(op) or Engine()
                for inner in waiting:
                    self.to.engine[inner] = engine
                    self.to.reason[inner] += f", inside {op.name!r}"
                self.settle(body)

    def _take(self, run: Sequence[Op], engine: Engine | None) -> None:
        for op in run:
            self.to.provider[op] = TENSORRT
            self.to.cause.pop(op, None)
            self.to.reason[op] = f"TensorRT {self.support.release} takes {op.op_type}" + (" with its bodies" if op.bodies else "")
            if engine is not None:
                self.to.engine[op] = engine

    def _runs(self, graph: Graph, order: list[Op], before: Mapping[Op, Sequence[Op]]) -> list[list[Op]]:
        kept_away = self._kept_away(order)
        refused = kept_away | self._refused(graph, order, kept_away)
        for op, refusal in refused.items():
            self.to.refuse(op, refusal)
        at_once = frozenset(op for op in refused if self.support.cuts_at_once(op))
        last_first = self.support.version >= (9, 1)
        parser = Parser(refused, at_once, last_first=last_first, by_depth=self.plan.old, deepest=self.plan.deepest)
        runs = []
        for group in cut_points(order, kept_away, holes=self.plan.old):
            self._check_bodies(group)
            unreadable = self._unreadable([op for op in group if op not in at_once], graph)
            if unreadable:
                self._give_up(order, unreadable)
                return []
            try:
                runs += supported_runs(group, graph, parser, before)
            except TooDeep:
                count = sum(op in refused for op in group)
                limit = f"asked {self.plan.deepest} times at most (trt_max_partition_iterations)"
                self._give_up(order, f"its parser refuses {count} nodes, and is {limit}")
                return []
        return runs

    def _kept_away(self, order: Sequence[Op]) -> dict[Op, Refusal]:
        """Return what never reaches the parser, and why."""
        found = {}
        for op in order:
            if op.op_type in self.plan.excluded:
                found[op] = Refusal("excluded", f"{op.op_type} is excluded from TensorRT")
            elif op.op_type in self.plan.withheld:
                why = f"ONNX Runtime {self.plan.runtime.version} keeps {op.op_type} from TensorRT: the size of its result varies"
                found[op] = Refusal("operator", why)
            elif op.op_type in CONTROL_FLOW and not self._bodies_wait(op):
                why = f"TensorRT runs {op.op_type} only with all nodes of its bodies, and does not take all of them"
                found[op] = Refusal("neighbour", why)
        return found

    def _bodies_wait(self, op: Op) -> bool:
        inner = [o for body in op.bodies for o in body.live()]
        return all(self.to.provider.get(o) == TENSORRT and o not in self.to.engine for o in inner)

    def _refused(self, graph: Graph, order: Sequence[Op], kept_away: Container[Op]) -> dict[Op, Refusal]:
        asked = [op for op in order if op not in kept_away]
        written = {name for op in asked for name in op.outputs}
        refused = {}
        for op in asked:
            why = self.support.verdict(op, graph) or self._rankless(op, graph, written)
            if why is not None:
                refused[op] = why
        return refused

    def _rankless(self, op: Op, graph: Graph, written: set[str]) -> Refusal | None:
        """Refuse what reads an input of unknown rank: the parser takes that for a single number."""
        if op.op_type in ANY_RANK:
            return None
        for name in op.inputs:
            if name and name not in written and graph.value(name).shape is None and not graph.specified(name):
                return Refusal("shape", f"TensorRT cannot tell how many dimensions {name!r} has, which {op.op_type} reads")
        return None

    def _check_bodies(self, group: Sequence[Op]) -> None:
        """Fail where an operator other than control flow holds engines: ONNX Runtime cannot rebuild it for the parser.

        Seen with BeamSearch, one of ONNX Runtime's own operators.
        """
        for op in group:
            if op.op_type not in CONTROL_FLOW and any(o in self.to.engine for body in op.bodies for o in body.live()):
                raise NotBuilt(op)

    def _unreadable(self, group: Sequence[Op], graph: Graph) -> str:
        """Return which constant of a group the parser cannot convert; empty where it can convert all."""
        old = self.support.version < (9, 0)
        for op in group:
            for name in op.reads:
                element = graph.value(name).element
                # Seen with 8.6: UINT8 weights of other operators stop the parser, those of quantizers do not.
                bad = element in UNREADABLE or (old and element == "uint8" and op.op_type not in QUANTIZERS)
                if bad and graph.is_constant(name):
                    return f"its parser cannot read the {element} constant {name!r} that {op.name!r} uses"
        return ""

    def _give_up(self, order: Sequence[Op], why: str) -> None:
        self.to.stopped = self.to.stopped or why
        self._explain(order, Refusal("neighbour", f"ONNX Runtime gives TensorRT up for the whole graph: {why}"))

    def _explain(self, ops: Sequence[Op], refusal: Refusal) -> None:
        for op in ops:
            if op not in self.to.reason:
                self.to.refuse(op, refusal)
