"""The arrays a model is run on: the user's, or random ones that the model can take."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import InputError, nearest
from workbench.model.shape_operands import shape_tensors
from workbench.runtime.data.arrays import unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.model.model import Model, TensorSpec
    from workbench.options.profile import ShapeProfile

DEFAULT_SPATIAL = 224  # height and width where neither the model nor a profile gives one: what most image models take
DEFAULT_LENGTH = 8
DEFAULT_SIGNAL = 512  # samples: models of sound take frames of some hundred
PASS_THROUGH = {"Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape", "Flatten", "Expand", "Transpose"}


@dataclass(frozen=True)
class ModelInput:
    """An array for one input, and where its values came from."""

    name: str
    array: np.ndarray
    origin: str


def random_inputs(model: Model, profile: ShapeProfile, seed: int) -> list[ModelInput]:
    """Make random arrays for all inputs.

    Floats are standard normal. Integers that index a table of known size are drawn from its rows; other integers are 1,
    which suits masks and counts. Shapes are the profile's optimum where it gives one; a symbolic dimension has one size
    throughout. Inputs whose values decide shapes get the optimum's values.

    Parameters
    ----------
    model : Model
        The model.
    profile : ShapeProfile
        Its optimum shapes are used.
    seed : int
        Of the random generator; equal seeds give equal arrays.

    Raises
    ------
    InputError
        When an input's type cannot be made up (sequences, maps, unknown rank).
    """
    rng = np.random.default_rng(seed)
    shapes = input_shapes(model, profile)
    bounds = _index_bounds(model)
    values = {spec.name: given[0].opt for spec in shape_tensors(model) if (given := profile.of(spec.name))}
    return [
        _given_values(spec, values[spec.name])
        if spec.name in values
        else _random(spec, shapes[spec.name], bounds.get(spec.name), rng)
        for spec in model.inputs
    ]


def _given_values(spec: TensorSpec, values: tuple[int, ...]) -> ModelInput:
    array = np.array(values, _numpy_dtype(spec)).reshape(() if not spec.shape else (len(values),))
    return ModelInput(spec.name, array, "the profile's optimum")


def input_shapes(model: Model, profile: ShapeProfile) -> dict[str, tuple[int, ...]]:
    """Return a concrete shape for every input.

    Parameters
    ----------
    model : Model
        The model.
    profile : ShapeProfile
        Its optimum shapes come first; dimensions it leaves open get a default size.
    """
    holding = {spec.name for spec in shape_tensors(model)} if profile else set()
    optimum = {r.name: r.opt for r in reversed(profile.ranges) if r.name not in holding}
    sizes: dict[str, int] = {}
    for spec in model.inputs:
        for dim, size in zip(spec.shape or (), optimum.get(spec.name, ()), strict=False):
            if isinstance(dim, str):
                sizes.setdefault(dim, size)
    return {spec.name: optimum.get(spec.name) or _default_shape(spec, sizes) for spec in model.inputs}


def _default_shape(spec: TensorSpec, sizes: dict[str, int]) -> tuple[int, ...]:
    if spec.shape is None:
        raise InputError(
            f"The rank of input {spec.name!r} ({spec.dtype}) is unknown: no array can be made up for it.",
            remedy="Give an .npz file with one array for each input.",
        )
    rank, shape = len(spec.shape), []
    signal = rank == 2 and spec.dtype.startswith("float")
    for axis, dim in enumerate(spec.shape):
        inner = DEFAULT_SPATIAL if rank == 4 and axis >= 2 else DEFAULT_SIGNAL if signal else DEFAULT_LENGTH
        default = 1 if axis == 0 else inner
        if isinstance(dim, str):
            default = sizes.setdefault(dim, 1 if "batch" in dim.lower() else default)
        shape.append(dim if isinstance(dim, int) else default)
    return tuple(shape)


def _random(spec: TensorSpec, shape: tuple[int, ...], rows: int | None, rng: np.random.Generator) -> ModelInput:
    if spec.dtype in ("float16", "float32", "float64", "bfloat16") or spec.dtype.startswith("float8"):
        return ModelInput(spec.name, rng.standard_normal(shape).astype(_numpy_dtype(spec)), "random, standard normal")
    if spec.dtype == "bool":
        return ModelInput(spec.name, np.asarray(rng.random(shape) < 0.5), "random")
    if spec.dtype == "string":
        return ModelInput(spec.name, np.full(shape, "text", dtype=object), "the word 'text'")
    if spec.dtype == "uint8":  # an image, nearly always
        return ModelInput(spec.name, rng.integers(0, 256, shape, dtype=np.uint8), "random, 0 to 255")
    if rows is not None:
        array = rng.integers(0, rows, shape).astype(_numpy_dtype(spec))
        return ModelInput(spec.name, array, f"random rows of a table of {rows}")
    return ModelInput(spec.name, np.ones(shape, dtype=_numpy_dtype(spec)), "ones")


def _numpy_dtype(spec: TensorSpec) -> np.dtype:
    try:
        return np.dtype(spec.dtype)
    except TypeError:
        pass
    try:
        import ml_dtypes  # comes with onnx from 1.17 on

        dtype: np.dtype = np.dtype(getattr(ml_dtypes, spec.dtype))
    except (ImportError, AttributeError, TypeError) as error:
        raise InputError(
            f"No array of type {spec.dtype} can be made up for input {spec.name!r}.",
            remedy="Give an .npz file, or export the model with tensor inputs.",
        ) from error
    return dtype


def _index_bounds(model: Model) -> dict[str, int]:
    """Return, for inputs that index a table, how many rows the table has."""
    weights = {t.name: t.dims for t in model.proto.graph.initializer}
    source = {spec.name: spec.name for spec in model.inputs}
    bounds: dict[str, int] = {}
    for node in model.proto.graph.node:
        if node.op_type in PASS_THROUGH and node.input and node.input[0] in source:
            source[node.output[0]] = source[node.input[0]]
        if node.op_type == "Gather" and len(node.input) == 2 and node.input[1] in source and node.input[0] in weights:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
            dims = weights[node.input[0]]
            if dims:
                name = source[node.input[1]]
                bounds[name] = min(bounds.get(name, dims[axis]), dims[axis])
    return bounds


def read_inputs(path: str | Path, model: Model) -> list[ModelInput]:
    """Read the user's arrays from an ``.npz`` file.

    Parameters
    ----------
    path : str or Path
        A file that holds one array for each input, under the input's name.
    model : Model
        The model they must fit.

    Raises
    ------
    InputError
        Naming the input, what it is and what was expected.
    """
    path = Path(path)
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise unreadable(path, error) from error
    return check_inputs(arrays, model, str(path))


def check_inputs(arrays: Mapping[str, np.ndarray], model: Model, origin: str) -> list[ModelInput]:
    """Check arrays against the model's inputs and return them in the model's order.

    Raises
    ------
    InputError
        For a missing or unknown name, a wrong dtype, rank or size, or one symbolic dimension with two sizes.
    """
    names = [spec.name for spec in model.inputs]
    for name in names:
        if name not in arrays:
            raise InputError(
                f"{origin}: no array for input {name!r}.",
                remedy=f"It holds {sorted(arrays)}. {nearest(name, list(arrays))}".rstrip(),
            )
    sizes: dict[str, tuple[int, str]] = {}
    for spec in model.inputs:
        _check_array(spec, arrays[spec.name], origin, sizes)
    return [ModelInput(name, arrays[name], origin) for name in names]


def _check_array(spec: TensorSpec, array: np.ndarray, origin: str, sizes: dict[str, tuple[int, str]]) -> None:
    got = "string" if array.dtype.kind in "OUS" else array.dtype.name
    if got != spec.dtype:
        raise InputError(
            f"{origin}: input {spec.name!r} is {got}; the model wants {spec.dtype}.",
            remedy=f"Convert it: array.astype({spec.dtype!r}).",
        )
    if spec.shape is None:
        return
    if array.ndim != len(spec.shape):
        raise InputError(
            f"{origin}: input {spec.name!r} has shape {array.shape}; the model wants {len(spec.shape)} dimensions ({spec})."
        )
    for axis, (size, dim) in enumerate(zip(array.shape, spec.shape, strict=True)):
        if isinstance(dim, int) and size != dim:
            raise InputError(f"{origin}: input {spec.name!r} has shape {array.shape}; axis {axis} must be {dim} ({spec}).")
        if isinstance(dim, str) and sizes.setdefault(dim, (size, spec.name))[0] != size:
            other, name = sizes[dim]
            raise InputError(
                f"{origin}: dimension {dim!r} is {size} in input {spec.name!r} but {other} in {name!r}; it must be the same."
            )
