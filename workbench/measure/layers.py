"""The layers of a TensorRT engine, from what the engine inspector says of them.

The inspector's JSON: ``IEngineInspector`` in the TensorRT documentation. An engine built with detailed verbosity tells types,
tactics and, from TensorRT 8.6 on, the ONNX nodes of each layer; one built without, as ONNX Runtime's provider builds them, only
names. A name is made of the names of the nodes that were fused: ``a + b``, ``PWN(a, b)``, ``{ForeignNode[a...z]}``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from workbench.record import Record

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

# Layers that only move data, or change its type or format
MOVING = {"Reformat", "NoOp", "Constant", "Shuffle", "Copy", "Slice", "signal", "wait", "ShapeHostToDevice", "DeviceToShapeHost"}
COPIES = ("Reformatting CopyNode", "copy")

ELEMENT = re.compile(
    r"\b(?:(?P<bf16>bf16|bfloat16)|(?P<fp16>fp16|half)|(?P<fp32>fp32|tf32|float|float32)|(?P<int8>int8)|(?P<fp8>fp8\w*|e4m3\w*)"
    r"|(?P<int4>int4)|(?P<fp4>fp4\w*)|(?P<int64>int64)|(?P<int32>int32)|(?P<bool>bool)|(?P<uint8>uint8))\b",
    re.IGNORECASE,
)
# What a layer computes in, the narrowest first; whole numbers that only index or count come last
NARROWEST = ("fp4", "int4", "fp8", "int8", "fp16", "bf16", "fp32")
ONNX_LAYER = re.compile(r"\[ONNX Layer: (.*?)\](?=[\x1e\x1f\s]|$)")
PROFILE = re.compile(r" \[profile (\d+)\]$")
FOREIGN = re.compile(r"\{ForeignNode\[(?P<first>.+?)\.\.\.(?P<last>.+?)\]\}")
WRAPPED = re.compile(r"^(?:PWN|LOGISTIC|fusedPointwiseNode|trainStation\d*)\((?P<inside>.*)\)$")
COPIED = re.compile(r"^Reformatting CopyNode for (?:In|Out)put Tensor \d+ (?:to|from) ")


class EngineLayer(Record):
    """One layer of an engine.

    Attributes
    ----------
    name : str
        As TensorRT calls it.
    type : str
        Its kind, such as ``CaskConvolution``; empty where the engine does not tell.
    nodes : tuple of str
        The ONNX nodes that it was made of, as far as they are told; of a ``ForeignNode`` known by name only, the first and the
        last.
    precision : str or None
        What it computes in: the narrowest type (``fp16``, ``int8``, ...) among its inputs and weights; that of its outputs
        where it has no such inputs; ``integer`` where all are whole numbers or truth values. ``None`` where it is not told.
    inputs, outputs : tuple of str
        The types of what goes in and out, in TensorRT's order.
    weights : str
        The type of its weights; empty where there are none, or the engine does not tell.
    tactic : str
        The kernel's name; empty where it is not told.
    moving : bool
        Whether it only moves data, or changes its type or layout.
    profile : int
        The shape profile that it belongs to, from 0.
    ms : float or None
        Milliseconds an inference; ``None`` where it was not profiled.
    """

    name: str
    type: str = ""
    nodes: tuple[str, ...] = ()
    precision: str | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    weights: str = ""
    tactic: str = ""
    moving: bool = False
    profile: int = 0
    ms: float | None = None


class LayerTime(Record):
    """What the profiler said of one layer.

    Attributes
    ----------
    calls : int
        How often it ran.
    total_ms : float
        Milliseconds in all.
    """

    name: str
    calls: int
    total_ms: float


def layers_of(inspected: str | bytes, known: Collection[str] = ()) -> tuple[EngineLayer, ...]:
    """Return the layers that the inspector's JSON names.

    Parameters
    ----------
    inspected : str or bytes
        What ``IEngineInspector.get_engine_information`` gave.
    known : collection of str
        The model's node names, where they are known: they are then found in layers' names for certain.

    Raises
    ------
    ValueError
        When it is no such JSON.
    """
    # strict=False: TensorRT 8.6 writes control characters into the text as they are
    found = json.loads(inspected, strict=False)
    rows = found.get("Layers") if isinstance(found, dict) else None
    if not isinstance(rows, list):
        msg = "not the engine inspector's JSON: a list of layers was expected"
        raise ValueError(msg)  # noqa: TRY004  # the contents are wrong, not the argument
    names = frozenset(known)
    return tuple(_detailed(row, names) if isinstance(row, dict) else _named(str(row), names) for row in rows)


def with_times(layers: Sequence[EngineLayer], times: Sequence[LayerTime], runs: int) -> tuple[EngineLayer, ...]:
    """Return the layers with their milliseconds an inference; of a name that repeats, the times go round in order."""
    left: dict[str, list[float]] = {}
    for time in times:
        left.setdefault(time.name, []).append(time.total_ms / runs)
    found = []
    for layer in layers:
        mine = left.get(layer.name) or left.get(PROFILE.sub("", layer.name))
        found.append(layer.model_copy(update={"ms": mine.pop(0)}) if mine else layer)
    return tuple(found)


def with_quantised(layers: Sequence[EngineLayer], weights: Collection[str]) -> tuple[EngineLayer, ...]:
    """Return the layers with ``int8`` for those whose names show that a weight in 8 bits was fused into them.

    For engines that tell only names. TensorRT fuses the DequantizeLinear of a weight into a layer only where that layer computes
    in INT8 (TensorRT's documentation, on explicit quantization); the weight's name is then a part of the layer's. What the other
    layers compute in stays unknown.

    Parameters
    ----------
    weights : collection of str
        From :func:`workbench.model.precision.qdq_check.quantised_weights`.
    """
    known = frozenset(weights)

    def told(layer: EngineLayer) -> EngineLayer:
        if layer.precision is not None or layer.moving or known.isdisjoint(_parts(_profile(layer.name)[0])):
            return layer
        return layer.model_copy(update={"precision": "int8"})

    return tuple(map(told, layers))


def _named(text: str, known: frozenset[str]) -> EngineLayer:
    name, profile = _profile(text)
    moving = name.startswith(COPIES[0]) or name.endswith(f" {COPIES[1]}")
    return EngineLayer(name=text, nodes=nodes_in(name, known), moving=moving, profile=profile)


def _detailed(row: dict[str, Any], known: frozenset[str]) -> EngineLayer:
    text = str(row.get("Name", ""))
    name, profile = _profile(text)
    kind = str(row.get("LayerType", ""))
    inputs, outputs = (tuple(_types(row.get(key))) for key in ("Inputs", "Outputs"))
    weights = _weights(row.get("Weights"))
    told = ONNX_LAYER.findall(str(row.get("Metadata", "")))
    return EngineLayer(
        name=text,
        type=kind,
        nodes=tuple(dict.fromkeys(told)) or nodes_in(name, known),
        precision=_precision((*inputs, weights), outputs),
        inputs=inputs,
        outputs=outputs,
        weights=weights,
        tactic=str(row.get("TacticName", "")),
        moving=kind in MOVING or name.startswith(COPIES[0]),
        profile=profile,
    )


def _profile(name: str) -> tuple[str, int]:
    found = PROFILE.search(name)
    return (name[: found.start()], int(found[1])) if found else (name, 0)


def _types(tensors: Any) -> Iterator[str]:  # noqa: ANN401  # JSON
    for tensor in tensors if isinstance(tensors, list) else ():
        if isinstance(tensor, dict):
            yield element_type(str(tensor.get("Format/Datatype", tensor.get("Format", ""))))


def _weights(weights: Any) -> str:  # noqa: ANN401  # JSON
    if not isinstance(weights, dict) or not weights.get("Count", 1):
        return ""
    return element_type(str(weights.get("Type", "")))


def element_type(text: str) -> str:
    """Return the element type that a format's description names (``fp16`` of ``Row major linear FP16 format``), or nothing."""
    found = ELEMENT.search(text)
    return str(found.lastgroup) if found else ""


def _precision(sources: Iterable[str], outputs: Iterable[str]) -> str | None:
    for group in (tuple(sources), tuple(outputs)):
        for precision in NARROWEST:
            if precision in group:
                return precision
    return "integer" if any((*sources, *outputs)) else None


def nodes_in(name: str, known: Collection[str] = ()) -> tuple[str, ...]:
    """Return the ONNX nodes that a layer's name is made of.

    Parameters
    ----------
    name : str
        The layer's.
    known : collection of str
        The model's node names; with them, only those are returned. Without, all parts are that TensorRT did not make up.
    """
    if name in known:
        return (name,)
    parts = dict.fromkeys(part for part in _parts(COPIED.sub("", name)) if part)
    if known:
        return tuple(part for part in parts if part in known)
    made_up = ("(Unnamed Layer", "__myl", "Reformat", "trainStation")
    return tuple(part for part in parts if not part.startswith(made_up))


def _parts(name: str) -> Iterator[str]:
    name = name.strip()
    foreign = FOREIGN.search(name)
    if foreign:
        for part in (name[: foreign.start()], foreign["first"], foreign["last"], name[foreign.end() :]):
            yield from _parts(part.strip(" +"))
        return
    for separator in (" + ", " || "):
        if separator in name:
            for part in name.split(separator):
                yield from _parts(part)
            return
    wrapped = WRAPPED.match(name)
    if wrapped:
        for part in _arguments(wrapped["inside"]):
            yield from _parts(part)
        return
    yield name


def _arguments(text: str) -> Iterator[str]:
    """Yield what stands between the commas that lie in no brackets."""
    depth, begun = 0, 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            yield text[begun:position].strip()
            begun = position + 1
    yield text[begun:].strip()
