"""How much memory this process takes."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

from workbench.runtime.job import Memory

STATUS = Path("/proc/self/status")


class MemoryWatch:
    """Reads the resident set of this process before, during and after a job."""

    def __init__(self) -> None:
        self.process = psutil.Process()
        # Linux keeps the peak of the whole life; writing 5 here starts it anew: proc_pid_clear_refs(5)
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        self.before = self.session = self.process.memory_info().rss

    def session_made(self) -> None:
        """Take the reading that belongs to the session."""
        self.session = self.process.memory_info().rss

    def read(self) -> Memory:
        """Return all readings, in bytes."""
        return Memory(
            host_before_bytes=self.before,
            host_session_bytes=self.session,
            host_peak_bytes=max(_peak(), self.session, self.process.memory_info().rss),
            gpu_used_bytes=_gpu_used(self.process.pid),
        )


def _peak() -> int:
    """Return the highest resident set in bytes, or 0 where the system does not keep it."""
    with contextlib.suppress(OSError):
        for line in STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _gpu_used(pid: int) -> int | None:
    """Return the bytes that this process holds on the GPUs, as the NVIDIA driver counts them."""
    import pynvml

    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        used = [p.usedGpuMemory for h in handles for p in pynvml.nvmlDeviceGetComputeRunningProcesses(h) if p.pid == pid]
    except pynvml.NVMLError:
        return None
    known = [u for u in used if u is not None]
    return sum(known) if known else None
