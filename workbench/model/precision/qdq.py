"""Quantise a model to INT8 by QuantizeLinear and DequantizeLinear, as TensorRT wants it.

TensorRT's rules (its developer guide, "Working with quantized types"): symmetric int8, zero point 0; one scale for an
activation, one for each output channel of a weight; biases stay float; where a convolution is added to another branch,
that branch is quantised, and the convolution's own result is not, so that both become one kernel. ONNX Runtime's
examples for TensorRT quantise alike, with a pair of its own for each reader and a pair on each weight.

onnxruntime.quantization can write such graphs too. It is not used here: it needs onnxruntime beside it, which the kernel
does not load, while a search for nodes to leave out repeats the edit many times there; the class that takes ready ranges
changed its arguments between releases; and it quantises both branches of an addition. A test holds both to the same
scales.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from workbench.errors import ModelError, SettingsError, nearest
from workbench.model.external import model_tensors
from workbench.model.graph import nodes_of, reads_of
from workbench.model.precision.half_result import NodeKept
from workbench.model.precision.qdq_result import ASKED, PER_CHANNEL_SINCE, Quantised
from workbench.model.signature import FLOAT, element_types, opsets_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, MutableMapping

    import onnx

OPERATORS = ("Conv", "ConvTranspose", "MatMul", "Gemm", "Add")
CONVOLUTIONS = ("Conv", "ConvTranspose")
QUANTISERS_SINCE = 10  # opset
LEVELS = 127  # of int8, symmetric
MOVES = ("Identity", "Transpose")  # what exporters put between a weight and its reader
Stored = Literal["pair", "int8"]


def insert_qdq(  # noqa: PLR0913
    model: onnx.ModelProto,
    ranges: Mapping[str, float],
    *,
    operators: Collection[str] = OPERATORS,
    exclude_nodes: Collection[str] = (),
    exclude_ops: Collection[str] = (),
    per_channel: bool = True,
    products: bool = False,
    stored: Stored = "pair",
) -> tuple[onnx.ModelProto, Quantised]:
    """Return a copy of a model whose convolutions and matrix products read int8; bodies of control flow stay as they are.

    Parameters
    ----------
    model, ranges
        A model with its weights in it, not changed; and the largest magnitude of each activation by the tensor's name.
    operators : collection of str
        What to quantise. ``Add`` means additions of a convolution and another branch, whose other branch is quantised.
    exclude_nodes, exclude_ops : collection of str
        Nodes, by the names of :func:`workbench.model.graph.nodes_of`, and operators to leave as they are.
    per_channel : bool
        Whether weights get a scale for each output channel.
    products : bool
        Whether a MatMul of two activations, as in attention, is quantised too.
    stored : str
        ``pair`` keeps weights in float32 before a pair of Q and DQ; ``int8`` stores them as int8 before a DQ.

    Returns
    -------
    tuple of onnx.ModelProto and Quantised
        The new model, and what changed. Nodes without a usable range are left as they are.

    Raises
    ------
    SettingsError
        When `exclude_nodes` names a node that the model does not have.
    ModelError
        When weights lie in other files, or the opset has no QuantizeLinear.
    """
    import onnx

    _refuse_unread_weights(model)
    check_quantisable(model, exclude_nodes)
    new = onnx.ModelProto()
    new.CopyFrom(model)
    per_channel &= opsets_of(new)[""] >= PER_CHANNEL_SINCE
    writer = _Writer(new.graph, ranges, element_types(new.graph, opsets_of(new)), per_channel, products, stored)
    done, kept = [], []
    for node in nodes_of(new.graph):
        if node.parent or node.domain or node.op_type not in operators:
            continue
        excluded = node.name in exclude_nodes or node.op_type in exclude_ops
        why = ASKED if excluded else writer.quantise(node.name, node.proto)
        if why is None:
            done.append(node.name)
        elif why:
            kept.append(NodeKept(name=node.name, op_type=node.op_type, why=why))
    return new, writer.finish(done, kept)


def check_quantisable(model: onnx.ModelProto, exclude: Collection[str] = ()) -> None:
    """Refuse what cannot become a model with Q/DQ, whatever the ranges: worth asking before they are calibrated.

    Raises
    ------
    ModelError, SettingsError
        When the opset has no QuantizeLinear, or the model no such node to leave out.
    """
    version = opsets_of(model).get("", 0)
    if version < QUANTISERS_SINCE:
        raise ModelError(
            f"The model's opset is {version}; QuantizeLinear came with opset {QUANTISERS_SINCE}.",
            remedy=f"Export it at opset {PER_CHANNEL_SINCE} or later.",
        )
    known = [node.name for node in nodes_of(model.graph)]
    for name in exclude:
        if name not in known:
            raise SettingsError(f"The model has no node {name!r} to leave out.", remedy=nearest(name, known))


def _refuse_unread_weights(model: onnx.ModelProto) -> None:
    if any(tensor.data_location == tensor.EXTERNAL for tensor in model_tensors(model)):
        raise ModelError("Some weights of the model are not loaded.", remedy="Load it with onnx.load(path).")


@dataclass
class _Writer:
    """Puts Q and DQ before the operands of nodes, one node after another."""

    graph: onnx.GraphProto
    ranges: Mapping[str, float]
    types: MutableMapping[str, int]
    per_channel: bool
    products: bool
    stored: Stored
    activations: int = 0
    weights: int = 0
    _made: dict[str, onnx.NodeProto] = field(init=False)
    _readers: dict[str, int] = field(init=False)
    _constants: dict[str, onnx.TensorProto] = field(init=False)
    _before: dict[str, list[onnx.NodeProto]] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)
    _taken: set[str] = field(init=False)

    def __post_init__(self) -> None:
        graph = self.graph
        given = {info.name for info in graph.input}
        self._made = {name: node for node in graph.node for name in node.output if name}
        self._constants = {tensor.name: tensor for tensor in graph.initializer if tensor.name not in given}
        self._readers = {}
        reads = [name for node in graph.node for name in reads_of(node)] + [info.name for info in graph.output]
        for name in reads:
            self._readers[name] = self._readers.get(name, 0) + 1
        self._taken = {*reads, *self._made, *self._constants, *given, *(node.name for node in graph.node)}

    def quantise(self, name: str, node: onnx.NodeProto) -> str | None:
        """Quantise the operands of a node; return why not, or an empty text where the node is not of the kind meant."""
        operands = self._operands(node)
        if isinstance(operands, str):
            return operands
        for index, axis in operands:
            tensor = node.input[index]
            if self.types.get(tensor) != FLOAT:
                return "it does not compute in float32"
            if axis is None and (why := self._unusable(tensor)):
                return why
        for index, axis in operands:
            if axis is None:
                self._activation(name, node, index)
            else:
                self._weight(name, node, index, axis)
        self._done.update(node.output)
        return None

    def _operands(self, node: onnx.NodeProto) -> list[tuple[int, int | None]] | str:
        """Return which inputs to quantise: with an axis where it is a weight (-1 for one scale), with None otherwise."""
        if node.op_type == "Add":
            return self._residual(node)
        constant = [self.value(name) is not None for name in node.input[:2]]
        if all(constant):
            return "both operands are constant"
        if not any(constant):
            if node.op_type == "MatMul":
                return [(0, None), (1, None)] if self.products else "both operands are activations"
            return "its weight is computed"
        if constant[0]:
            return [(0, -1), (1, None)]
        return [(0, None), (1, self._axis(node))]

    def _axis(self, node: onnx.NodeProto) -> int:
        """Return the axis of a weight's output channels; -1 where TensorRT takes one scale only."""
        rank = len(self._shape(node.input[1]))
        given = {attribute.name: attribute.i for attribute in node.attribute}
        if not self.per_channel:
            return -1
        if node.op_type == "Conv":
            return 0
        if node.op_type == "ConvTranspose":
            return 1 if given.get("group", 1) == 1 else -1
        if rank != 2:
            return -1
        return 0 if node.op_type == "Gemm" and given.get("transB") else 1

    def _residual(self, node: onnx.NodeProto) -> list[tuple[int, int | None]] | str:
        if any(self.value(name) is not None for name in node.input):
            return ""  # a bias
        ends = [self._ends_convolution(name) for name in node.input]
        if not any(ends):
            return ""
        # Exporters write the branch that was computed last first: the second is the shortcut
        return [(0 if not ends[0] else 1, None)]

    def _ends_convolution(self, name: str) -> bool:
        maker = self._made.get(name)
        done = maker is not None and maker.op_type in CONVOLUTIONS and name in self._done
        return done and self._readers[name] == 1

    def _unusable(self, tensor: str) -> str:
        amax = self.ranges.get(tensor)
        if amax is None:
            return f"no range is known for {tensor!r}"
        if not math.isfinite(amax):
            return f"the range of {tensor!r} is not finite"
        return f"{tensor!r} is zero throughout" if amax <= 0 else ""

    def value(self, name: str) -> onnx.TensorProto | None:
        """Return a constant, also one that Identity or Transpose is applied to."""
        if name in self._constants:
            return self._constants[name]
        maker = self._made.get(name)
        if maker is None or maker.domain:
            return None
        if maker.op_type == "Constant":
            tensors = [attribute.t for attribute in maker.attribute if attribute.name == "value"]
            return tensors[0] if tensors else None
        return self._moved(maker) if maker.op_type in MOVES else None

    def _moved(self, maker: onnx.NodeProto) -> onnx.TensorProto | None:
        from onnx import numpy_helper

        source = self.value(maker.input[0])
        if source is None or maker.op_type == "Identity":
            return source
        order = [list(attribute.ints) for attribute in maker.attribute if attribute.name == "perm"]
        values = np.transpose(numpy_helper.to_array(source), order[0] if order else None)
        self._constants[maker.output[0]] = numpy_helper.from_array(np.ascontiguousarray(values), maker.output[0])
        return self._constants[maker.output[0]]

    def _shape(self, name: str) -> tuple[int, ...]:
        tensor = self.value(name)
        return tuple(tensor.dims) if tensor is not None else ()

    def _activation(self, name: str, node: onnx.NodeProto, index: int) -> None:
        scale = np.asarray(self.ranges[node.input[index]] / LEVELS, dtype=np.float32)
        stem = self._free(f"{name}/input_{index}")
        self._pair(stem, node, index, node.input[index], scale)
        self.activations += 1

    def _weight(self, name: str, node: onnx.NodeProto, index: int, axis: int) -> None:
        from onnx import numpy_helper

        tensor = self.value(node.input[index])
        assert tensor is not None
        values = np.asarray(numpy_helper.to_array(tensor), dtype=np.float32)
        scale = weight_scale(values, axis)
        stem = self._free(f"{name}/weight_{index}")
        source = tensor.name if tensor.name in {t.name for t in self.graph.initializer} else self._constant(stem, values)
        self._pair(stem, node, index, source, scale, values=values if self.stored == "int8" else None, axis=axis)
        self.weights += 1

    def _constant(self, stem: str, values: np.ndarray) -> str:
        from onnx import numpy_helper

        if self.stored == "pair":
            self.graph.initializer.append(numpy_helper.from_array(values, stem))
        return stem

    def _pair(  # noqa: PLR0913
        self,
        stem: str,
        node: onnx.NodeProto,
        index: int,
        source: str,
        scale: np.ndarray,
        *,
        values: np.ndarray | None = None,
        axis: int = -1,
    ) -> None:
        """Put a pair before an input; with `values`, store them as int8 and put the DQ alone."""
        from onnx import helper, numpy_helper

        zero = np.zeros(scale.shape, np.int8)
        numbers = [self._free(f"{stem}/scale"), self._free(f"{stem}/zero_point")]
        self.graph.initializer.append(numpy_helper.from_array(scale, numbers[0]))
        self.graph.initializer.append(numpy_helper.from_array(zero, numbers[1]))
        attributes: dict[str, Any] = {"axis": axis} if scale.ndim else {}
        whole, back = self._free(f"{stem}/int8"), self._free(f"{stem}/dequantised")
        nodes = []
        if values is None:
            nodes.append(
                helper.make_node(
                    "QuantizeLinear", [source, *numbers], [whole], self._free(f"{stem}/QuantizeLinear"), **attributes
                )
            )
        else:
            self.graph.initializer.append(numpy_helper.from_array(quantised(values, scale, axis), whole))
        nodes.append(
            helper.make_node("DequantizeLinear", [whole, *numbers], [back], self._free(f"{stem}/DequantizeLinear"), **attributes)
        )
        node.input[index] = back
        self._before.setdefault(node.output[0], []).extend(nodes)

    def _free(self, name: str) -> str:
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def unfolded(self, quantised: set[str]) -> tuple[str, ...]:
        """Return the BatchNormalization nodes that read a quantised convolution."""
        named = {node.proto.output[0]: node.name for node in nodes_of(self.graph) if not node.parent and node.proto.output}
        return tuple(
            named[node.output[0]]
            for node in self.graph.node
            if node.op_type == "BatchNormalization"
            and (maker := self._made.get(node.input[0])) is not None
            and maker.op_type in CONVOLUTIONS
            and named[maker.output[0]] in quantised
        )

    def finish(self, done: list[str], kept: list[NodeKept]) -> Quantised:
        """Put the new nodes where they belong, drop what nobody reads in float32 any more, and return what was done."""
        unfolded = self.unfolded(set(done))
        self._replace_nodes()
        return Quantised(
            quantised=tuple(done),
            kept=tuple(kept),
            activations=self.activations,
            weights=self.weights,
            per_channel=self.per_channel,
            unfolded=unfolded,
        )

    def _replace_nodes(self) -> None:
        import onnx

        nodes = [each for node in self.graph.node for each in (*self._before.get(next(iter(node.output), ""), ()), node)]
        read = {name for node in nodes for name in reads_of(node)} | {info.name for info in self.graph.output}
        moved = [node for node in nodes if node.op_type in MOVES and node.output[0] in self._constants]
        for node in reversed(moved):
            if node.output[0] not in read:
                nodes.remove(node)
                read = {name for each in nodes for name in reads_of(each)} | {info.name for info in self.graph.output}
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del self.graph.node[:]
        self.graph.node.extend(copies)
        for tensor in [t for t in self.graph.initializer if t.name not in read and t.name in self._readers]:
            self.graph.initializer.remove(tensor)


def weight_scale(values: np.ndarray, axis: int) -> np.ndarray:
    """Return a weight's scales for int8: one for each index of an axis, or one number for axis -1.

    Channels that are all zero get 1: TensorRT refuses a scale of zero.
    """
    size = np.abs(values.astype(np.float32))
    rest = tuple(i for i in range(values.ndim) if i != axis)
    amax = size.max(axis=rest if axis >= 0 else None, initial=0.0)
    return np.asarray(np.where(amax > 0, amax / LEVELS, 1.0), dtype=np.float32)


def quantised(values: np.ndarray, scale: np.ndarray, axis: int) -> np.ndarray:
    """Return int8 numbers as QuantizeLinear gives them: to nearest even, from -127 to 127."""
    shape = [1] * values.ndim
    if scale.ndim:
        shape[axis] = -1
    with np.errstate(over="ignore"):
        whole = np.rint(values / scale.reshape(shape if scale.ndim else ()))
    return np.asarray(np.clip(whole, -LEVELS, LEVELS), dtype=np.int8)
