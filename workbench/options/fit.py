"""Whether a shape profile fits a model, and which one a model's dimensions suggest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import SettingsError, nearest
from workbench.model.shape_operands import shape_tensors, values_of
from workbench.options.profile import InputRange
from workbench.record import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workbench.model.model import Model, TensorSpec
    from workbench.options.profile import ShapeProfile

Triple = tuple[int, int, int]


def findings_of_fit(profile: ShapeProfile, model: Model) -> list[Finding]:
    """Compare a profile with a model's inputs; see :meth:`workbench.options.profile.ShapeProfile.check`."""
    inputs = {spec.name: spec for spec in model.inputs}
    holding = {spec.name for spec in shape_tensors(model)} if profile else set()
    for given in profile.ranges:
        if given.name in holding:
            _check_values(given, inputs[given.name])
        elif given.name in inputs:
            _check_dimensions(given, inputs[given.name])
        elif given.name not in _tensors(model):
            remedy = nearest(given.name, list(inputs)) or f"Its inputs are {', '.join(map(repr, inputs))}."
            raise SettingsError(f"shape profile: {model.path.name} has no input {given.name!r}.", remedy=remedy)
    _check_complete(profile, model)
    return [*_static(profile, model), *_inexpressible(profile), *_shared(profile, model)]


def _tensors(model: Model) -> set[str]:
    """Return what the nodes of a model write: where the graph is split, TensorRT's inputs are of these too."""
    return {name for node in model.nodes for name in node.proto.output if name}


def _check_values(given: InputRange, spec: TensorSpec) -> None:
    """Check the range of a shape tensor, which holds values."""
    wanted = values_of(spec)
    if len(given.min) != wanted:
        what = "1 value that decides shapes" if wanted == 1 else f"{wanted} values that decide shapes"
        raise SettingsError(
            f"profile of input {given.name!r}: it holds {what}, and the range gives {len(given.min)}.",
            remedy="For such an input give the least, the usual and the greatest values, not shapes.",
        )


def _check_dimensions(given: InputRange, spec: TensorSpec) -> None:
    what = f"profile of input {given.name!r}"
    for axis, low in enumerate(given.min):
        if low < 1:
            raise SettingsError(
                f"{what}: axis {axis} has min {low}, opt {given.opt[axis]}, max {given.max[axis]}; dimensions must be 1 or more."
            )
    if spec.shape is None:
        return
    if len(given.min) != len(spec.shape):
        raise SettingsError(f"{what} has {len(given.min)} dimensions, the model's input has {len(spec.shape)}: {spec}.")
    for axis, dim in enumerate(spec.shape):
        sizes = (given.min[axis], given.opt[axis], given.max[axis])
        if isinstance(dim, int) and set(sizes) != {dim}:
            low, opt, high = sizes
            raise SettingsError(
                f"{what}: axis {axis} has min {low}, opt {opt}, max {high}, but the model fixes it to {dim}.",
                remedy=f"Write {dim} there, or export the model with that axis dynamic.",
            )


def _check_complete(profile: ShapeProfile, model: Model) -> None:
    missing = [str(spec) for spec in model.inputs if spec.dynamic and not profile.of(spec.name)]
    if profile.ranges and missing:
        raise SettingsError(
            f"shape profile: dynamic inputs are missing: {'; '.join(missing)}.",
            remedy="TensorRT needs a range for every dynamic input, or for none.",
        )
    counts = {name: len(profile.of(name)) for name in profile.names}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name!r} has {count}" for name, count in counts.items())
        raise SettingsError(
            f"shape profile: the inputs have different numbers of profiles: {listed}.",
            remedy="Profile k of one input goes with profile k of every other: give each input the same number.",
        )


def _static(profile: ShapeProfile, model: Model) -> Iterator[Finding]:
    if profile.ranges and not any(spec.dynamic for spec in model.inputs) and not shape_tensors(model):
        yield Finding(
            level="warning",
            where="profile",
            seen="a shape profile is given, but all inputs of the model have fixed shapes",
            meaning="It has no effect: TensorRT builds for the fixed shapes.",
            action="Leave the profile out, or export the model with dynamic axes.",
        )


def _inexpressible(profile: ShapeProfile) -> Iterator[Finding]:
    for name in profile.inexpressible():
        yield Finding(
            level="warning",
            where=name,
            seen="the input's name holds a ':' or ','",
            meaning="ONNX Runtime's profile options split there and would silently take another name and shape.",
            action="Rename the input in the model, or run without a profile and warm up with the smallest and largest shapes.",
        )


def _shared(profile: ShapeProfile, model: Model) -> Iterator[Finding]:
    """Find symbolic dimensions that stand for one size but are given different ranges."""
    seen: dict[tuple[str, int], tuple[str, Triple]] = {}
    reported: set[str] = set()
    for spec in model.inputs:
        for number, given in enumerate(profile.of(spec.name)):
            for axis, dim in enumerate(spec.shape or ()):
                if not isinstance(dim, str) or dim in reported:
                    continue
                sizes = (given.min[axis], given.opt[axis], given.max[axis])
                place = f"axis {axis} of {spec.name!r}"
                other, before = seen.setdefault((dim, number), (place, sizes))
                if before != sizes:
                    reported.add(dim)
                    yield _unequal(dim, (other, before), (place, sizes))


def _unequal(dim: str, first: tuple[str, Triple], second: tuple[str, Triple]) -> Finding:
    texts = [f"{place} has {':'.join(map(str, sizes))}" for place, sizes in (first, second)]
    return Finding(
        level="warning",
        where=dim,
        seen=f"dimension {dim!r} is given different ranges: {', '.join(texts)}",
        meaning="In the model it is one size: inputs that differ in it fail, and the engine is tuned for sizes that never meet.",
        action="Give it the same range everywhere.",
    )


def ranges_of_dimensions(model: Model, sizes: Mapping[str, int | Triple]) -> list[InputRange]:
    """Return a range for every dynamic input; see :meth:`workbench.options.profile.ShapeProfile.of_dimensions`."""
    dynamic = [spec for spec in model.inputs if spec.dynamic]
    unranked = [spec.name for spec in dynamic if spec.shape is None]
    if unranked:
        raise SettingsError(
            f"shape profile: the rank of {', '.join(map(repr, unranked))} is unknown.",
            remedy="Give these inputs' shapes as NAME=MIN:OPT:MAX.",
        )
    used: set[str] = set()
    missing: list[str] = []
    found = [_range_of(spec, sizes, used, missing) for spec in dynamic]
    if missing:
        raise SettingsError(
            f"shape profile: no size for {', '.join(dict.fromkeys(missing))}.", remedy="Give (min, opt, max) for each."
        )
    _refuse_unknown(model, set(sizes) - used)
    return found


def _range_of(spec: TensorSpec, sizes: Mapping[str, int | Triple], used: set[str], missing: list[str]) -> InputRange:
    triples: list[Triple] = []
    for axis, dim in enumerate(spec.shape or ()):
        if isinstance(dim, int):
            triples.append((dim, dim, dim))
            continue
        names = (f"{spec.name}[{axis}]", "?" if dim is None else dim)
        used.update(names)
        name = next((name for name in names if name in sizes), None)
        if name is None:
            missing.append(f"axis {axis} of {spec.name!r}" if dim is None else repr(dim))
            triples.append((1, 1, 1))
        else:
            triples.append(_triple(name, sizes[name]))
    low, opt, high = zip(*triples, strict=True)
    return InputRange(name=spec.name, min=low, opt=opt, max=high)


def _triple(name: str, size: int | Triple) -> Triple:
    if isinstance(size, int):
        return size, size, size
    if len(size) != 3:
        raise SettingsError(f"shape profile: dimension {name!r} needs one size or (min, opt, max), not {size!r}.")
    return size


def _refuse_unknown(model: Model, unknown: set[str]) -> None:
    for name in sorted(unknown):
        known = list(model.dynamic_dimensions)
        remedy = nearest(name, known) or (f"Its dynamic dimensions are {', '.join(known)}." if known else "It has none.")
        raise SettingsError(f"shape profile: {model.path.name} has no dynamic dimension {name!r}.", remedy=remedy)
