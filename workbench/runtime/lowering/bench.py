"""Inside the process that tries sets of nodes: the reference, the evidence, and one session for each set."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from workbench.errors import InputError, JobError
from workbench.measure.accuracy import OutputComparison
from workbench.model.model import Model
from workbench.model.precision.half import to_half
from workbench.model.precision.qdq import insert_qdq
from workbench.record import Finding
from workbench.runtime.data.arrays import Fingerprint
from workbench.runtime.data.dataset import Dataset, Feeds, open_dataset
from workbench.runtime.data.inputs import random_inputs
from workbench.runtime.failures import told
from workbench.runtime.libraries.prerequisites import require
from workbench.runtime.lowering.evidence import Activations, evidence_of
from workbench.runtime.lowering.session import candidate_session, exact_session
from workbench.runtime.lowering.trials import Ground, Lowering, NodeEvidence, SetMeasured
from workbench.runtime.lowering.weights import Weights
from workbench.runtime.predictions import Predictions
from workbench.runtime.reference import CPU_REFERENCE
from workbench.runtime.session import exceptions_of, load_onnxruntime, reference_session, session_options

if TYPE_CHECKING:
    from collections.abc import Collection

BATCH = 16
OBSERVED_FEEDS = 4  # feeds on which the numbers inside the model are looked at


class Bench:
    """A model, its reference's outputs on some inputs, and what its candidates lose.

    Parameters
    ----------
    lowering : Lowering
        What is lowered, and what it is judged on.

    Raises
    ------
    WorkbenchError
        When the model, the data or the provider cannot be used.
    """

    def __init__(self, lowering: Lowering) -> None:
        self.lowering = lowering
        self.model = Model.load(lowering.model)
        self.proto = onnx.load(str(self.model.path))
        self.ort = load_onnxruntime("cpu")
        require(load_onnxruntime(lowering.settings.provider), lowering.settings)
        self.errors = exceptions_of(self.ort)
        self.findings: list[Finding] = []
        self.feeds, self.counts, self.labels, self.origin, fingerprint = self._inputs()
        with told(self.errors, "run"):
            session = reference_session(self.ort, self.model)
            self.expected = [session.run(None, feeds) for feeds in self.feeds]
        self.activations = self._activations()
        self.weights = None if lowering.to == "int8" else Weights(self.proto, lowering.to, clip=lowering.clip)
        self.emulated = lowering.to != "int8" and lowering.settings.provider == "cpu"
        self.ground = Ground(
            candidates=self._evidence(),
            inputs=fingerprint,
            samples=sum(self.counts),
            origin=self.origin,
            reference=CPU_REFERENCE,
            emulated=self.emulated,
            findings=tuple(self.findings),
        )

    def _inputs(self) -> tuple[list[Feeds], list[int], np.ndarray | None, str, str]:
        """Return feeds, samples in each, labels, where they come from, and their fingerprint."""
        lowering = self.lowering
        labels = None
        if lowering.data is None:
            made = random_inputs(self.model, lowering.settings.profile, lowering.seed)
            feeds, counts, origin = [{i.name: i.array for i in made}], [1], f"one random input, seed {lowering.seed}"
        else:
            limit = min(lowering.samples, lowering.data.limit or lowering.samples)
            dataset = open_dataset(lowering.data.model_copy(update={"limit": limit}), self.model)
            self.findings += dataset.findings()
            feeds = list(dataset.batches(BATCH))
            counts = [dataset.samples_in(each) for each in feeds]
            labels, origin = _labels(dataset, lowering), f"the first {sum(counts)} samples of {dataset.origin}"
        fingerprint = Fingerprint()
        for each in feeds:
            fingerprint.add(each)
        return feeds, counts, labels, origin, fingerprint.array().tobytes().hex()

    def _activations(self) -> Activations:
        return Activations(self.ort, self.proto, self.feeds[:OBSERVED_FEEDS], self.errors)

    def _evidence(self) -> tuple[NodeEvidence, ...]:
        proto, names = self._lowered(frozenset(), emulate=True)
        if not names:
            raise JobError(f"{self.model.path.name}: no node of it can be lowered to {self.lowering.to}.", kind="inputs")
        if self.lowering.to != "int8" and all(node.op_type == "Cast" for node in self.model.nodes if node.name in names):
            message = f"{self.model.path.name}: only casts compute in float32 in it: it is lowered already."
            raise JobError(message, kind="inputs", remedy="Search in the model that it was converted from.")
        return evidence_of(self.proto, names, self.activations, proto, self.lowering.to, self.weights)

    def _lowered(self, keep: Collection[str], *, emulate: bool) -> tuple[onnx.ModelProto, tuple[str, ...]]:
        """Return the model with all but these lowered, and the names of the nodes that are."""
        to = self.lowering.to
        if to == "int8":
            ranges = self.lowering.ranges or self.activations.magnitudes()
            quantised, what = insert_qdq(self.proto, ranges, exclude_nodes=keep)
            return quantised, what.quantised
        source = self.weights.skeleton if self.weights is not None and emulate else self.proto
        halved, change = to_half(source, to=to, keep=keep, clip=self.lowering.clip, emulate=emulate)
        return halved, change.converted

    def measure(self, keep: frozenset[str], *, emulate: bool | None) -> SetMeasured:
        """Lower all but a set of nodes, run it on all inputs, and compare."""
        began = time.monotonic()
        emulate = self.emulated if emulate is None else emulate
        try:
            proto, _ = self._lowered(keep, emulate=emulate)
            with told(self.errors, "load"):
                session = self._session(proto, emulate=emulate)
            del proto
            with told(self.errors, "run"):
                found = self._compared(session, time.monotonic() - began)
        except JobError as error:
            return SetMeasured(seconds=time.monotonic() - began, failure=error.message)
        return found.model_copy(update={"seconds": time.monotonic() - began})

    def _session(self, proto: onnx.ModelProto, *, emulate: bool) -> Any:  # noqa: ANN401
        if emulate:
            return exact_session(self.ort, proto, self.weights)
        settings = self.lowering.settings
        return candidate_session(self.ort, proto, settings, session_options(self.ort, settings))

    def _compared(self, session: Any, seconds: float) -> SetMeasured:  # noqa: ANN401
        comparisons = [OutputComparison(spec.name, CPU_REFERENCE) for spec in self.model.outputs]
        task = self.lowering.task
        predictions = Predictions(task, self.model, self.labels) if task is not None and self.labels is not None else None
        first, compared = 0, [False] * len(comparisons)
        for feeds, expected, count in zip(self.feeds, self.expected, self.counts, strict=True):
            actual = [_plain(a, e) for a, e in zip(session.run(None, feeds), expected, strict=True)]
            for at, (a, e) in enumerate(zip(actual, expected, strict=True)):
                if isinstance(a, np.ndarray) and isinstance(e, np.ndarray):
                    comparisons[at].add(a, e, first=first, samples=count)
                    compared[at] = True
            if predictions is not None:
                predictions.add(actual, expected)
            first += count
        rows = tuple(c.result() for c, known in zip(comparisons, compared, strict=True) if known)
        judged = predictions.result(CPU_REFERENCE) if predictions is not None else None
        return SetMeasured(accuracy=rows, task=judged, seconds=seconds)


def _labels(dataset: Dataset, lowering: Lowering) -> np.ndarray | None:
    if lowering.task is not None and dataset.labels is None:
        raise InputError(
            f"{dataset.origin}: there are no labels, so {lowering.task.metric} cannot be measured.",
            remedy="Name them: a key of the .npz file, or a file with one label for each sample.",
        )
    return dataset.labels


def _plain(actual: Any, expected: Any) -> Any:  # noqa: ANN401
    """Return an output in the reference's type: a lowered model may give half precision."""
    if isinstance(actual, np.ndarray) and isinstance(expected, np.ndarray) and actual.dtype != expected.dtype:
        return actual.astype(expected.dtype)
    return actual
