"""Before the click: what the next run will do, and how long making its session took here before."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Literal

from workbench.measure.amounts import duration_text, size_text
from workbench.record import Record
from workbench.runtime.engines.implied import implied_ranges, implied_text, with_implied
from workbench.runtime.engines.key import architecture_of, key_on
from workbench.runtime.engines.timing import SharedTimings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.runtime.engines.cache import EngineCache
    from workbench.runtime.job import Build, Cache, Environment
    from workbench.study.run import Run
    from workbench.study.store import SessionTime, Store

Action = Literal["session", "build", "timing", "engine", "context", "unknown"]

FOR_QUARTILES = 4  # of fewer, the extremes say more
MOST_RUNS = 500  # of a model that are looked at, the newest first
EP_CONTEXT = "EPContext"

_WHAT: dict[Action, str] = {
    "session": "Makes a session; nothing is built.",
    "build": "Builds TensorRT engines from nothing.",
    "timing": "Builds TensorRT engines, with kernel timings kept from earlier builds.",
    "engine": "Reuses engines that were built before.",
    "context": "Loads the engine that the model holds or names; nothing is built.",
    "unknown": "Whether engines must be built is not known",
}
_CACHES: dict[Action, Cache] = {"session": "cold", "build": "cold", "timing": "timing", "engine": "engine", "context": "context"}
_BEFORE: dict[Cache, str] = {
    "cold": "nothing was kept from before",
    "timing": "kernel timings were kept from before",
    "engine": "all engines were there",
    "context": "the model holds or names its engine",
}
_ORIGINS = {"built": "Built:", "cache": "From the engine cache:", "context": "From the EP context model:"}


class Spread(Record):
    """How long several sessions took to make, in seconds.

    Attributes
    ----------
    runs : int
        How many there were.
    median_s : float
        The median.
    low_s, high_s : float
        The quartiles of four Runs and more, else the shortest and the longest.
    quartiles : bool
        Whether they are quartiles.
    of : str
        What the Runs have in common, in words.
    """

    runs: int
    median_s: float
    low_s: float
    high_s: float
    quartiles: bool
    of: str

    def __str__(self) -> str:
        median, low, high = map(duration_text, (self.median_s, self.low_s, self.high_s))
        if self.runs == 1:
            return f"{median} in the one run of {self.of} on this machine"
        if self.quartiles:
            return f"{median} at the median, half of them {low} to {high}, in {self.runs} runs of {self.of} on this machine"
        return f"{median} at the median, {low} to {high}, in {self.runs} runs of {self.of} on this machine"


class Expectation(Record):
    """What the next run will do first, and for how long.

    Attributes
    ----------
    action : str
        ``session`` (no engines are needed), ``build`` (from nothing), ``timing`` (with a timing cache), ``engine`` (of the
        cache), ``context`` (of an EP context model), or ``unknown``.
    key : str or None
        Of the engines in our cache; ``None`` where none are needed, or the GPU or TensorRT is not known.
    spread : Spread or None
        How long it took on this machine; ``None`` without history.
    text : str
        All of it in a sentence or two.
    """

    action: Action
    key: str | None
    spread: Spread | None
    text: str


def expectation_of(
    model: Model, settings: Settings, *, store: Store | None, cache: EngineCache | None, environment: Environment
) -> Expectation:
    """Return what a run of a model with these Settings will do before it measures anything, and how long that took here.

    Parameters
    ----------
    model, settings
        What would be run.
    store : Store or None
        Where the history is kept.
    cache : EngineCache or None
        The cache that the run would use; ``None`` for none of ours.
    environment : Environment
        This machine, with the versions that a session has here.

    Returns
    -------
    Expectation
        Durations are of Runs on the same host and GPU with the same versions: those of the same content, Settings and state
        of the cache; else of the same content and state; else of the model's name and that state.

    Raises
    ------
    ModelError
        When the model's file has gone.
    StoreError
        When the store cannot be read.
    """
    key = key_on(model, settings, environment) if settings.provider in ("tensorrt", "native") else None
    action, why = _action(model, settings, key, cache, environment)
    spread = _history(model, settings, action, store, environment) if action in _CACHES else None
    return Expectation(action=action, key=key, spread=spread, text=_text(action, why, spread))


def _action(
    model: Model, settings: Settings, key: str | None, cache: EngineCache | None, environment: Environment
) -> tuple[Action, str]:
    """Return what will happen; and why that is not known, or on what it depends."""
    if settings.provider not in ("tensorrt", "native"):
        return "session", ""
    if any(count.op_type == EP_CONTEXT for count in model.operators):
        return "context", ""
    if cache is None:
        return _without_cache(settings)
    if key is None:
        missing = "NVIDIA GPU" if environment.compute_capability is None else "TensorRT"
        return "unknown", f"no {missing} is found here"
    if cache.find(key) is not None:
        return "engine", ""
    if assumed := _at_implied_shapes(model, settings, cache, environment):
        return "engine", assumed
    release = str(environment.tensorrt_of(settings.provider))
    timings = SharedTimings(cache.folder, architecture_of(environment.compute_capability), release)
    return ("timing" if timings.read() is not None else "build"), ""


def _at_implied_shapes(model: Model, settings: Settings, cache: EngineCache, environment: Environment) -> str:
    """Return for which shapes there is a native engine, where the job's inputs decide; empty where there is none."""
    if settings.provider != "native":
        return ""
    for entry in cache.entries():
        ranges = implied_ranges(entry, model, settings)
        if ranges and key_on(model, with_implied(entry, model, settings), environment) == entry.key:
            return implied_text(ranges)
    return ""


def _without_cache(settings: Settings) -> tuple[Action, str]:
    own = settings.provider_options.get("trt_engine_cache_enable") or settings.provider_options.get("trt_timing_cache_enable")
    return ("unknown", "ONNX Runtime's own cache decides") if own and settings.provider == "tensorrt" else ("build", "")


def _history(model: Model, settings: Settings, action: Action, store: Store | None, here: Environment) -> Spread | None:
    """Return how long it took, of the Runs that are most like this one."""
    if store is None:
        return None
    state, content = _CACHES[action], model.content_hash()
    found = _seconds(store, content, settings, here, state)
    same = [session.seconds for session in found if session.settings == settings.fingerprint()]
    if same:
        return _spread(same, "this model with these settings")
    if found:
        return _spread([session.seconds for session in found], "this model with other settings")
    named = _seconds(store, model.name, settings, here, state)
    return _spread([session.seconds for session in named], "a model of this name with other content") if named else None


def _seconds(store: Store, model: str, settings: Settings, here: Environment, state: Cache) -> list[SessionTime]:
    """Return the sessions that were made on this machine from this state of the cache, of the newest Runs."""
    sessions = store.session_times(model, provider=settings.provider, limit=MOST_RUNS)
    return [session for session in sessions if session.cache == state and _was_here(session, here, settings.provider)]


def _was_here(there: SessionTime, here: Environment, provider: str) -> bool:
    """Return whether a session was made on this host and GPU, with the versions that are here now."""
    if (there.host, there.gpu, there.onnxruntime) != (here.host, here.gpu, here.onnxruntime):
        return False
    return there.tensorrt == here.tensorrt_of(provider) or provider not in ("tensorrt", "native")


def _spread(seconds: Sequence[float], of: str) -> Spread:
    low, high = min(seconds), max(seconds)
    if quartiles := len(seconds) >= FOR_QUARTILES:
        low, _, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return Spread(runs=len(seconds), median_s=statistics.median(seconds), low_s=low, high_s=high, quartiles=quartiles, of=of)


def _text(action: Action, why: str, spread: Spread | None) -> str:
    if action == "unknown":
        return f"{_WHAT[action]}: {why}."
    history = f"That took {spread}." if spread else "There is no history of that on this machine."
    return " ".join(filter(None, (_WHAT[action], why, history)))


def told_build(run: Run) -> tuple[str, ...]:
    """Return in sentences how the session of a Run came to be: what was built or reused, and how long each stage took.

    Empty for a Run that made none.
    """
    build = run.build
    if build is None:
        return ()
    lines = [f"The session was made in {duration_text(build.seconds)}: {_BEFORE[build.cache]}."]
    if run.settings.provider not in ("tensorrt", "native"):
        lines = [
            f"The session was made in {duration_text(build.seconds)}; the {run.settings.provider} provider builds no engines."
        ]
    lines += [text for origin in _ORIGINS if (text := _engines(build, origin))]
    if build.timing_cache and any(use.origin == "built" for use in build.engines):
        lines.append("Kernel timings came from the timing cache.")
    if build.waited_s >= 0.05:
        lines.append(f"Before that, {duration_text(build.waited_s)} went by waiting for another process that built the same.")
    if build.stages:
        lines.append(f"Stages: {', '.join(f'{stage.name} {duration_text(stage.seconds)}' for stage in build.stages)}.")
    return tuple(lines)


def _engines(build: Build, origin: str) -> str:
    """Return one sentence about the engines of one origin; empty where there are none."""
    uses = [use for use in build.engines if use.origin == origin]
    if not uses:
        return ""
    known = [use.seconds for use in uses if use.seconds is not None]
    took = f" in {duration_text(sum(known))}" if len(known) == len(uses) else ""
    count = f"{len(uses)} engine{'s' if len(uses) > 1 else ''}"
    return f"{_ORIGINS[origin]} {count}, {size_text(sum(use.bytes for use in uses))}{took}."
