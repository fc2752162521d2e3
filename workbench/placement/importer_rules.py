"""Restrictions of TensorRT's ONNX importers that can be told from a node: attributes, constants and ranks.

Each rule returns the restriction that a node breaks, as one clause, or an empty string. They follow the operator
tables of the releases (``data/README.md``) and the assertions in the importers that those tables were made from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench.placement.attributes import integer, integers, text, texts
from workbench.placement.dataflow import ELEMENTS, Shape
from workbench.placement.operands import Operands, Version
from workbench.placement.refusal import Refusal

if TYPE_CHECKING:
    from workbench.placement.records import Cause

TOPK_LIMIT = 3840
EINSUM = set("abcdefghijklmnopqrstuvwxyz->.,")
HALF_PIXEL_NEAREST = "round_prefer_floor"  # the only nearest_mode with coordinate_transformation_mode tf_half_pixel_for_nn


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
    name = ELEMENTS.get(target, str(target))
    allowed = {"float", "double", "float16", "bfloat16", "int32", "int64", "bool", "uint8", "int8"}
    return "" if name in allowed else f"Cast to {name} is not possible"


def _four_dimensions(o: Operands) -> str:
    rank = o.rank(0)
    return f"{o.op.op_type} needs an input of 4 dimensions, this has {rank}" if rank not in (None, 4) else ""


def _conv(o: Operands) -> str:
    rank = o.rank(0)
    if rank is not None and not 3 <= rank <= 5:
        return f"{o.op.op_type} is done over 1, 2 or 3 dimensions, this one over {rank - 2}"
    if o.version >= (9, 0):
        return ""
    return o.lacks(2, "a bias") or (o.lacks(1, "kernels over 1 dimension") if rank == 3 else "")


def _zero_point(o: Operands) -> str:
    if not o.given(2):
        return f"{o.op.op_type} needs its zero point given, though ONNX has a default" if o.version < (9, 0) else ""
    if not o.is_constant(2):
        return o.lacks(2, "zero points")
    points = o.array(2)
    if points is not None and points.astype("float64").any():
        return f"{o.op.op_type} needs a zero point of 0: quantize symmetrically"
    return ""


def _quantized_type(o: Operands) -> str:
    if o.given(2) and o.version >= (9, 0) and o.element(2) == "uint8":
        return f"{o.op.op_type} takes no UINT8 zero point: quantize to INT8, symmetrically"
    return ""


def _dequantize(o: Operands) -> str:
    if o.element(0) == "int32":
        return "DequantizeLinear takes no INT32: quantize without quantizing the bias"
    return _quantized_type(o)


def _dropout(o: Operands) -> str:
    training = o.array(2)
    if training is not None and training.any():
        return "Dropout takes no training_mode"
    return o.lacks(2, "a training_mode")


def _norm_order(o: Operands) -> str:
    p = integer(o.op.proto, "p", 2)
    return f"{o.op.op_type} takes p of 1 or 2, not {p}" if p not in (1, 2) else ""


def _lp_pool(o: Operands) -> str:
    return _norm_order(o) or _pool(o)


def _upsample(o: Operands) -> str:
    mode = text(o.op.proto, "mode", "nearest")
    return f"Upsample takes no mode {mode}" if mode not in ("nearest", "linear", "bilinear") else ""


def _instance_normalization(o: Operands) -> str:
    if o.version >= (9, 0):
        return ""
    rank = o.rank(0)
    if rank is not None and not 3 <= rank <= 5:
        return f"InstanceNormalization needs 3 to 5 dimensions, this has {rank}"
    return o.lacks(1, "a scale") or o.lacks(2, "a bias")


def _random_type(o: Operands) -> str:
    code = integer(o.op.proto, "dtype", 0)
    return f"{o.op.op_type} makes FLOAT or FLOAT16 only" if code not in (0, 1, 10) else ""


def _filler(o: Operands) -> str:
    return "ConstantOfShape does not take UINT8" if o.result(0).element == "uint8" else ""


def _einsum(o: Operands) -> str:
    equation = text(o.op.proto, "equation", "").replace(" ", "")
    if not set(equation) <= EINSUM:
        return "Einsum takes lower-case letters only"
    if o.version >= (10, 0):
        return ""
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
    nearest = text(proto, "nearest_mode", HALF_PIXEL_NEAREST)
    if mode == "tf_half_pixel_for_nn" and nearest != HALF_PIXEL_NEAREST:
        return f"Resize with tf_half_pixel_for_nn takes nearest_mode {HALF_PIXEL_NEAREST}, not {nearest}"
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
    return ""


def _squeeze(o: Operands) -> str:
    if not o.given(1) and integers(o.op.proto, "axes") is None:
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
Rule = Callable[[Operands], str]
OF_TYPES: dict[str, Rule] = {
    "Cast": _cast,
    "ConstantOfShape": _filler,
    "DequantizeLinear": _dequantize,
    "QuantizeLinear": _quantized_type,
    "RotaryEmbedding": _rotary,
}
OF_TYPES |= dict.fromkeys((f"Random{kind}{like}" for kind in ("Normal", "Uniform") for like in ("", "Like")), _random_type)
OF_SHAPES: dict[str, Rule] = {"EyeLike": _eye_like, "Squeeze": _squeeze}
OF_ATTRIBUTES: dict[str, Rule] = {
    "Attention": _attention,
    "AveragePool": _pool,
    "BatchNormalization": _batch_normalization,
    "Conv": _conv,
    "ConvTranspose": _conv,
    "CumSum": _constant_input(1, "an axis"),
    "DepthToSpace": _four_dimensions,
    "DequantizeLinear": _zero_point,
    "Dropout": _dropout,
    "Einsum": _einsum,
    "GRU": _recurrent,
    "Gemm": _gemm,
    "GridSample": _grid_sample,
    "If": _if,
    "InstanceNormalization": _instance_normalization,
    "LSTM": _recurrent,
    "LayerNormalization": _layer_normalization,
    "Loop": _loop,
    "LpNormalization": _norm_order,
    "LpPool": _lp_pool,
    "MaxPool": _pool,
    "Mod": _mod,
    "OneHot": _constant_input(1, "a depth", since=(10, 0)),
    "Pad": _pad,
    "QuantizeLinear": _zero_point,
    "RNN": _recurrent,
    "RandomNormalLike": _random_like,
    "RandomUniformLike": _random_like,
    "Resize": _resize,
    "STFT": _stft,
    "Scan": _scan,
    "ScatterND": _scatter_nd,
    "Slice": _constant_input(3, "axes"),
    "SpaceToDepth": _four_dimensions,
    "Squeeze": _axes,
    "TopK": _top_k,
    "Trilu": _trilu,
    "Unsqueeze": _axes,
    "Upsample": _upsample,
} | dict.fromkeys(
    (f"Reduce{kind}" for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")), _reduce
)
KINDS: tuple[tuple[Cause, dict[str, Rule]], ...] = (("type", OF_TYPES), ("attribute", OF_ATTRIBUTES), ("shape", OF_SHAPES))


def broken_rule(operands: Operands) -> Refusal | None:
    """Return the restriction that an operation breaks; ``None`` where it breaks none that is known."""
    for cause, rules in KINDS:
        rule = rules.get(operands.op.op_type)
        text = rule(operands) if rule is not None else ""
        if text:
            return Refusal(cause, text)
    return None
