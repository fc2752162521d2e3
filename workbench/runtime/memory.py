"""How much memory this process takes, and those that it started for a job."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

from workbench.runtime.job import Memory

PROC = Path("/proc")


class MemoryWatch:
    """Reads the resident set of this process and its children (TensorRT itself runs in one) before, during and after a job."""

    def __init__(self) -> None:
        self.process = psutil.Process()
        # Linux keeps the peak of the whole life; writing 5 here starts it anew: proc_pid_clear_refs(5)
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        self.before = self.session = self._resident()

    def session_made(self) -> None:
        """Take the reading that belongs to the session."""
        self.session = self._resident()

    def read(self) -> Memory:
        """Return all readings, in bytes."""
        return Memory(
            host_before_bytes=self.before,
            host_session_bytes=self.session,
            host_peak_bytes=max(sum(_peak(process.pid) for process in self._all()), self.session, self._resident()),
            gpu_used_bytes=_gpu_used({process.pid for process in self._all()}),
        )

    def _all(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]

    def _resident(self) -> int:
        whole = 0
        for process in self._all():
            with contextlib.suppress(psutil.Error):  # a child may end meanwhile
                whole += process.memory_info().rss
        return whole


def _peak(pid: int) -> int:
    """Return a process's highest resident set in bytes, or 0 where the system does not keep it."""
    with contextlib.suppress(OSError):
        for line in (PROC / str(pid) / "status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _gpu_used(pids: set[int]) -> int | None:
    """Return the bytes that processes hold on the GPUs, as the NVIDIA driver counts them."""
    import pynvml

    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        used = [p.usedGpuMemory for h in handles for p in pynvml.nvmlDeviceGetComputeRunningProcesses(h) if p.pid in pids]
    except pynvml.NVMLError:
        return None
    known = [u for u in used if u is not None]
    return sum(known) if known else None
