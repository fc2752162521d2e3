"""Work that takes longer than a click may.

A notebook's widgets and their state belong to the kernel's main thread. Tasks run on threads of an executor; what they
report goes into a queue that the main thread empties: when its event loop comes round, or while a cell waits.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class InlineExecutor(ThreadPoolExecutor):
    """Ends each task before ``submit`` returns: for tests, and where nothing may happen behind one's back."""

    def __init__(self) -> None:
        super().__init__(max_workers=1, thread_name_prefix="workbench-inline")

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn`, and return its finished future."""
        future = super().submit(fn, *args, **kwargs)
        wait([future])
        return future


class MainThread:
    """Runs calls from other threads in the thread that made this object.

    Calls from that thread itself are run at once. In a kernel, its event loop runs the others; without an event loop,
    :meth:`wait` does.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._calls: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    def call(self, function: Callable[[], object]) -> None:
        """Run `function` in the main thread, now or soon."""
        if threading.get_ident() == self._thread:
            self.drain()  # what came before goes first
            function()
            return
        self._calls.put(function)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.drain)

    def drain(self) -> None:
        """Run the calls that have come in; only in the main thread."""
        while not self._calls.empty():
            self._calls.get_nowait()()

    def wait(self, finished: Callable[[], bool], timeout_s: float) -> bool:
        """Run calls as they come until `finished()`; return whether it was in time. Only in the main thread."""
        deadline = time.monotonic() + timeout_s
        while not finished():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            try:
                call = self._calls.get(timeout=min(left, 0.05))
            except queue.Empty:
                continue
            call()
        return True


class Background:
    """Runs tasks on threads and brings their ends back to the main thread.

    Parameters
    ----------
    executor : concurrent.futures.Executor or None
        Where tasks run; two threads of our own where it is ``None``.
    """

    def __init__(self, executor: Executor | None = None) -> None:
        self.executor = executor or ThreadPoolExecutor(max_workers=2, thread_name_prefix="workbench")
        self.main = MainThread()
        self._pending = 0

    @property
    def idle(self) -> bool:
        """Whether no task is running or waiting, and the end of each has been dealt with."""
        return self._pending == 0

    def run(self, task: Callable[[], T], done: Callable[[T], object], failed: Callable[[BaseException], object]) -> None:
        """Run `task` elsewhere; then `done` with its result, or `failed` with its exception, in the main thread."""

        def end(future: Future[T]) -> None:
            self._pending -= 1
            error = future.exception()
            if error is None:
                done(future.result())
            else:
                failed(error)

        self._pending += 1
        self.executor.submit(task).add_done_callback(lambda future: self.main.call(lambda: end(future)))

    def wait(self, timeout_s: float = 60.0) -> bool:
        """Wait, in the main thread, until no task is left; return whether that was in time."""
        return self.main.wait(lambda: self.idle, timeout_s)
