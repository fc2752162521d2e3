"""Whether a model is one that ONNX Runtime can dump as an EP context model, said before anything is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.model.shape_operands import shape_tensors
from workbench.options.effective import Effective
from workbench.placement.engine_inputs import profile_findings
from workbench.placement.records import TENSORRT
from workbench.placement.wording import counted
from workbench.record import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.placement.records import Placement

LARGEST_EMBEDDED = 2_000_000_000  # bytes; protobuf ends at 2 GiB, and the rest of the message needs room
LISTED = 4


def dump_obstacles(model: Model, settings: Settings, placement: Placement, *, embed: bool = False) -> list[Finding]:
    """Return why ONNX Runtime's dump of a context model would be unusable, or would not be written; empty where it can be.

    Parameters
    ----------
    model, settings
        What would be built.
    placement : Placement
        Of this model with these settings, predicted or measured.
    embed : bool
        Whether the engine is to lie in the ONNX file itself.

    Returns
    -------
    list of Finding
        Errors.
    """
    if settings.provider != "tensorrt":
        return [_error("provider", f"it is {settings.provider!r}", "Context models hold TensorRT engines.", TAKE_TENSORRT)]
    if any(node.op_type == "EPContext" for node in model.nodes):
        return [_error("graph", "it is an EP context model already", "", "Dump from the original model.")]
    if placement.error is not None:
        return [_error("placement", placement.error.message.rstrip("."), "No session can be made.", placement.error.remedy)]
    return [*_split(model, placement), *_ranges(model, settings, placement), *_size(model, settings, embed=embed)]


TAKE_TENSORRT = "Choose the provider 'tensorrt'."
WHOLE = "Make TensorRT take the model whole: `workbench placement MODEL --predict --smallest-change` says what that needs."


def _error(where: str, seen: str, meaning: str, action: str) -> Finding:
    return Finding(level="error", where=where, seen=seen, meaning=meaning, action=action)


def _split(model: Model, placement: Placement) -> Iterator[Finding]:
    how = " (predicted)" if placement.evidence == "predicted" else ""
    count = placement.engines()
    if count == 0:
        yield _error("placement", f"TensorRT takes nothing of the model{how}", "There is no engine to dump.", WHOLE)
        return
    parents = {node.name: node.parent for node in model.nodes}
    inside = _in_bodies(placement, parents)
    if inside:
        meaning = "Such an engine is run by the control-flow node around it, which a context model does not hold."
        yield _error("placement", f"an engine stands in the body of {', '.join(inside[:LISTED])}{how}", meaning, WHOLE)
    if count > 1:
        meaning = "ONNX Runtime writes the file once for each engine, and keeps the path of the first: what is left cannot run."
        yield _error("placement", f"TensorRT runs {counted(count, 'part')} of the model{how}", meaning, WHOLE)
    outside = [node for node in placement.nodes if node.provider not in (TENSORRT, None)]
    others = [group for group in placement.groups if group.provider != TENSORRT]
    if outside or others:
        names = ", ".join(f"{node.name} ({node.op_type})" for node in outside[:LISTED]) + (" …" if len(outside) > LISTED else "")
        seen = f"{counted(max(len(outside), len(others)), 'node')} outside TensorRT{how}: {names}".rstrip(": ")
        meaning = "A context model is one engine and nothing else: what runs outside would be lost."
        yield _error("placement", seen, meaning, WHOLE)


def _in_bodies(placement: Placement, parents: dict[str, str]) -> list[str]:
    """Return the control-flow nodes that hold an engine in a body, while TensorRT does not take them themselves."""
    group_of = {node.name: node.group for node in placement.nodes if node.provider == TENSORRT}
    found = {
        parents[name]: None for name, group in group_of.items() if parents.get(name) and group_of.get(parents[name]) != group
    }
    return list(found)


def _ranges(model: Model, settings: Settings, placement: Placement) -> Iterator[Finding]:
    dynamic = [spec.name for spec in model.inputs if spec.dynamic] + [spec.name for spec in shape_tensors(model)]
    if dynamic and not settings.profile:
        yield _error(
            "profile",
            f"no shape profile is given, and {', '.join(dict.fromkeys(dynamic))} may change shape",
            "Such an engine is built at the first run, for that run's shapes, and rebuilt as they change: a context model of it "
            "would hold whatever came first.",
            "Give a shape profile.",
        )
    yield from (
        finding.model_copy(update={"level": "error"})
        for finding in profile_findings(model, settings, placement)
        if finding.level != "info"
    )


def _size(model: Model, settings: Settings, *, embed: bool) -> Iterator[Finding]:
    """Refuse what will not fit into one ONNX file; an engine takes about as much as the weights that it holds."""
    precisions = Effective(settings).precisions
    share = 0.25 if "int8" in precisions else 0.5 if {"fp16", "bf16"} & set(precisions) else 1.0
    expected = int(model.size_bytes * share)
    if embed and expected > LARGEST_EMBEDDED:
        yield _error(
            "trt_ep_context_embed_mode",
            f"the engine of {model.size_bytes / 1e9:.1f} GB of weights takes about {expected / 1e9:.1f} GB",
            "An ONNX file ends at 2 GB.",
            "Leave the engine beside the model (without --embed).",
        )
