"""Configurations of a survey: short names for Settings, and whether this machine can run them."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from workbench.errors import InputError, SettingsError, WorkbenchError, nearest
from workbench.model.pytorch.kept import kept_module_path
from workbench.options.canonical import PRECISE, Precision, Provider
from workbench.options.catalogue import keys_of
from workbench.options.profile import InputRange, ShapeProfile
from workbench.options.settings import Settings
from workbench.options.values import read_assignments
from workbench.record import Record
from workbench.runtime.data.inputs import input_shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.model.model import Model
    from workbench.runtime.doctor.checks import Diagnosis

DEFAULTS = ("torch eager", "torch compile", "cpu", "cuda", "tensorrt fp32", "tensorrt fp16", "native fp32", "native fp16")
MODES = {"eager": "off", "compile": "reduce-overhead"}  # reduce-overhead: the compiler's counterpart to one engine
KEY = "torch_compile"


class Configuration(Record):
    """One way to run a model, and what to call it."""

    name: str
    settings: Settings


def parse_configurations(texts: Sequence[str] | None) -> list[Configuration]:
    """Read configurations such as ``tensorrt fp16`` or ``torch compile fp16 torch_channels_last=true``.

    Parameters
    ----------
    texts : sequence of str or None
        Each a provider, then in any order a precision, ``eager`` or ``compile`` for PyTorch, and options as ``KEY=VALUE``;
        several with commas between. ``None`` for the usual ones: PyTorch, CPU, CUDA, TensorRT through ONNX Runtime, and
        TensorRT itself.

    Raises
    ------
    SettingsError
        When a word is not understood, or a name stands there twice.
    """
    parts = [part for text in texts for part in _split(text)] if texts else list(DEFAULTS)
    found = [parse_configuration(part) for part in parts]
    names = [each.name for each in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SettingsError(f"the configuration {twice!r} is asked for twice.")
    return found


def _split(text: str) -> list[str]:
    """Return the configurations of a text; a value of an option may hold commas too."""
    parts: list[str] = []
    for piece in text.split(","):
        words = piece.split()
        if parts and words and words[0] not in get_args(Provider) and "=" in parts[-1]:
            parts[-1] += f",{piece}"
        else:
            parts.append(piece)
    return [part for part in parts if part.strip()]


def parse_configuration(text: str) -> Configuration:
    """Read one configuration; see :func:`parse_configurations`."""
    provider, *words = text.split() or [""]
    if provider not in get_args(Provider):
        remedy = nearest(provider, list(get_args(Provider))) or f"It begins with one of {', '.join(get_args(Provider))}."
        raise SettingsError(f"configuration {text.strip()!r}: there is no provider {provider!r}.", remedy=remedy)
    modes = [word for word in words if word in MODES and provider == "torch"]
    precisions = [word for word in words if word in get_args(Precision)]
    options = [word for word in words if "=" in word]
    other = [word for word in words if word not in (*modes, *precisions, *options)]
    if other or len(modes) > 1 or len(precisions) > 1:
        odd = (other or (modes if len(modes) > 1 else precisions))[-1]
        raise SettingsError(
            f"configuration {text.strip()!r}: {odd!r} is not understood there.",
            remedy="Write a provider, a precision, eager or compile for PyTorch, and options as KEY=VALUE.",
        )
    given = read_assignments(options)
    if modes:
        given.setdefault(KEY, MODES[modes[0]])
    session = {key for key in given if "." in key or key in keys_of("session")}
    settings = Settings(
        provider=provider,
        precision=precisions[0] if precisions else None,
        provider_options={key: value for key, value in given.items() if key not in session},
        session_options={key: value for key, value in given.items() if key in session},
    )
    return Configuration(name=configuration_name(settings), settings=settings)


def configuration_name(settings: Settings) -> str:
    """Return what a survey calls Settings, such as ``torch compile fp16``; options are written out."""
    options = dict(settings.provider_options)
    parts: list[str] = [settings.provider]
    if settings.provider == "torch":
        mode = options.get(KEY, "off")
        parts.append("eager" if mode == "off" else "compile")
        if mode in MODES.values():
            options.pop(KEY, None)
    torch_half = settings.provider == "torch" and settings.precision == "fp32"
    if settings.provider in PRECISE and not torch_half:
        parts.append(settings.precision)
    return " ".join([*parts, *(f"{key}={value}" for key, value in {**options, **settings.session_options}.items())])


def why_not(settings: Settings, model: Model, diagnosis: Diagnosis) -> str:
    """Return why Settings cannot run a model on this machine; empty where they can, or where only a try can tell."""
    if not diagnosis.can.get(settings.provider, True):
        title = "PyTorch: " if settings.provider == "torch" else ""
        return title + (diagnosis.why_not.get(settings.provider, "") or "see `workbench doctor`")
    if settings.provider == "torch":
        try:
            kept_module_path(model)
        except WorkbenchError as error:
            return error.message
    return ""


def batched(settings: Settings, model: Model, batch: int | None) -> Settings:
    """Return Settings for one size of the batch: the first axis of the inputs that share the first input's.

    The profile has that size only, for TensorRT to tune for; other open dimensions get what random inputs would have.

    Raises
    ------
    InputError
        When the model's batch is fixed to another size.
    """
    if batch is None:
        return settings
    symbol = _batch_of(model, batch)
    base = input_shapes(model, settings.profile)
    ranges = []
    for spec in model.inputs:
        shape = base[spec.name]
        if symbol is not None and spec.shape and spec.shape[0] == symbol:
            shape = (batch, *shape[1:])
        if spec.dynamic and shape:
            ranges.append(InputRange(name=spec.name, min=shape, opt=shape, max=shape))
    return settings.replace(profile=ShapeProfile(ranges=tuple(ranges)))


def _batch_of(model: Model, batch: int) -> str | None:
    """Return the name of the batch dimension; ``None`` where it is fixed to the very size asked for."""
    shape = model.inputs[0].shape if model.inputs else None
    first = shape[0] if shape else None
    if isinstance(first, str):
        return first
    if first == batch:
        return None
    fixed = f"is fixed to {first}" if first is not None else "has no name"
    name = model.inputs[0].name if model.inputs else "?"
    raise InputError(
        f"{model.path.name}: the batch (first axis of {name!r}) {fixed}; {batch} was asked for.",
        remedy="Export it with a dynamic batch (--dynamic batch, or dynamic='batch').",
    )
