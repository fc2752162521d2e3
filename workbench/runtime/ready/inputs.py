"""Shapes and values of inputs that a model runs on, found by trying: random inputs do not suit every model.

Exporters leave dimensions open that the graph then fixes, such as the length of a sound frame, and take numbers that
only a few values make sense for, such as a sampling rate. Both are found by trying a few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.model.graph import nodes_in
from workbench.options.profile import InputRange, ShapeProfile
from workbench.runtime.data.inputs import ModelInput, input_shapes, random_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.model.model import Model

Shape = tuple[int, ...]
Scalars = tuple[tuple[str, int], ...]
Dimension = str | tuple[str, int]  # a symbolic dimension's name, or the input and axis of one without a name
CASTS = {"Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape"}
LARGE = 64  # from here on a size is grown by a step that most strides divide, not doubled
STEP = 32


@dataclass(frozen=True, slots=True)
class Trial:
    """Concrete shapes of all inputs, and values of the integer scalars among them."""

    shapes: tuple[tuple[str, Shape], ...]
    scalars: Scalars = ()

    def inputs(self, model: Model, seed: int) -> list[ModelInput]:
        """Return the arrays: random, but for the scalars that have a value here."""
        ranges = tuple(InputRange(name=n, min=s, opt=s, max=s) for n, s in self.shapes if s and min(s) > 0)
        values = dict(self.scalars)
        return [
            ModelInput(i.name, np.full(i.array.shape, values[i.name], i.array.dtype), f"{values[i.name]}")
            if i.name in values
            else i
            for i in random_inputs(model, ShapeProfile(ranges=ranges), seed)
        ]


def dimensions_of(model: Model) -> list[Dimension]:
    """Return the dynamic dimensions of a model's inputs, one without a name for each input and axis."""
    found: list[Dimension] = [
        dim if dim is not None else (spec.name, axis)
        for spec in model.inputs
        for axis, dim in enumerate(spec.shape or ())
        if not isinstance(dim, int)
    ]
    return list(dict.fromkeys(found))


def first_trials(model: Model, profile: ShapeProfile, fixed: Scalars = ()) -> Iterator[Trial]:
    """Yield shapes and scalars to try, the likeliest first; a profile's optimum, and scalars that are `fixed`, are kept."""
    base = input_shapes(model, profile)
    given = {r.name for r in profile.ranges}
    scalars: list[Scalars] = [fixed] if fixed else [(), *((pair,) for pair in compared_scalars(model))]
    seen: set[Trial] = set()
    for alone in (None, 1):
        for factor in (1.0, 0.5, 2.0, 4.0, 0.125):
            shapes = {n: s if n in given else _scaled(model, n, s, factor, alone) for n, s in base.items()}
            for values in scalars:
                trial = Trial(tuple(shapes.items()), values)
                if trial not in seen:
                    seen.add(trial)
                    yield trial


def _scaled(model: Model, name: str, shape: Shape, factor: float, alone: int | None) -> Shape:
    """Return a shape whose open dimensions of 2 or more are scaled.

    With `alone`, those of later inputs that the first does not share get that size instead: they are often batches.
    """
    (spec,) = (spec for spec in model.inputs if spec.name == name)
    first = model.inputs[0]
    shared = set(first.shape or ()) - {None}
    sizes = []
    for dim, size in zip(spec.shape or (), shape, strict=True):
        if isinstance(dim, int) or size < 2:
            sizes.append(size)
        else:
            single = alone is not None and name != first.name and dim not in shared
            sizes.append(alone if single and alone else max(1, int(size * factor)))
    return tuple(sizes)


def varied(model: Model, trial: Trial, which: list[Dimension], round_: int) -> Trial:
    """Return a trial in which some dynamic dimensions have another size; `round_` chooses which other (0 or 1)."""
    shapes = []
    for name, shape in trial.shapes:
        (spec,) = (spec for spec in model.inputs if spec.name == name)
        changed = [
            _other(size, round_) if not isinstance(dim, int) and (dim if dim is not None else (name, axis)) in which else size
            for axis, (dim, size) in enumerate(zip(spec.shape or (), shape, strict=True))
        ]
        shapes.append((name, tuple(changed)))
    return Trial(tuple(shapes), trial.scalars)


def _other(size: int, round_: int) -> int:
    if round_ == 0:
        return size + STEP if size >= LARGE else size * 2
    return size * 2 if size >= LARGE else size + 1


def other_scalars(model: Model, trial: Trial) -> Iterator[Trial]:
    """Yield a trial with each other value of a scalar that the graph compares with a constant: each leads another way."""
    for pair in compared_scalars(model):
        if pair not in trial.scalars:
            yield Trial(trial.shapes, (pair,))
    if trial.scalars:
        yield Trial(trial.shapes)


def compared_scalars(model: Model) -> list[tuple[str, int]]:
    """Return the integer scalars among the inputs with the constants that the graph compares them with."""
    source = {s.name: s.name for s in model.inputs if s.dtype.startswith(("int", "uint")) and s.shape in ((), (1,))}
    if not source:
        return []
    constants = _integers(model)
    found: list[tuple[str, int]] = []
    for node in nodes_in(model.proto):
        if node.op_type in CASTS and node.input[0] in source:
            source[node.output[0]] = source[node.input[0]]
        if node.op_type == "Equal" and len(node.input) == 2:
            for one, other in (tuple(node.input), tuple(reversed(node.input))):
                if one in source and other in constants:
                    found.append((source[one], constants[other]))
    return list(dict.fromkeys(found))


def _integers(model: Model) -> dict[str, int]:
    """Return the constants that are one integer."""
    import onnx

    tensors = [(t.name, t) for t in model.proto.graph.initializer]
    tensors += [
        (node.output[0], a.t)
        for node in nodes_in(model.proto)
        if node.op_type == "Constant"
        for a in node.attribute
        if a.name == "value"
    ]
    whole = (onnx.TensorProto.INT64, onnx.TensorProto.INT32)
    small = [(name, t) for name, t in tensors if t.data_type in whole and list(t.dims) in ([], [1])]
    return {name: int(onnx.numpy_helper.to_array(t).ravel()[0]) for name, t in small}
