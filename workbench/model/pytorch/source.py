"""A PyTorch module and an example for it from texts, as a shell gives them."""

from __future__ import annotations

import importlib
import json
import re
from typing import Any

from workbench.errors import InputError, nearest
from workbench.model.pytorch.call import load_torch
from workbench.model.pytorch.export import FOREIGN

SHAPE = re.compile(r"((?P<name>[A-Za-z_]\w*)(\[(?P<index>\d+)\])?=)?(?P<dims>\d+(x\d+)*)(:(?P<dtype>\w+))?")
FORM = "Write for instance x=1x3x224x224, ids=1x16:int64, or images[0]=3x800x800 for a list of tensors."


def is_module_source(text: str) -> bool:
    """Whether a text is ``package.module:callable`` rather than a file's name."""
    module, colon, name = text.partition(":")
    return bool(colon) and name.isidentifier() and all(part.isidentifier() for part in module.split("."))


def build_module(source: str, arguments: str | None = None, *, seed: int = 0) -> Any:  # noqa: ANN401
    """Return the module that a callable makes.

    Parameters
    ----------
    source : str
        ``package.module:callable``, such as ``torchvision.models:resnet18``.
    arguments : str or None
        A JSON object of keyword arguments, or a JSON list of positional ones; none by default.
    seed : int
        Of PyTorch's random numbers, which random weights are drawn from.

    Raises
    ------
    InputError
        When there is no such callable, it fails, or gives something else than a module.
    Unavailable
        Without PyTorch.
    """
    torch = load_torch(f"{source}")
    make = _callable(source)
    args, kwargs = _arguments(arguments)
    torch.manual_seed(seed)
    try:
        module = make(*args, **kwargs)
    except FOREIGN as error:
        told = f"{source}({_shown(args, kwargs)}) fails: {type(error).__name__}: {error}"
        raise InputError(told, remedy="Give its arguments as JSON: --args '{\"weights\": null}'.") from error
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"{source} gives a {type(module).__name__}; a torch.nn.Module was expected.")
    return module


def _callable(source: str) -> Any:  # noqa: ANN401
    name, _, attribute = source.partition(":")
    try:
        package = importlib.import_module(name)
    except FOREIGN as error:
        told = f"{source}: {name} cannot be imported: {type(error).__name__}: {error}"
        raise InputError(told, remedy="Install it, or start the workbench where its file lies.") from error
    found = getattr(package, attribute, None)
    if not callable(found):
        what = "is not callable" if hasattr(package, attribute) else "is not there"
        raise InputError(f"{source}: {attribute} {what} in {name}.", remedy=nearest(attribute, dir(package)))
    return found


def _arguments(text: str | None) -> tuple[list[Any], dict[str, Any]]:
    try:
        given = json.loads(text) if text else {}
    except ValueError as error:
        raise InputError(f"--args is no JSON: {error}.", remedy="Write for instance --args '{\"weights\": null}'.") from error
    if isinstance(given, list):
        return given, {}
    if isinstance(given, dict):
        return [], given
    raise InputError(f"--args is a JSON {type(given).__name__}; an object or a list was expected.")


def _shown(args: list[Any], kwargs: dict[str, Any]) -> str:
    return ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())])


def example_of(texts: list[str], *, seed: int = 0) -> Any:  # noqa: ANN401
    """Return an example of random tensors: floats from 0 to 1, whole numbers 0 or 1.

    Parameters
    ----------
    texts : list of str
        ``NAME=SHAPE`` for each argument, ``NAME[0]=SHAPE`` and so on for a list of tensors, or only ``SHAPE`` by position;
        with ``:DTYPE`` behind it for another type than float32.
    seed : int
        Of the random numbers.

    Returns
    -------
    dict or tuple
        As :meth:`workbench.model.model.Model.from_torch` takes it.

    Raises
    ------
    InputError
        For a text that is no shape, an unknown type, or named and unnamed arguments together.
    """
    torch = load_torch("An example")
    generator = torch.Generator().manual_seed(seed)
    named: dict[str, Any] = {}
    unnamed: list[Any] = []
    for text in texts:
        found = SHAPE.fullmatch(text.replace(" ", ""))
        if found is None:
            raise InputError(f"--input {text!r} is no shape.", remedy=FORM)
        tensor = _tensor(torch, found, generator)
        if found["name"] is None:
            unnamed.append(tensor)
        elif found["index"] is None:
            named[found["name"]] = tensor
        else:
            named.setdefault(found["name"], []).append(tensor)
    if named and unnamed:
        raise InputError("--input: some inputs have a name and some have none.", remedy=FORM)
    if not texts:
        raise InputError("A module needs an example of each input.", remedy=f"Give --input. {FORM}")
    return named or tuple(unnamed)


def _tensor(torch: Any, found: re.Match[str], generator: Any) -> Any:  # noqa: ANN401
    shape = tuple(map(int, found["dims"].split("x")))
    dtype = getattr(torch, found["dtype"] or "float32", None)
    if not isinstance(dtype, torch.dtype):
        raise InputError(f"--input: PyTorch has no type {found['dtype']!r}.", remedy="Such as float32, float16, int64 or bool.")
    if dtype.is_floating_point:
        return torch.rand(shape, generator=generator).to(dtype)
    return torch.randint(0, 2, shape, generator=generator).to(dtype)


def dynamic_of(texts: list[str]) -> Any:  # noqa: ANN401
    """Return dynamic axes from texts: ``batch`` for the first axis of every input, or ``NAME:AXIS=DIMENSION`` for one axis.

    Raises
    ------
    InputError
        For another form, or both together.
    """
    axes: dict[str, dict[int, str]] = {}
    for text in texts:
        found = re.fullmatch(r"(?P<name>\w+):(?P<axis>-?\d+)=(?P<dim>\w+)", text)
        if found is not None:
            axes.setdefault(found["name"], {})[int(found["axis"])] = found["dim"]
        elif not text.isidentifier() or len(texts) > 1:
            raise InputError(
                f"--dynamic {text!r} is not understood.",
                remedy="Write batch for the first axis of every input, or x:0=batch for each axis by itself.",
            )
    return axes or (texts[0] if texts else None)
