"""Convert a model in a process of its own: what crashes there, or takes all memory, does not take the kernel with it."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, TYPE_CHECKING

from pydantic import Field, ValidationError

from workbench.errors import JobError, ModelError, SettingsError
from workbench.options.profile import ShapeProfile
from workbench.record import Record
from workbench.runtime.data.dataset import DataSource
from workbench.runtime.job import Event
from workbench.runtime.process import end_group, how_it_ended, python_environment, python_module
from workbench.study.convert import LIMIT_S, Converted, Target

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_S = 0.05
GRACE_S = 5.0  # for the process to end what it started
ERRORS = {"model": ModelError, "settings": SettingsError}


class TensorRange(Record):
    """The largest magnitude of one tensor."""

    tensor: str
    amax: float


class ConversionErrand(Record):
    """What the process is to do; the fields are the arguments of :func:`workbench.study.convert.convert`.

    Attributes
    ----------
    model : str
        The file, in float32.
    data : DataSource or None
        Whose first samples the outputs are compared on; random inputs without.
    batch : int
        How many of them.
    """

    model: str
    to: Target
    keep: tuple[str, ...] = ()
    ranges: tuple[TensorRange, ...] = ()
    clip: bool = False
    out: str | None = None
    data: DataSource | None = None
    batch: int = Field(default=8, ge=1)
    profile: ShapeProfile = ShapeProfile()
    limit_s: float = LIMIT_S


class ConversionAnswer(Record):
    """A line of the process: what it is doing, the new model, or why there is none."""

    event: Event | None = None
    converted: Converted | None = None
    kind: str = ""
    message: str = ""
    remedy: str = ""


def convert_contained(
    errand: ConversionErrand,
    *,
    cancelled: threading.Event | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Converted | None:
    """Convert a model in a process of its own.

    Parameters
    ----------
    errand : ConversionErrand
        What to convert, and how.
    cancelled : threading.Event, optional
        Ends it once set.
    on_event : callable, optional
        Called in this thread with each stage.

    Returns
    -------
    Converted or None
        ``None`` where it was cancelled before there was a new model.

    Raises
    ------
    ModelError, SettingsError
        As :func:`workbench.study.convert.convert`.
    JobError
        When the process ended without an answer.
    """
    cancelled = cancelled or threading.Event()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            python_module("workbench.study.conversion_process"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=python_environment(),
            start_new_session=True,  # Ctrl-C in the kernel is not meant for it
        )
        try:
            answer = _listen(process, errand, cancelled, on_event or (lambda _: None))
        finally:
            _end(process)
        if cancelled.is_set() and (answer is None or answer.converted is None):
            return None
        return _converted(answer, process.returncode, log)


def _listen(
    process: subprocess.Popen[bytes], errand: ConversionErrand, cancelled: threading.Event, on_event: Callable[[Event], None]
) -> ConversionAnswer | None:
    """Return the last answer; ``None`` where the process ended without one."""
    assert process.stdin is not None
    assert process.stdout is not None
    lines: SimpleQueue[bytes | None] = SimpleQueue()
    reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
    reader.start()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(errand.model_dump_json().encode() + b"\n")
        process.stdin.flush()
    began, deadline = time.monotonic(), None
    while True:
        if cancelled.is_set() and deadline is None:
            deadline = time.monotonic() + GRACE_S
            with contextlib.suppress(OSError):
                process.stdin.close()  # which the process takes for a cancellation
        if deadline is not None and time.monotonic() > deadline:
            return None
        with contextlib.suppress(Empty):
            line = lines.get(timeout=POLL_S)
            if line is None:
                return None
            answer = _parsed(line)
            if answer is not None and answer.event is None:
                on_event(Event(stage="done", elapsed_s=time.monotonic() - began))
                return answer
            if answer is not None and answer.event is not None:
                on_event(Event(stage=answer.event.stage, elapsed_s=time.monotonic() - began))


def _read(stream: IO[bytes], lines: SimpleQueue[bytes | None]) -> None:
    with contextlib.suppress(ValueError, OSError):  # closed while it is read
        for line in stream:
            lines.put(line)
    lines.put(None)


def _parsed(line: bytes) -> ConversionAnswer | None:
    try:
        return ConversionAnswer.model_validate_json(line)
    except ValidationError:  # something else that was printed
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the process group, and close its pipes."""
    try:
        process.wait(timeout=1.0 if process.poll() is None else 0)
    except subprocess.TimeoutExpired:
        end_group(process)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def _converted(answer: ConversionAnswer | None, code: int, log: IO[bytes]) -> Converted:
    if answer is None:
        message = f"The process that converts the model {how_it_ended(code, log)}."
        raise JobError(message, kind="crash", remedy="Check that there is enough memory for the model.")
    if answer.converted is None:
        raise ERRORS.get(answer.kind, ModelError)(answer.message, remedy=answer.remedy)
    return answer.converted


def default_target(model: Path, to: Target, folder: Path) -> Path:
    """Return the file in a folder that a conversion writes: ``NAME.TO.onnx``, numbered where that is taken."""
    path, number = folder / f"{model.stem}.{to}.onnx", 2
    while path.exists():
        path, number = folder / f"{model.stem}.{to}-{number}.onnx", number + 1
    return path
