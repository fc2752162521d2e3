"""Flags that did nothing, by what the model says and what the engines are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.options.effective import Effective
from workbench.record import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workbench.measure.delivered import EngineDelivered
    from workbench.measure.layers import EngineLayer
    from workbench.model.model import Model
    from workbench.options.settings import Settings

FALLBACK = "trt_layer_norm_fp32_fallback"
# onnx.TensorProto.DataType
FLOAT, HALF, BFLOAT16 = 1, 10, 16
TYPES = {"fp16": (HALF, "float16"), "bf16": (BFLOAT16, "bfloat16")}
MOSTLY = 0.99  # of the weights: what is kept in float32 beside it are constants of a few elements
# One layer of these is compiled from many nodes: its types do not tell what a node inside computes in
COMPILED = ("myelin", "kgen", "foreign")
NO_FLAG = {
    "tensorrt": "With ONNX Runtime 1.18 to 1.26 on TensorRT 10, leave the flag out: the file's types hold then. Others need it.",
    "native": "On TensorRT 10 and later, leave the flag out: the file's types hold then. Earlier ones need it.",
}


def flag_findings(model: Model, settings: Settings, engines: Sequence[EngineDelivered]) -> tuple[Finding, ...]:
    """Return a finding for each flag that did nothing.

    Parameters
    ----------
    model : Model
        Read without its external weights.
    settings : Settings
        Whose flags.
    engines : sequence of EngineDelivered
        What came of them.
    """
    now = Effective(settings)
    return (*_already(now, model), *_fallback(now, model, engines))


def _already(now: Effective, model: Model) -> Iterator[Finding]:
    for precision in now.precisions:
        if precision in TYPES and (share := _share_of(model, TYPES[precision][0])) >= MOSTLY:
            yield Finding(
                level="info",
                where="precision",
                seen=f"{precision} was asked for, and {share:.0%} of the model's weights are {TYPES[precision][1]} already",
                meaning=f"Layers in {precision} are the model's doing: the flag only lets TensorRT choose other types.",
                action=NO_FLAG.get(now.settings.provider, ""),
            )


def _share_of(model: Model, dtype: int) -> float:
    """Return how much of the weights of floating point are of a type; 0 where there are none."""
    sizes = [
        (tensor.data_type, math.prod(tensor.dims))
        for tensor in model.proto.graph.initializer
        if tensor.data_type in (FLOAT, HALF, BFLOAT16)
    ]
    whole = sum(size for _, size in sizes)
    return sum(size for kind, size in sizes if kind == dtype) / whole if whole else 0.0


def _fallback(now: Effective, model: Model, engines: Sequence[EngineDelivered]) -> Iterator[Finding]:
    asked = [precision for precision in now.precisions if precision in TYPES]
    if now.settings.provider != "tensorrt" or not now.on(FALLBACK) or not asked:
        return
    powers = normalising_powers(model)
    if not powers:
        yield Finding(
            level="warning",
            where=FALLBACK,
            seen="the model has no Pow whose result goes into a reduction",
            meaning="That is the only pattern that the option looks for: it did nothing.",
            action="Leave it out; keep normalisation in FP32 in the model itself where it must be.",
        )
        return
    narrow = [layer for engine in engines for layer in engine.layers if _is_narrow(layer, powers)]
    if narrow:
        yield Finding(
            level="warning",
            where=FALLBACK,
            seen=f"{len(narrow)} layers with a normalisation's Pow compute in {narrow[0].precision} still: {narrow[0].name}",
            meaning="The option asked for FP32 there, and had no effect on them.",
            action="Keep these nodes in FP32 in the model itself.",
        )


def normalising_powers(model: Model) -> frozenset[str]:
    """Return the names of the Pow nodes whose result goes straight into a reduction: how a LayerNorm's square looks."""
    reduced = {name for node in model.nodes if node.op_type.startswith("Reduce") for name in node.proto.input}
    return frozenset(node.name for node in model.nodes if node.op_type == "Pow" and reduced.intersection(node.proto.output))


def _is_narrow(layer: EngineLayer, powers: frozenset[str]) -> bool:
    compiled = any(word in f"{layer.type} {layer.name}".lower() for word in COMPILED)
    return layer.precision in TYPES and not compiled and not powers.isdisjoint(layer.nodes)
