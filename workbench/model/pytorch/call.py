"""How a PyTorch module is called: which argument each named tensor is, and what its results are named.

A call is plain text and lists, so that it can be kept in a file beside the ONNX model and made again from arrays.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError, Unavailable
from workbench.installing import install_line

if TYPE_CHECKING:
    from collections.abc import Iterator


Place = str | list[Any] | dict[str, Any] | None
"""Where tensors stand in an argument: a tensor's name; ``["list" or "tuple", Place, ...]``; a dict of Places; or None."""


@dataclass(frozen=True)
class Call:
    """One call of a module, with names in place of tensors.

    Attributes
    ----------
    args, kwargs : list and dict of Place
        The arguments.
    inputs, outputs : tuple of str
        The names of the tensors, in the order in which exporters list them.
    """

    args: list[Place]
    kwargs: dict[str, Place]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ()

    def arguments(self, tensors: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the positional and the keyword arguments, made of the tensors of these names."""
        args = tuple(_filled(place, tensors) for place in self.args)
        return args, {name: _filled(place, tensors) for name, place in self.kwargs.items()}


def load_torch(purpose: str) -> Any:  # noqa: ANN401
    """Import torch.

    Parameters
    ----------
    purpose : str
        What it is needed for, as in "... needs PyTorch".

    Raises
    ------
    Unavailable
        When it is not installed, or cannot be loaded.
    """
    try:
        return importlib.import_module("torch")
    except (ImportError, OSError) as error:  # OSError: a library that torch is linked with is missing
        raise Unavailable(f"{purpose} needs PyTorch, which cannot be imported: {error}.", remedy=install_line("torch")) from error


def call_of(module: Any, example: Any) -> tuple[Call, dict[str, Any]]:  # noqa: ANN401
    """Return how a module is called with an example, and the example's tensors by name.

    Parameters
    ----------
    module : torch.nn.Module
        The module.
    example : tensor, tuple, list or dict
        A tuple: positional arguments; a dict: keyword arguments; a tensor or a list: the only argument. Arguments may be
        lists, tuples and dicts of tensors.

    Raises
    ------
    InputError
        When the module does not take these arguments, or they hold something else than tensors.
    """
    args, kwargs = _given(example)
    try:
        bound = inspect.signature(module.forward).bind(*args, **kwargs)
    except TypeError as error:
        what = f"the example does not fit {type(module).__name__}.forward{_signature(module)}: {error}."
        raise InputError(what, remedy="Give a tuple for positional arguments, or a dict by their names.") from error
    except ValueError:  # no signature, as for compiled modules
        return _placed(tuple((f"input_{i}", value) for i, value in enumerate(args)), tuple(kwargs.items()))
    return _placed(tuple(_labelled(bound)), tuple(bound.kwargs.items()))


def _given(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:  # noqa: ANN401
    if isinstance(example, tuple):
        return example, {}
    if isinstance(example, Mapping):
        return (), {str(name): value for name, value in example.items()}
    return (example,), {}


def _signature(module: Any) -> str:  # noqa: ANN401
    return str(inspect.signature(module.forward)).partition(" ->")[0]


def _labelled(bound: inspect.BoundArguments) -> Iterator[tuple[str, Any]]:
    """Yield the positional arguments with the names that the signature gives them."""
    names: list[str] = []
    for name, value in bound.arguments.items():
        several = bound.signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
        names += [f"{name}_{i}" for i in range(len(value))] if several else [name]
    return zip(names, bound.args, strict=False)  # keyword arguments follow the positional ones


def _placed(args: tuple[tuple[str, Any], ...], kwargs: tuple[tuple[str, Any], ...]) -> tuple[Call, dict[str, Any]]:
    tensors: dict[str, Any] = {}
    places = [_place(value, name, tensors) for name, value in args]
    named = {name: _place(value, name, tensors) for name, value in kwargs}
    if not tensors:
        raise InputError("the example holds no tensor.", remedy="Give one for each input, such as torch.rand(1, 3, 224, 224).")
    return Call(places, named, tuple(tensors)), tensors


def _place(value: Any, name: str, tensors: dict[str, Any]) -> Place:  # noqa: ANN401
    if value is None:
        return None
    if _is_tensor(value):
        unique = name
        while unique in tensors:
            unique += "_"
        tensors[unique] = value
        return unique
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return [kind, *(_place(each, f"{name}_{i}", tensors) for i, each in enumerate(value))]
    if isinstance(value, Mapping):
        return {str(key): _place(each, f"{name}_{key}", tensors) for key, each in value.items()}
    raise InputError(
        f"the example: argument {name!r} is of type {type(value).__name__}; expected a tensor, or lists and dicts of tensors.",
        remedy="Fix other arguments in a module of your own that calls this one.",
    )


def _filled(place: Place, tensors: Mapping[str, Any]) -> Any:  # noqa: ANN401
    if isinstance(place, str):
        return tensors[place]
    if isinstance(place, list):
        kind, *rest = place
        values = [_filled(each, tensors) for each in rest]
        return values if kind == "list" else tuple(values)
    if isinstance(place, dict):
        return {key: _filled(each, tensors) for key, each in place.items()}
    return None


def _is_tensor(value: object) -> bool:
    # torch is not imported for it: whoever has a tensor has imported it
    return hasattr(value, "dtype") and hasattr(value, "device") and hasattr(value, "detach")


def results_of(value: Any, taken: tuple[str, ...] = ()) -> list[tuple[str, Any]]:  # noqa: ANN401
    """Return the tensors that a module gave, with names, in the order in which exporters list them.

    Parameters
    ----------
    value : tensor, or lists, tuples, dicts and dataclasses of tensors
        The result. Members that are ``None`` are left out.
    taken : tuple of str
        Names that inputs have.

    Raises
    ------
    InputError
        For a result that holds something else.
    """
    found: list[tuple[str, Any]] = []
    for name, tensor in _results(value, ""):
        unique = name or "output"
        while unique in taken or any(unique == other for other, _ in found):
            unique += "_out"
        found.append((unique, tensor))
    return found


def _results(value: Any, name: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    if _is_tensor(value):
        yield name, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _results(each, f"{name}_{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        for i, each in enumerate(value):  # a list of one result, such as one image's, needs no number
            yield from _results(each, name if len(value) == 1 else f"{name or 'output'}_{i}")
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _results({field.name: getattr(value, field.name) for field in fields(value)}, name)
    elif value is not None:
        raise InputError(
            f"the module gives a {type(value).__name__}{f' as {name!r}' if name else ''}; ONNX models give tensors.",
            remedy="Wrap it in a module that returns tensors only.",
        )
