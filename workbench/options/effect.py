"""What a change of Settings does: which engines stay valid, and what ONNX Runtime's own cache would notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workbench.options.canonical import FLAGS, PRECISE
from workbench.options.catalogue import option
from workbench.options.effective import Effective, Idle, idle, idle_session
from workbench.options.option import EngineCache
from workbench.record import Record

if TYPE_CHECKING:
    from workbench.model.model import Model
    from workbench.options.mapping import OptionValue
    from workbench.options.option import OptionSpec
    from workbench.options.settings import Settings

Effect = Literal["rebuild", "reuse", "runtime", "ignored", "none"]
BUILDING = ("tensorrt", "native")  # the providers that build engines
STRENGTH: tuple[Effect, ...] = ("rebuild", "reuse", "runtime", "ignored", "none")

_WHY = {
    "rebuild": "TensorRT builds new engines.",
    "reuse": "A new session is made; engines that are there stay valid.",
    "runtime": "Only the way the session runs changes; engines stay valid.",
}
_NOTICED = {
    "name": "ONNX Runtime's engine cache notices: it looks for another file.",
    "profile": "ONNX Runtime's engine cache notices: it compares the ranges with those beside the engine.",
    "stale": "ONNX Runtime's engine cache does not notice: it would load the old engine.",
}


class OptionChange(Record):
    """One changed option.

    Attributes
    ----------
    option : str
        Its key; or ``provider``, ``precision``, ``profile of NAME``.
    before, after : str
        The values in force, in words.
    effect : str
        ``rebuild``, ``reuse``, ``runtime`` or ``ignored``, as in ``OptionSpec.effect``.
    ort_cache : str or None
        How ONNX Runtime's own engine cache learns of it, as in ``OptionSpec.ort_cache``.
    why : str
        One sentence or two.
    """

    option: str
    before: str
    after: str
    effect: Effect
    ort_cache: EngineCache | None
    why: str

    def __str__(self) -> str:
        return f"{self.option}: {self.before} → {self.after} ({self.effect}). {self.why}"


class Change(Record):
    """What a change of Settings does.

    Attributes
    ----------
    effect : str
        The strongest of the changed options' effects; ``none`` when nothing changed.
    options : tuple of OptionChange
        The changed options, the strongest effect first.
    """

    effect: Effect
    options: tuple[OptionChange, ...] = ()

    @property
    def stale(self) -> bool:
        """Whether ONNX Runtime's own engine cache would serve an old engine after this change."""
        noticed = any(change.ort_cache in ("name", "profile") for change in self.options if change.effect != "ignored")
        missed = any(change.ort_cache == "stale" for change in self.options if change.effect == "rebuild")
        return missed and not noticed

    def __str__(self) -> str:
        return "\n".join(map(str, self.options)) or "nothing changed"


def effect_of_change(before: Settings, after: Settings, model: Model | None = None, release: str | None = None) -> Change:
    """Compare two Settings.

    Parameters
    ----------
    before, after : Settings
        The Settings that engines were built with, and the new ones.
    model : Model or None
        The model; with it, changes that cannot matter to it are ``ignored``.
    release : str or None
        The release of ONNX Runtime, whose defaults count where an option is not given; the newest known by default.

    Returns
    -------
    Change
        Options that do nothing beside the others, before and after, are ``ignored``.
    """
    old, new = Effective(before, release), Effective(after, release)
    found = [*_provider(old, new), *_precision(old, new), *_profile(old, new, model)]
    found += _options(old, new, model) + _session(old, new)
    found.sort(key=lambda change: STRENGTH.index(change.effect))
    return Change(effect=found[0].effect if found else "none", options=tuple(found))


def _provider(old: Effective, new: Effective) -> list[OptionChange]:
    before, after = old.settings.provider, new.settings.provider
    if before == after:
        return []
    effect: Effect = "rebuild" if after in BUILDING else "runtime"
    why = "TensorRT builds engines for its part of the model." if after == "tensorrt" else "No engine is needed any more."
    if after == "native":
        why = "TensorRT itself builds one engine of the whole model."
    elif not {before, after} & set(BUILDING):
        why = "Another provider runs the nodes; there are no engines."
    return [OptionChange(option="provider", before=before, after=after, effect=effect, ort_cache=None, why=why)]


def _precision(old: Effective, new: Effective) -> list[OptionChange]:
    before, after = ("+".join(now.precisions) or "fp32" for now in (old, new))
    if before == after:
        return []
    if new.settings.provider == "torch":
        why = "The module is converted; there are no engines."
        return [OptionChange(option="precision", before=before, after=after, effect="runtime", ort_cache=None, why=why)]
    if new.settings.provider not in PRECISE:
        why = f"The {new.settings.provider.upper()} provider runs the model in the types of the file."
        return [OptionChange(option="precision", before=before, after=after, effect="ignored", ort_cache=None, why=why)]
    cache = _noticed("name", new)
    why = _because("rebuild", cache)
    return [OptionChange(option="precision", before=before, after=after, effect="rebuild", ort_cache=cache, why=why)]


def _profile(old: Effective, new: Effective, model: Model | None) -> list[OptionChange]:
    names = dict.fromkeys((*old.settings.profile.names, *new.settings.profile.names))
    found = []
    for name in names:
        before, after = (now.settings.profile.of(name) for now in (old, new))
        if before == after:
            continue
        effect: Effect = "rebuild"
        cache = _noticed("profile", new)
        why = _because(effect, cache)
        if new.settings.provider not in BUILDING:
            effect, cache, why = "runtime", None, "Without TensorRT a profile only says which sizes are measured."
        elif model is not None and not any(spec.dynamic for spec in model.inputs):
            effect, cache, why = "ignored", None, "All inputs of the model have fixed shapes."
        texts = [" and ".join(str(given).removeprefix(f"{name}=") for given in ranges) or "none" for ranges in (before, after)]
        found.append(
            OptionChange(option=f"profile of {name}", before=texts[0], after=texts[1], effect=effect, ort_cache=cache, why=why)
        )
    return found


def _options(old: Effective, new: Effective, model: Model | None) -> list[OptionChange]:
    keys = dict.fromkeys((*old.settings.provider_options, *new.settings.provider_options))
    moved = old.settings.provider != new.settings.provider
    found = []
    for key in keys:
        before, after = old.value(key), new.value(key)
        spec = new.spec(key)
        if key in FLAGS or before == after or spec is None:
            continue
        reason = idle(new, key) if idle(old, key) or moved else _same_exclusions(key, before, after, model)
        found.append(_change(spec.model_copy(update={"ort_cache": _noticed(spec.ort_cache, new)}), before, after, reason))
    return found


def _noticed(cache: EngineCache | None, new: Effective) -> EngineCache | None:
    """Return how ONNX Runtime's engine cache learns of a change; it has no part in what TensorRT itself builds."""
    return None if new.settings.provider == "native" else cache


def _same_exclusions(key: str, before: OptionValue | None, after: OptionValue | None, model: Model | None) -> Idle | None:
    if key != "trt_op_types_to_exclude" or model is None:
        return None
    operators = {count.op_type for count in model.operators}
    first, second = (operators & set(str(value or "").split(",")) for value in (before, after))
    return Idle("The model has none of the operators that are added or taken away.") if first == second else None


def _session(old: Effective, new: Effective) -> list[OptionChange]:
    keys = dict.fromkeys((*old.settings.session_options, *new.settings.session_options))
    found = []
    for key in keys:
        before, after = old.session(key), new.session(key)
        if before == after:
            continue
        spec = option("session", key, new.release) or option("session", key)
        reason = idle_session(new, key) if idle_session(old, key) else None
        if spec is not None:
            found.append(_change(spec, before, after, reason, engines=new.settings.provider == "tensorrt"))
            continue
        why = "The workbench does not know this entry; engines are taken to stay valid."
        found.append(
            OptionChange(option=key, before=_text(before), after=_text(after), effect="runtime", ort_cache=None, why=why)
        )
    return found


def _change(
    spec: OptionSpec, before: OptionValue | None, after: OptionValue | None, reason: Idle | None, *, engines: bool = True
) -> OptionChange:
    """Return the line of one option; `reason` says why it does nothing, `engines` whether there are any."""
    effect: Effect = "ignored" if spec.effect == "not-python" else spec.effect
    cache = spec.ort_cache
    if not engines and effect in ("rebuild", "reuse"):
        effect, cache = "runtime", None
    why = _because(effect, cache) if engines else "A new session is made; there are no engines."
    if reason is not None:
        effect, cache, why = "ignored", None, reason.because
    elif effect == "ignored":
        why = spec.help
    return OptionChange(option=spec.key, before=_text(before), after=_text(after), effect=effect, ort_cache=cache, why=why)


def _because(effect: Effect, cache: EngineCache | None) -> str:
    return " ".join(part for part in (_WHY.get(effect, ""), _NOTICED[cache] if cache else "") if part)


def _text(value: OptionValue | None) -> str:
    return "none" if value in (None, "") else str(value)
