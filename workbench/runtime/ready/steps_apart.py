"""Steps of making a model ready for TensorRT, each in a process of its own with a time limit.

ONNX's inference can end its process, ONNX Runtime too, and symbolic shape inference can run without end and leaves
files in the current folder. So each step is a process with an empty folder of its own, in a process group that is
ended as a whole.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError

from workbench.measure.accuracy import OutputAccuracy
from workbench.options.profile import ShapeProfile
from workbench.record import Record
from workbench.runtime.process import end_group, how_it_ended, start_module

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

POLL_S = 0.05
ROUNDING = 1e-4  # relative L2 distance: sums of float32 in another order stay well below
Task = Literal["fix", "infer", "observe", "symbolic", "freeze", "specialise", "compare"]


class Errand(Record):
    """What one process is to do.

    Attributes
    ----------
    task : str
        ``fix`` names, versions and types; ``infer``, ``observe`` or ``symbolic`` find shapes; ``freeze`` makes the inputs
        static and lets ONNX Runtime fold the graph; ``specialise`` does so with an integer input fixed; ``compare`` runs
        source and target on the same inputs.
    source, target : str
        The model's file, and the file to write, in the same folder as far as there is external data; for ``compare``
        the file to compare with.
    profile : ShapeProfile
        The optimum shapes are what the model is run with, and made static.
    inputs : str or None
        An ``.npz`` file with one array for each input, instead of random ones.
    fixed : tuple of pairs of str and int
        Integer scalars among the inputs that have this value.
    opset, ml_opset, ir_version : int
        The newest that the runtime reads.
    float32 : bool
        Whether float64 becomes float32.
    stop_after_s : float
        Further runs of the model are not started after this long.
    """

    task: Task
    source: str
    target: str
    profile: ShapeProfile = ShapeProfile()
    inputs: str | None = None
    seed: int = 0
    fixed: tuple[tuple[str, int], ...] = ()
    opset: int = 2**31 - 1
    ml_opset: int = 2**31 - 1
    ir_version: int = 2**31 - 1
    float32: bool = False
    stop_after_s: float = Field(default=30.0, gt=0)


class Compared(Record):
    """The outputs of the new model against the old one's, on inputs of one set of shapes."""

    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    outputs: tuple[OutputAccuracy, ...]

    @property
    def equal(self) -> bool:
        """Whether every output is the same, up to rounding."""
        return all(same(row) for row in self.outputs)


def same(row: OutputAccuracy) -> bool:
    """Whether an output is the reference's, up to rounding."""
    return row.identical or (row.rel_l2 is not None and row.rel_l2 < ROUNDING)


class Answer(Record):
    """What came of an errand.

    Attributes
    ----------
    status : str
        ``done``, ``failed`` (the process says why), ``crashed``, ``timeout`` or ``cancelled``.
    why : str
        Why it was not done, in words; for what was done, what a reader must know.
    changes : tuple of str
        What it changed, in words.
    compared : tuple of Compared
        For each set of input shapes that the models were run on.
    fixed : tuple of pairs of str and int
        Inputs that are constants now, and their value.
    """

    status: Literal["done", "failed", "crashed", "timeout", "cancelled"]
    why: str = ""
    changes: tuple[str, ...] = ()
    compared: tuple[Compared, ...] = ()
    fixed: tuple[tuple[str, int], ...] = ()


def perform(errand: Errand, limit_s: float, cancelled: threading.Event, on_tick: Callable[[], None] | None = None) -> Answer:
    """Let a process do an errand, and end it when its time is over.

    Parameters
    ----------
    errand : Errand
        What to do.
    limit_s : float
        Seconds that it may take.
    cancelled : threading.Event
        Ends the process once it is set.
    on_tick : callable, optional
        Called now and then while it runs.
    """
    with tempfile.TemporaryDirectory(prefix="workbench-ready-") as folder, tempfile.TemporaryFile() as log:
        answer = Path(folder, "answer.json")
        work = Path(folder, "work")
        work.mkdir()
        process = start_module("workbench.runtime.ready.process", str(answer), errand.model_dump_json(), log=log, cwd=work)
        try:
            ended = _wait(process, limit_s, cancelled, on_tick)
        finally:
            end_group(process)
        return ended or _answer(answer, process.returncode, log)


def _wait(
    process: subprocess.Popen[bytes], limit_s: float, cancelled: threading.Event, on_tick: Callable[[], None] | None
) -> Answer | None:
    until = time.monotonic() + limit_s
    while process.poll() is None:
        if cancelled.wait(POLL_S):
            return Answer(status="cancelled", why="Cancelled by the user.")
        if time.monotonic() > until:
            return Answer(status="timeout", why=f"It took longer than {limit_s:.0f} s and was ended.")
        if on_tick is not None:
            on_tick()
    return None


def _answer(path: Path, code: int, log: Any) -> Answer:  # noqa: ANN401
    try:
        return Answer.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return Answer(status="crashed", why=f"The process {how_it_ended(code, log)}.")
