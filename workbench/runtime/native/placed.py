"""Who runs a model's nodes when TensorRT itself does: all are one group, and its layers say what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.placement.records import TENSORRT, Group, PlacedNode, Placement, RuntimeVersions, coverage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.measure.layers import EngineLayer
    from workbench.model.model import Model

UNNAMED = "TensorRT itself runs it; no layer names it: it was computed beforehand, or fused without its name."
ABOUT = "TensorRT itself runs the whole model, in one engine: no other provider takes part."


def placement_of_layers(model: Model, layers: Sequence[EngineLayer], tensorrt: str, notes: Sequence[str]) -> Placement:
    """Return the placement of a model that is one engine.

    Parameters
    ----------
    model : Model
        The model.
    layers : sequence of EngineLayer
        The engine's.
    tensorrt : str
        The version.
    notes : sequence of str
        What else a reader must know.
    """
    layer_of: dict[str, EngineLayer] = {}
    for layer in layers:
        for name in layer.nodes:
            if name not in layer_of or layer_of[name].moving:  # what computes it, rather than what moves its data
                layer_of[name] = layer
    placed = tuple(
        PlacedNode(name=node.name, op_type=node.op_type, provider=TENSORRT, group=0, reason=_reason(layer_of.get(node.name)))
        for node in model.nodes
    )
    group = Group(provider=TENSORRT, nodes=tuple(node.name for node in placed))
    named = sum(node.name in layer_of for node in model.nodes)
    told = f"{len(layers)} layers, which name {named} of {len(placed)} nodes."
    return Placement(
        model=model.name,
        evidence="measured",
        runtime=RuntimeVersions(tensorrt=tensorrt),
        groups=(group,) if placed else (),
        nodes=placed,
        coverage=coverage(placed),
        notes=(ABOUT, told, *notes),
        memcpy=0,
    )


def _reason(layer: EngineLayer | None) -> str:
    if layer is None:
        return UNNAMED
    kind = f" ({layer.type})" if layer.type else ""
    return f"TensorRT itself runs it, in layer {layer.name!r}{kind}."
