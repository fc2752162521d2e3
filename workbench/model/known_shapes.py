"""Write shapes into a model: those that inference found, and those that runs were seen to have.

TensorRT's provider splits a graph only where each tensor at a border has a rank, and each dimension a number or a
name. A name that nothing else has claims nothing, so it is always right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.model.data_dependent import REPEATING, data_dependent
from workbench.model.graph import bodies_of, reads_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import onnx

Shape = tuple[int, ...]
INVENTED = "unk__"  # the prefix of names that ONNX's inference makes up, and that ONNX Runtime does not take for names
PREFIX = "dim_"


@dataclass(frozen=True, slots=True)
class Ran:
    """One execution of a node: element type and shape of each tensor that it read and wrote, absent ones left out.

    Attributes
    ----------
    node : str
        The node's name, unique in the model.
    inputs, outputs : tuple of (int, tuple of int)
        ``TensorProto.DataType`` and shape.
    """

    node: str
    inputs: tuple[tuple[int, Shape], ...]
    outputs: tuple[tuple[int, Shape], ...]


@dataclass(slots=True)
class _Seen:
    """What a tensor was seen to be, over all executions."""

    types: set[int] = field(default_factory=set)
    shapes: set[Shape] = field(default_factory=set)

    def add(self, pair: tuple[int, Shape]) -> None:
        self.types.add(pair[0])
        self.shapes.add(pair[1])


class Namer:
    """Makes names for dimensions that no dimension of the model has."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.taken = {d.dim_param for g, _ in graphs_of(graph) for i in _infos(g) for d in i.type.tensor_type.shape.dim}
        self.next = 0

    def __call__(self) -> str:
        """Return the next free name."""
        while (name := f"{PREFIX}{self.next}") in self.taken:
            self.next += 1
        self.next += 1
        return name


def graphs_of(graph: onnx.GraphProto, *, repeated: bool = False) -> Iterator[tuple[onnx.GraphProto, bool]]:
    """Yield a graph and all bodies in it, each with whether it stands inside a loop."""
    yield graph, repeated
    for node in graph.node:
        for body in bodies_of(node):
            yield from graphs_of(body, repeated=repeated or node.op_type in REPEATING)


def name_dimensions(graph: onnx.GraphProto) -> int:
    """Give each dimension of a tensor of known rank that has neither number nor name a name of its own.

    Outputs of the model that no node reads stay as they are.

    Returns
    -------
    int
        How many tensors got such names.
    """
    namer, invented, count = Namer(graph), dict[str, str](), 0
    read = {name for node in graph.node for name in reads_of(node)}
    for each, _ in graphs_of(graph):
        outputs = [info for info in each.output if each is not graph or info.name in read]
        for info in (*each.input, *each.value_info, *outputs):
            named = 0
            for dim in info.type.tensor_type.shape.dim:
                if dim.dim_param.startswith(INVENTED):  # equal names mean equal sizes: that stays so
                    if dim.dim_param not in invented:
                        invented[dim.dim_param] = namer()
                    dim.dim_param = invented[dim.dim_param]
                    named += 1
                elif not dim.dim_param and (not dim.HasField("dim_value") or dim.dim_value < 0):
                    dim.dim_param = namer()
                    named += 1
            count += bool(named)
    return count


def specified(info: onnx.ValueInfoProto | None) -> bool:
    """Whether a tensor's rank is known, and each dimension has a number or a name."""
    if info is None or not info.type.HasField("tensor_type") or not info.type.tensor_type.HasField("shape"):
        return False
    return all(
        (dim.HasField("dim_value") and dim.dim_value >= 0) or (dim.dim_param and not dim.dim_param.startswith(INVENTED))
        for dim in info.type.tensor_type.shape.dim
    )


def write_observed(graph: onnx.GraphProto, runs: Iterable[Ran], *, varied: bool) -> list[str]:
    """Write down the shapes that tensors were seen to have, for those whose shape is not known.

    A rank is taken as seen when all executions agree on it. A dimension becomes a number only where no other can be:
    it was the same in all executions, every dynamic input dimension was varied, it does not follow from what the
    inputs hold, and it stands in no loop. Any other gets a name.

    Parameters
    ----------
    graph : onnx.GraphProto
        The main graph; changed in place. Its nodes have unique names.
    runs : iterable of Ran
        What was seen.
    varied : bool
        Whether the executions differ in every dynamic dimension of the inputs.

    Returns
    -------
    list of str
        The tensors that got a shape.
    """
    by_node: dict[str, list[Ran]] = {}
    for ran in runs:
        by_node.setdefault(ran.node, []).append(ran)
    dependent, namer = data_dependent(graph), Namer(graph)
    written: list[str] = []
    for each, repeated in graphs_of(graph):
        infos = {info.name: info for info in _infos(each)}
        for name, seen in _seen_in(each, by_node, bodies=each is not graph).items():
            if specified(infos.get(name)) or len({len(shape) for shape in seen.shapes}) != 1:
                continue
            fixed = varied and not repeated and name not in dependent
            if _write(each, infos.get(name), name, seen, namer, fixed=fixed):
                written.append(name)
    return written


def _seen_in(graph: onnx.GraphProto, by_node: Mapping[str, list[Ran]], *, bodies: bool) -> dict[str, _Seen]:
    """Return what the tensors of one graph were seen to be: what its nodes write, and what a body is given."""
    given = {info.name for info in graph.input} if bodies else set()
    found: dict[str, _Seen] = {}
    for node in graph.node:
        inputs, outputs = [n for n in node.input if n], [n for n in node.output if n]
        for ran in by_node.get(node.name, ()):
            if len(ran.outputs) == len(outputs):  # what is no tensor is left out, and then nobody knows which
                for name, pair in zip(outputs, ran.outputs, strict=True):
                    found.setdefault(name, _Seen()).add(pair)
            if given.intersection(inputs) and len(ran.inputs) == len(inputs):
                for name, pair in zip(inputs, ran.inputs, strict=True):
                    if name in given:
                        found.setdefault(name, _Seen()).add(pair)
    return found


def _write(  # noqa: PLR0913 - all of them decide what is written
    graph: onnx.GraphProto, info: onnx.ValueInfoProto | None, name: str, seen: _Seen, namer: Namer, *, fixed: bool
) -> bool:
    known = info.type.tensor_type.elem_type if info is not None else 0
    if not known and len(seen.types) != 1:
        return False
    if info is None:
        info = graph.value_info.add()
        info.name = name
    tensor = info.type.tensor_type
    tensor.elem_type = known or next(iter(seen.types))
    old = list(tensor.shape.dim) if tensor.HasField("shape") else []
    sizes = list(zip(*seen.shapes, strict=True))
    if old and len(old) != len(sizes):
        return False
    tensor.shape.SetInParent()
    for axis, each in enumerate(sizes):
        dim = old[axis] if old else tensor.shape.dim.add()
        if not dim.HasField("dim_value") and (not dim.dim_param or dim.dim_param.startswith(INVENTED)):
            if fixed and len(set(each)) == 1:
                dim.dim_value = each[0]
            else:
                dim.dim_param = namer()
    return True


def _infos(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    for part in (graph.value_info, graph.output, graph.input):
        yield from part


def copy_shapes(source: onnx.GraphProto, target: onnx.GraphProto) -> int:
    """Copy what is known of tensors from a graph into the same graph without it, bodies included.

    What the target says itself stays; graphs are matched by the order of their nodes.

    Returns
    -------
    int
        For how many tensors the target now says more.
    """
    known = {info.name: info for info in _infos(target)}
    written = {name for node in target.node for name in node.output if name}
    weights = {tensor.name for tensor in target.initializer}
    found = 0
    for info in (*source.value_info, *source.output):
        old = known.get(info.name)
        if info.name in weights or specified(old) or not info.type.HasField("tensor_type"):
            continue
        if old is None and info.name in written:
            target.value_info.add().CopyFrom(info)
        elif old is not None and _richer(info, old):
            old.type.CopyFrom(info.type)
        else:
            continue
        found += info.type.tensor_type.HasField("shape")
    for one, other in zip(source.node, target.node, strict=False):
        for inner, outer in zip(bodies_of(one), bodies_of(other), strict=False):
            found += copy_shapes(inner, outer)
    return found


def _richer(info: onnx.ValueInfoProto, old: onnx.ValueInfoProto) -> bool:
    new, was = info.type.tensor_type, old.type.tensor_type
    if not new.HasField("shape") or not new.elem_type:
        return False
    return not was.HasField("shape") or len(was.shape.dim) == len(new.shape.dim)
