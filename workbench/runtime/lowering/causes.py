"""What can break a node in half precision, as far as its numbers in float32 tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.measure.halving import INFINITE, LARGEST, MANY_SMALL, MASK, Half, TensorRange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import onnx

SQUARING = ("LayerNormalization", "InstanceNormalization", "GroupNormalization", "RMSNormalization", "ReduceL2",
            "ReduceSumSquare", "LpNormalization", "MeanVarianceNormalization", "SimplifiedLayerNormalization",
            "SkipLayerNormalization")  # fmt: skip
TYPES = {"fp16": "float16", "bf16": "bfloat16"}


def causes_of(
    node: onnx.NodeProto, ranges: Mapping[str, TensorRange], weights: set[str], to: Half
) -> tuple[tuple[str, ...], bool]:
    """Return what can break a node, and whether numbers become infinite.

    Parameters
    ----------
    node : onnx.NodeProto
        The node.
    ranges : mapping of str to TensorRange
        Of float32 tensors, weights included.
    weights : set of str
        Which of them are weights or constants.
    to : str
        ``fp16`` or ``bf16``.
    """
    found = [*_over(node, ranges, weights, to)]
    hard = bool(found)
    found += _squares(node, ranges, to)
    found += _small(node, ranges, weights)
    return tuple(dict.fromkeys(found)), hard


def _over(node: onnx.NodeProto, ranges: Mapping[str, TensorRange], weights: set[str], to: Half) -> Iterator[str]:
    limit = f"over {LARGEST[to]:,.0f}" if to == "fp16" else f"over {LARGEST[to]:.3g}"
    for name in (*node.output, *node.input):
        seen = ranges.get(name)
        if seen is None or not seen.over:
            continue
        kind = "weight" if name in weights else "output" if name in node.output else "input"
        if seen.lowest <= MASK and -seen.lowest >= seen.largest:
            yield f"softmax mask: {kind} {name!r} holds {seen.lowest:.3g}, minus infinity in {TYPES[to]}"
        elif node.op_type == "Pow" and kind == "output":
            yield f"square: {name!r} reaches {seen.largest:.3g}, {limit}"
        else:
            yield f"overflow: {kind} {name!r} reaches {seen.largest:.3g}, {limit}"


def _squares(node: onnx.NodeProto, ranges: Mapping[str, TensorRange], to: Half) -> Iterator[str]:
    seen = ranges.get(node.input[0]) if node.input else None
    if node.op_type in SQUARING and seen is not None and not seen.over and seen.largest**2 >= INFINITE[to]:
        yield f"square inside: numbers up to {seen.largest:.3g} have squares up to {seen.largest**2:.3g}"


def _small(node: onnx.NodeProto, ranges: Mapping[str, TensorRange], weights: set[str]) -> Iterator[str]:
    for name in (*node.output, *node.input):
        seen = ranges.get(name)
        if seen is None:
            continue
        if name in weights and seen.elements == 1 and seen.zeroed:
            yield f"constant {name!r} of {seen.largest:.3g} becomes zero"
        elif seen.zeroed >= MANY_SMALL:
            yield f"underflow: {seen.zeroed:.0%} of {name!r} become zero"
        elif seen.subnormal >= MANY_SMALL:
            yield f"subnormal: {seen.subnormal:.0%} of {name!r} keep few bits"
