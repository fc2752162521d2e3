"""The symbolic dimensions of a model's inputs by name, and a graph in which some of them are numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import InputError, SettingsError, nearest
from workbench.model.graph import bodies_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import onnx

    from workbench.model.model import Model


def dimension_names(model: Model) -> tuple[str, ...]:
    """Return the names of the inputs' dimensions that are no numbers; ``INPUT:AXIS``, such as ``x:0``, for one without a name."""
    return tuple(dict.fromkeys(name for spec in model.inputs for name in _names(spec.name, spec.shape) if name))


def check_dimensions(model: Model, sizes: Mapping[str, int]) -> None:
    """Raise SettingsError for a size of a dimension that the model's inputs do not have."""
    known = dimension_names(model)
    for name in sizes:
        if name not in known:
            close = nearest(name, known)
            have = f"Its dynamic dimensions are {', '.join(known)}." if known else "It has no dynamic dimension."
            raise SettingsError(
                f"{model.name}: no input has a dynamic dimension {name!r}.",
                remedy=f"{close} {have}".strip(),
            )


def sizes_of(model: Model, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Return the size of each dynamic dimension, given concrete shapes of inputs.

    Raises
    ------
    InputError
        For an input that the model has not, a shape of another rank or with another static dimension, and a symbolic
        dimension that would get two sizes.
    """
    specs = {spec.name: spec for spec in model.inputs}
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        if name not in specs:
            raise InputError(f"{model.name} has no input {name!r}; its inputs are {', '.join(specs) or 'none'}.")
        dims = specs[name].shape
        if dims is None:
            continue
        if len(dims) != len(shape):
            raise InputError(f"Input {name!r} has {len(dims)} dimensions; the shape {shape} has {len(shape)}.")
        for dim, label, size in zip(dims, _names(name, dims), shape, strict=True):
            have = dim if isinstance(dim, int) else sizes.setdefault(label, size)
            if have != size:
                raise InputError(f"Dimension {label or dim!r} of input {name!r} is {have}; the shape {shape} makes it {size}.")
    return sizes


def fix_dimensions(graph: onnx.GraphProto, sizes: Mapping[str, int], *, nested: bool) -> None:
    """Put numbers into the place of dynamic dimensions, in a graph and its bodies; names as :func:`dimension_names` has them."""
    for info in graph.input:
        for axis, dim in enumerate(info.type.tensor_type.shape.dim):
            size = sizes.get(f"{info.name}:{axis}")
            if size is not None and not dim.HasField("dim_value") and not dim.dim_param.strip("?"):
                dim.dim_value = size
    _replace(graph, sizes, nested=nested)


def _replace(graph: onnx.GraphProto, sizes: Mapping[str, int], *, nested: bool) -> None:
    for part in (graph.input, graph.output, graph.value_info):
        for info in part:
            for dim in info.type.tensor_type.shape.dim:
                if dim.dim_param in sizes:
                    dim.dim_value = sizes[dim.dim_param]
    for node in graph.node if nested else ():
        for body in bodies_of(node):
            _replace(body, sizes, nested=True)


def _names(spec: str, shape: tuple[int | str | None, ...] | None) -> Iterator[str]:
    """Yield a name for each dimension of an input; empty for one that is a number."""
    for axis, dim in enumerate(shape or ()):
        yield "" if isinstance(dim, int) else dim or f"{spec}:{axis}"
