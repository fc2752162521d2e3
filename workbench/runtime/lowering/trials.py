"""A model with some nodes kept out of lower precision, tried set after set in a process of its own.

The process loads the model, computes the reference's outputs once, and then answers: what do the outputs lose when all
nodes but these are lowered? A set that takes the process with it is answered too, and a new process goes on.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field

from workbench.errors import JobError
from workbench.measure.accuracy import OutputAccuracy
from workbench.measure.task import TaskAccuracy, TaskMetric
from workbench.options.settings import Settings
from workbench.record import Finding, Record
from workbench.runtime.data.dataset import DataSource
from workbench.runtime.process import python_environment, python_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

POLL_S = 0.05
LAST_LINES = 3
Lower = Literal["fp16", "bf16", "int8"]


class Lowering(Record):
    """What is lowered, and what it is judged on.

    Attributes
    ----------
    model : str
        The ONNX file, in float32; a search fills it in.
    to : str
        ``fp16``, ``bf16``, or ``int8`` by Q/DQ.
    ranges : dict of str to float or None
        Largest magnitude of each activation for int8, from a calibration; ``None``: of the inputs themselves, which is
        kinder than calibration on other data.
    settings : Settings
        What runs the candidates. On the CPU provider half precision is emulated: every rounding is written as casts,
        because ONNX Runtime computes in float32 there and drops the roundings between nodes.
    data : DataSource or None
        The inputs; one random input without.
    samples : int
        How many of them, at most.
    task : TaskMetric or None
        How predictions are judged, where the data have labels.
    clip : bool
        Whether weights beyond the range of the type are clipped to it.
    seed : int
        Of the random input.
    """

    model: str = ""
    to: Lower = "fp16"
    ranges: dict[str, float] | None = None
    settings: Settings = Settings(provider="cpu")
    data: DataSource | None = None
    samples: int = Field(default=16, ge=1)
    task: TaskMetric | None = None
    clip: bool = False
    seed: int = 0


class NodeEvidence(Record):
    """What is seen of one node before any set is tried; a hint, and no proof.

    Attributes
    ----------
    name, op_type : str
        The node.
    causes : tuple of str
        What can break it, in words.
    hard : bool
        Whether numbers become infinite or NaN.
    largest : float or None
        The largest magnitude among the numbers that it reads and writes in float32.
    error : float or None
        Relative L2 distance of its outputs when everything is lowered; ``None`` where they are not finite.
    growth : float
        By how much that is more than its inputs' distance; 0 where it is not.
    """

    name: str
    op_type: str
    causes: tuple[str, ...] = ()
    hard: bool = False
    largest: float | None = None
    error: float | None = None
    growth: float = 0.0


class Ground(Record):
    """What the process found when it was made ready.

    Attributes
    ----------
    candidates : tuple of NodeEvidence
        The nodes that would be lowered, in the file's order.
    inputs : str
        Fingerprint of the inputs, in hexadecimal digits.
    samples : int
        How many inputs.
    origin : str
        Where the inputs come from.
    reference : str
        What the outputs are compared with.
    emulated : bool
        Whether candidates compute in float32 with roundings.
    findings : tuple of Finding
        What is odd about the inputs or the weights.
    """

    candidates: tuple[NodeEvidence, ...]
    inputs: str
    samples: int
    origin: str
    reference: str
    emulated: bool
    findings: tuple[Finding, ...] = ()


class SetMeasured(Record):
    """What the outputs lose when all but a set of nodes are lowered.

    Attributes
    ----------
    accuracy : tuple of OutputAccuracy
        Empty where it failed.
    task : TaskAccuracy or None
        Where the data have labels.
    seconds : float
        For making the session and running it.
    failure : str
        Why it could not be run; empty where it was.
    """

    accuracy: tuple[OutputAccuracy, ...] = ()
    task: TaskAccuracy | None = None
    seconds: float
    failure: str = ""


class Cancelled(Exception):
    """The user cancelled, or the time is over, while a set was tried."""


class Prober:
    """Tries sets of nodes; use it as a context manager.

    Parameters
    ----------
    lowering : Lowering
        What is lowered, and what it is judged on.
    stopped : callable
        Asked all the time; once it says ``True`` the process is ended.
    """

    def __init__(self, lowering: Lowering, stopped: Callable[[], bool]) -> None:
        self.lowering, self.stopped = lowering, stopped
        self._folder = tempfile.TemporaryDirectory(prefix="workbench-lowering-")
        self._log = Path(self._folder.name, "log")
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self.ground: Ground | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._folder.cleanup()

    def open(self) -> Ground:
        """Start the process, and return what it found.

        Raises
        ------
        JobError
            When the model cannot be run, or the process ended.
        Cancelled
            When `stopped` says so.
        """
        self._start()
        answer = self._ask(self.lowering.model_dump(mode="json"))
        if answer is None:
            raise JobError(f"The process that lowers {Path(self.lowering.model).name} {self._how()}.", kind="crash")
        if "error" in answer:
            error = answer["error"]
            raise JobError(error["message"], kind=error["kind"], remedy=error["remedy"])
        self.ground = Ground.model_validate(answer)
        return self.ground

    def measure(self, keep: Iterable[str], *, emulate: bool | None = None) -> SetMeasured:
        """Lower all candidates but these.

        Parameters
        ----------
        keep : iterable of str
            Names of nodes.
        emulate : bool, optional
            Whether to compute in float32 with roundings; as the ground says where it is not given.

        Raises
        ------
        Cancelled
            When `stopped` says so.
        """
        if self._process is None or self._process.poll() is not None:
            self.open()
        began = time.monotonic()
        answer = self._ask({"keep": sorted(keep), "emulate": emulate})
        if answer is None:
            return SetMeasured(seconds=time.monotonic() - began, failure=f"the process {self._how()}")
        return SetMeasured.model_validate(answer)

    def _start(self) -> None:
        self._end()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                python_module("workbench.runtime.lowering.process"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._folder.name,
                start_new_session=True,  # Ctrl-C ends the search in good order, not this process
                env=python_environment(),
            )
        self._answers = SimpleQueue()
        threading.Thread(target=_read, args=(self._process.stdout, self._answers), daemon=True).start()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any] | None:
        """Return the answer; ``None`` where the process ended."""
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
        while True:
            if self.stopped():
                self._end()
                raise Cancelled
            with contextlib.suppress(Empty):
                return self._answers.get(timeout=POLL_S)

    def _how(self) -> str:
        assert self._process is not None
        code = self._process.wait()
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LAST_LINES:]
        words = f": {' / '.join(lines)}" if lines else ""
        return f"ended with exit status {code}{words}"

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            self._process = None


def _read(stream: Any, answers: SimpleQueue[dict[str, Any] | None]) -> None:  # noqa: ANN401
    with contextlib.suppress(ValueError, OSError):  # the stream is closed while it is read
        for line in stream:
            with contextlib.suppress(ValueError):  # half a line, from a process that died while writing
                answers.put(json.loads(line))
    answers.put(None)
