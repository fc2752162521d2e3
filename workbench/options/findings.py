"""What is wrong, useless or dangerous about Settings under one release, and with one model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import SettingsError, nearest
from workbench.options import findings_tensorrt, native
from workbench.options.canonical import FLAGS, PRECISE
from workbench.options.catalogue import keys_of, option, used_by, versions_of
from workbench.options.effective import Effective, idle, idle_session
from workbench.options.releases import findings_of_release, knows, supported
from workbench.options.session import OTHER_ENTRIES
from workbench.options.values import read_value
from workbench.record import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.model.model import Model
    from workbench.options.mapping import OptionValue
    from workbench.options.option import OptionSpec
    from workbench.options.settings import Settings

# Addresses mean something in the process that made them only.
ADDRESSES = ("user_compute_stream", "gpu_external_alloc", "gpu_external_free", "gpu_external_empty_cache")


def check_settings(settings: Settings, release: str, model: Model | None) -> list[Finding]:
    """Validate Settings; see :meth:`workbench.options.settings.Settings.check`."""
    _refuse_unknown(settings, release)
    _refuse_no_provider(settings)
    _refuse_precision(settings)
    refuse_inexpressible(settings)
    fit = settings.profile.check(model) if model is not None else []
    now = Effective(settings, release)
    found = [*findings_of_release(release), *_idle(now), *_precision(settings), *_addresses(now), *_entries(settings, release)]
    if settings.provider == "tensorrt":
        found += findings_tensorrt.findings_of(now, supported(release), model)
    if settings.provider == "native":
        found += native.findings_of(now, model)
    return found + fit


def refuse_inexpressible(settings: Settings) -> None:
    """Raise SettingsError for input names that the TensorRT provider's profile options cannot express."""
    names = settings.profile.inexpressible()
    if settings.provider != "tensorrt" or not names:
        return
    raise SettingsError(
        f"shape profile: ONNX Runtime cannot take a profile for {', '.join(map(repr, names))}: it splits names at ':' and ','.",
        remedy="Rename the input in the model, or run without a profile and warm up with the smallest and largest shapes.",
    )


def _refuse_unknown(settings: Settings, release: str) -> None:
    """Raise SettingsError for options and values that other releases know, but not this one.

    Nothing is refused for TensorRT itself: what it knows does not depend on ONNX Runtime's release.
    """
    if settings.provider == "native":
        return
    in_use = used_by(settings.provider)
    options = dict(settings.provider_options)
    if settings.provider == "tensorrt" and settings.precision != "fp32":
        options[f"trt_{settings.precision}_enable"] = True
    for key, value in options.items():
        specs = [spec for provider in in_use for spec in versions_of(provider, key) if spec.python]
        if specs:
            _refuse(key, value, specs, release)
    for key, value in settings.session_options.items():
        if "." not in key:
            _refuse(key, value, list(versions_of("session", key)), release)


def _refuse(key: str, value: OptionValue, specs: list[OptionSpec], release: str) -> None:
    wanted = supported(release)
    known = [spec for spec in specs if knows(wanted, spec.since, spec.until)]
    if not known:
        first = specs[-1].since
        raise SettingsError(
            f"ONNX Runtime {release} does not know {key}: it came with {first}.",
            remedy=f"{'Choose another precision' if key in FLAGS else 'Leave it out'}, or install release {first} or later.",
        )
    try:
        read_value(known[0], value)
    except SettingsError as error:
        raise SettingsError(f"ONNX Runtime {release}: {error.message}", remedy=error.remedy) from error


def _refuse_no_provider(settings: Settings) -> None:
    if settings.provider == "cpu" and settings.session_options.get("session.disable_cpu_ep_fallback"):
        raise SettingsError(
            "session.disable_cpu_ep_fallback forbids the CPU, and the provider is 'cpu'.",
            remedy="Leave it out, or choose provider 'tensorrt' or 'cuda'.",
        )


def _refuse_precision(settings: Settings) -> None:
    if settings.provider == "torch" and settings.precision == "int8":
        raise SettingsError(
            "PyTorch does not run the module in int8: the workbench converts it to fp16 or bf16 only.",
            remedy="Choose fp32, fp16 or bf16, or provider 'tensorrt'.",
        )


def _idle(now: Effective) -> Iterator[Finding]:
    """Find options that do nothing beside the others."""
    settings = now.settings
    given = [(key, settings.provider_options[key], idle(now, key)) for key in now.changed()]
    given += [(key, settings.session_options[key], idle_session(now, key)) for key in now.changed_session()]
    for key, value, reason in given:
        # A second precision flag under another provider is reported with the precision.
        if reason is not None and key not in FLAGS:
            yield Finding(
                level="warning", where=key, seen=f"{value!r} has no effect", meaning=reason.because, action=reason.action
            )


def _precision(settings: Settings) -> Iterator[Finding]:
    if settings.provider in PRECISE or settings.precision == "fp32":
        return
    yield Finding(
        level="warning",
        where="precision",
        seen=f"{settings.precision!r} has no effect on the {settings.provider.upper()} provider",
        meaning="It runs the model in the types of the file.",
        action="Convert the model itself, or choose provider 'tensorrt'.",
    )


def _addresses(now: Effective) -> Iterator[Finding]:
    for key in now.changed():
        if key in ADDRESSES and idle(now, key) is None:
            yield Finding(
                level="warning",
                where=key,
                seen="the option holds an address in memory",
                meaning="The workbench runs sessions in a process of their own, where this address means something else.",
                action="Leave it out here; set it in the program that made the stream or the allocator.",
            )


def _entries(settings: Settings, release: str) -> Iterator[Finding]:
    """Find configuration entries that the release ignores without a word."""
    since = dict(OTHER_ENTRIES) | {key: spec.since for key in keys_of("session") if (spec := option("session", key))}
    for key in settings.session_entries():
        known = key in since or versions_of("session", key)
        if not known:
            action = nearest(key, list(since)) or "Check its spelling against the release's documentation."
            seen, meaning = "the workbench does not know this entry", "ONNX Runtime ignores entries that it does not know."
        elif not knows(supported(release), since.get(key), None):
            seen, meaning = f"the entry came with ONNX Runtime {since[key]}", f"Release {release} ignores it."
            action = "Leave it out, or install a later release."
        else:
            continue
        yield Finding(level="warning", where=key, seen=seen, meaning=meaning, action=action)
