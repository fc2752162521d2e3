"""Bring a model to half precision: casts where types meet, weights converted, named nodes kept in float32.

This is the graph's own way to lower precision: it needs no flag where TensorRT keeps the types of the file, and it is
all that TensorRT 11 has. onnxruntime.transformers.float16 and onnxconverter-common do a like thing. They are not used:
the first can only be imported beside onnxruntime, which the kernel does not load, and a search for the nodes to keep
repeats the edit many times there; both work from fixed lists of operators where ONNX's schemas say what each operator of
each version takes, and leave control-flow bodies that capture tensors of the outer graph with mixed types.

What an x86 CPU computes with such a model is not what a GPU does: ONNX Runtime runs the nodes in float32 there and drops
the roundings between them, so that nothing overflows. `emulate` writes each rounding as a pair of casts that it keeps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import ModelError, SettingsError, nearest
from workbench.model.external import model_tensors
from workbench.model.graph import nodes_of
from workbench.model.precision.half_plan import Choice, Planner, Scope
from workbench.model.precision.half_result import Halved, NodeKept
from workbench.model.precision.half_values import CODES, Half, WeightLoss, clipped, half_tensor, loss_of, rounded
from workbench.model.signature import FLOAT, opsets_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import onnx


CAST_SINCE = 6  # the opset in which Cast got the type as a number
DEFAULT_OPSET = 13  # of Cast in a model that uses no operators of ONNX's own


def to_half(  # noqa: PLR0913
    model: onnx.ModelProto,
    *,
    to: Half = "fp16",
    keep: Collection[str] = (),
    keep_io: bool = True,
    clip: bool = False,
    emulate: bool = False,
) -> tuple[onnx.ModelProto, Halved]:
    """Return a copy of a model that computes in half precision wherever ONNX's schemas allow it.

    Control-flow nodes give and take float32; what is in their bodies is converted. Nodes that compute shapes, regions
    and scales of Resize, and functions of the model stay in float32.

    Parameters
    ----------
    model : onnx.ModelProto
        With its weights in it; not changed.
    to : str
        ``fp16`` or ``bf16``.
    keep : collection of str
        Nodes that stay in float32, by the names of :func:`workbench.model.graph.nodes_of`.
    keep_io : bool
        Whether the model's inputs and outputs stay float32. Otherwise the inputs become half precision, and the outputs
        that nodes write so.
    clip : bool
        Bring weights beyond the type's range to its end; otherwise they become infinite.
    emulate : bool
        Keep all in float32, and only round, with casts, what the nodes read and write: the numbers of half precision on
        any provider. Sums inside a node are still float32's. `keep_io` has no effect then.

    Returns
    -------
    tuple of onnx.ModelProto and Halved
        The new model, and what changed.

    Raises
    ------
    SettingsError
        When `keep` names a node that the model does not have.
    ModelError
        When weights lie in other files, or the opset is too old for casts.
    """
    import onnx

    _check(model, keep)
    new = onnx.ModelProto()
    new.CopyFrom(model)
    names = [node.name for node in nodes_of(new.graph)]
    planner = Planner(to, opsets_of(new), frozenset(keep), iter(names), keep_io or emulate)
    scope = planner.scope(new.graph)
    writer = (_Emulator if emulate else _Writer)(to, clip, _names(scope))
    writer.write(scope)
    if writer.casts and "" not in planner.opsets:
        new.opset_import.add(domain="", version=DEFAULT_OPSET)
    return new, _result(scope, writer, emulate=emulate)


def _result(scope: Scope, writer: _Writer, *, emulate: bool) -> Halved:
    losses = [loss for loss in writer.losses if loss.any]
    losses.sort(key=lambda loss: (-loss.overflow, -loss.to_zero - loss.subnormal))
    choices = list(_all(scope))
    return Halved(
        to=writer.to,
        emulated=emulate,
        converted=tuple(choice.name for choice in choices if choice.half),
        kept=tuple(NodeKept(name=c.name, op_type=c.node.op_type, why=c.why) for c in choices if c.floats and not c.half),
        casts=writer.casts,
        weights=sum(loss.elements for loss in writer.losses),
        losses=tuple(losses),
        clipped=writer.clip,
    )


def _check(model: onnx.ModelProto, keep: Collection[str]) -> None:
    if any(tensor.data_location == tensor.EXTERNAL for tensor in model_tensors(model)):
        raise ModelError("Some weights of the model are not loaded.", remedy="Load it with onnx.load(path).")
    version = opsets_of(model).get("", DEFAULT_OPSET)
    if version < CAST_SINCE:
        raise ModelError(
            f"The model's opset is {version}; half precision needs the Cast of opset {CAST_SINCE}.",
            remedy=f"Export it at opset {DEFAULT_OPSET} or later.",
        )
    known = [node.name for node in nodes_of(model.graph)]
    for name in keep:
        if name not in known:
            raise SettingsError(f"The model has no node {name!r} to keep in float32.", remedy=nearest(name, known))


def _all(scope: Scope) -> Iterable[Choice]:
    for choice in scope.choices:
        yield choice
        for body in choice.bodies:
            yield from _all(body)


def _names(scope: Scope) -> set[str]:
    """Return all names of tensors and nodes, in bodies too."""
    found = set(scope.own)
    for choice in _all(scope):
        found |= {choice.node.name, *choice.node.input, *choice.node.output}
        for body in choice.bodies:
            found |= body.own
    return found


@dataclass
class _Writer:
    """Writes the graph of each scope anew."""

    to: Half
    clip: bool
    taken: set[str]
    casts: int = 0
    losses: list[WeightLoss] = field(default_factory=list)
    _renamed: dict[tuple[int, str, bool], str] = field(default_factory=dict)

    def write(self, scope: Scope) -> None:
        """Convert weights, put casts where types meet, and rename what is read in another type than it has."""
        graph = scope.graph
        infos = self._infos(scope)  # before names of constants change
        nodes = [*self._given(scope)]
        self._weights(scope)
        for choice in scope.choices:
            nodes += self._node(choice, scope)
        _replace(graph, nodes)
        del graph.value_info[:]
        graph.value_info.extend(infos)
        self._interface(scope)

    def name(self, scope: Scope, name: str, *, half: bool) -> str:
        """Return the name of a tensor in one of the types."""
        home = scope.of(name)
        if home is None or home.types.get(name, FLOAT) != FLOAT or half == self._own(home, name):
            return name
        key = (id(home), name, half)
        if key not in self._renamed:
            self._renamed[key] = self._free(f"{name}_{self.to if half else 'fp32'}")
        return self._renamed[key]

    def _own(self, home: Scope, name: str) -> bool:
        """Whether a tensor's own name is that of its half-precision form."""
        if name in home.fixed:
            return False
        return name in home.made or (name in home.constants and (name, False) not in home.needs and (name, True) in home.needs)

    def _free(self, name: str) -> str:
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def _given(self, scope: Scope) -> list[onnx.NodeProto]:
        """Return casts of inputs, and of weights that a caller may replace."""
        names = [info.name for info in scope.graph.input] + [s.values.name for s in scope.graph.sparse_initializer]
        return [cast for name in names for cast in self._cast(scope, name)]

    def _cast(self, scope: Scope, name: str) -> list[onnx.NodeProto]:
        """Return the cast that gives a tensor in the type that it was not made in, where that is needed."""
        made = name in scope.made
        other = (name, not made) in scope.needs or (made and name in scope.fixed)
        if scope.types.get(name) != FLOAT or not other:
            return []
        return [self._cast_node(self.name(scope, name, half=made), self.name(scope, name, half=not made), half=not made)]

    def _cast_node(self, source: str, target: str, *, half: bool) -> onnx.NodeProto:
        import onnx

        self.casts += 1
        name = self._free(f"{target}/Cast")
        return onnx.helper.make_node("Cast", [source], [target], name, to=CODES[self.to] if half else FLOAT)

    def _weights(self, scope: Scope) -> None:
        tensors = list(scope.graph.initializer)
        kept = []
        for tensor in tensors:
            if tensor.name not in scope.constants or (tensor.name, True) not in scope.needs:
                kept.append(_copy(tensor))
                continue
            if (tensor.name, False) in scope.needs:
                kept.append(_copy(tensor))
            kept.append(self._converted(tensor, tensor.name, self.name(scope, tensor.name, half=True)))
        del scope.graph.initializer[:]
        scope.graph.initializer.extend(kept)

    def _converted(self, tensor: onnx.TensorProto, name: str, new: str) -> onnx.TensorProto:
        return half_tensor(self._values(tensor, name), new, self.to)

    def _values(self, tensor: onnx.TensorProto, name: str) -> np.ndarray:
        """Return a weight's numbers as they are to be converted, and note what they lose."""
        from onnx import numpy_helper

        values = np.asarray(numpy_helper.to_array(tensor), dtype=np.float32)
        self.losses.append(loss_of(name, values, self.to))
        return clipped(values, self.to) if self.clip else values

    def _node(self, choice: Choice, scope: Scope) -> list[onnx.NodeProto]:
        """Return a node with what belongs to it."""
        if choice.node.op_type == "Constant" and choice.node.output[0] in scope.constants:
            return self._constant(choice.node, scope)
        node = _copy(choice.node)
        for i, name in enumerate(choice.node.input):
            if name:
                node.input[i] = self.name(scope, name, half=i < len(choice.reads) and choice.reads[i])
        for i, half in enumerate(choice.writes):
            if node.output[i] and scope.types.get(node.output[i]) == FLOAT:
                node.output[i] = self.name(scope, node.output[i], half=half)
        self._bodies(node, choice)
        if any(choice.writes):
            self._attributes(node)
        return [node, *(cast for name in choice.node.output if name for cast in self._cast(scope, name))]

    def _attributes(self, node: onnx.NodeProto) -> None:
        """Change the type that an attribute names."""
        import onnx

        if node.op_type == "Cast":
            for attribute in node.attribute:
                if attribute.name == "to":
                    attribute.i = CODES[self.to]
        if node.op_type == "ConstantOfShape":
            given = [attribute for attribute in node.attribute if attribute.name == "value"]
            tensor = given[0].t if given else onnx.numpy_helper.from_array(np.zeros(1, np.float32))
            del node.attribute[:]
            node.attribute.append(onnx.helper.make_attribute("value", self._converted(tensor, node.output[0], "")))

    def _bodies(self, node: onnx.NodeProto, choice: Choice) -> None:
        bodies = iter(choice.bodies)
        for old, new in zip(choice.node.attribute, node.attribute, strict=True):
            if old.HasField("g"):
                body = next(bodies)
                self.write(body)
                new.g.CopyFrom(body.graph)
            for graph in new.graphs:
                body = next(bodies)
                self.write(body)
                graph.CopyFrom(body.graph)

    def _constant(self, node: onnx.NodeProto, scope: Scope) -> list[onnx.NodeProto]:
        """Return a Constant in each type that is needed."""
        import onnx

        name = node.output[0]
        found = []
        if (name, False) in scope.needs or name in scope.fixed or (name, True) not in scope.needs:
            found.append(_copy(node))
        if (name, True) in scope.needs:
            new = self.name(scope, name, half=True)
            tensor = self._converted(_constant_tensor(node), name, "")
            found.append(onnx.helper.make_node("Constant", [], [new], node.name if not found else self._free(f"{new}/Constant")))
            found[-1].attribute.append(onnx.helper.make_attribute("value", tensor))
        return found

    def _infos(self, scope: Scope) -> list[onnx.ValueInfoProto]:
        """Return what the graph says of its tensors, with the types and names that they have now."""
        found = []
        for info in scope.graph.value_info:
            for half in (False, True):
                made = half == (info.name in scope.made)
                if info.type.tensor_type.elem_type != FLOAT:
                    if not half:
                        found.append(_copy(info))
                elif made or (info.name, half) in scope.needs:
                    new = _copy(info)
                    new.name = self.name(scope, info.name, half=half)
                    new.type.tensor_type.elem_type = CODES[self.to] if half else FLOAT
                    found.append(new)
        return found

    def _interface(self, scope: Scope) -> None:
        """Give inputs and outputs the type that they have now."""
        for info in (*scope.graph.input, *scope.graph.output):
            home = scope.of(info.name)
            if home is not None and info.type.tensor_type.elem_type == FLOAT and self._own(home, info.name):
                info.type.tensor_type.elem_type = CODES[self.to]


class _Emulator(_Writer):
    """Writes roundings instead of types."""

    def name(self, scope: Scope, name: str, *, half: bool) -> str:
        """Return the name of a tensor as it is, or rounded."""
        home = scope.of(name)
        if home is None or not half or name in home.made or home.types.get(name, FLOAT) != FLOAT:
            return name
        return super().name(scope, name, half=True)

    def _own(self, home: Scope, name: str) -> bool:
        return name in home.made or super()._own(home, name)

    def _cast(self, scope: Scope, name: str) -> list[onnx.NodeProto]:
        """Return the casts that round a tensor, where a node in half precision reads or writes it."""
        if scope.types.get(name) != FLOAT or (name not in scope.made and (name, True) not in scope.needs):
            return []
        source, target = (self._exact(name), name) if name in scope.made else (name, self.name(scope, name, half=True))
        between = self._free(f"{target}_{self.to}")
        return [self._cast_node(source, between, half=True), self._cast_node(between, target, half=False)]

    def _exact(self, name: str) -> str:
        key = (0, name, False)
        if key not in self._renamed:
            self._renamed[key] = self._free(f"{name}_exact")
        return self._renamed[key]

    def _converted(self, tensor: onnx.TensorProto, name: str, new: str) -> onnx.TensorProto:
        from onnx import numpy_helper

        return numpy_helper.from_array(rounded(self._values(tensor, name), self.to), new)

    def _node(self, choice: Choice, scope: Scope) -> list[onnx.NodeProto]:
        found = super()._node(choice, scope)
        for i, half in enumerate(choice.writes):
            if half and choice.node.output[i]:
                found[0].output[i] = self._exact(choice.node.output[i])
        return found

    def _attributes(self, node: onnx.NodeProto) -> None:
        """Keep them: all types stay."""

    def _infos(self, scope: Scope) -> list[onnx.ValueInfoProto]:
        return [_copy(info) for info in scope.graph.value_info]

    def _interface(self, scope: Scope) -> None:
        """Keep them: all types stay."""


def _copy(message: Any) -> Any:  # noqa: ANN401  # any protobuf message
    new = type(message)()
    new.CopyFrom(message)
    return new


def _replace(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    copies = [_copy(node) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _constant_tensor(node: onnx.NodeProto) -> Any:  # noqa: ANN401  # a TensorProto, which some releases of onnx do not type
    """Return the value of a Constant node that makes float32."""
    from onnx import numpy_helper

    attribute = next(given for given in node.attribute if given.name in ("value", "value_float", "value_floats"))
    if attribute.name == "value":
        return attribute.t
    plain = attribute.f if attribute.name == "value_float" else list(attribute.floats)
    return numpy_helper.from_array(np.asarray(plain, dtype=np.float32))
