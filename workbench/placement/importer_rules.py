"""Restrictions of TensorRT's ONNX importers that can be told from a node: attributes, constants and ranks.

Each rule returns the restriction that a node breaks, as one clause, or an empty string. They follow the operator
tables of the releases (``data/README.md``) and the assertions in the importers that those tables were made from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.placement.attributes import integer, integers, text, texts
from workbench.placement.constants import Array, constant
from workbench.placement.dataflow import UNKNOWN, Graph, Op, Shape, Value

if TYPE_CHECKING:
    from collections.abc import Callable

Version = tuple[int, int]
TOPK_LIMIT = 3840


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


def _constant_input(index: int, name: str, since: Version = (0, 0), until: Version = (99, 0)) -> Callable[[Operands], str]:
    """Make a rule: an input must be constant for releases in [since, until)."""

    def rule(o: Operands) -> str:
        return o.lacks(index, name) if since <= o.version < until else ""

    return rule


def _pool(o: Operands) -> str:
    rank = o.rank(0)
    if rank is not None and rank > 5:
        return f"{o.op.op_type} is done over 2 or 3 dimensions, this one over {rank - 2}"
    if len(o.op.outputs) > 1 and o.op.outputs[1]:
        return "MaxPool cannot return indices"
    dilations = integers(o.op.proto, "dilations") or ()
    if o.version >= (9, 0) and any(d != 1 for d in dilations):
        return f"{o.op.op_type} takes no dilations"
    return ""


def _batch_normalization(o: Operands) -> str:
    if integer(o.op.proto, "training_mode", 0) or len([x for x in o.op.outputs if x]) > 1:
        return "BatchNormalization takes no training mode"
    return ""


def _cast(o: Operands) -> str:
    target = integer(o.op.proto, "to", 1)
    from workbench.placement.dataflow import ELEMENTS

    name = ELEMENTS.get(target, str(target))
    allowed = {"float", "double", "float16", "bfloat16", "int32", "int64", "bool", "uint8", "int8"}
    return "" if name in allowed else f"Cast to {name} is not possible"


def _clip(o: Operands) -> str:
    return o.lacks(1, "limits") or o.lacks(2, "limits") if o.version < (10, 2) else ""


def _four_dimensions(o: Operands) -> str:
    rank = o.rank(0)
    return f"{o.op.op_type} needs an input of 4 dimensions, this has {rank}" if rank not in (None, 4) else ""


def _conv(o: Operands) -> str:
    rank = o.rank(0)
    if rank is not None and not 3 <= rank <= 5:
        return f"{o.op.op_type} is done over 1, 2 or 3 dimensions, this one over {rank - 2}"
    return o.lacks(1, "kernels over 1 dimension") if o.version < (9, 0) and rank == 3 else ""


def _zero_point(o: Operands) -> str:
    if not o.given(2):
        return ""
    if o.version >= (9, 0) and o.element(2) == "uint8":
        return f"{o.op.op_type} takes no UINT8 zero point: quantize to INT8, symmetrically"
    if not o.is_constant(2):
        return o.lacks(2, "zero points")
    points = o.array(2)
    if points is not None and points.astype("float64").any():
        return f"{o.op.op_type} needs a zero point of 0: quantize symmetrically"
    return ""


def _dequantize(o: Operands) -> str:
    if o.element(0) == "int32":
        return "DequantizeLinear takes no INT32: quantize without quantizing the bias"
    return _zero_point(o)


def _dropout(o: Operands) -> str:
    training = o.array(2)
    if training is not None and training.any():
        return "Dropout takes no training_mode"
    return o.lacks(2, "a training_mode")


def _einsum(o: Operands) -> str:
    if o.version >= (10, 0):
        return ""
    equation = text(o.op.proto, "equation", "").replace(" ", "")
    if "..." in equation:
        return "Einsum takes no ellipsis"
    for term in equation.partition("->")[0].split(","):
        if len(set(term)) != len(term):
            return "Einsum takes no diagonal, a letter twice in one term"
    return ""


def _eye_like(o: Operands) -> str:
    shape = o.shape(0)
    if shape is not None and any(not isinstance(d, int) for d in shape):
        return "EyeLike needs a static shape"
    return ""


def _gemm(o: Operands) -> str:
    for index in (0, 1):
        if o.rank(index) not in (None, 2):
            return f"Gemm needs inputs of 2 dimensions, this has one of {o.rank(index)}"
    return ""


def _recurrent(o: Operands) -> str:
    proto = o.op.proto
    if o.op.op_type == "LSTM" and integer(proto, "input_forget", 0):
        return "LSTM takes no input_forget"
    if integer(proto, "layout", 0):
        return f"{o.op.op_type} takes layout 0 only"
    if text(proto, "direction", "forward") == "bidirectional":
        names = texts(proto, "activations")
        half = len(names) // 2
        if names[:half] != names[half:]:
            return f"a bidirectional {o.op.op_type} needs the same activations both ways"
    return ""


def _if(o: Operands) -> str:
    if len(o.op.bodies) != 2:
        return ""
    for ours, theirs in zip(o.op.bodies[0].outputs, o.op.bodies[1].outputs, strict=False):
        a, b = o.op.bodies[0].value(ours).shape, o.op.bodies[1].value(theirs).shape
        if a is not None and b is not None and len(a) != len(b):
            return f"the branches of the If return {len(a)} and {len(b)} dimensions, which must agree"
    return ""


def _loop(o: Operands) -> str:
    if not o.op.bodies:
        return ""
    body = o.op.bodies[0]
    for i, name in enumerate(body.outputs[1 : len(o.op.inputs) - 1]):
        before, after = o.shape(i + 2), body.value(name).shape
        if before is not None and after is not None and _differ(before, after):
            return f"the Loop changes the shape of what it carries ({name!r})"
    return ""


def _differ(a: Shape, b: Shape) -> bool:
    pairs = zip(a, b, strict=False)
    return len(a) != len(b) or any(isinstance(x, int) and isinstance(y, int) and x != y for x, y in pairs)


def _scan(o: Operands) -> str:
    return "Scan takes no sequence_lens" if o.op.version and o.op.version < 9 and o.given(0) else ""


def _mod(o: Operands) -> str:
    if not integer(o.op.proto, "fmod", 0) and o.element(0) in ("float", "float16", "double", "bfloat16"):
        return "Mod of floating-point numbers needs fmod=1"
    return ""


def _pad(o: Operands) -> str:
    mode = text(o.op.proto, "mode", "constant")
    if mode not in ("constant", "edge", "reflect") and not (mode == "wrap" and o.version >= (10, 0)):
        return f"Pad takes no mode {mode}"
    return _constant_input(3, "axes")(o)


def _random_like(o: Operands) -> str:
    return f"{o.op.op_type} takes no constant input" if o.is_constant(0) else ""


def _resize(o: Operands) -> str:
    proto = o.op.proto
    mode = text(proto, "coordinate_transformation_mode", "half_pixel")
    if mode in ("tf_crop_and_resize", "half_pixel_symmetric"):
        return f"Resize takes no coordinate_transformation_mode {mode}"
    if text(proto, "keep_aspect_ratio_policy", "stretch") != "stretch":
        return "Resize takes keep_aspect_ratio_policy stretch only"
    if integer(proto, "antialias", 0):
        return "Resize does no antialiasing"
    return "Resize needs an input with dimensions" if o.rank(0) == 0 else ""


def _scatter_nd(o: Operands) -> str:
    reduction = text(o.op.proto, "reduction", "none")
    return f"ScatterND takes no reduction {reduction}" if reduction != "none" else ""


def _axes(o: Operands) -> str:
    if o.given(1) and not o.is_constant(1):
        return o.lacks(1, "axes")
    if o.op.op_type == "Squeeze" and not o.given(1) and integers(o.op.proto, "axes") is None:
        shape = o.shape(0)
        if shape is not None and any(not isinstance(d, int) for d in shape):
            return "Squeeze of a dynamic shape needs its axes given"
    return ""


def _top_k(o: Operands) -> str:
    if not integer(o.op.proto, "sorted", 1) and o.version >= (10, 0):
        return "TopK returns sorted values only"
    k = o.array(1)
    if k is not None and k.size == 1 and int(k.ravel()[0]) > TOPK_LIMIT:
        return f"TopK takes a K of at most {TOPK_LIMIT}, this is {int(k.ravel()[0])}"
    return ""


def _trilu(o: Operands) -> str:
    rank = o.rank(0)
    return "Trilu needs an input of at least 2 dimensions" if rank is not None and rank < 2 else ""


def _grid_sample(o: Operands) -> str:
    rank = o.rank(0)
    return f"GridSample is done in 2 dimensions, this one in {rank - 2}" if rank is not None and rank != 4 else ""


def _layer_normalization(o: Operands) -> str:
    return "LayerNormalization returns its first output only" if any(o.op.outputs[1:]) else ""


def _attention(o: Operands) -> str:
    for index, name in ((0, "Q"), (1, "K"), (2, "V"), (3, "attn_mask")):
        if o.rank(index) not in (None, 4):
            return f"Attention needs a {name} of 4 dimensions, this has {o.rank(index)}"
    if any(o.given(index) for index in (4, 5, 6)):
        return "Attention takes no past_key, past_value or nonpad_kv_seqlen"
    if any(o.op.outputs[1:]):
        return "Attention returns its first output only"
    return ""


def _stft(o: Operands) -> str:
    return o.lacks(1, "a frame_step") or o.lacks(2, "a window")


def _rotary(o: Operands) -> str:
    return "RotaryEmbedding needs INT64 position_ids" if o.given(3) and o.element(3) not in ("", "int64") else ""


_reduce = _constant_input(1, "axes", since=(10, 0))
RULES: dict[str, Callable[[Operands], str]] = {
    "Attention": _attention,
    "AveragePool": _pool,
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "Clip": _clip,
    "Conv": _conv,
    "ConvTranspose": _conv,
    "CumSum": _constant_input(1, "an axis"),
    "DepthToSpace": _four_dimensions,
    "DequantizeLinear": _dequantize,
    "Dropout": _dropout,
    "Einsum": _einsum,
    "EyeLike": _eye_like,
    "GRU": _recurrent,
    "Gemm": _gemm,
    "GridSample": _grid_sample,
    "If": _if,
    "LSTM": _recurrent,
    "LayerNormalization": _layer_normalization,
    "Loop": _loop,
    "MaxPool": _pool,
    "Mod": _mod,
    "OneHot": _constant_input(1, "a depth", since=(10, 0)),
    "Pad": _pad,
    "QuantizeLinear": _zero_point,
    "RNN": _recurrent,
    "RandomNormalLike": _random_like,
    "RandomUniformLike": _random_like,
    "Resize": _resize,
    "RotaryEmbedding": _rotary,
    "STFT": _stft,
    "Scan": _scan,
    "ScatterND": _scatter_nd,
    "Slice": _constant_input(3, "axes"),
    "SpaceToDepth": _four_dimensions,
    "Squeeze": _axes,
    "TopK": _top_k,
    "Trilu": _trilu,
    "Unsqueeze": _axes,
} | dict.fromkeys(
    (f"Reduce{kind}" for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")), _reduce
)
