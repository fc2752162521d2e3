"""How right a prepared model is: its outputs against a reference's, its predictions against labels. In the worker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import InputError, JobError
from workbench.measure.accuracy import OutputComparison
from workbench.record import Finding
from workbench.runtime.data.arrays import INPUTS, Fingerprint, write_arrays
from workbench.runtime.data.dataset import Dataset, Feeds, batch_dimension, counts_steps, open_dataset
from workbench.runtime.data.inputs import ModelInput, input_shapes
from workbench.runtime.failures import told
from workbench.runtime.predictions import Predictions, check_metric
from workbench.runtime.reference import CPU_REFERENCE, Reference, open_reference

if TYPE_CHECKING:
    from workbench.model.model import Model
    from workbench.options.profile import ShapeProfile
    from workbench.runtime.job import Job, Plan
    from workbench.runtime.prepared import Prepared
    from workbench.runtime.worker_process import Reporter


def data_of(plan: Plan, model: Model) -> Dataset:
    """Open the data of a plan, cut to the number of samples that it wants.

    Raises
    ------
    InputError
        When they do not fit the model, or labels are wanted and missing.
    """
    assert plan.data is not None
    limits = [limit for limit in (plan.samples, plan.data.limit) if limit is not None]
    dataset = open_dataset(plan.data.model_copy(update={"limit": min(limits, default=None)}), model)
    if plan.task is not None and dataset.labels is None:
        raise InputError(
            f"{dataset.origin}: there are no labels, so {plan.task.metric} cannot be measured.",
            remedy="Name them: a key of the .npz file, or a file with one label for each sample.",
        )
    return dataset


def check_plan(plan: Plan, model: Model) -> list[Finding]:
    """Look at the data of a plan before anything is run, and return what is odd about them.

    Raises
    ------
    InputError
        When they cannot be read, do not fit the model, or have no labels where labels are needed; or there is no such metric.
    """
    if plan.task is not None:
        check_metric(plan.task.metric)
    if plan.data is None:
        if plan.task is not None:
            raise InputError(f"Without data there is nothing to measure {plan.task.metric} on.", remedy="Give labelled data.")
        return []
    return data_of(plan, model).findings()


def first_samples(plan: Plan, model: Model, profile: ShapeProfile) -> list[ModelInput]:
    """Return the first samples of a plan's data as the inputs to time: as many as the profile's optimum has."""
    dataset = data_of(plan, model)
    feeds = next(dataset.batches(_batch(model, profile)))
    origin = f"first of {dataset.origin}"
    return [ModelInput(name, feeds[name], origin) for name in dataset.names]


def _batch(model: Model, profile: ShapeProfile) -> int:
    leading = batch_dimension(model)
    named = [spec for spec in model.inputs if spec.shape and spec.shape[0] == leading and profile.of(spec.name) is not None]
    return input_shapes(model, profile)[named[0].name][0] if named and not counts_steps(leading) else 1


def judge_outputs(  # noqa: PLR0913, PLR0917
    model: Model, prepared: Prepared, job: Job, feeds: Feeds, outputs: list[Any], reporter: Reporter
) -> None:
    """Compare outputs with the reference's and predictions with labels, and report both.

    Parameters
    ----------
    model, prepared, job
        What runs.
    feeds, outputs
        The inputs that were timed and what came of them: all there is to compare where the plan has no data.
    reporter : Reporter
        Gets ``accuracy``, ``task`` and findings.

    Raises
    ------
    InputError
        When data, labels, metric or stored outputs do not fit.
    JobError
        When the model fails on an input.
    """
    judging = _Judging(model, prepared, job, reporter)
    if job.plan.data is None:
        judging.take(feeds, outputs)
    else:
        dataset = data_of(job.plan, model)
        if job.plan.task is not None and dataset.labels is not None:
            judging.predictions = Predictions(job.plan.task, model, dataset.labels)
        for each in dataset.batches(_batch(model, job.settings.profile)):
            judging.take(each, judging.run(each), dataset.samples_in(each))
    judging.finish()


class _Judging:
    """One pass over the inputs."""

    def __init__(self, model: Model, prepared: Prepared, job: Job, reporter: Reporter) -> None:
        self.model, self.prepared, self.job, self.reporter = model, prepared, job, reporter
        self.names = [spec.name for spec in model.outputs]
        self.predictions: Predictions | None = None
        self.reference: Reference | None = None
        if job.plan.accuracy:
            reporter.stage("reference")
            self.reference = self._opened()
        words = self.reference.words if self.reference else ""
        self.comparisons = [OutputComparison(name, words) for name in self.names]
        self.compared = [False] * len(self.names)
        self.kept: list[list[np.ndarray]] = [[] for _ in self.names]
        self.fingerprint = Fingerprint()
        self.samples = 0
        reporter.stage("comparing")

    def _opened(self) -> Reference | None:
        try:
            return open_reference(self.job.plan.reference, self.model)
        except JobError as error:
            self._failed(error)
            return None

    def _failed(self, error: JobError) -> None:
        words = CPU_REFERENCE if self.job.plan.reference is None else self.job.plan.reference
        seen = f"the reference ({words}) failed: {error.message}"
        finding = Finding(level="warning", where="accuracy", seen=seen, meaning="The outputs were compared with nothing.")
        self.reporter.part("findings", (finding,))

    def run(self, feeds: Feeds) -> list[Any]:
        with told(self.prepared.errors, "run"):
            return self.prepared.run(feeds)

    def take(self, feeds: Feeds, actual: list[Any], samples: int | None = None) -> None:
        """Compare what one feed gave."""
        self.fingerprint.add(feeds)
        expected = self._expected(feeds, actual)
        for at, (a, e) in enumerate(zip(actual, expected, strict=True)):
            if isinstance(a, np.ndarray) and isinstance(e, np.ndarray):
                self.comparisons[at].add(a, e, first=self.samples, samples=samples)
                self.compared[at] = True
            if isinstance(a, np.ndarray) and self.job.outputs is not None:
                self.kept[at].append(a)
        if self.predictions is not None:
            self.predictions.add(actual, expected)
        self.samples += samples or 1

    def _expected(self, feeds: Feeds, actual: list[Any]) -> list[Any]:
        if self.reference is not None:
            try:
                return self.reference.run(feeds, actual)
            except JobError as error:
                self._failed(error)
                self.reference = None
                self.compared = [False] * len(self.names)
        return [None] * len(actual)

    def finish(self) -> None:
        """Report what was found."""
        if self.reference is not None:
            self.reference.finish(self.fingerprint.array())
            rows = [c.result() for c, compared in zip(self.comparisons, self.compared, strict=True) if compared]
            self.reporter.part("accuracy", tuple(rows))
            self._tell_left_out()
        if self.predictions is not None:
            found = self.predictions.result(self.reference.words if self.reference else "")
            if found is not None:
                self.reporter.part("task", found)
        if self.job.outputs is not None:
            self._keep(Path(self.job.outputs))

    def _tell_left_out(self) -> None:
        left_out = [name for name, compared in zip(self.names, self.compared, strict=True) if not compared]
        if left_out:
            stored = self.job.plan.reference is not None
            why = "are not in the reference" if stored else "sequences and maps are not compared"
            seen = f"{', '.join(left_out)}: {why}"
            self.reporter.part("findings", (Finding(level="info", where="accuracy", seen=seen),))

    def _keep(self, path: Path) -> None:
        """Write the outputs, those of many feeds along the first axis."""
        arrays = {}
        for name, parts in zip(self.names, self.kept, strict=True):
            if len(parts) == 1 or (parts and parts[0].ndim and len({part.shape[1:] for part in parts}) == 1):
                arrays[name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
        try:
            write_arrays(path, {**arrays, INPUTS: self.fingerprint.array()})
        except (OSError, ValueError) as error:  # ValueError: elements that need pickle
            seen = f"the outputs could not be kept: {error}"
            self.reporter.part("findings", (Finding(level="warning", where="outputs", seen=seen),))
