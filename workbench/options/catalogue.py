"""The catalogue: every option of the providers and of the session, by release of ONNX Runtime."""

from __future__ import annotations

from functools import cache

from workbench.errors import SettingsError, nearest
from workbench.options import cuda, session, tensorrt, torch
from workbench.options.option import OptionSpec
from workbench.options.releases import knows, supported

__all__ = ["OptionSpec", "catalogue", "groups", "keys_of", "option", "used_by", "versions_of"]

_OPTIONS = {
    "tensorrt": tensorrt.OPTIONS,
    "cuda": cuda.OPTIONS,
    "cpu": (),
    "torch": torch.OPTIONS,
    "session": session.OPTIONS,
}
PROVIDERS = ("tensorrt", "cuda", "torch")  # those with options of their own
# Whose options each provider of Settings takes. `native` takes those of TensorRT's that are about TensorRT itself.
_USED: dict[str, tuple[str, ...]] = {
    "tensorrt": ("tensorrt", "cuda"),
    "cuda": ("cuda",),
    "cpu": (),
    "native": ("tensorrt",),
    "torch": ("torch",),
}
_NAMES = {"TensorrtExecutionProvider": "tensorrt", "CUDAExecutionProvider": "cuda", "CPUExecutionProvider": "cpu"}


@cache
def catalogue(provider: str, release: str | None = None) -> tuple[OptionSpec, ...]:
    """Return the options of a provider, those that Python cannot set included.

    Parameters
    ----------
    provider : str
        ``tensorrt``, ``cuda``, ``cpu`` (which has none), ``torch`` or ``session``; or ONNX Runtime's name of a provider.
    release : str or None
        A release of ONNX Runtime, such as ``1.31`` or ``1.17.1``; one that is not supported counts as the nearest that is.
        ``None`` for the options of all releases, each as the newest one has it.

    Raises
    ------
    SettingsError
        For an unknown provider, or a release that is no version number.
    """
    short = _NAMES.get(provider, provider)
    if short not in _OPTIONS:
        remedy = nearest(provider, [*_OPTIONS, *_NAMES]) or f"Use one of {', '.join(_OPTIONS)}."
        raise SettingsError(f"unknown provider {provider!r}.", remedy=remedy)
    if release is None:
        newest = {spec.key: spec for spec in _OPTIONS[short]}  # of one key's specs, the newest stands last
        return tuple(newest.values())
    wanted = supported(release)
    return tuple(spec for spec in _OPTIONS[short] if knows(wanted, spec.since, spec.until))


def option(provider: str, key: str, release: str | None = None) -> OptionSpec | None:
    """Return one option, or ``None`` where the provider or the release does not know it; parameters as in :func:`catalogue`."""
    return _by_key(provider, release).get(key)


@cache
def _by_key(provider: str, release: str | None) -> dict[str, OptionSpec]:
    return {spec.key: spec for spec in catalogue(provider, release)}


def versions_of(provider: str, key: str) -> tuple[OptionSpec, ...]:
    """Return an option as the releases had it one after the other, the newest first; empty where none knows it."""
    short = _NAMES.get(provider, provider)
    return tuple(spec for spec in reversed(_OPTIONS.get(short, ())) if spec.key == key)


def keys_of(provider: str, release: str | None = None) -> tuple[str, ...]:
    """Return the keys that Python can set; parameters as in :func:`catalogue`."""
    return tuple(spec.key for spec in catalogue(provider, release) if spec.python)


def used_by(provider: str) -> tuple[str, ...]:
    """Return whose options a provider of Settings takes, the first first."""
    return _USED[provider]


def groups(provider: str, release: str | None = None) -> tuple[str, ...]:
    """Return the headings of a provider's options, in the order to show them; parameters as in :func:`catalogue`."""
    return tuple(dict.fromkeys(spec.group for spec in catalogue(provider, release)))
