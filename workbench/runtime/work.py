"""One job inside the worker process: session, placement, first run, latency, accuracy."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import InputError, JobError, Unavailable, WorkbenchError
from workbench.measure.accuracy import compare_output
from workbench.measure.latency import latency_of
from workbench.model.model import Model
from workbench.record import Failure, FailureKind, Finding
from workbench.runtime.environment import environment
from workbench.runtime.failures import failure_of, told
from workbench.runtime.inputs import ModelInput, random_inputs, read_inputs
from workbench.runtime.job import Build, InputUsed, Job, Stage
from workbench.runtime.memory import MemoryWatch
from workbench.runtime.process import scratch_of
from workbench.runtime.session import exceptions_of, load_onnxruntime, make_session, reference_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.runtime.prepared import Prepared
    from workbench.runtime.worker_process import Reporter

REFERENCE = "CPU provider without graph optimisation"


def work(job: Job, reporter: Reporter) -> None:
    """Do a job, and report what it finds as it finds it. Never raises what a job can cause: a failure is an outcome."""
    failure = None
    try:
        _work(job, reporter)
    except WorkbenchError as error:
        failure = _failure(error)
    except MemoryError as error:
        message = f"Out of memory: {error}." if str(error) else "Out of memory."
        failure = Failure(kind="memory", message=message, remedy="Use smaller shapes, or a machine with more.")
    # Once more, now that the libraries are loaded: versions and file names are theirs.
    reporter.part("environment", environment())
    reporter.done("failed" if failure else "ok", failure)


def _failure(error: WorkbenchError) -> Failure:
    kinds: dict[type[WorkbenchError], FailureKind] = {InputError: "inputs", Unavailable: "provider"}
    kind = error.kind if isinstance(error, JobError) else kinds.get(type(error), "load")
    return Failure.model_validate({"kind": kind, "message": error.message, "remedy": error.remedy})


def _work(job: Job, reporter: Reporter) -> None:
    reporter.stage("loading")
    model = Model.load(job.model)
    make = _maker(job, model, reporter)
    reporter.part("environment", environment())
    memory = MemoryWatch()
    reporter.stage("session")
    began = time.perf_counter()
    with contextlib.closing(make()) as prepared:
        session = Stage(name="session", seconds=time.perf_counter() - began)
        if prepared.placement is not None:
            reporter.part("placement", prepared.placement)
        reporter.part("build", _build(session))
        if job.plan.latency or job.plan.accuracy or job.plan.profile:
            _run(model, prepared, job, session, memory, reporter)


def _maker(job: Job, model: Model, reporter: Reporter) -> Callable[[], Prepared]:
    """Load the libraries that a job needs, and return what makes the model ready with them."""
    ort = load_onnxruntime(job.settings.provider)
    return lambda: make_session(ort, model, job.settings, reporter.log)


def _run(model: Model, prepared: Prepared, job: Job, session: Stage, memory: MemoryWatch, reporter: Reporter) -> None:  # noqa: PLR0913, PLR0917
    reporter.stage("inputs")
    inputs = _inputs(model, job)
    reporter.part("inputs", tuple(_used(i) for i in inputs))
    feeds = {i.name: i.array for i in inputs}
    reporter.stage("first run")
    outputs, first = _first_run(prepared, feeds)
    reporter.part("build", _build(session, first))
    memory.session_made()
    if job.plan.latency:
        with told(prepared.errors, "run"):
            samples = prepared.time(feeds, job.plan, reporter.stage)
        reporter.part("latency", latency_of(samples))
    reporter.part("memory", memory.read())
    if job.plan.profile:
        _profile(prepared, job, feeds, reporter)
    if job.plan.accuracy:
        _accuracy(model, feeds, outputs, reporter)


def _build(session: Stage, *later: Stage) -> Build:
    return Build(seconds=session.seconds, cache="cold", stages=(session, *later))


def _inputs(model: Model, job: Job) -> list[ModelInput]:
    if job.plan.inputs is not None:
        return read_inputs(job.plan.inputs, model)
    return random_inputs(model, job.settings.profile, job.plan.seed)


def _used(given: ModelInput) -> InputUsed:
    return InputUsed(name=given.name, dtype=given.array.dtype.name, shape=given.array.shape, origin=given.origin)


def _first_run(prepared: Prepared, feeds: dict[str, np.ndarray]) -> tuple[list[Any], Stage]:
    began = time.perf_counter()
    with told(prepared.errors, "run"):
        outputs = prepared.run(feeds)
    return outputs, Stage(name="first run", seconds=time.perf_counter() - began)


def _profile(prepared: Prepared, job: Job, feeds: dict[str, np.ndarray], reporter: Reporter) -> None:
    reporter.stage("profiling")
    folder = scratch_of(reporter.log)
    expected: tuple[type[BaseException], ...] = (*prepared.errors, OSError)
    try:
        found = prepared.profile(feeds, job.plan, folder)
    except expected as error:
        seen = f"the profiled session failed: {failure_of(error, 'run').message}"
        meaning = "How long each node takes is not known; what was measured before is not affected."
        reporter.part("findings", (Finding(level="warning", where="profile", seen=seen, meaning=meaning),))
        return
    if found is not None:
        reporter.part("profile", found)
        return
    seen = f"the {job.settings.provider} provider does not tell how long each node takes"
    reporter.part("findings", (Finding(level="info", where="profile", seen=seen),))


def _accuracy(model: Model, feeds: dict[str, np.ndarray], outputs: list[Any], reporter: Reporter) -> None:
    reporter.stage("reference")
    ort = load_onnxruntime("cpu")
    try:
        expected = reference_session(ort, model).run(None, feeds)
    except exceptions_of(ort) as error:
        seen = f"the reference ({REFERENCE}) failed: {failure_of(error, 'run').message}"
        finding = Finding(level="warning", where="accuracy", seen=seen, meaning="The outputs were compared with nothing.")
        reporter.part("findings", (finding,))
        return
    reporter.stage("comparing")
    rows, left_out = [], []
    for spec, actual, reference in zip(model.outputs, outputs, expected, strict=True):
        if isinstance(actual, np.ndarray) and isinstance(reference, np.ndarray):
            rows.append(compare_output(spec.name, actual, reference, REFERENCE))
        else:
            left_out.append(spec.name)
    reporter.part("accuracy", tuple(rows))
    if left_out:
        seen = f"{', '.join(left_out)}: sequences and maps are not compared"
        reporter.part("findings", (Finding(level="info", where="accuracy", seen=seen),))
