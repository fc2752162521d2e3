"""One form for Settings that mean the same: what a user may write in several ways is kept in one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from workbench.errors import SettingsError, nearest
from workbench.options.catalogue import PROVIDERS, keys_of, option, versions_of
from workbench.options.mapping import Options, OptionValue
from workbench.options.option import OptionSpec
from workbench.options.profile import ShapeProfile, read_profile
from workbench.options.session import OTHER_ENTRIES
from workbench.options.values import read_value, write_value

Provider = Literal["tensorrt", "cuda", "cpu", "native", "torch"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]

PRECISE: tuple[Provider, ...] = ("tensorrt", "native", "torch")  # those that a precision can be asked of
PRECISIONS: tuple[Precision, ...] = ("int8", "bf16", "fp16")  # what a flag asks for, the narrowest first
FLAGS: dict[str, Precision] = {f"trt_{precision}_enable": precision for precision in PRECISIONS}
PROFILE_KEYS = tuple(f"trt_profile_{which}_shapes" for which in ("min", "opt", "max"))


def canonical(given: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields of Settings in one form.

    Precision flags among the provider options become `precision`, profile texts become `profile`; values get their type, and
    options without a value are left out.

    Raises
    ------
    SettingsError
        For anything that no supported release takes, or that contradicts itself.
    """
    for name in given:
        if name not in fields:
            remedy = nearest(name, fields) or f"They are {', '.join(fields)}."
            raise SettingsError(f"Settings have no field {name!r}.", remedy=_hint(name) or remedy)
    found = dict(given)
    if "provider" in given:
        found["provider"] = _word("provider", given["provider"], get_args(Provider))
    options = read_options(given.get("provider_options"), str(found.get("provider", "tensorrt")))
    found["precision"] = _fold_precision(options, given.get("precision"))
    found["profile"] = _fold_profile(options, read_profile(given.get("profile")))
    found["provider_options"] = Options(options)
    found["session_options"] = Options(read_session_options(given.get("session_options")))
    return found


def _hint(name: str) -> str:
    if any(versions_of(provider, name) for provider in PROVIDERS):
        return f"Give it as provider_options={{{name!r}: ...}}."
    return f"Give it as session_options={{{name!r}: ...}}." if versions_of("session", name) else ""


def _word(field: str, value: object, allowed: tuple[str, ...]) -> str:
    text = str(value).strip().lower()
    if text not in allowed:
        remedy = nearest(text, allowed) or f"Allowed: {', '.join(allowed)}."
        raise SettingsError(f"{field}: {value!r} is not allowed.", remedy=remedy)
    return text


def read_options(given: object, provider: str = "tensorrt") -> dict[str, OptionValue]:
    """Read provider options, those of TensorRT, CUDA and PyTorch in one mapping, for Settings of one provider.

    Raises
    ------
    SettingsError
        For an unknown key, one that Python cannot set, or a wrong value.
    """
    found: dict[str, OptionValue] = {}
    for key, value in _pairs("provider_options", given):
        specs = [spec for name in PROVIDERS for spec in versions_of(name, key)]
        if not specs:
            raise _unknown(key)
        usable = [spec for spec in specs if spec.python]
        if not usable or (provider == "tensorrt" and not specs[0].python):
            raise SettingsError(f"{key} cannot be set from Python.", remedy=specs[0].instead)
        _put(found, key, value, usable)
    return found


def read_session_options(given: object) -> dict[str, OptionValue]:
    """Read session options; configuration entries that are not known are kept as text.

    Raises
    ------
    SettingsError
        For an unknown key without a dot, or a wrong value.
    """
    found: dict[str, OptionValue] = {}
    for key, value in _pairs("session_options", given):
        specs = versions_of("session", key)
        if specs:
            _put(found, key, value, list(specs))
        elif "." not in key:
            raise _unknown_session(key)
        elif value is not None:
            if not isinstance(value, bool | int | str):
                raise SettingsError(f"{key}: {value!r} is not allowed.", remedy="Configuration entries are text.")
            found[key] = write_value(value)
    return found


def _pairs(field: str, given: object) -> list[tuple[str, object]]:
    if given is None:
        return []
    if not isinstance(given, Mapping):
        raise SettingsError(f"{field}: expected a mapping of keys to values, got {type(given).__name__}.")
    return [(str(key).strip(), value) for key, value in given.items()]


def _put(found: dict[str, OptionValue], key: str, value: object, specs: list[OptionSpec]) -> None:
    """Keep a value that some release takes; an empty one is the same as none, and ONNX Runtime refuses it."""
    if value is None:
        return
    errors: list[SettingsError] = []
    for spec in specs:
        try:
            read = read_value(spec, value)
        except SettingsError as error:
            errors.append(error)
            continue
        if read != "":
            found[key] = read
        return
    raise errors[0]


def _unknown_session(key: str) -> SettingsError:
    attributes = [known for known in keys_of("session") if "." not in known]
    entries = [*(known for known in keys_of("session") if "." in known), *(name for name, _ in OTHER_ENTRIES)]
    if any(versions_of(name, key) for name in PROVIDERS):
        remedy = "It is a provider option: give it in provider_options."
    else:
        remedy = nearest(key, attributes) or nearest(key, entries) or f"They are {', '.join(attributes)}, and entries with dots."
    return SettingsError(f"unknown session option {key!r}.", remedy=remedy)


def _unknown(key: str) -> SettingsError:
    if versions_of("session", key) or key.startswith(("session.", "ep.", "optimization.")):
        remedy = "It is a session option: give it in session_options."
    else:
        close = nearest(key, [known for name in PROVIDERS for known in keys_of(name)])
        # Most misses lack the prefix that all of TensorRT's own options have.
        prefixed = option("tensorrt", f"trt_{key}")
        remedy = f"Did you mean {prefixed.key!r}?" if prefixed else close
        remedy = remedy or "The catalogue lists all options: workbench.options.catalogue.catalogue('tensorrt')."
    return SettingsError(f"unknown provider option {key!r}.", remedy=remedy)


def _fold_precision(options: dict[str, OptionValue], given: object) -> Precision:
    """Take the precision flags out of the options; those narrower than `precision` stay only when they ask for more."""
    flags = {precision: options.pop(key) for key, precision in FLAGS.items() if key in options}
    asked = [precision for precision in PRECISIONS if flags.get(precision)]
    if given is None:
        chosen: Precision = asked[0] if asked else "fp32"
    else:
        word = _word("precision", given, get_args(Precision))
        chosen = next(precision for precision in get_args(Precision) if precision == word)
        _refuse_conflict(chosen, flags, asked)
    options.update({f"trt_{precision}_enable": True for precision in asked if precision != chosen})
    return chosen


def _refuse_conflict(chosen: Precision, flags: dict[Precision, OptionValue], asked: list[Precision]) -> None:
    if flags.get(chosen) is False:
        raise SettingsError(
            f"precision is {chosen!r}, but trt_{chosen}_enable is False.",
            remedy=f"Leave trt_{chosen}_enable out, or choose another precision.",
        )
    if asked and (chosen == "fp32" or PRECISIONS.index(asked[0]) < PRECISIONS.index(chosen)):
        beside = "" if chosen == "fp32" else f", with trt_{chosen}_enable=True for both"
        raise SettingsError(
            f"precision is {chosen!r}, but trt_{asked[0]}_enable is True.",
            remedy=f"Use precision={asked[0]!r}{beside}, or leave trt_{asked[0]}_enable out.",
        )


def _fold_profile(options: dict[str, OptionValue], given: Any) -> Any:  # noqa: ANN401  # pydantic judges it
    """Take the profile texts out of the options."""
    texts = [str(options.pop(key, "")) for key in PROFILE_KEYS]
    if not any(texts):
        return given
    missing = [key for key, text in zip(PROFILE_KEYS, texts, strict=True) if not text]
    if missing:
        raise SettingsError(
            f"shape profile: {' and '.join(missing)} missing.", remedy="trt_profile_min_shapes, _opt_ and _max_ belong together."
        )
    profile = ShapeProfile.from_options(*texts)
    given = ShapeProfile.model_validate(given)
    if given and given != profile:
        raise SettingsError(
            f"shape profile: the trt_profile_*_shapes options say {profile}, profile says {given}.",
            remedy="Give it in one place.",
        )
    return profile
