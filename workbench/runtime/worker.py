"""The worker, seen from the kernel: a process that makes sessions, because sessions can take their process with them.

TensorRT and ONNX Runtime crash, hang and leak; a notebook must not. So the kernel never imports onnxruntime. It starts
``python -m workbench.runtime.worker_process``, sends one job a line on its standard input, and reads one JSON document a
line from its standard output: events, and the parts of the outcome as they are found. What was found before a crash is
kept. The worker's log is a file, so that the last words of a process that dies are not lost in a pipe.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import weakref
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from workbench.runtime.job import Event, Job, Outcome
from workbench.runtime.process import library_environment, python_environment, python_module, scratch_of

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_S = 0.1
LOG_LINES = 400
SHOWN_LINES = 20
OURS = "[workbench]"  # begins what the worker itself logs
COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # ONNX Runtime colours its warnings, into files too
ENTRY = re.compile(r"\d{4}-\d\d-\d\d [\d:.]+ \[(?P<level>[VIWEF]):onnxruntime")


class Worker:
    """Runs jobs, one at a time, in a process of its own that lives on between them.

    Use it as a context manager, or call :meth:`close`. A worker that died is replaced at the next job.
    """

    def __init__(self) -> None:
        self._process: _Process | None = None
        self._family = ""
        self._busy = threading.Lock()
        self._cancelled = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Worker(pid={self.pid})"

    @property
    def pid(self) -> int | None:
        """The process, or ``None`` while there is none."""
        return self._process.pid if self._process and self._process.alive() else None

    def run(self, job: Job, on_event: Callable[[Event], None] | None = None) -> Outcome:
        """Do a job and wait for its outcome.

        Parameters
        ----------
        job : Job
            What to do.
        on_event : callable, optional
            Called in this thread with each change of stage, at least every second while a stage lasts, and with what
            the runtime logs.

        Returns
        -------
        Outcome
            Also for failures: ``failed``, ``crashed`` when the process died, ``cancelled``, or ``timeout``.
        """
        with self._busy:
            self._cancelled.clear()
            family = _family(job)
            if self._process is None or not self._process.alive() or family != self._family:
                self.close()
                self._process, self._family = _Process(library_environment(family)), family
            watch = _Watch(self._process, job, on_event or (lambda _: None), self._cancelled)
            outcome = watch.outcome()
            if outcome.status in ("crashed", "cancelled", "timeout"):
                self.close()
            return outcome

    def cancel(self) -> None:
        """End the job that runs now, at once, by ending its process. Does nothing when none runs."""
        self._cancelled.set()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()
            self._process = None


def _family(job: Job) -> str:
    """Return what jobs of one process have in common: PyTorch brings CUDA libraries of its own, which must come first."""
    return "torch" if job.settings.provider == "torch" else "onnxruntime"


class _Process:
    """The process, its message queue and its log file."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        handle, name = tempfile.mkstemp(prefix="workbench-worker-", suffix=".log")
        self.log = Path(name)
        try:
            self.popen = subprocess.Popen(
                python_module("workbench.runtime.worker_process", name),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=handle,
                env=environment or python_environment(),
            )
        finally:
            os.close(handle)
        self.messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.reader = threading.Thread(target=_read, args=(self.popen.stdout, self.messages), daemon=True)
        self.reader.start()
        self._finalizer = weakref.finalize(self, _end, self.popen, self.log)

    @property
    def pid(self) -> int:
        return self.popen.pid

    def alive(self) -> bool:
        return self.popen.poll() is None

    def send(self, job: Job) -> None:
        assert self.popen.stdin is not None
        # A process that has just died is noticed by the reader; the job then ends as crashed.
        with contextlib.suppress(BrokenPipeError):
            self.popen.stdin.write(job.model_dump_json().encode() + b"\n")
            self.popen.stdin.flush()

    def close(self) -> None:
        self._finalizer()


def _read(stream: Any, messages: queue.SimpleQueue[dict[str, Any] | None]) -> None:  # noqa: ANN401
    for line in stream:
        with contextlib.suppress(ValueError):  # half a line, from a process that died while writing
            messages.put(json.loads(line))
    messages.put(None)


def _end(popen: subprocess.Popen[bytes], log: Path) -> None:
    popen.kill()
    popen.wait()
    for stream in (popen.stdin, popen.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    log.unlink(missing_ok=True)
    shutil.rmtree(scratch_of(log), ignore_errors=True)  # of a process that died while it used it


class _Watch:
    """One job, from sending it to its outcome."""

    def __init__(self, process: _Process, job: Job, on_event: Callable[[Event], None], cancelled: threading.Event) -> None:
        self.process, self.job, self.on_event, self.cancelled = process, job, on_event, cancelled
        self.parts: dict[str, Any] = {}
        self.stage = "starting"
        self.lines: deque[str] = deque(maxlen=LOG_LINES)
        self.shown: deque[str] = deque(maxlen=LOG_LINES)
        self.log_at = process.log.stat().st_size
        self.rest = b""
        self.chatter = False
        self.began = self.stage_began = self.last_event = time.monotonic()

    def outcome(self) -> Outcome:
        self.process.send(self.job)
        self.event()
        while True:
            ended = self.step()
            self.read_log()
            if ended is not None:
                return ended

    def step(self) -> Outcome | None:
        """Wait for one message, a little; return the outcome once there is one."""
        try:
            message = self.process.messages.get(timeout=POLL_S)
        except queue.Empty:
            return self.interrupted()
        if message is None:
            return self.died()
        if "stage" in message:
            self.stage, self.stage_began = message["stage"], time.monotonic()
            self.event()
        found = message.get("parts", {})
        if "findings" in found:  # each part of a job may add some
            before = self.parts.get("findings", [])
            found["findings"] = [*before, *(finding for finding in found["findings"] if finding not in before)]
        self.parts.update(found)
        return self.ended(self.parts["status"]) if message.get("done") else None

    def interrupted(self) -> Outcome | None:
        """Return the outcome of a job that the user or its time limit ends now."""
        now = time.monotonic()
        if self.cancelled.is_set():
            return self.stopped("cancelled", f"Cancelled by the user while {self.doing()}.", "")
        limit = self.job.plan.limit_of(self.stage)
        if now - self.stage_began > limit:
            doing = self.doing()
            named = f"{limit:g} s, the limit of the stage {self.stage!r}"
            message = f"{doing[0].upper()}{doing[1:]} took longer than {named}, and was ended."
            remedy = f"Allow more time (--timeout '{self.stage}=SECONDS'), or make the job smaller."
            return self.stopped("timeout", message, remedy)
        if now - self.last_event >= 1:
            self.event()
        return None

    def stopped(self, status: str, message: str, remedy: str) -> Outcome:
        self.process.popen.kill()
        self.process.popen.wait()
        self.read_log()
        return self.ended(status, {"kind": status, "message": message, "remedy": remedy})

    def died(self) -> Outcome:
        """Return the outcome of a job whose process is gone."""
        code = self.process.popen.wait()
        self.read_log()
        if self.cancelled.is_set():
            return self.ended("cancelled", {"kind": "cancelled", "message": f"Cancelled by the user while {self.doing()}."})
        how, remedy = _cause(code)
        return self.ended(
            "crashed", {"kind": "crash", "message": f"The worker process {how} while {self.doing()}.", "remedy": remedy}
        )

    def doing(self) -> str:
        name = Path(self.job.model).name
        doing = {
            "starting": "it started",
            "loading": f"loading {name}",
            "waiting": f"waiting for another process that builds the engines of {name}",
            "session": f"making the session of {name} on {self.job.settings.provider}",
            "first run": f"running {name} for the first time",
            "reference": "running the reference on the CPU",
        }
        return doing.get(self.stage, f"{self.stage} ({name})")

    def ended(self, status: str, error: dict[str, Any] | None = None) -> Outcome:
        """Return the outcome: what was found, and the log's last lines where something failed."""
        failure = error or self.parts.get("error")
        if failure is not None:
            failure = {**failure, "log": tuple(self.shown or self.lines)[-SHOWN_LINES:]}
        self.stage = "done"
        self.event()
        return Outcome.model_validate({**self.parts, "status": status, "error": failure, "log": tuple(self.shown)})

    def read_log(self) -> None:
        """Pass on what the worker has logged since the last time."""
        with self.process.log.open("rb") as file:
            file.seek(self.log_at)
            data = file.read()
        self.log_at += len(data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        text = [COLOUR.sub("", line.decode(errors="replace")) for line in lines]
        text = [line for line in text if line.strip()]
        self.lines.extend(text)
        shown = [line for line in text if self.worth_showing(line)]
        self.shown.extend(shown)
        if shown:
            self.event("\n".join(shown[-SHOWN_LINES:]))

    def worth_showing(self, line: str) -> bool:
        """Whether a line, or the entry that it continues, is for people; older releases log all that they do."""
        if line.startswith(OURS):
            return True
        if entry := ENTRY.match(line):
            self.chatter = entry["level"] in "VI" and "[TensorRT EP]" not in line
        return not self.chatter

    def event(self, message: str = "") -> None:
        self.last_event = time.monotonic()
        self.on_event(Event(stage=self.stage, elapsed_s=self.last_event - self.began, message=message))


def _cause(code: int) -> tuple[str, str]:
    """Return how a process with this exit code ended, and what the user can do about it."""
    if code >= 0:
        return f"ended with exit status {code}", "The log's last lines say more."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    remedies = {
        "SIGKILL": "Something killed it: a person, a job scheduler, or the system when memory ran out.",
        "SIGSEGV": "ONNX Runtime or TensorRT read memory that is not theirs. Another release of them may not.",
        "SIGABRT": "A library gave up; the log's last lines usually say why.",
        "SIGBUS": "A file that was mapped into memory became shorter, or the disk is full.",
    }
    return f"was ended by {name}", remedies.get(name, "The log's last lines may say why.")
