"""Where engines keep their layers' types to themselves: what size and latency say, against fp32 of the same model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.measure.amounts import size_text
from workbench.options.effective import Effective
from workbench.record import Finding

if TYPE_CHECKING:
    from workbench.options.settings import Settings
    from workbench.runtime.engines.cache import EngineCache
    from workbench.runtime.engines.records import EngineEntry
    from workbench.runtime.job import Outcome, Plan
    from workbench.study.run import ModelRef, Run
    from workbench.study.store import Store

MOST_RUNS = 50  # of the model that are looked at, the newest first
ABOUT_SIZE = "Weights in 16 bits take half the room of those in 32, in 8 bits a quarter; an engine holds kernels besides."
ABOUT_LATENCY = "It says that something was gained, not in how many layers."


def hints_of(  # noqa: PLR0913
    outcome: Outcome, *, model: ModelRef, settings: Settings, plan: Plan, store: Store | None, cache: EngineCache | None
) -> tuple[Finding, ...]:
    """Return indirect evidence of what a precision delivered, where the engines that were looked into do not tell.

    Parameters
    ----------
    outcome : Outcome
        Of the job.
    model, settings, plan
        What was run, how, and what was measured.
    store : Store or None
        Where an fp32 Run of the same model may be.
    cache : EngineCache or None
        Where its fp32 engines may be.
    """
    asked = Effective(settings).precisions
    if not asked or not outcome.delivered or any(engine.told for engine in outcome.delivered):
        return ()
    name = "+".join(asked)
    try:
        return (*_size(outcome, name, model, settings, cache), *_latency(outcome, name, model, settings, plan, store))
    except WorkbenchError:  # a store or a cache that cannot be read says so itself when it is used
        return ()


def _size(outcome: Outcome, name: str, model: ModelRef, settings: Settings, cache: EngineCache | None) -> tuple[Finding, ...]:
    entries = cache.entries() if cache is not None else []
    entry = next((each for each in entries if _is_fp32_entry(each, outcome, model, settings)), None)
    if entry is None or not entry.bytes:
        return ()
    ours = sum(engine.bytes for engine in outcome.delivered)
    seen = f"the {name} engines take {size_text(ours)}, those of fp32 {size_text(entry.bytes)}: {ours / entry.bytes:.2f} times"
    return (Finding(level="info", where="precision", seen=seen, meaning=ABOUT_SIZE),)


def _is_fp32_entry(entry: EngineEntry, outcome: Outcome, model: ModelRef, settings: Settings) -> bool:
    if entry.content_hash != model.content_hash or entry.provider != settings.provider or Effective(entry.settings).precisions:
        return False
    here = outcome.environment
    same = here is None or (entry.tensorrt, entry.compute_capability) == (here.tensorrt, here.compute_capability)
    return same and entry.settings.profile == settings.profile and len(entry.files) == len(outcome.delivered)


def _latency(  # noqa: PLR0913, PLR0917
    outcome: Outcome, name: str, model: ModelRef, settings: Settings, plan: Plan, store: Store | None
) -> tuple[Finding, ...]:
    if store is None or outcome.latency is None or model.content_hash is None:
        return ()
    runs = store.runs(model.content_hash, provider=settings.provider, status="ok", limit=MOST_RUNS)
    twin = next((run for run in runs if _is_fp32_run(run, outcome, settings, plan)), None)
    if twin is None or twin.latency is None:
        return ()
    ours, theirs = outcome.latency.median_ms, twin.latency.median_ms
    seen = (
        f"{name} takes {ours:.3f} ms at the median, fp32 took {theirs:.3f} ms (Run {twin.id}): {theirs / ours:.2f} times as fast"
    )
    return (Finding(level="info", where="precision", seen=seen, meaning=ABOUT_LATENCY),)


def _is_fp32_run(run: Run, outcome: Outcome, settings: Settings, plan: Plan) -> bool:
    """Whether a Run differs in nothing that its latency depends on but the precision."""
    if run.latency is None or Effective(run.settings).precisions or run.plan.buffers != plan.buffers:
        return False
    there, here = run.environment, outcome.environment
    if there is None or here is None or (there.gpu, there.tensorrt) != (here.gpu, here.tensorrt):
        return False
    shapes = [{used.name: used.shape for used in each.inputs} for each in (run, outcome)]
    return shapes[0] == shapes[1] and run.settings.profile == settings.profile
