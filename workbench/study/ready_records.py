"""What came of making a model ready: the records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workbench.placement.records import TENSORRT, RuntimeVersions
from workbench.record import Failure, Record
from workbench.runtime.ready.steps_apart import Compared

if TYPE_CHECKING:
    from workbench.placement.records import Placement

Outcome = Literal["ready", "as it is", "settings", "failed", "cancelled"]
StepOutcome = Literal["done", "enough", "failed", "crashed", "timeout", "cancelled", "left out", "differs"]

WORDS = {
    "fix": "names, versions and types",
    "infer": "ONNX shape inference",
    "observe": "shapes seen in runs on the CPU",
    "symbolic": "symbolic shape inference",
    "freeze": "static inputs and folding",
    "specialise": "one value for an input that chooses a branch",
    "exclude": "keeping operators from TensorRT",
    "compare": "comparing outputs",
}


class Step(Record):
    """One thing that was tried.

    Attributes
    ----------
    remedy : str
        ``fix``, ``infer``, ``observe``, ``symbolic``, ``freeze``, ``specialise``, ``exclude`` or ``compare``.
    outcome : str
        ``enough`` where a session can be made after it, as predicted; ``done`` where it did its part; ``differs`` where
        the outputs were not the original's; ``left out``, ``failed``, ``crashed``, ``timeout`` or ``cancelled``.
    why : str
        What a reader must know of it; why it failed.
    """

    remedy: str
    outcome: StepOutcome
    seconds: float
    why: str = ""

    @property
    def words(self) -> str:
        """The remedy for people."""
        return WORDS[self.remedy]


class Prediction(Record):
    """What was predicted: an error, or the number of engines and the share of nodes (0 to 1) on TensorRT."""

    runtime: RuntimeVersions
    error: Failure | None
    engines: int
    tensorrt_share: float | None


class Readied(Record):
    """What came of making a model ready.

    Attributes
    ----------
    outcome : str
        ``ready``: there is a new file; ``as it is``: none is needed; ``settings``: the file stays, `options` are needed;
        ``failed`` and ``cancelled``: neither, and `message` says why.
    path : str or None
        The new file.
    options : tuple of pairs of str
        Provider options that the model needs.
    changes : tuple of str
        What is different in the new file, in words.
    compared : tuple of Compared
        Outputs against the original's, for each set of input shapes.
    equal : bool or None
        Whether all outputs were equal; ``None`` where none could be compared.
    """

    model: str
    outcome: Outcome
    message: str
    path: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    changes: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    compared: tuple[Compared, ...] = ()
    equal: bool | None = None
    before: Prediction
    after: Prediction | None = None
    seconds: float


def prediction_of(placement: Placement) -> Prediction:
    """Return the gist of a placement."""
    share = placement.coverage.get(TENSORRT) if placement.error is None else None
    return Prediction(runtime=placement.runtime, error=placement.error, engines=placement.engines(), tensorrt_share=share)
