"""Put a prediction into the records that measured placements use too."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from workbench.placement.records import TENSORRT, Group, PlacedNode, Placement, RuntimeVersions, coverage
from workbench.placement.wording import sentence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workbench.model.graph import Node
    from workbench.model.model import Model
    from workbench.placement.assignment import Assignment
    from workbench.placement.dataflow import Op
    from workbench.placement.plan import Plan
    from workbench.placement.prepare import Prepared
    from workbench.placement.refusal import Refusal
    from workbench.placement.tensorrt import Engine
    from workbench.record import Failure

LEFT_OUT = (
    "ONNX Runtime's graph optimisation is followed for constants only; fusions and merged duplicates are not replayed, so "
    "some nodes that are predicted to run will be merged into others."
)
NO_RELEASE = "No released ONNX Runtime loads TensorRT 11: this says what its parser would take."
KERNELS = "Kernels of the CPU are those of ONNX Runtime 1.31, of CUDA those of 1.30."
COMPILED = "Whether the engine inside fits this GPU and this TensorRT was not looked into."
NOT_RUN = "No session is made, so nothing runs it."


def runtime_of(plan: Plan) -> RuntimeVersions:
    """Return the releases that a prediction speaks of."""
    return RuntimeVersions(onnxruntime=plan.runtime.version, tensorrt=plan.support.release if plan.support is not None else None)


def notes_of(plan: Plan, prepared: Prepared | None) -> tuple[str, ...]:
    """Return what a reader must know to believe a prediction."""
    notes = list(prepared.notes) if prepared is not None else []
    if prepared is not None and plan.optimised:
        notes.append(LEFT_OUT)
    if plan.support is not None:
        notes.extend(plan.support.notes())
        if plan.support.version >= (11, 0):
            notes.append(NO_RELEASE)
    if not plan.runtime.installed:
        notes.append(f"ONNX Runtime {plan.runtime.version} is assumed; it is not what is installed here.")
    return (*notes, KERNELS)


def failed(
    model: Model, plan: Plan, failure: Failure, prepared: Prepared | None = None, refusals: Mapping[str, Refusal] | None = None
) -> Placement:
    """Return the placement of a model that no session can be made of.

    Parameters
    ----------
    refusals : mapping of str to Refusal
        What is known of single nodes all the same, by name.
    """
    known = refusals or {}
    nodes = tuple(
        PlacedNode(
            name=node.name,
            op_type=node.op_type,
            provider=None,
            group=None,
            reason=sentence(known[node.name].text) if node.name in known else NOT_RUN,
            cause=known[node.name].cause if node.name in known else None,
        )
        for node in model.nodes
    )
    return Placement(
        model=model.name,
        evidence="predicted",
        runtime=runtime_of(plan),
        outcome="error",
        error=failure,
        nodes=nodes,
        notes=notes_of(plan, prepared),
    )


def compiled(model: Model, plan: Plan, provider: str) -> Placement:
    """Return the placement of a graph that is one EPContext node: it goes to the provider that it was compiled for."""
    node = model.nodes[0]
    reason = f"It was compiled for {provider} before."
    placed = PlacedNode(name=node.name, op_type=node.op_type, provider=provider, group=0, reason=reason)
    return Placement(
        model=model.name,
        evidence="predicted",
        runtime=runtime_of(plan),
        groups=(Group(provider=provider, nodes=(node.name,)),),
        nodes=(placed,),
        coverage=coverage([placed]),
        notes=(COMPILED,),
    )


def placement_of(model: Model, plan: Plan, prepared: Prepared, assignment: Assignment) -> Placement:
    """Return the placement of a model whose operations are assigned."""
    ops: dict[str, list[Op]] = {}
    for _, op in prepared.graph.walk():
        ops.setdefault(op.name, []).append(op)
    groups, group_of = _groups(model.nodes, ops, assignment)
    nodes = tuple(_placed(node, ops.get(node.name, []), prepared, assignment, group_of) for node in model.nodes)
    stopped = (sentence(f"TensorRT takes nothing: {assignment.stopped}"),) if assignment.stopped else ()
    return Placement(
        model=model.name,
        evidence="predicted",
        runtime=runtime_of(plan),
        groups=tuple(groups),
        nodes=nodes,
        coverage=coverage(nodes),
        notes=(*stopped, *notes_of(plan, prepared)),
    )


def _groups(nodes: Sequence[Node], ops: Mapping[str, Sequence[Op]], assignment: Assignment) -> tuple[list[Group], dict[Op, int]]:
    """Return the groups in the file's order, and which one each operation is in."""
    members: list[list[str]] = []
    providers: list[str] = []
    group_of: dict[Op, int] = {}
    seen: dict[Engine | tuple[str, str], int] = {}
    for node in nodes:
        for op in ops.get(node.name, ()):
            provider = assignment.provider.get(op)
            if provider is None:
                continue
            key = assignment.engine[op] if provider == TENSORRT else (node.name, provider)
            index = seen.setdefault(key, len(members))
            if index == len(members):
                members.append([])
                providers.append(provider)
            group_of[op] = index
            if not members[index] or members[index][-1] != node.name:
                members[index].append(node.name)
    groups = [Group(provider=p, nodes=tuple(names)) for p, names in zip(providers, members, strict=True)]
    return groups, group_of


def _placed(node: Node, ops: Sequence[Op], prepared: Prepared, assignment: Assignment, group_of: Mapping[Op, int]) -> PlacedNode:
    running = [op for op in ops if op in group_of]
    if not running:
        gone = prepared.removed.get(node.name) or next(
            (op.removed for op in ops if op.removed), "it is inlined and nothing is left"
        )
        return PlacedNode(name=node.name, op_type=node.op_type, provider=None, group=None, reason=sentence(gone))
    chosen = running[0]
    provider = assignment.provider[chosen]
    reason = assignment.reason.get(chosen, "")
    if len(ops) > 1:
        counts = Counter(assignment.provider[op] for op in running)
        provider = counts.most_common(1)[0][0]
        chosen = next(op for op in running if assignment.provider[op] == provider)
        parts = ", ".join(f"{count} on {name}" for name, count in counts.most_common())
        reason = f"its function is inlined into {len(ops)} nodes, of which {parts}; {assignment.reason.get(chosen, '')}"
    return PlacedNode(
        name=node.name,
        op_type=node.op_type,
        provider=provider,
        group=group_of[chosen],
        reason=sentence(reason),
        cause=assignment.cause.get(chosen),
    )
