"""Whether engines on disk are what a session with the current settings would use, or stale and why."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

from workbench.errors import ModelError
from workbench.options.effect import effect_of_change
from workbench.options.effective import Effective
from workbench.record import Record
from workbench.runtime.engines.here import other_architecture, other_onnxruntime, other_tensorrt, without_gpu
from workbench.runtime.engines.implied import implied_ranges, implied_text, with_implied
from workbench.runtime.engines.key import key_on
from workbench.runtime.engines.ranges import profile_differences

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.runtime.engines.records import EngineEntry, EngineFile
    from workbench.runtime.job import Environment

State = Literal["reachable", "possible", "stale", "elsewhere", "unjudged"]

HASH_COVERS = (
    "ONNX Runtime's own cache knows a model by its file name and the names of its tensors: whether the engine holds this "
    "model's weights cannot be known, and is not checked when it is loaded."
)


class Judgement(Record):
    """What is thought of an engine, or of the engines of one entry.

    Attributes
    ----------
    name : str
        The entry's key, or the file's name.
    state : str
        ``reachable``: a session with these settings here loads it. ``possible``: nothing speaks against it, but it lies in a
        cache of ONNX Runtime's own, which does not record enough to be sure. ``stale``: it will not be used, `reasons` say why.
        ``elsewhere``: it fits, but there is no GPU here. ``unjudged``: no model was named, and nothing speaks against it.
    reasons : tuple of str
        Sentences: why it is stale.
    unknown : tuple of str
        Sentences: what cannot be known of it, or what it depends on beside the settings.
    """

    name: str
    state: State
    reasons: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The state with its first reason."""
        return f"{self.state}: {self.reasons[0]}" if self.reasons else self.state


def judge_entry(
    entry: EngineEntry,
    environment: Environment,
    *,
    model: Model | None = None,
    settings: Settings | None = None,
    folder: Path | None = None,
) -> Judgement:
    """Judge the engines of one entry of our cache.

    Parameters
    ----------
    entry : EngineEntry
        The entry.
    environment : Environment
        This machine, with the versions that a session has here.
    model, settings : optional
        What a session would be made of; without a model only machine and files are judged.
    folder : Path, optional
        Where the entry's files lie; with it, each is read and its SHA-256 compared, which takes about a second a gigabyte.

    Returns
    -------
    Judgement
        ``reachable`` or ``stale`` where a model is given and this machine has a GPU.
    """
    broken = [problem for file in entry.files if (problem := _file_problem(file, folder))]
    if not entry.files:
        broken.append("The entry holds no engine.")
    reasons = [*broken, *_of_machine(entry, environment)]
    unknown: tuple[str, ...] = ()
    if model is not None and settings is not None:
        unknown = tuple(filter(None, [implied_text(implied_ranges(entry, model, settings))]))
        settings = with_implied(entry, model, settings)
        reasons += _of_model(entry, model) + _of_settings(entry, model, settings, environment)
        if not broken and not without_gpu(environment):
            found = _by_key(entry, environment, model, settings, reasons)
            return found.model_copy(update={"unknown": unknown if found.state == "reachable" else ()})
    state = _state(reasons, environment, judged=model is not None)
    return Judgement(name=entry.key, state=state, reasons=tuple(reasons), unknown=() if reasons else unknown)


def judge_file(
    file: EngineFile, environment: Environment, *, model: Model | None = None, settings: Settings | None = None
) -> Judgement:
    """Judge one engine of a folder that plain ONNX Runtime uses as its cache.

    Parameters
    ----------
    file : EngineFile
        From :func:`workbench.runtime.engines.files.read_folder`.
    environment : Environment
        This machine, with the versions that a session has here.
    model, settings : optional
        What a session would be made of.

    Returns
    -------
    Judgement
        Never ``reachable``: ``possible`` at best, with what cannot be known.
    """
    reasons = [f"{file.problem} ONNX Runtime fails on such a file; it does not build it anew."] if file.problem else []
    found = (other_tensorrt(file.tensorrt, environment), other_architecture(file.architecture, environment))
    reasons += [reason for reason in found if reason]
    unknown: list[str] = []
    if model is not None and settings is not None:
        reasons += _name_differences(file, model, settings)
        reasons += profile_differences(file, model, settings) if file.model_hash else []
        unknown = _unknown(settings)
    state = _state(reasons, environment, judged=model is not None)
    state = "possible" if state == "reachable" else state
    return Judgement(name=file.name, state=state, reasons=tuple(reasons), unknown=tuple(unknown))


def _by_key(entry: EngineEntry, here: Environment, model: Model, settings: Settings, reasons: list[str]) -> Judgement:
    """Judge by the key: it decides, the differences only say why."""
    try:
        key = key_on(model, settings, here)
    except ModelError:  # told among the reasons
        key = None
    if key == entry.key:
        wrong = tuple(_of_machine(entry, here))  # engines for several architectures have one key, and yet need one of these
        return Judgement(name=entry.key, state="stale" if wrong else "reachable", reasons=wrong)
    told = tuple(reasons) or ("Something else that the engine depends on differs.",)
    return Judgement(name=entry.key, state="stale", reasons=told)


def _state(reasons: list[str], environment: Environment, *, judged: bool) -> State:
    if reasons:
        return "stale"
    if without_gpu(environment):
        return "elsewhere"
    return "reachable" if judged else "unjudged"


def _file_problem(file: EngineFile, folder: Path | None) -> str:
    """Return what is wrong with a file of ours; empty where nothing is."""
    if file.problem:
        return f"{file.name}: {file.problem}"
    if file.bytes == 0:
        return f"{file.name}: The file is empty."
    if folder is None or file.sha256 is None:
        return ""
    try:
        with (folder / file.name).open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        return f"{file.name}: cannot be read: {error.strerror or error}."
    return "" if digest == file.sha256 else f"{file.name}: is corrupt: its content is no longer what was built."


def _of_machine(entry: EngineEntry, here: Environment) -> list[str]:
    portable = bool(entry.settings.provider_options.get("trt_engine_hw_compatible"))
    found = (
        other_architecture(entry.compute_capability, here, portable=portable),
        other_tensorrt(entry.tensorrt, here, entry.provider),
        other_onnxruntime(entry.onnxruntime, here) if entry.provider == "tensorrt" else "",
    )
    return [reason for reason in found if reason]


def _of_model(entry: EngineEntry, model: Model) -> list[str]:
    try:
        content = model.content_hash()
    except ModelError as error:
        return [error.message]
    if content == entry.content_hash:
        return []
    if entry.model in (model.path.name, model.name):
        return ["The model's content has changed since: other weights or another graph under the same name."]
    return [f"It is of another model, {entry.model}."]


def _of_settings(entry: EngineEntry, model: Model, settings: Settings, here: Environment) -> list[str]:
    if settings.provider not in ("tensorrt", "native"):
        return [f"The {settings.provider} provider uses no engines."]
    if entry.provider != settings.provider:
        return [f"It was built for the provider {entry.provider!r}, and {settings.provider!r} is chosen."]
    changes = effect_of_change(entry.settings, settings, model, here.onnxruntime).options
    return [f"Other {c.option}: built with {c.before}, asked for {c.after}." for c in changes if c.effect == "rebuild"]


def _name_differences(file: EngineFile, model: Model, settings: Settings) -> list[str]:
    """Return what the file's name says against these settings: ONNX Runtime looks for a file by its name."""
    if settings.provider != "tensorrt":
        return [f"The {settings.provider} provider does not look into ONNX Runtime's engine cache."]
    if not file.model_hash:
        return ["Its name is not one that ONNX Runtime gives: it does not look for it."]
    now = Effective(settings)
    found = []
    if set(file.precisions) != set(now.precisions):
        words = ["+".join(p) or "fp32" for p in (file.precisions, now.precisions)]
        found.append(f"Other precision: its name says {words[0]}, asked for {words[1]}.")
    graph = model.proto.graph.name
    if file.fused and "TRTKernel_graph_" in file.fused and f"TRTKernel_graph_{graph}_" not in file.fused:
        found.append(f"It is of another model: this one's graph is called {graph!r}.")
    prefix = str(now.value("trt_engine_cache_prefix") or "")
    if (prefix or not file.fused) and not (prefix and file.name.startswith(f"{prefix}_")):
        found.append(f"Its name does not begin with trt_engine_cache_prefix, {prefix!r}.")
    if (file.form == "encrypted") != now.on("trt_engine_decryption_enable"):
        found.append(
            "It is encrypted, and decryption is off." if file.form == "encrypted" else "Decryption is on, and it is not."
        )
    if file.form == "stripped" and not now.on("trt_weight_stripped_engine_enable"):
        found.append("It has no weights, and trt_weight_stripped_engine_enable is off.")
    return found


def _unknown(settings: Settings) -> list[str]:
    """Return what ONNX Runtime's cache ignores, with the options in use that are among it."""
    now = Effective(settings)
    ignored = [key for key in now.changed() if (spec := now.spec(key)) and spec.effect == "rebuild" and spec.ort_cache == "stale"]
    found = [HASH_COVERS]
    if ignored:
        found.append(f"Whether it was built with {', '.join(ignored)} as set cannot be known: ONNX Runtime's cache ignores them.")
    return found
