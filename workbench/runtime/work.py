"""One job inside the worker process: session, placement, first run, latency, accuracy."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import InputError, JobError, Unavailable, WorkbenchError
from workbench.measure.latency import latency_of
from workbench.model.model import Model
from workbench.placement.asked import idle_findings
from workbench.record import Failure, FailureKind, Finding
from workbench.runtime.building import Building
from workbench.runtime.data.inputs import ModelInput, random_inputs, read_inputs
from workbench.runtime.delivery import tell_layers
from workbench.runtime.environment import environment
from workbench.runtime.failures import failure_of, told
from workbench.runtime.job import InputUsed, Job
from workbench.runtime.judgement import first_samples, judge_outputs
from workbench.runtime.libraries.prerequisites import require
from workbench.runtime.memory import MemoryWatch
from workbench.runtime.process import scratch_of
from workbench.runtime.session import load_onnxruntime, make_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.runtime.prepared import Prepared
    from workbench.runtime.worker_process import Reporter


def work(job: Job, reporter: Reporter) -> None:
    """Do a job, and report what it finds as it finds it. Never raises what a job can cause: a failure is an outcome."""
    failure, reporter.tensorrt = None, None
    if reporter.companion is not None and job.settings.provider != "native":
        reporter.companion.close()  # its memory must not be taken for this job's
        reporter.companion = None
    if job.settings.provider != "tensorrt":
        reporter.standby = None  # likewise
    try:
        _work(job, reporter)
    except WorkbenchError as error:
        failure = _failure(error)
    except MemoryError as error:
        message = f"Out of memory: {error}." if str(error) else "Out of memory."
        failure = Failure(kind="memory", message=message, remedy="Use smaller shapes, or a machine with more.")
    # Once more, now that the libraries are loaded: versions and file names are theirs.
    reporter.part("environment", environment(reporter.tensorrt))
    # a process beside this one can die, too, and then this one lives on
    reporter.done("ok" if failure is None else "crashed" if failure.kind == "crash" else "failed", failure)


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
        building = Building(prepared, time.perf_counter() - began)
        prepared.keep(building.seconds, more=job.plan.runs)
        if prepared.placement is not None:
            reporter.part("placement", prepared.placement)
            reporter.part("findings", idle_findings(prepared.placement, job.settings.provider))
        reporter.part("build", building.build())
        if job.plan.runs:
            _run(model, prepared, job, building, memory, reporter)
            prepared.keep(building.seconds)  # a run may have made ranges grow
            reporter.part("build", building.build())


def _maker(job: Job, model: Model, reporter: Reporter) -> Callable[[], Prepared]:
    """Load the libraries that a job needs, and return what makes the model ready with them."""
    if job.settings.provider == "torch":
        from workbench.model.pytorch.call import load_torch
        from workbench.runtime.torch_module import prepare_torch

        load_torch("The provider 'torch'")
        return lambda: prepare_torch(job, model, reporter)
    if job.settings.provider == "native":
        from workbench.runtime.native.prepare import prepare_native

        return lambda: prepare_native(job, model, reporter)
    ort = load_onnxruntime(job.settings.provider)
    require(ort, job.settings)  # loads the libraries
    if job.settings.provider == "tensorrt":
        from workbench.runtime.engines.context import is_context_model
        from workbench.runtime.engines.session_engines import make_with_engines
        from workbench.runtime.engines.standby import standby_session

        if reporter.standby is None and not is_context_model(model):  # engines in a model need no builder
            reporter.standby = standby_session(ort, job.settings)
        return lambda: make_with_engines(ort, model, job, reporter)
    return lambda: make_session(ort, model, job.settings, reporter.log, buffers=job.plan.buffers)


def _run(model: Model, prepared: Prepared, job: Job, building: Building, memory: MemoryWatch, reporter: Reporter) -> None:  # noqa: PLR0913, PLR0917
    reporter.stage("inputs")
    inputs = _inputs(model, job)
    reporter.part("inputs", tuple(_used(i) for i in inputs))
    feeds = {i.name: i.array for i in inputs}
    reporter.stage("first run")
    outputs, seconds = _first_run(prepared, feeds)
    building.first_run(seconds)
    prepared.keep(building.seconds)
    reporter.part("build", building.build())
    memory.session_made()
    if job.plan.latency:
        with told(prepared.errors, "run"):
            samples = prepared.time(feeds, job.plan, reporter.stage)
        reporter.part("latency", latency_of(samples))
    reporter.part("memory", memory.read())
    if job.plan.profile:
        _profile(prepared, job, feeds, reporter)
    if job.plan.accuracy or job.plan.task is not None or job.outputs is not None:
        judge_outputs(model, prepared, job, feeds, outputs, reporter)
    tell_layers(model, prepared, job, feeds, reporter)  # last: what it may break is needed no more


def _inputs(model: Model, job: Job) -> list[ModelInput]:
    if job.plan.inputs is not None:
        return read_inputs(job.plan.inputs, model)
    if job.plan.data is not None:
        return first_samples(job.plan, model, job.settings.profile)
    return random_inputs(model, job.settings.profile, job.plan.seed)


def _used(given: ModelInput) -> InputUsed:
    return InputUsed(name=given.name, dtype=given.array.dtype.name, shape=given.array.shape, origin=given.origin)


def _first_run(prepared: Prepared, feeds: dict[str, np.ndarray]) -> tuple[list[Any], float]:
    began = time.perf_counter()
    try:
        with told(prepared.errors, "run"):
            outputs = prepared.run(feeds)
    except JobError as error:
        prepared.failed(error)
        raise
    return outputs, time.perf_counter() - began


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
