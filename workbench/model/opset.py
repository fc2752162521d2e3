"""Bring a model's operator sets and file format down to what a runtime reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import ModelError
from workbench.model.external import model_tensors
from workbench.model.graph import nodes_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

# TensorProto.DataType -> the IR version that brought it (onnx.proto, comments on Version); older types need none
TYPES_SINCE = {17: 9, 18: 9, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11, 24: 12, 25: 13, 26: 13, 27: 14, 28: 14}
FUNCTIONS_SINCE = 8
OVERLOADS_SINCE = 10


@dataclass(frozen=True, slots=True)
class Versions:
    """The newest that a runtime reads.

    Attributes
    ----------
    opset, ml_opset : int
        Operator set of ``ai.onnx`` and of ``ai.onnx.ml``.
    ir_version : int
        File format.
    """

    opset: int
    ml_opset: int
    ir_version: int


def lower_versions(proto: onnx.ModelProto, newest: Versions) -> tuple[onnx.ModelProto, list[str]]:
    """Lower the operator sets and the IR version of a model to those that a runtime reads.

    An operator set that no node uses, or whose used operators are the same in the lower version, only gets the lower
    number. Otherwise ONNX's version converter rewrites the graph.

    Parameters
    ----------
    proto : onnx.ModelProto
        May be changed in place.
    newest : Versions
        What the runtime reads.

    Returns
    -------
    tuple of onnx.ModelProto and list of str
        The model, and what changed, in words.

    Raises
    ------
    ModelError
        When the model uses something that the lower version does not have.
    """
    changes: list[str] = []
    for domain, limit in (("ai.onnx.ml", newest.ml_opset), ("", newest.opset)):
        for entry in _imports(proto, domain):
            if entry.version > limit:
                before = entry.version
                proto, how = _lowered(proto, entry, limit)
                changes.append(f"Lowered opset {before} of {domain or 'ai.onnx'} to {limit}: {how}.")
                break
    if proto.ir_version > newest.ir_version:
        needed = ir_version_needed(proto)
        if needed > newest.ir_version:
            raise ModelError(
                f"The model needs IR version {needed}; the runtime reads {newest.ir_version} at most.",
                remedy="Use a newer ONNX Runtime, or export without the newer element types.",
            )
        changes.append(f"Lowered the IR version from {proto.ir_version} to {newest.ir_version}: nothing newer is used.")
        proto.ir_version = newest.ir_version
    return proto, changes


def ir_version_needed(proto: onnx.ModelProto) -> int:
    """Return the lowest IR version that holds what the model uses: element types, functions and their overloads."""
    needed = [TYPES_SINCE.get(kind, 3) for kind in _element_types(proto)]
    needed += [FUNCTIONS_SINCE] * bool(proto.functions)
    overloads = any(getattr(part, "overload", "") for part in (*proto.functions, *nodes_in(proto)))
    return max([*needed, *[OVERLOADS_SINCE] * overloads], default=3)


def _element_types(proto: onnx.ModelProto) -> Iterator[int]:
    yield from (tensor.data_type for tensor in model_tensors(proto))
    for part in (proto.graph.input, proto.graph.output, proto.graph.value_info):
        yield from (info.type.tensor_type.elem_type for info in part)
    for node in nodes_in(proto):
        yield from (given.i for given in node.attribute if given.name in ("to", "dtype", "output_dtype"))


def _imports(proto: onnx.ModelProto, domain: str) -> list[onnx.OperatorSetIdProto]:
    names = {domain, "ai.onnx"} if not domain else {domain}
    entries = [entry for entry in proto.opset_import if entry.domain in names]
    # Functions import for themselves; their versions must not be above the model's.
    return entries + [entry for f in proto.functions for entry in f.opset_import if entry.domain in names]


def _lowered(proto: onnx.ModelProto, entry: onnx.OperatorSetIdProto, limit: int) -> tuple[onnx.ModelProto, str]:
    domain = "" if entry.domain == "ai.onnx" else entry.domain
    used = {n.op_type for n in nodes_in(proto) if ("" if n.domain == "ai.onnx" else n.domain) == domain}
    newer = sorted(op for op in used if _since(op, domain, entry.version) > limit)
    if not newer:
        for each in _imports(proto, domain):
            each.version = min(each.version, limit)
        return proto, "the operators used are the same in both" if used else "no node uses it"
    if domain:
        raise ModelError(
            f"{', '.join(newer)} of {domain} came after opset {limit}, and there is no converter for this domain.",
            remedy="Use a newer ONNX Runtime.",
        )
    return _converted(proto, limit, newer), f"ONNX's version converter rewrote {', '.join(newer)}"


def _since(op_type: str, domain: str, version: int) -> int:
    """Return the version since which an operator is as it is; 0 for one that ONNX does not define."""
    import onnx

    try:
        return int(onnx.defs.get_schema(op_type, version, domain).since_version)
    except onnx.defs.SchemaError:
        return 0


def _converted(proto: onnx.ModelProto, limit: int, newer: list[str]) -> onnx.ModelProto:
    from onnx import version_converter

    try:
        return version_converter.convert_version(proto, limit)
    except (RuntimeError, ValueError, TypeError) as error:
        text = " ".join(str(error).split())[:300]
        raise ModelError(
            f"ONNX's version converter cannot bring {', '.join(newer)} down to opset {limit}: {text}.",
            remedy=f"Export at opset {limit}, or use a newer ONNX Runtime.",
        ) from error
