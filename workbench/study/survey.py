"""One model in many configurations: which is fastest, of those that are right."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from workbench.errors import SettingsError, WorkbenchError, nearest
from workbench.runtime.doctor.diagnosis import diagnose
from workbench.runtime.job import Plan
from workbench.runtime.worker import Worker
from workbench.study.configuration import Configuration, batched, parse_configurations, why_not
from workbench.study.execute import execute
from workbench.study.survey_rows import TOLERANCE, About, Entry, Survey, entry_of, survey_of_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.runtime.doctor.checks import Diagnosis
    from workbench.runtime.engines.cache import EngineCache
    from workbench.runtime.job import Event
    from workbench.study.run import Run
    from workbench.study.store import Store


class Execute(Protocol):
    """What runs one configuration: :func:`workbench.study.execute.execute`, or a stand-in for it."""

    def __call__(  # noqa: D102, PLR0913
        self,
        model: Model,
        settings: Settings,
        plan: Plan | None = None,
        *,
        store: Store | None = None,
        worker: Worker | None = None,
        on_event: Callable[[Event], None] | None = None,
        label: str = "",
        cache: EngineCache | None = None,
    ) -> Run: ...


def survey(  # noqa: PLR0913
    model: Model,
    configurations: Sequence[str] | Sequence[Configuration] | None = None,
    plan: Plan | None = None,
    store: Store | None = None,
    *,
    batches: Sequence[int] = (),
    baseline: str | None = None,
    tolerance: float = TOLERANCE,
    cache: EngineCache | None = None,
    about: About | None = None,
    on_event: Callable[[Event], None] | None = None,
    on_entry: Callable[[Entry], None] | None = None,
    limit_s: float = float("inf"),
    diagnosis: Diagnosis | None = None,
    run_one: Execute = execute,
) -> Survey:
    """Run a model in several configurations, and say which is fastest of those that are right.

    A configuration that cannot run here, fails or crashes is a row that says why; the others go on.

    Parameters
    ----------
    model : Model
        The model; with a PyTorch module beside it where it was made by ``Model.from_torch``.
    configurations : sequence of str or Configuration, optional
        See :func:`~workbench.study.configuration.parse_configurations`.
    plan, store, cache, on_event
        As for :func:`~workbench.study.execute.execute`.
    batches : sequence of int
        Sizes of the batch to run each configuration with; none for the model's own, or the default.
    baseline : str, optional
        The configuration that speed-ups are over; the first that has a latency by default.
    tolerance : float
        The largest relative L2 distance of an output from the reference; what is further off is never the fastest.
    about, on_entry : optional
        What is kept in the result and cannot be judged; what is called with each configuration as it is done.
    limit_s : float
        No configuration is begun after so many seconds, and none that has begun may stay in one stage for longer.
    diagnosis, run_one : optional
        What this machine can do, and what runs a configuration, in place of the usual.

    Raises
    ------
    SettingsError, InputError
        For a configuration, baseline or batch size that cannot be; nothing was run.
    """
    todo = _todo(model, configurations, batches, baseline)
    here, until = diagnosis or diagnose(), time.monotonic() + limit_s
    with Worker() as worker:

        def run(settings: Settings, label: str) -> Run:
            own = _within(_plan(plan or Plan(), settings), until - time.monotonic())
            return run_one(model, settings, own, store=store, worker=worker, on_event=on_event, label=label, cache=cache)

        entries = list(_entries(todo, lambda settings: why_not(settings, model, here), run, until, on_entry))
    about = about or About(source=str(model.path))
    return survey_of_entries(entries, model.name, about, baseline=baseline, tolerance=tolerance)


def _entries(
    todo: list[tuple[Configuration, int | None, Settings]],
    obstacle: Callable[[Settings], str],
    run: Callable[[Settings, str], Run],
    until: float,
    on_entry: Callable[[Entry], None] | None,
) -> Iterator[Entry]:
    for each, batch, settings in todo:
        if time.monotonic() > until:
            found = Entry(each.name, batch, None, "not run", OVER)
        else:
            found = _entry(each.name, batch, settings, obstacle(settings), run)
            if found.run is not None and found.run.status == "timeout" and time.monotonic() > until:
                found = replace(found, status="not run", why=f"{OVER}: it was ended")
        if on_entry is not None:
            on_entry(found)
        yield found


def _todo(
    model: Model,
    configurations: Sequence[str] | Sequence[Configuration] | None,
    batches: Sequence[int],
    baseline: str | None,
) -> list[tuple[Configuration, int | None, Settings]]:
    """Return the configurations with each batch size, and their Settings then."""
    chosen = _chosen(configurations)
    _check_baseline(baseline, chosen)
    return [(each, batch, batched(each.settings, model, batch)) for batch in (batches or (None,)) for each in chosen]


def _plan(plan: Plan, settings: Settings) -> Plan:
    """Return the Plan for a configuration: the CPU provider's buffers are the host's in any case."""
    return plan.model_copy(update={"buffers": "host"}) if settings.provider == "cpu" else plan


OVER = "the time was over"


def _within(plan: Plan, left_s: float) -> Plan:
    """Return a Plan none of whose stages may take longer than the time that is left."""
    left_s = max(left_s, 1.0)
    stages = tuple(limit.model_copy(update={"seconds": min(limit.seconds, left_s)}) for limit in plan.stage_timeouts)
    return plan.model_copy(update={"timeout_s": min(plan.timeout_s, left_s), "stage_timeouts": stages})


def _chosen(given: Sequence[str] | Sequence[Configuration] | None) -> list[Configuration]:
    texts = [each for each in given or () if isinstance(each, str)]
    ready = [each for each in given or () if isinstance(each, Configuration)]
    return [*ready, *(parse_configurations(texts) if texts or not ready else ())]


def _check_baseline(baseline: str | None, chosen: list[Configuration]) -> None:
    names = [each.name for each in chosen]
    if baseline is not None and baseline not in names:
        remedy = nearest(baseline, names) or f"The configurations are {', '.join(names)}."
        raise SettingsError(f"the baseline {baseline!r} is not among the configurations.", remedy=remedy)


def _entry(name: str, batch: int | None, settings: Settings, obstacle: str, run: Callable[[Settings, str], Run]) -> Entry:
    if obstacle:
        return Entry(name, batch, None, "not possible", obstacle)
    try:
        done = run(settings, name if batch is None else f"{name} · batch {batch}")
    except WorkbenchError as error:
        return Entry(name, batch, None, "failed", str(error))
    return entry_of(done, name, batch)
