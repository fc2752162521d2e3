"""The inputs of every TensorRT engine, and whether a shape profile names those that it must.

With an explicit profile ONNX Runtime wants a range for each dynamic input of each engine, tensors between engines
included; otherwise it refuses the session ("User needs to provide all the dynamic shape inputs with associated profiles").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workbench.errors import InputError
from workbench.model.model import DTYPES
from workbench.model.shape_operands import may_be_shape_tensor, shape_operands, shape_tensors
from workbench.options.profile import ShapeProfile
from workbench.placement.checks import context_source, malformed
from workbench.placement.crossing import crossings, places_of
from workbench.placement.dataflow import ELEMENTS
from workbench.placement.prepare import prepare
from workbench.placement.records import TENSORRT
from workbench.placement.tensor_ranges import tensor_ranges
from workbench.placement.wording import counted
from workbench.record import Finding, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workbench.model.model import Model
    from workbench.options.profile import InputRange
    from workbench.options.settings import Settings
    from workbench.placement.dataflow import Graph
    from workbench.placement.records import Placement

_DTYPE = {name: DTYPES[number] for number, name in ELEMENTS.items()}
LISTED = 6  # names in one message


class EngineInput(Record):
    """An input of a TensorRT engine.

    Attributes
    ----------
    engine : int
        Which engine, from 0, in the placement's order.
    dtype : str
        NumPy's name; empty where it is not known.
    shape : tuple of (int, str or None) or None
        A number, a symbolic dimension, or ``None`` for one that nothing is known of; ``None`` for an unknown rank.
    origin : str
        ``input`` for an input of the model, ``tensor`` for one that another part of the graph makes.
    dynamic : bool
        Whether its shape may differ between requests.
    shape_tensor : bool
        Whether its values decide shapes inside the engine; a profile then bounds the values.
    """

    engine: int
    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None
    origin: Literal["input", "tensor"]
    dynamic: bool
    shape_tensor: bool

    @property
    def named(self) -> bool:
        """Whether an explicit profile must name it."""
        return self.dynamic or self.shape_tensor

    def __str__(self) -> str:
        dims = "?" if self.shape is None else " × ".join("?" if d is None else str(d) for d in self.shape) or "scalar"
        return f"{self.name}: {self.dtype or '?'} [{dims}]"


def engine_inputs(placement: Placement, model: Model) -> tuple[EngineInput, ...]:
    """Return the inputs of all TensorRT engines of a placement; one that several engines read stands there for each.

    Parameters
    ----------
    placement : Placement
        Of this model, predicted or measured. Groups whose nodes a session did not tell have no inputs here.
    model : Model
        The model.
    """
    if malformed(model) is not None or context_source(model) is not None:
        return ()
    graph = prepare(model).graph
    number = {index: engine for engine, index in enumerate(i for i, g in enumerate(placement.groups) if g.provider == TENSORRT)}
    holding = _shape_operands(placement, graph)
    given = {spec.name for spec in model.inputs}
    found: dict[tuple[int, str], EngineInput] = {}
    for crossing in crossings(placement, graph):
        group = crossing.ends[1]
        if crossing.target != TENSORRT or group not in number or (number[group], crossing.tensor) in found:
            continue
        value = crossing.value
        dtype = _DTYPE.get(value.element, "")
        found[number[group], crossing.tensor] = EngineInput(
            engine=number[group],
            name=crossing.tensor,
            dtype=dtype,
            shape=value.shape,
            origin="input" if crossing.tensor in given else "tensor",
            dynamic=value.shape is None or any(not isinstance(dim, int) for dim in value.shape),
            shape_tensor=crossing.tensor in holding.get(group, ()) and may_be_shape_tensor(dtype, value.shape),
        )
    return tuple(sorted(found.values(), key=lambda each: each.engine))


def _shape_operands(placement: Placement, graph: Graph) -> dict[int, set[str]]:
    """Return, for each TensorRT group, the tensors whose values decide shapes inside it."""
    places = places_of(placement)
    nodes: dict[int, list[tuple[str, Sequence[str], Sequence[str]]]] = {}
    for _, op in graph.walk():
        place = places.get(op.name)
        if not op.removed and place is not None and place.provider == TENSORRT and place.group is not None:
            nodes.setdefault(place.group, []).append((op.op_type, op.inputs, op.outputs))
    return {group: shape_operands(held) for group, held in nodes.items()}


def missing_inputs(profile: ShapeProfile, inputs: Iterable[EngineInput]) -> tuple[EngineInput, ...]:
    """Return the engine inputs that an explicit profile must name and does not, each once; none without a profile."""
    if not profile:
        return ()
    named = set(profile.names)
    return tuple({each.name: each for each in inputs if each.named and each.name not in named}.values())


def profile_findings(model: Model, settings: Settings, placement: Placement) -> list[Finding]:
    """Say before a session is made whether ONNX Runtime will take the profile.

    Returns
    -------
    list of Finding
        Errors where a session placed the nodes, warnings where the placement is predicted; empty without a profile.
    """
    if settings.provider != "tensorrt" or not settings.profile:
        return []
    inputs = engine_inputs(placement, model)
    missing = missing_inputs(settings.profile, inputs)
    found = [*_useless(settings.profile, inputs, model, placement)]
    if not missing:
        return found
    listed = ", ".join(each.name for each in missing[:LISTED]) + (" …" if len(missing) > LISTED else "")
    predicted = placement.evidence == "predicted"
    parts = f"{counted(placement.engines(), 'part')} of the model{' (predicted)' if predicted else ''}"
    found.insert(
        0,
        Finding(
            level="warning" if predicted else "error",
            where="profile",
            seen=f"TensorRT runs {parts}, and the shape profile does not name {len(missing)} of their inputs: {listed}",
            meaning="With a profile, ONNX Runtime refuses the session: 'User needs to provide all the dynamic shape inputs with "
            "associated profiles'.",
            action="Complete the profile (`workbench shapes MODEL --complete`), or leave it out: TensorRT then takes the shapes "
            "that it sees.",
        ),
    )
    return found


def _useless(profile: ShapeProfile, inputs: Sequence[EngineInput], model: Model, placement: Placement) -> Iterable[Finding]:
    """Find tensors inside the model that the profile names, and that are no input of an engine."""
    known = {each.name for each in inputs} | {spec.name for spec in model.inputs}
    odd = [name for name in profile.names if name not in known]
    if odd and all(group.nodes for group in placement.groups if group.provider == TENSORRT):
        yield Finding(
            level="info",
            where="profile",
            seen=f"{', '.join(odd)}: no input of an engine in the {placement.evidence} placement",
            meaning="Ranges of other tensors have no effect.",
            action="Leave them out, or complete the profile anew after the graph or the options have changed.",
        )


def complete_profile(model: Model, settings: Settings, placement: Placement) -> tuple[ShapeProfile, list[Finding]]:
    """Add to a profile what ONNX Runtime wants beside the model's inputs: ranges of the tensors between engines.

    Parameters
    ----------
    model : Model
        The model.
    settings : Settings
        Whose profile is completed; it must give a range to each dynamic input of the model.
    placement : Placement
        Of this model: who runs each node decides which tensors are inputs of an engine.

    Returns
    -------
    ShapeProfile
        The given profile where nothing was missing. Ranges that cannot be worked out are left out.
    list of Finding
        What was added, and what could not be, with the reason.
    """
    profile = settings.profile
    missing = missing_inputs(profile, engine_inputs(placement, model))
    if not missing:
        return profile, []
    findings = [_unknown(each) for each in missing if each.origin == "input"]
    wanted = {each.name: each.shape_tensor for each in missing if each.origin == "tensor"}
    own = {spec.name for spec in model.inputs if spec.dynamic} | {spec.name for spec in shape_tensors(model)}
    added: list[InputRange] = []
    for number in range(profile.count):
        ranges = [given for given in profile.profile(number) if given.name in own]
        try:
            found = tensor_ranges(model, ranges, wanted)
        except InputError as error:
            findings.append(Finding(level="error", where="profile", seen=error.message, action=error.remedy))
            return profile, findings
        added += [each.given for each in found if each.given is not None]
        findings += [_not_found(each.name, each.why_not) for each in found if each.given is None and number == 0]
    bad = ShapeProfile(ranges=tuple(added)).inexpressible()
    added = [given for given in added if given.name not in bad]
    findings += [*map(_inexpressible, bad), *map(_added, added)]
    return ShapeProfile(ranges=(*profile.ranges, *added)), findings


def _added(given: InputRange) -> Finding:
    return Finding(
        level="info",
        where=given.name,
        seen=f"its range follows from those of the inputs: {str(given).removeprefix(given.name + '=')}",
        meaning="It is an input of an engine; shape inference at the profile's sizes gives its range.",
    )


def _not_found(name: str, why: str) -> Finding:
    return Finding(
        level="error",
        where=name,
        seen=f"no range can be worked out: {why}",
        meaning="It is an input of an engine, so an explicit profile must name it.",
        action="Give its range yourself if you know its greatest size (--profile NAME=MIN:OPT:MAX), or leave the profile out: "
        "TensorRT then takes the ranges that it sees; warm up with the smallest and the largest shapes.",
    )


def _unknown(each: EngineInput) -> Finding:
    what = "values that decide shapes" if each.shape_tensor else "dynamic dimensions"
    return Finding(
        level="error",
        where=each.name,
        seen=f"the input has {what}, and the profile gives it no range",
        meaning="Nothing in the model says which it will get.",
        action=f"Give its {'values' if each.shape_tensor else 'shapes'}: --profile {each.name}=MIN:OPT:MAX.",
    )


def _inexpressible(name: str) -> Finding:
    return Finding(
        level="error",
        where=name,
        seen="the tensor's name holds a ':' or ','",
        meaning="ONNX Runtime's profile options split there, so that no range can be given for it.",
        action="Rename it in the model, or leave the profile out and warm up with the smallest and the largest shapes.",
    )
