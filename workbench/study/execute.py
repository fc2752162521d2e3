"""The one way to run a job: check the Settings, let a worker do it, keep the Run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.placement.records import Placement, RuntimeVersions
from workbench.record import Finding
from workbench.runtime.binding import check_buffers
from workbench.runtime.job import Job, Plan
from workbench.runtime.judgement import check_plan
from workbench.runtime.worker import Worker
from workbench.study.outputs import keep, resolved, spool
from workbench.study.run import ModelRef, Run, run_of
from workbench.study.shapes import foretold
from workbench.study.untold import hints_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.runtime.engines.cache import EngineCache
    from workbench.runtime.job import Event, Outcome
    from workbench.study.store import Store


def execute(  # noqa: PLR0913
    model: Model,
    settings: Settings,
    plan: Plan | None = None,
    *,
    store: Store | None = None,
    worker: Worker | None = None,
    on_event: Callable[[Event], None] | None = None,
    label: str = "",
    cache: EngineCache | None = None,
) -> Run:
    """Run a job and keep the Run.

    Parameters
    ----------
    model : Model
        What to run.
    settings : Settings
        How to run it.
    plan : Plan, optional
        What to find out.
    store : Store, optional
        Where to keep the Run; not kept without one.
    worker : Worker, optional
        The process to use; a new one, ended afterwards, without one.
    on_event : callable, optional
        Called with each :class:`~workbench.runtime.job.Event`.
    label : str
        The user's own name for the Run.
    cache : EngineCache, optional
        Where TensorRT's engines come from and are kept; built each time, and not kept, without one.

    Returns
    -------
    Run
        Also for jobs that failed, crashed or were cancelled.

    Raises
    ------
    SettingsError
        When the Settings cannot work with the installed release or this model; nothing was run.
    ModelError
        When the model's file has gone since it was loaded.
    InputError
        When data, labels or a stored reference are missing or do not fit; nothing was run.
    """
    plan = plan or Plan()
    findings = _checked(model, settings, plan)
    reference = reference_of(model)
    with spool(plan, store) as outputs:
        job = Job(model=str(model.path), settings=settings, plan=resolved(plan, store))
        job = job.model_copy(update={"cache": cache and str(cache.folder), "outputs": outputs and str(outputs)})
        outcome = _done(job, worker, on_event)
        hints = hints_of(outcome, model=reference, settings=settings, plan=plan, store=store, cache=cache)
        outcome = outcome.model_copy(update={"findings": _merged(findings, (*outcome.findings, *hints))})
        run = run_of(outcome, model=reference, settings=settings, plan=plan, label=label)
        if store is not None:
            store.add(run)
            keep(outputs, run, store)
    return run


def _checked(model: Model, settings: Settings, plan: Plan) -> list[Finding]:
    """Return what is useless or dangerous in a job; raises what keeps it from being run."""
    found = [*settings.check(model=model), *check_plan(plan, model), *check_buffers(plan, settings)]
    return [*found, *foretold(model, settings)]


def _done(job: Job, worker: Worker | None, on_event: Callable[[Event], None] | None) -> Outcome:
    """Let a worker do a job: the one given, or one of its own."""
    if worker is not None:
        return worker.run(job, on_event)
    with Worker() as own:
        return own.run(job, on_event)


def reference_of(model: Model) -> ModelRef:
    """Return what a Run keeps of its model; takes the content hash."""
    return ModelRef(name=model.name, path=str(model.path), content_hash=model.content_hash(), size_bytes=model.size_bytes)


def _merged(before: list[Finding], after: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return (*before, *(f for f in after if f not in before))


def measure_placement(  # noqa: PLR0913
    model: Model,
    settings: Settings,
    *,
    worker: Worker | None = None,
    on_event: Callable[[Event], None] | None = None,
    timeout_s: float = 1800.0,
    cache: EngineCache | None = None,
) -> Placement:
    """Make a session and return who runs each node; nothing is run.

    Parameters
    ----------
    model, settings
        As for :func:`execute`.
    worker, on_event : optional
        As for :func:`execute`.
    timeout_s : float
        Seconds that making the session may take.
    cache : EngineCache, optional
        As for :func:`execute`.

    Returns
    -------
    Placement
        With evidence ``measured``; with ``outcome`` ``error`` where no session could be made.
    """
    plan = Plan(latency=False, accuracy=False, timeout_s=timeout_s)
    run = execute(model, settings, plan, worker=worker, on_event=on_event, cache=cache)
    if run.placement is not None and run.error is None:
        return run.placement
    release = run.environment.onnxruntime if run.environment else None
    versions = RuntimeVersions(onnxruntime=release, tensorrt=run.environment.tensorrt if run.environment else None)
    return Placement(model=model.name, evidence="measured", runtime=versions, outcome="error", error=run.error)
