"""Turn what a session reports of its nodes into a Placement.

Two reports are read: the assignment that ONNX Runtime records from 1.24 on, and, of older releases, the text that they log
together with the graphs of TensorRT's engines that they dump. All speak of the graph after ONNX Runtime's optimisation:
nodes of the file may be gone, and new ones be there, whose names begin with the name of a node that they were made from
(``mm/MatMulAddFusion``), or with ``_if_then_branch_`` where a branch took its If's place.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.placement.records import CPU, TENSORRT, Group, PlacedNode, Placement, RuntimeVersions
from workbench.placement.wording import sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.model.graph import Node
    from workbench.record import Evidence

Assigned = tuple[str, "Sequence[tuple[str, str, str]]"]  # provider, and (name, domain, op_type) of its nodes

GONE = "removed by ONNX Runtime's graph optimisation: folded, or fused into another node"
ENGINE_UNLISTED = "in a TensorRT engine, or removed before: this release's log does not list an engine's nodes"
CONSTANT = "a constant: ONNX Runtime turns it into a weight"
SEPARATORS = set("/_:-.")
FUSED = "fused "  # what activations that go into a Conv or Gemm put before its name; older releases log it
COPIES = {"MemcpyFromHost", "MemcpyToHost"}  # ONNX Runtime adds them where a tensor changes sides
NEVER_FUSED = {"Constant", "Identity", "Dropout"}  # they are simply dropped

PLACED = re.compile(r"\bNode\(s\) placed on \[(\w+)\]\. Number of nodes: (\d+)")
ALL_PLACED = re.compile(r"\bAll nodes (?:have been )?placed on \[(\w+)\]\.(?: Number of nodes: (\d+))?")
LISTED = re.compile(r"(?:^|\])\s+(\S+) \((.*)\)\s*$")
ENGINE = re.compile(r"(?:^|\])\s+TRTKernel_.* \((TensorrtExecutionProvider_TRTKernel_.*)\)\s*$")
ANSI = re.compile(r"\x1b\[[0-9;]*m")
# the names that ONNX Runtime gives to a branch's nodes when the If's condition is constant, as seen of 1.17 and 1.31
INLINED = re.compile(r"_if_(then|else)_branch_(.+?)(?:_token_\d+)?$")


@dataclass(frozen=True, slots=True)
class EngineDump:
    """The nodes of one TensorRT engine, as ``trt_dump_subgraphs`` writes them.

    Attributes
    ----------
    engine : str
        The fused node's name, as the log has it.
    nodes : tuple of tuple of str
        (name, op_type) of its nodes, those of control-flow bodies included.
    """

    engine: str
    nodes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A node that the session has and the file has not."""

    name: str
    op_type: str
    provider: str


class _Report:
    """What is gathered of a session's nodes.

    Attributes
    ----------
    group_of : dict of str to int
        Index into `groups` by the file's unique node name; -1 for a node of some TensorRT engine, not known which.
    copies : int
        Nodes reported that only copy a tensor to another device.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.named = {node.name: node for node in nodes}
        self.groups: list[Group] = []
        self.group_of: dict[str, int] = {}
        self.made: list[Made] = []
        self.count: Counter[str] = Counter()
        self.copies = 0
        self.notes: list[str] = []
        self._alike: dict[tuple[str, str], deque[str]] = {}
        for node in nodes:
            self._alike.setdefault((node.proto.name, node.op_type), deque()).append(node.name)
        self._taken: set[str] = set()

    def match(self, name: str, op_type: str) -> tuple[str | None, bool]:
        """Return the file's node that a session's node is (``None`` for a new one), and whether it is the first report.

        Nodes of the file that share a name, or have none, are matched in order.
        """
        found = name if name in self.named else None
        if found is None or found in self._taken:
            alike = self._alike.get((name, op_type), deque())
            while alike and alike[0] in self._taken:
                alike.popleft()
            if alike:
                found = alike.popleft()
        fresh = found is None or found not in self._taken
        if found is not None:
            self._taken.add(found)
        return found, fresh

    def add(self, provider: str, nodes: Sequence[tuple[str, str]]) -> None:
        """Add nodes (name, op_type) that run as one group; those reported before are left out."""
        names = []
        for name, op_type in nodes:
            if op_type in COPIES:
                self.copies += 1
                continue
            found, fresh = self.match(name, op_type)
            if not fresh:
                continue
            self.count[provider] += 1
            names.append(found or name or op_type)
            if found is None:
                self.made.append(Made(names[-1], op_type, provider))
            else:
                self.group_of[found] = len(self.groups)
        if names:
            self.groups.append(Group(provider=provider, nodes=tuple(names)))

    def name_inlined(self) -> None:
        """Give nodes of a branch that took its If's place their names in the file back, where there is no doubt.

        There is none when the branches hold as many nodes of that operator, and all run at one place.
        """
        place = {name: (g.provider, i if g.provider == TENSORRT else 0) for i, g in enumerate(self.groups) for name in g.nodes}
        new: dict[tuple[str, str], list[str]] = {}
        for made in self.made:
            found = INLINED.match(made.name)
            if found is not None and found[2] == made.op_type:
                new.setdefault((found[1], made.op_type), []).append(made.name)
        old = self._in_lost_branches() if new else {}
        for key, names in new.items():
            if len(old.get(key, ())) == len(names) and len({place[name] for name in names}) == 1:
                self._rename(dict(zip(names, old[key], strict=True)))

    def _in_lost_branches(self) -> dict[tuple[str, str], list[str]]:
        """Return the names of unreported nodes in branches of unreported Ifs, by branch (then, else) and operator."""
        branch = {
            id(body): attribute.name.removesuffix("_branch")
            for node in self.nodes
            if node.op_type == "If" and node.name not in self.group_of
            for attribute in node.proto.attribute
            for body in attribute.g.node
        }
        found: dict[tuple[str, str], list[str]] = {}
        for node in self.nodes:
            if id(node.proto) in branch and node.name not in self.group_of and node.op_type != "Constant":
                found.setdefault((branch[id(node.proto)], node.op_type), []).append(node.name)
        return found

    def _rename(self, new: dict[str, str]) -> None:
        for i, group in enumerate(self.groups):
            if new.keys() & set(group.nodes):
                self.groups[i] = Group(provider=group.provider, nodes=tuple(new.get(name, name) for name in group.nodes))
                self.group_of |= {new[name]: i for name in group.nodes if name in new}
        self.made = [made for made in self.made if made.name not in new]

    def join_bodies(self) -> None:
        """Give bodies that TensorRT runs to the engine of the control-flow node around them.

        TensorRT claims their nodes one by one, so each is reported as a group of its own, but it runs them inside that engine.
        """
        moved: dict[int, int] = {}
        for node in self.nodes:  # parents come before the nodes of their bodies
            own, around = self.group_of.get(node.name), self.group_of.get(node.parent)
            if own is None or around is None or not (self._tensorrt(own) and self._tensorrt(around)):
                continue
            target = moved.get(around, around)
            if own != target:
                moved[own] = target
        self._merge(moved)

    def _tensorrt(self, index: int) -> bool:
        return index >= 0 and self.groups[index].provider == TENSORRT

    def _merge(self, moved: dict[int, int]) -> None:
        kept = [i for i in range(len(self.groups)) if i not in moved]
        new = {old: i for i, old in enumerate(kept)}
        members = {i: list(self.groups[i].nodes) for i in kept}
        for old, target in moved.items():
            members[target] += self.groups[old].nodes
        self.groups = [Group(provider=self.groups[i].provider, nodes=tuple(members[i])) for i in kept]
        self.group_of = {name: new[moved.get(i, i)] if i >= 0 else i for name, i in self.group_of.items()}


def placement_of_assignment(  # noqa: PLR0913
    model_nodes: Sequence[Node],
    assigned: Sequence[Assigned],
    *,
    model: str = "",
    runtime: RuntimeVersions | None = None,
    evidence: Evidence = "measured",
    memcpy: int | None = None,
) -> Placement:
    """Return the placement that a session recorded.

    Parameters
    ----------
    model_nodes : sequence of Node
        All nodes of the file, as ``Model.nodes`` gives them.
    assigned : sequence of tuple
        For each subgraph of ``InferenceSession.get_provider_graph_assignment_info()``: the provider's name, and
        (name, domain, op_type) of each of its nodes. A TensorRT engine is one subgraph; elsewhere each node is one.
    model : str
        The model's name.
    runtime : RuntimeVersions
        The releases that the session ran with.
    evidence : str
        ``measured``, or ``recorded`` for a report read back later.
    memcpy : int or None
        Copies between devices, where known from elsewhere: ONNX Runtime adds them after it has recorded the assignment.

    Returns
    -------
    Placement
        Its groups and coverage also count nodes that the session made by fusion, under the session's names.
    """
    report = _Report(model_nodes)
    for provider, nodes in assigned:
        report.add(provider, [(name, op_type) for name, _, op_type in nodes])
    report.name_inlined()
    report.join_bodies()
    return _placement(report, model, runtime, evidence, memcpy)


def placement_of_log(  # noqa: PLR0913
    model_nodes: Sequence[Node],
    log: str,
    *,
    dumps: Sequence[EngineDump] = (),
    model: str = "",
    runtime: RuntimeVersions | None = None,
    evidence: Evidence = "measured",
) -> Placement:
    """Return the placement that an older release wrote into its verbose log.

    Parameters
    ----------
    model_nodes, model, runtime, evidence
        As in :func:`placement_of_assignment`.
    log : str
        The session's log at severity 0 (verbose). It names nodes only where more than one provider runs some, and
        never those inside a TensorRT engine.
    dumps : sequence of EngineDump
        What the engines hold, in their order. Where some are missing, the placement's notes say so.

    Returns
    -------
    Placement
        Without any group, and with a note, where the log holds no placement at all.
    """
    report = _Report(model_nodes)
    everything, engines = _read(log, report)
    if everything and everything != TENSORRT:
        _all_on(report, everything)
    known = [dump for dump in dumps if dump.engine in engines or not any(engines)]
    for dump in known:
        report.add(TENSORRT, dump.nodes)
    report.name_inlined()
    report.join_bodies()
    if len(engines) > len(known):
        _unlisted(report, len(engines) - len(known))
    if not (report.groups or everything):
        report.notes.append("The session's log holds no node placements: log at severity 0 (verbose).")
    listed = report.groups or everything
    return _placement(report, model, runtime, evidence, report.copies if listed else None)


def _read(log: str, report: _Report) -> tuple[str, list[str]]:
    """Take the nodes that a log lists; return the provider that runs all nodes, and the engines' names.

    Where TensorRT runs all nodes the log says only how many engines there are: then their names are empty.
    """
    engines: list[str] = []
    everything = provider = ""
    for raw in log.splitlines():
        line = ANSI.sub("", raw)
        if (whole := ALL_PLACED.search(line)) is not None and not (report.groups or engines):
            everything, provider = whole[1], ""
            engines = [""] * int(whole[2] or 1) if everything == TENSORRT else []
        elif (head := PLACED.search(line)) is not None:
            provider = head[1]
        elif provider and (engine := ENGINE.search(line)) is not None:
            engines.append(engine[1])
        elif provider and (entry := LISTED.search(line)) is not None:
            report.add(provider, [(entry[2], entry[1])])
        else:
            provider = ""
    return everything, engines


def _all_on(report: _Report, provider: str) -> None:
    """One provider runs every node; which of the file's nodes were optimised away, the log does not say."""
    for node in report.nodes:
        if node.op_type != "Constant":
            report.add(provider, [(node.name, node.op_type)])
    report.notes.append(
        f"All nodes run on {provider}; this release's log does not say which nodes of the file were folded or fused before."
    )


def _unlisted(report: _Report, engines: int) -> None:
    """Give what nothing else is known to run to the engines whose nodes are not known."""
    fused = _fused(report)
    names = [n.name for n in report.nodes if n.op_type != "Constant" and n.name not in report.group_of and n.name not in fused]
    report.notes.append(sentence(f"{engines} TensorRT engine{'s' * (engines > 1)}; this release's log does not list their nodes"))
    report.count[TENSORRT] += len(names)
    report.group_of.update(dict.fromkeys(names, len(report.groups) if engines == 1 else -1))
    report.groups += [Group(provider=TENSORRT, nodes=tuple(names) if engines == 1 else ()) for _ in range(engines)]


def _placement(report: _Report, model: str, runtime: RuntimeVersions | None, evidence: Evidence, memcpy: int | None) -> Placement:
    fused = _fused(report)
    total = report.count.total()
    return Placement(
        model=model,
        evidence=evidence,
        runtime=runtime or RuntimeVersions(),
        groups=tuple(report.groups),
        nodes=tuple(_placed(node, report, fused) for node in report.nodes),
        coverage={provider: count / total for provider, count in report.count.items()} if total else {},
        notes=tuple(report.notes),
        memcpy=memcpy,
    )


def _fused(report: _Report) -> dict[str, Made]:
    """Return for nodes of the file that are gone the node of the session that they went into, as far as names tell."""
    absent = {node.name: node for node in report.nodes if node.name not in report.group_of}
    made = {made.name: made for made in report.made}
    found: dict[str, Made] = {}
    for name, node_made in made.items():
        stem = name.removeprefix(FUSED)
        for cut in range(len(stem), 0, -1):  # the longest name of the file that this one begins with
            if stem[:cut] in absent and (cut == len(stem) or stem[cut] in SEPARATORS):
                found.setdefault(stem[:cut], node_made)
                break
    # MatMul + Add take the MatMul's name: what reads from a node that was fused, and is gone too, went with it.
    writer = {output: name for name in found for output in absent[name].proto.output}
    for name, node in absent.items():
        origin = next((writer[i] for i in node.proto.input if i in writer), None)
        if origin is not None and name not in found and node.op_type not in NEVER_FUSED:
            found[name] = found[origin]
    return found


def _placed(node: Node, report: _Report, fused: dict[str, Made]) -> PlacedNode:
    index = report.group_of.get(node.name)
    if index is None:
        provider, group, why = None, None, _why_gone(node, fused)
    elif index < 0:
        provider, group, why = TENSORRT, None, ENGINE_UNLISTED
    else:
        provider, group, why = report.groups[index].provider, index, _why(report, index)
        if node.parent:
            why += f"; in the body of {node.parent!r}"
    return PlacedNode(name=node.name, op_type=node.op_type, provider=provider, group=group, reason=sentence(why))


def _why(report: _Report, index: int) -> str:
    group = report.groups[index]
    if group.provider == TENSORRT:
        return f"in a TensorRT engine of {len(group.nodes)} node{'s' * (len(group.nodes) != 1)}"
    if group.provider == CPU and len(report.count) > 1:
        return "the session placed it on the CPU: no provider before it takes the node, or it is shape arithmetic"
    return f"the session placed it on {group.provider}"


def _why_gone(node: Node, fused: dict[str, Made]) -> str:
    if node.op_type == "Constant":
        return CONSTANT
    if node.name in fused:
        made = fused[node.name]
        return (
            f"removed by ONNX Runtime's graph optimisation: fused into {made.name!r} ({made.op_type}), which {made.provider} runs"
        )
    return GONE
