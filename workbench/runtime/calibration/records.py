"""What is asked of a calibration, and what comes of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workbench.measure.calibration import METHODS, Method, TensorCalibration
from workbench.record import Finding, Record
from workbench.runtime.data.dataset import DataSource


class Errand(Record):
    """What the process is to do.

    Attributes
    ----------
    model : str
        The model's file.
    source : DataSource
        The samples.
    batch : int
        Samples fed in one go, where the model allows it.
    methods : tuple of str
        The methods to find thresholds by.
    state : str
        The file of intermediate results.
    save_every : int
        Samples after which it is written again.
    provider : str
        ``cpu`` or ``cuda``: who runs the model.
    """

    model: str
    source: DataSource
    batch: int = Field(default=8, ge=1)
    methods: tuple[Method, ...] = METHODS
    state: str
    save_every: int = Field(default=100, ge=1)
    provider: Literal["cpu", "cuda"] = "cpu"


class Progress(Record):
    """How far a calibration is.

    Attributes
    ----------
    stage : str
        ``starting``, ``collecting`` samples, or finding ``thresholds``.
    done, total : int
        Samples, or tensors; `total` is ``None`` where the data do not say how many there are.
    resumed : int
        Samples that were done before.
    elapsed_s : float
        Seconds since it was started.
    """

    stage: Literal["starting", "collecting", "thresholds"] = "starting"
    done: int = 0
    total: int | None = None
    resumed: int = 0
    elapsed_s: float = 0.0

    def __str__(self) -> str:
        of = f" of {self.total:,}" if self.total is not None else ""
        words = {"starting": "starting", "collecting": f"sample {self.done:,}{of}", "thresholds": f"threshold {self.done:,}{of}"}
        return words[self.stage] + (f" ({self.resumed:,} done before)" if self.resumed and self.stage == "collecting" else "")


class Calibration(Record):
    """The ranges of a model's activations.

    Attributes
    ----------
    model, content_hash : str
        Name and content of the model.
    data : str
        Where the samples came from.
    samples, batch : int
        How many there were, and how many went in at a time.
    resumed : int
        How many of them an earlier run had done.
    method : str
        The one whose thresholds are meant where none is named.
    onnxruntime : str
        Its version.
    seconds : float
        What it took now.
    tensors : tuple of TensorCalibration
        In the graph's order, inputs first.
    findings : tuple of Finding
        What is odd.
    """

    model: str
    content_hash: str
    data: str
    samples: int
    batch: int
    resumed: int = 0
    method: Method
    onnxruntime: str
    seconds: float
    tensors: tuple[TensorCalibration, ...]
    findings: tuple[Finding, ...] = ()

    def ranges(self, method: Method | None = None) -> dict[str, float]:
        """Return the largest magnitude of each tensor that was seen, by the tensor's name, which is unique."""
        found = {}
        for tensor in self.tensors:
            threshold = tensor.threshold(method or self.method)
            if threshold is not None:
                found[tensor.name] = threshold.amax
        return found


class Answer(Record):
    """What the process found, or why it did not.

    Attributes
    ----------
    kind : str
        The failure's kind, as in ``workbench.record.FailureKind``; empty where it worked.
    """

    kind: str = ""
    message: str = ""
    remedy: str = ""
    data: str = ""
    samples: int = 0
    resumed: int = 0
    onnxruntime: str = ""
    tensors: tuple[TensorCalibration, ...] = ()
    findings: tuple[Finding, ...] = ()
