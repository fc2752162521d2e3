"""What an exported module is tried on: the example, other sizes of its dynamic dimensions, and other values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import InputError, ModelError, nearest
from workbench.model.pytorch.call import Call, results_of
from workbench.model.pytorch.export import FOREIGN, Axes

if TYPE_CHECKING:
    from collections.abc import Iterator

Dynamic = str | Mapping[str | int, Mapping[int, str] | Sequence[int]]
LARGE = 64  # from here on a size is grown by a step that most strides divide, not doubled
STEP = 32
NUDGE = 1e-5  # relative: what the rounding of deep float32 networks adds up to
FEW, MANY = range(8), range(8, 32)  # trials of such a change: of every module, and where module and model disagree
ANYTHING = 1e9  # a change of shape: no distance says how large it is
SAME = 1e-2  # share of the largest number: what differs more in a second call was drawn at random


@dataclass(frozen=True)
class Case:
    """One call of the module and what it gave.

    Attributes
    ----------
    name : str
        ``example``, or what is different, such as ``batch=2``.
    tensors : dict of str to tensor
        The inputs.
    outputs : list of (str, ndarray)
        The results by name, in the exporters' order.
    """

    name: str
    tensors: dict[str, Any]
    outputs: list[tuple[str, np.ndarray]]


def array_of(tensor: Any, name: str) -> np.ndarray:  # noqa: ANN401
    """Return a tensor as an array in host memory.

    Raises
    ------
    InputError
        For types that NumPy has not, such as bfloat16.
    """
    try:
        array: np.ndarray = tensor.detach().cpu().numpy()
    except TypeError as error:
        raise InputError(
            f"{name!r} is of type {tensor.dtype}, which NumPy has not: the export cannot be checked.",
            remedy="Export the module in float32 (module.float()); choose the precision when it is run.",
        ) from error
    return array


def call_module(module: Any, call: Call, tensors: Mapping[str, Any]) -> list[tuple[str, np.ndarray]]:  # noqa: ANN401
    """Call a module, and return its results by name."""
    args, kwargs = call.arguments({name: tensor.clone() for name, tensor in tensors.items()})
    found = results_of(module(*args, **kwargs), tuple(tensors))
    return [(name, array_of(tensor, name)) for name, tensor in found]


def example_case(module: Any, call: Call, tensors: dict[str, Any]) -> Case:  # noqa: ANN401
    """Call the module with the example, twice.

    Raises
    ------
    InputError
        When the module fails on it, or gives something else than tensors.
    ModelError
        When the two results differ.
    """
    what = type(module).__name__
    try:
        first, second = (call_module(module, call, tensors) for _ in range(2))
    except FOREIGN as error:
        text = str(error).strip().splitlines()
        raise InputError(
            f"{what} fails on the example: {type(error).__name__}: {text[0][:300] if text else ''}",
            remedy="Give an example that the module runs on, on the device of its weights.",
        ) from error
    if not first:
        raise InputError(f"{what} gives no tensor.", remedy="Wrap it in a module that returns its results.")
    if not all(_same(a, b) for (_, a), (_, b) in zip(first, second, strict=True)):
        raise ModelError(
            f"{what} gives other results each time it is called: it draws random numbers, and an export cannot be checked.",
            remedy="Make it deterministic in evaluation mode (module.eval()).",
        )
    return Case("example", tensors, first)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    if a.shape != b.shape:
        return False
    if a.dtype.kind not in "fc":
        return bool(np.array_equal(a, b))
    finite = np.abs(a[np.isfinite(a)])
    return bool(np.allclose(a, b, rtol=SAME, atol=SAME * float(finite.max(initial=0.0)), equal_nan=True))


def unsteadiness(module: Any, call: Call, case: Case, trials: range = FEW) -> list[float]:  # noqa: ANN401
    """Return how much each output changes when the inputs change by rounding only.

    Detectors with scores near ties, and other modules that sort or compare, may give quite another result then. Their
    outputs cannot agree any closer with those of another runtime.

    Parameters
    ----------
    trials : range
        The seeds of the changes that are tried; the largest effect counts.

    Returns
    -------
    list of float
        Relative L2 distance of each floating-point output, share of other elements that differ; `ANYTHING` where shapes do.
    """
    found = [0.0] * len(case.outputs)
    for seed in trials:
        try:
            outputs = call_module(module, call, _nudged(case.tensors, seed))
        except FOREIGN:  # then nothing is known
            continue
        if len(outputs) != len(found):
            return [ANYTHING] * len(found)
        changes = (_change(before, after) for (_, before), (_, after) in zip(case.outputs, outputs, strict=True))
        found = [max(pair) for pair in zip(found, changes, strict=True)]
        if max(found) == ANYTHING:
            break
    return found


def _nudged(tensors: Mapping[str, Any], seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    found = dict(tensors)
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            found[name] = tensor + tensor * tensor.new_tensor(rng.standard_normal(tuple(tensor.shape))) * NUDGE
    return found


def _change(before: np.ndarray, after: np.ndarray) -> float:
    if before.shape != after.shape:
        return ANYTHING
    if before.dtype.kind != "f":
        return float(np.mean(before != after)) if before.size else 0.0
    a, b = before.astype(np.float64), after.astype(np.float64)
    finite = np.isfinite(a) & np.isfinite(b)
    size = float(np.linalg.norm(a[finite]))
    return min(ANYTHING, float(np.linalg.norm(a[finite] - b[finite])) / size) if size else 0.0


def axes_of(dynamic: Dynamic | None, tensors: Mapping[str, Any]) -> Axes:
    """Return the dynamic axes of inputs as ``{input: {axis: dimension}}``.

    Parameters
    ----------
    dynamic : dict, str or None
        By input name or position, a dict of axis to dimension name, or a list of axes; or the name of one dimension, which is
        then the first axis of every input.
    tensors : dict of str to tensor
        The example.

    Raises
    ------
    InputError
        For an input or an axis that is not there, or one dimension with two sizes.
    """
    if not dynamic:
        return {}
    if isinstance(dynamic, str):
        dynamic = {name: {0: dynamic} for name, tensor in tensors.items() if tensor.dim()}
    found: Axes = {}
    sizes: dict[str, tuple[int, str]] = {}
    for key, given in dynamic.items():
        name = _input_name(key, list(tensors))
        shape = tuple(tensors[name].shape)
        named = given if isinstance(given, Mapping) else {axis: f"{name}_{axis}" for axis in given}
        for axis, dim in named.items():
            at = _axis(axis, shape, name)
            if sizes.setdefault(dim, (shape[at], name))[0] != shape[at]:
                size, other = sizes[dim]
                raise InputError(
                    f"dynamic: dimension {dim!r} is {shape[at]} in {name!r} and {size} in {other!r}.",
                    remedy="Give dimensions of different sizes different names, or an example in which they agree.",
                )
            found.setdefault(name, {})[at] = dim
    return found


def _input_name(key: str | int, names: list[str]) -> str:
    if isinstance(key, int) and -len(names) <= key < len(names):
        return names[key]
    if key in names:
        return str(key)
    listed = f"The inputs are {', '.join(map(repr, names))}."
    raise InputError(f"dynamic: there is no input {key!r}.", remedy=f"{nearest(str(key), names)} {listed}".strip())


def _axis(axis: int, shape: tuple[int, ...], name: str) -> int:
    if not isinstance(axis, int) or not -len(shape) <= axis < len(shape):
        raise InputError(f"dynamic: input {name!r} has no axis {axis!r}: its shape is {shape}.")
    return axis % len(shape)


def grown_cases(module: Any, call: Call, example: Case, axes: Axes) -> Iterator[Case]:  # noqa: ANN401
    """Yield a case with another size for each dynamic dimension.

    Raises
    ------
    InputError
        When the module does not run at another size.
    """
    for dim in dict.fromkeys(dim for named in axes.values() for dim in named.values()):
        tensors = grown(example.tensors, axes, (dim,))
        size = next(tensors[name].shape[axis] for name, named in axes.items() for axis, other in named.items() if other == dim)
        try:
            outputs = call_module(module, call, tensors)
        except FOREIGN as error:
            text = str(error).strip().splitlines()
            raise InputError(
                f"dynamic: {type(module).__name__} itself does not run with {dim} = {size}: {text[0][:300] if text else error!r}",
                remedy="Leave that dimension out of `dynamic`.",
            ) from error
        yield Case(f"{dim}={size}", tensors, outputs)


def grown(tensors: Mapping[str, Any], axes: Axes, dims: Sequence[str]) -> dict[str, Any]:
    """Return tensors in which some dimensions have another size; values are those of the example, over and over."""
    found = dict(tensors)
    for name, named in axes.items():
        for axis, dim in named.items():
            if dim in dims:
                size = found[name].shape[axis]
                other = size + STEP if size >= LARGE else 2 * size
                # indexing with a list of positions works for all types, and keeps values that a table is indexed with
                index = [slice(None)] * axis + [[position % size for position in range(other)]]
                found[name] = found[name][tuple(index)]
    return found


def other_values(module: Any, call: Call, example: Case) -> Iterator[Case]:  # noqa: ANN401
    """Yield cases of other values, where the module runs on them: a path that values decide may then be another."""
    for name, factor in (("negative values", -1), ("values ten times as large", 10)):
        tensors = {n: t * factor if t.is_floating_point() else t.flip(-1) if t.dim() else t for n, t in example.tensors.items()}
        try:
            outputs = call_module(module, call, tensors)
        except FOREIGN:  # the module may refuse them
            continue
        yield Case(name, tensors, outputs)


def output_axes(example: Case, others: Sequence[Case], axes: Axes) -> Axes:
    """Return the axes of outputs that have another size where a dimension has, with the dimension's name where it fits."""
    found: Axes = {}
    for case in others:
        dim = case.name.partition("=")[0]
        size, other = (_size(each, axes, dim) for each in (example, case))
        for (name, before), (_, after) in zip(example.outputs, case.outputs, strict=False):
            if before.ndim != after.ndim:
                continue
            for axis, sizes in enumerate(zip(before.shape, after.shape, strict=True)):
                if sizes[0] != sizes[1]:
                    found.setdefault(name, {}).setdefault(axis, dim if sizes == (size, other) else f"{name}_{axis}")
    return found


def _size(case: Case, axes: Axes, dim: str) -> int:
    return next(int(case.tensors[n].shape[axis]) for n, named in axes.items() for axis, other in named.items() if other == dim)
