"""The dynamic dimensions of a model's inputs, and the ranges that a shape profile gives them.

A symbolic dimension stands for one size wherever it occurs, so it has one range. A dimension without a name has a range
of its own, under the name of its input and axis, such as ``x[0]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.options.profile import ShapeProfile
from workbench.runtime.inputs import input_shapes
from workbench.samples.catalogue import samples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.model.model import Model

Sizes = tuple[int, int, int]
BATCH: Sizes = (1, 8, 32)


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
    """

    name: str
    places: tuple[str, ...]
    sizes: Sizes | None


def dimensions_of(model: Model, profile: ShapeProfile) -> tuple[Dimension, ...]:
    """Return the dynamic dimensions of the inputs, each with its range; inputs of unknown rank have none."""
    places: dict[str, list[str]] = {}
    sizes: dict[str, Sizes] = {}
    for input_name, axis, name in _axes(model):
        places.setdefault(name, []).append(f"{input_name}[{axis}]")
        for given in profile.of(input_name)[:1]:
            if axis < len(given.min):
                sizes.setdefault(name, (given.min[axis], given.opt[axis], given.max[axis]))
    return tuple(Dimension(name, tuple(where), sizes.get(name)) for name, where in places.items())


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
    return found


def profile_of_sizes(model: Model, sizes: dict[str, Sizes]) -> ShapeProfile:
    """Return the profile that gives each dynamic dimension its range.

    Raises
    ------
    SettingsError
        When min ≤ opt ≤ max does not hold, or an input's rank is unknown.
    """
    return ShapeProfile.of_dimensions(model, dict(sizes)) if sizes else ShapeProfile()


def _axes(model: Model) -> Iterator[tuple[str, int, str]]:
    """Yield (input, axis, name) of each dynamic axis."""
    for spec in model.inputs:
        for axis, dim in enumerate(spec.shape or ()):
            if not isinstance(dim, int):
                yield spec.name, axis, dim or f"{spec.name}[{axis}]"
