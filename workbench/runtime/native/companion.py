"""The process that holds TensorRT, seen from the one that started it: a worker, or the kernel for a look into a file.

TensorRT lives in a process of its own, because it can be installed where nothing else of this package is, and because it can end
its process. A worker so survives its crash, and ends it by ending itself.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from workbench.errors import JobError, Unavailable
from workbench.runtime.native import process
from workbench.runtime.native.messages import Message, receive, send

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workbench.runtime.native.messages import Blob

PYTHON = "WORKBENCH_TENSORRT_PYTHON"
START_LIMIT_S = 180.0  # loading CUDA and making a builder takes about ten seconds on a slow disk
LAST_LINES = 5
INSTALL = {
    "tensorrt": "Install TensorRT's Python package (`workbench doctor` names the line), or name an interpreter that has it: "
    f"{PYTHON}=/path/to/python.",
    "cuda": "An NVIDIA GPU, its driver and the CUDA runtime library (libcudart) are needed; see `workbench doctor`.",
    "gpu": "An NVIDIA GPU is needed that this TensorRT supports; see `workbench doctor`.",
}


@dataclass(frozen=True)
class Reply:
    """The answer to one question: JSON's fields, and the bytes beside them."""

    fields: dict[str, Any]
    blobs: list[bytes]


@dataclass(frozen=True)
class Installed:
    """What the process found.

    Attributes
    ----------
    tensorrt, python, cuda : str
        Versions; of CUDA, that of its runtime library.
    cudart : str
        Where that library was found.
    gpus : int
        How many it sees.
    """

    tensorrt: str
    python: str
    cuda: str
    cudart: str
    gpus: int


class Companion:
    """Asks TensorRT. Use it as a context manager, or call :meth:`close`.

    It must be used from the thread that made it as long as that thread lives: Linux ends the process with the thread.

    Parameters
    ----------
    python : str or None
        The interpreter that has tensorrt and NumPy; by default the one that ``WORKBENCH_TENSORRT_PYTHON`` names, else this.
        3.11 or later.
    on_message : callable, optional
        Called with each message that is no answer: ``log`` (a line), ``progress`` (of the build), ``stage``.
    stderr : file, optional
        Where the process's standard error goes; this process's by default.
    start_limit_s : float
        Seconds that its start may take.

    Raises
    ------
    Unavailable
        When tensorrt is not installed there, CUDA cannot be loaded, or there is no GPU; the message says which.

    Attributes
    ----------
    installed : Installed
        What is there.
    sound : bool
        Whether all went well until now; after an error of CUDA, a process may give errors for ever.
    """

    def __init__(
        self,
        *,
        python: str | None = None,
        on_message: Callable[[dict[str, Any]], None] | None = None,
        stderr: IO[bytes] | int | None = None,
        start_limit_s: float = START_LIMIT_S,
    ) -> None:
        self.python = python or os.environ.get(PYTHON) or sys.executable
        self.on_message = on_message or (lambda _: None)
        self.lines: deque[str] = deque(maxlen=LAST_LINES)
        self.sound = True
        self._popen = self._start(stderr)
        self._answers: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            hello = self._answer("starting", start_limit_s).fields
        except JobError:
            self.close()
            raise
        if "absent" in hello:
            self.close()
            message = f"TensorRT itself cannot be used here ({self.python}): {hello['absent']}"
            raise Unavailable(f"{message.removesuffix('.')}.", remedy=INSTALL[hello["part"]])
        self.installed = Installed(**hello)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process."""
        return self._popen.pid

    def ask(self, verb: str, blobs: Sequence[Blob] = (), *, limit_s: float | None = None, **fields: Any) -> Reply:  # noqa: ANN401
        """Ask one thing and wait for the answer.

        Parameters
        ----------
        verb : str
            One of those of ``workbench.runtime.native.process``.
        blobs : sequence of bytes
            What goes beside the fields.
        limit_s : float or None
            Seconds that it may take; no limit by default, as a worker's stages have theirs.
        **fields
            What JSON carries.

        Raises
        ------
        JobError
            When TensorRT refuses, with its kind; when its process dies (``crash``), or takes too long (``timeout``).
        """
        assert self._popen.stdin is not None
        with contextlib.suppress(OSError):  # a process that has just died is noticed by the reader
            send(self._popen.stdin, {"verb": verb, **fields}, blobs)  # type: ignore[arg-type]
        reply = self._answer(DOING.get(verb, verb), limit_s)
        failed = reply.fields.get("failed")
        if failed is not None:
            self.sound = False
            raise NativeError(failed)
        return reply

    def alive(self) -> bool:
        """Whether the process is there."""
        return self._popen.poll() is None

    def close(self) -> None:
        """End the process."""
        self._popen.kill()
        self._popen.wait()
        self._reader.join()
        for stream in (self._popen.stdin, self._popen.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _start(self, stderr: IO[bytes] | int | None) -> subprocess.Popen[bytes]:
        # by its path: the package need not be importable there; -P: nor may the modules beside it stand in for others
        command = [self.python, "-P", str(Path(process.__file__).resolve())]
        # the packages of this interpreter are of no use to another
        environment = {key: text for key, text in os.environ.items() if self.python == sys.executable or key != "PYTHONPATH"}
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**environment, "PYTHONUNBUFFERED": "1"},
            )
        except OSError as error:
            message = f"{self.python} cannot be started: {error.strerror or error}."
            raise Unavailable(message, remedy=f"Let {PYTHON} name a Python that has tensorrt.") from error

    def _read(self) -> None:
        assert self._popen.stdout is not None
        message: Message | None = ({}, [])
        while message is not None:
            message = None
            with contextlib.suppress(OSError, ValueError):  # half a message, from a process that died
                message = receive(self._popen.stdout)  # type: ignore[arg-type]
            self._answers.put(message)

    def _answer(self, doing: str, limit_s: float | None) -> Reply:
        """Wait for the answer, passing on what comes before it."""
        while True:
            try:
                message = self._answers.get(timeout=limit_s)
            except queue.Empty:
                self.close()
                text = f"TensorRT was silent for {limit_s:g} s {doing}, and was ended."
                raise JobError(text, kind="timeout", remedy="Allow more time.") from None
            if message is None:
                self._answers.put(None)  # whoever asks a dead process again is answered at once, too
                raise self._crash(doing)
            fields, blobs = message
            if "done" in fields or "failed" in fields:
                return Reply({key: value for key, value in fields.items() if key != "done"}, blobs)
            if "log" in fields:
                self.lines.append(fields["log"])
            self.on_message(fields)

    def _crash(self, doing: str) -> JobError:
        code = self._popen.wait()
        how = f"ended with exit status {code}"
        if code < 0:
            with contextlib.suppress(ValueError):
                how = f"was ended by {signal.Signals(-code).name}"
        last = f" It last logged: {self.lines[-1]}" if self.lines else ""
        remedy = "Another release of TensorRT may not; the log's last lines may say why."
        return JobError(f"TensorRT's process {how} {doing}.{last}", kind="crash", remedy=remedy)


class NativeError(JobError):
    """TensorRT refused; `errors` holds the parser's complaints, where it was the parser."""

    def __init__(self, failed: dict[str, Any]) -> None:
        message = str(failed["message"]).rstrip()
        ended = message if message.endswith((".", "!", "?", ")")) else f"{message}."
        super().__init__(ended, kind=failed["kind"], remedy=failed.get("remedy", ""))
        self.errors: list[dict[str, Any]] = list(failed.get("errors", ()))


DOING = {
    "device": "choosing the GPU",
    "build": "while it built the engine",
    "load": "while it loaded the engine",
    "save": "while it saved the engine",
    "describe": "while it described the engine",
    "run": "while it ran",
    "time": "while it was timed",
    "profile": "while its layers were timed",
    "inspect": "while the engine was looked into",
    "forget": "while it let go of the engine",
}
