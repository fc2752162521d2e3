"""The one way to run a job: check the Settings, let a worker do it, keep the Run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.placement.records import Placement, RuntimeVersions
from workbench.record import Finding
from workbench.runtime.job import Job, Plan
from workbench.runtime.worker import Worker
from workbench.study.run import ModelRef, Run, run_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.runtime.job import Event
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
    """
    plan = plan or Plan()
    findings = settings.check(model=model)
    reference = reference_of(model)
    job = Job(model=str(model.path), settings=settings, plan=plan)
    if worker is None:
        with Worker() as own:
            outcome = own.run(job, on_event)
    else:
        outcome = worker.run(job, on_event)
    outcome = outcome.model_copy(update={"findings": _merged(findings, outcome.findings)})
    run = run_of(outcome, model=reference, settings=settings, plan=plan, label=label)
    if store is not None:
        store.add(run)
    return run


def reference_of(model: Model) -> ModelRef:
    """Return what a Run keeps of its model; takes the content hash."""
    return ModelRef(name=model.name, path=str(model.path), content_hash=model.content_hash(), size_bytes=model.size_bytes)


def _merged(before: list[Finding], after: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return (*before, *(f for f in after if f not in before))


def measure_placement(
    model: Model,
    settings: Settings,
    *,
    worker: Worker | None = None,
    on_event: Callable[[Event], None] | None = None,
    timeout_s: float = 1800.0,
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

    Returns
    -------
    Placement
        With evidence ``measured``; with ``outcome`` ``error`` where no session could be made.
    """
    plan = Plan(latency=False, accuracy=False, timeout_s=timeout_s)
    run = execute(model, settings, plan, worker=worker, on_event=on_event)
    if run.placement is not None and run.error is None:
        return run.placement
    release = run.environment.onnxruntime if run.environment else None
    versions = RuntimeVersions(onnxruntime=release, tensorrt=run.environment.tensorrt if run.environment else None)
    return Placement(model=model.name, evidence="measured", runtime=versions, outcome="error", error=run.error)
