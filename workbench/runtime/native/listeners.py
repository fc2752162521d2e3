"""What TensorRT calls back while it runs: memory for outputs of unknown shape, and the times of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.runtime.native.messages import Refused

if TYPE_CHECKING:
    from workbench.runtime.native.cuda import Buffer


def make_allocator(trt: Any, buffer: Buffer) -> Any:  # noqa: ANN401
    """Return what gives TensorRT memory for an output whose shape depends on the data; `shape` is the last one."""

    class Allocator(trt.IOutputAllocator):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IOutputAllocator.__init__(self)
            self.shape: tuple[int, ...] = ()
            self.failed: Refused | None = None

        def reallocate_output(self, tensor_name: str, memory: int, size: int, alignment: int) -> int:  # noqa: ARG002
            try:
                return buffer.reserve(size)
            except Refused as error:  # an exception must not cross TensorRT; no memory tells it
                self.failed = error
                return 0

        def reallocate_output_async(self, tensor_name: str, memory: int, size: int, alignment: int, stream: int) -> int:  # noqa: ARG002
            return self.reallocate_output(tensor_name, memory, size, alignment)

        def notify_shape(self, tensor_name: str, shape: Any) -> None:  # noqa: ANN401, ARG002
            self.shape = tuple(int(d) for d in shape)

    return Allocator()


def make_profiler(trt: Any) -> Any:  # noqa: ANN401
    """Return a profiler that adds up layers by name and, where a name repeats within a run, by how often it came before."""

    class Profiler(trt.IProfiler):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)
            self.seen: dict[str, int] = {}
            self.times: dict[tuple[str, int], list[float]] = {}

        def run(self) -> None:
            """Begin a further run."""
            self.seen = {}

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            before = self.seen.get(layer_name, 0)
            self.seen[layer_name] = before + 1
            self.times.setdefault((layer_name, before), []).append(ms)

        def rows(self) -> list[dict[str, Any]]:
            """Return the sums, in the order of the layers."""
            return [{"name": name, "calls": len(ms), "total_ms": sum(ms)} for (name, _), ms in self.times.items()]

    return Profiler()
