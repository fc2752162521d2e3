"""The worker process: reads jobs, does them, reports what it finds. Started by ``workbench.runtime.worker``.

Libraries print what they like on file descriptor 1; so the descriptor is pointed at the log first, and a copy of the
original carries the messages.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from workbench.runtime.process import scratch_of

if TYPE_CHECKING:
    from workbench.record import Record
    from workbench.runtime.native.companion import Companion


class Reporter:
    """Sends stages and parts of the outcome to the kernel.

    Attributes
    ----------
    log : Path
        The file that this process logs to.
    tensorrt : str or None
        The version of TensorRT that the job at hand uses in a process of its own; ``None`` where it uses none so.
    companion : Companion or None
        That process, while no job uses it: starting CUDA and TensorRT takes many seconds.
    standby : object or None
        What keeps TensorRT started in this process, for the same reason.
    """

    def __init__(self, stream: TextIO, log: Path) -> None:
        self.stream = stream
        self.log = log
        self.tensorrt: str | None = None
        self.companion: Companion | None = None
        self.standby: Any | None = None

    def stage(self, name: str) -> None:
        """Say what is being done from now on."""
        self._send({"stage": name})

    def part(self, name: str, value: Record | tuple[Record, ...]) -> None:
        """Send a part of the outcome as soon as it is known, so that a crash later cannot take it."""
        self._send({"parts": {name: _plain(value)}})

    def done(self, status: str, error: Record | None = None) -> None:
        """End the job."""
        self._send({"parts": {"status": status, **({"error": _plain(error)} if error else {})}, "done": True})

    def _send(self, message: dict[str, Any]) -> None:
        self.stream.write(json.dumps(message) + "\n")
        self.stream.flush()


def _plain(value: Any) -> Any:  # noqa: ANN401
    return [_plain(v) for v in value] if isinstance(value, tuple) else value.model_dump(mode="json")


def _read_jobs(jobs: queue.SimpleQueue[str], log: Path) -> None:
    for line in sys.stdin:
        jobs.put(line)
    # The kernel is gone, or wants this process gone: nobody is left to hear of the job at hand, or to remove its files.
    log.unlink(missing_ok=True)
    shutil.rmtree(scratch_of(log), ignore_errors=True)
    os._exit(0)


def main() -> None:
    """Do jobs until standard input ends."""
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    jobs: queue.SimpleQueue[str] = queue.SimpleQueue()
    log = Path(sys.argv[1])
    threading.Thread(target=_read_jobs, args=(jobs, log), daemon=True).start()
    from workbench.runtime.job import Job
    from workbench.runtime.work import work

    reporter = Reporter(messages, log)
    while True:
        work(Job.model_validate_json(jobs.get()), reporter)


if __name__ == "__main__":
    main()
