"""The dynamic dimensions of a model's inputs, and the ranges that a shape profile gives them.

A symbolic dimension stands for one size wherever it occurs, so it has one range. A dimension without a name has a range
of its own, under the name of its input and axis, such as ``x[0]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.model.shape_operands import shape_tensors, values_of
from workbench.options.profile import InputRange, ShapeProfile
from workbench.options.propose import profile_of
from workbench.runtime.data.inputs import input_shapes
from workbench.samples.catalogue import samples

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workbench.model.model import Model

Sizes = tuple[int, int, int]
BATCH: Sizes = (1, 8, 32)
VALUE: Sizes = (1, 1, 2)  # of an input whose values decide shapes: nothing in the model says which it will get


@dataclass(frozen=True, slots=True)
class Dimension:
    """A dynamic dimension.

    Attributes
    ----------
    name : str
        Its symbolic name, or input and axis where it has none.
    places : tuple of str
        Where it occurs, such as ``x[0]``.
    sizes : (min, opt, max) or None
        Its range in the profile; ``None`` where the profile has none.
    value : bool
        Whether it is no size of an input, but a value in it that decides shapes.
    """

    name: str
    places: tuple[str, ...]
    sizes: Sizes | None
    value: bool = False


def dimensions_of(model: Model, profile: ShapeProfile, number: int = 0) -> tuple[Dimension, ...]:
    """Return the dynamic dimensions of the inputs, each with its range; inputs of unknown rank have none.

    `number` is that of the profile, from 0, where there are several.
    """
    places: dict[str, list[str]] = {}
    sizes: dict[str, Sizes] = {}
    for input_name, axis, name in _axes(model):
        places.setdefault(name, []).append(f"{input_name}[{axis}]")
        for given in profile.of(input_name)[number : number + 1]:
            if axis < len(given.min):
                sizes.setdefault(name, (given.min[axis], given.opt[axis], given.max[axis]))
    return tuple(Dimension(name, tuple(where), sizes.get(name)) for name, where in places.items())


def values_in(model: Model, profile: ShapeProfile, number: int = 0) -> tuple[Dimension, ...]:
    """Return the values in inputs that decide shapes, each with its range in a profile."""
    found = []
    for spec in shape_tensors(model):
        given = profile.of(spec.name)[number : number + 1]
        for at in range(values_of(spec)):
            sizes = [(r.min[at], r.opt[at], r.max[at]) for r in given if at < len(r.min)]
            place = f"value {at} of {spec.name}" if spec.shape else f"the value of {spec.name}"
            found.append(Dimension(f"{spec.name}[{at}]", (place,), sizes[0] if sizes else None, value=True))
    return tuple(found)


def profile_of_several(model: Model, several: Sequence[dict[str, Sizes]]) -> ShapeProfile:
    """Return several profiles in one, each by the ranges of its dimensions and values."""
    ranges: list[InputRange] = []
    for sizes in several:
        ranges += profile_of_sizes(model, sizes).ranges
    return ShapeProfile(ranges=tuple(ranges))


def sizes_in(model: Model, profile: ShapeProfile) -> list[dict[str, Sizes]]:
    """Return the ranges of each profile, by dimension and value."""
    return [
        {d.name: d.sizes for d in (*dimensions_of(model, profile, k), *values_in(model, profile, k)) if d.sizes is not None}
        for k in range(profile.count)
    ]


def suggested_sizes(model: Model) -> dict[str, Sizes]:
    """Return a range worth trying for each dynamic dimension: the sample's own, or one around the default size."""
    for sample in samples():
        if sample.path == model.path:
            return {given.dimension: (given.min, given.opt, given.max) for given in sample.ranges}
    known = {spec.name for spec in model.inputs if spec.shape is not None}
    shapes = input_shapes(model, ShapeProfile()) if len(known) == len(model.inputs) else {}
    found: dict[str, Sizes] = {}
    for input_name, axis, name in _axes(model):
        size = shapes.get(input_name, ())
        usual = size[axis] if axis < len(size) else 1
        around = (max(1, usual // 2), usual, 2 * usual)
        found.setdefault(name, BATCH if axis == 0 and usual == 1 else around)
    for each in values_in(model, ShapeProfile()):
        found.setdefault(each.name, VALUE)
    return found


def profile_of_sizes(model: Model, sizes: dict[str, Sizes]) -> ShapeProfile:
    """Return the profile that gives each dynamic dimension its range.

    Raises
    ------
    SettingsError
        When min ≤ opt ≤ max does not hold, or an input's rank is unknown.
    """
    return profile_of(model, dict(sizes)) if sizes else ShapeProfile()


def _axes(model: Model) -> Iterator[tuple[str, int, str]]:
    """Yield (input, axis, name) of each dynamic axis."""
    for spec in model.inputs:
        for axis, dim in enumerate(spec.shape or ()):
            if not isinstance(dim, int):
                yield spec.name, axis, dim or f"{spec.name}[{axis}]"
