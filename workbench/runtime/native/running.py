"""Runs of an engine: bound to inputs once, then run, timed and profiled. The interface of TensorRT 8.6 and later."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.runtime.native.cuda import NON_BLOCKING, Buffer, Graph
from workbench.runtime.native.engine import convert, device_bytes, storage
from workbench.runtime.native.listeners import make_allocator, make_profiler
from workbench.runtime.native.messages import BFLOAT16, Refused, from_bfloat16

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workbench.runtime.native.engine import Engine, Feeds

TIMED_AT_LEAST = 10
PROFILE_WARMUP = 3
OUTSIDE = "Give a shape profile that holds these shapes: the engine is then built anew."


class Execution:
    """An engine's context with its memory: inputs are bound once, and run as often as wanted. Close it."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.cuda, self.trt = engine, engine.cuda, engine.trt
        self.context = engine.engine.create_execution_context()
        if self.context is None:
            said = engine.logger.last_error or "it gives no reason"
            need = device_bytes(engine.engine)
            size = f" of {need:,} bytes" if need else ""
            message = f"TensorRT makes no execution context{size}: {said}"
            raise Refused(message, kind="memory", remedy="Free memory on the GPU, or build for smaller shapes.")
        self.stream = self.cuda.handle("cudaStreamCreateWithFlags", NON_BLOCKING)
        self.buffers = {name: Buffer(self.cuda) for name in engine.names}
        self.allocators: dict[str, Any] = {}
        self.hosts: dict[str, np.ndarray] = {}
        self.notes: list[str] = []
        self.profile = int(self.context.active_optimization_profile)

    def bind(self, feeds: Feeds) -> None:
        """Choose the profile, set shapes, and reserve memory for these inputs.

        Raises
        ------
        Refused
            When an input is missing, or no profile takes its shape.
        """
        missing = [name for name in self.engine.inputs() if name not in feeds]
        if missing:
            raise Refused(f"The engine wants {', '.join(map(repr, missing))}, which was not given.", kind="inputs")
        self._choose(feeds)
        for name in self.engine.inputs():
            self._bind_input(name, convert(feeds[name], self.engine.dtype(name), name))
        self._check_shapes()
        for name in self.engine.outputs():
            self._bind_output(name)

    def _choose(self, feeds: Feeds) -> None:
        count = int(self.engine.engine.num_optimization_profiles)
        fitting = [k for k in range(count) if not self._misfits(feeds, k)]
        if not fitting:
            misfits = "; ".join(f"profile {k}: {text}" for k in range(count) for text in self._misfits(feeds, k))
            raise Refused(f"No shape profile of the engine takes these inputs: {misfits}.", kind="shape", remedy=OUTSIDE)
        best = next((k for k in fitting if self._is_best(feeds, k)), fitting[0])
        if best != self.profile and not self.context.set_optimization_profile_async(best, self.stream):
            raise Refused(f"TensorRT does not switch to shape profile {best}: {self.engine.logger.last_error}", kind="shape")
        self.profile = best

    def _misfits(self, feeds: Feeds, profile: int) -> list[str]:
        """Return which inputs have no place in a profile, in words."""
        found = []
        for name in self.engine.inputs():
            shape, wanted = feeds[name].shape, self.engine.shape(name)
            if len(shape) != len(wanted) or any(w not in (-1, s) for s, w in zip(shape, wanted, strict=True)):
                found.append(f"{name!r} is {shape}, the engine wants {wanted}")
            elif -1 in wanted:
                low, _, high = self.engine.ranges(name, profile)
                if not all(a <= s <= b for a, s, b in zip(low, shape, high, strict=True)):
                    found.append(f"{name!r} is {shape}, its range is {low} to {high}")
            elif self.engine.on_host(name) and (rows := self.engine.values(name, profile)):
                values = tuple(int(v) for v in feeds[name].ravel())
                if not all(a <= v <= b for a, v, b in zip(rows[0], values, rows[2], strict=False)):
                    found.append(f"{name!r} holds {values}, its range is {rows[0]} to {rows[2]}")
        return found

    def _is_best(self, feeds: Feeds, profile: int) -> bool:
        return all(
            self.engine.ranges(name, profile)[1] == feeds[name].shape
            for name in self.engine.inputs()
            if -1 in self.engine.shape(name)
        )

    def _bind_input(self, name: str, array: np.ndarray) -> None:
        self.hosts[name] = array
        if not self.context.set_input_shape(name, array.shape):
            raise Refused(
                f"TensorRT does not take shape {array.shape} of {name!r}: {self.engine.logger.last_error}", kind="shape"
            )
        at_host = self.engine.on_host(name)
        self._address(name, array.ctypes.data if at_host else self.buffers[name].reserve(array.nbytes))

    def _check_shapes(self) -> None:
        try:
            missing = self.context.infer_shapes()
        except RuntimeError as error:  # the values of a shape tensor contradict the others
            said = self.engine.logger.last_error or str(error)
            raise Refused(f"TensorRT cannot work out the shapes: {said}", kind="shape") from error
        if missing:
            text = ", ".join(map(repr, missing))
            raise Refused(f"TensorRT cannot tell all shapes: {text} is missing or wrong.", kind="shape")

    def _bind_output(self, name: str) -> None:
        shape = tuple(int(d) for d in self.context.get_tensor_shape(name))
        if -1 in shape:
            if name not in self.allocators:
                self.allocators[name] = make_allocator(self.trt, self.buffers[name])
            if not self.context.set_output_allocator(name, self.allocators[name]):
                raise Refused(f"TensorRT takes no memory for {name!r}, whose shape depends on the data.", kind="run")
            return
        array = np.empty(shape, dtype=storage(self.engine.dtype(name), name))
        self.hosts[name] = array
        at_host = self.engine.on_host(name)
        self._address(name, array.ctypes.data if at_host else self.buffers[name].reserve(array.nbytes))

    def _address(self, name: str, address: int) -> None:
        if not self.context.set_tensor_address(name, address):
            raise Refused(f"TensorRT does not take the memory of {name!r}: {self.engine.logger.last_error}", kind="run")

    def upload(self) -> None:
        """Begin to copy the inputs to the GPU."""
        for name in self.engine.inputs():
            if not self.engine.on_host(name):
                self.cuda.to_device(self.buffers[name].address, self.hosts[name], self.stream)

    def enqueue(self) -> None:
        """Begin one inference."""
        if not self.context.execute_async_v3(self.stream):
            failed = next((a.failed for a in self.allocators.values() if a.failed), None)
            if failed is not None:
                raise failed
            raise Refused(f"TensorRT did not run: {self.engine.logger.last_error or 'it gives no reason'}", kind="run")

    def download(self) -> None:
        """Begin to copy the outputs from the GPU; those whose shape is known only now wait for it."""
        for name in self.engine.outputs():
            if name in self.allocators:
                self.synchronise()
                shape = self.allocators[name].shape
                self.hosts[name] = np.empty(shape, dtype=storage(self.engine.dtype(name), name))
            if not self.engine.on_host(name):
                self.cuda.to_host(self.hosts[name], self.buffers[name].address, self.stream)

    def synchronise(self) -> None:
        """Wait for all that was begun."""
        self.cuda.call("cudaStreamSynchronize", self.stream)

    def run(self) -> None:
        """Do one inference from memory of the CPU to memory of the CPU."""
        self.upload()
        self.enqueue()
        self.download()
        self.synchronise()

    def results(self) -> list[tuple[str, np.ndarray]]:
        """Return the outputs of the last run; bfloat16 as float32."""
        found = []
        for name in self.engine.outputs():
            array = self.hosts[name]
            found.append((name, from_bfloat16(array) if self.engine.dtype(name) == BFLOAT16 else array))
        return found

    def recorded(self) -> Graph | None:
        """Return the inference as a CUDA graph, or ``None``, with a note, where it cannot be recorded."""
        if self.allocators:
            self.notes.append("No CUDA graph: the shape of an output depends on the data.")
            return None
        self.enqueue()  # TensorRT prepares itself at the first run after a change of shapes, which cannot be recorded
        self.synchronise()
        try:
            return Graph(self.cuda, self.stream, self.enqueue)
        except Refused as error:
            self.notes.append(f"No CUDA graph: {error.message}")
            return None

    def time(self, plan: Mapping[str, Any], stage: Callable[[str], None]) -> list[float]:
        """Return milliseconds of single inferences.

        Parameters
        ----------
        plan : mapping
            ``warmup``, ``iterations`` and ``seconds`` as in a job's plan; ``buffers``: ``host`` to copy inputs and outputs
            each time, ``device`` to leave them where they are; ``graph``: whether to launch a CUDA graph.
        stage : callable
            Called with ``warm-up`` and ``measuring``.
        """
        if plan["buffers"] == "device":
            self.upload()
        graph = self.recorded() if plan["graph"] else None
        work = graph.launch if graph is not None else self.enqueue

        def on_device() -> None:
            work()
            self.synchronise()

        def from_host() -> None:
            self.upload()
            work()
            self.download()
            self.synchronise()

        try:
            return _time(on_device if plan["buffers"] == "device" else from_host, plan, stage)
        finally:
            if graph is not None:
                graph.close()

    def layer_times(self, runs: int, seconds: float) -> tuple[list[dict[str, Any]], int, float]:
        """Return for each layer its name, calls and milliseconds in all; the number of runs; and what they took in all."""
        profiler = make_profiler(self.trt)
        self.upload()
        for _ in range(PROFILE_WARMUP):
            self.enqueue()
            self.synchronise()
        self.context.profiler = profiler
        deadline, whole, done = time.perf_counter() + seconds, 0.0, 0
        for _ in range(runs):
            profiler.run()
            began = time.perf_counter()
            self.enqueue()
            self.synchronise()
            whole, done = whole + (time.perf_counter() - began) * 1e3, done + 1
            if time.perf_counter() > deadline:
                break
        return profiler.rows(), done, whole

    def close(self) -> None:
        """Give memory back."""
        self.context = None
        for buffer in self.buffers.values():
            with contextlib.suppress(Refused):  # a device that has failed frees nothing any more
                buffer.free()
        with contextlib.suppress(Refused):
            self.cuda.call("cudaStreamDestroy", self.stream)


def _time(call: Callable[[], None], plan: Mapping[str, Any], stage: Callable[[str], None]) -> list[float]:
    """Time single calls as ``workbench.runtime.prepared.time_calls`` does."""
    stage("warm-up")
    deadline = time.perf_counter() + plan["seconds"]
    for _ in range(plan["warmup"]):
        call()
        if time.perf_counter() > deadline:
            break
    stage("measuring")
    samples: list[float] = []
    deadline = time.perf_counter() + plan["seconds"]
    while len(samples) < plan["iterations"] and (len(samples) < TIMED_AT_LEAST or time.perf_counter() < deadline):
        began = time.perf_counter_ns()
        call()
        samples.append((time.perf_counter_ns() - began) / 1e6)
    return samples
