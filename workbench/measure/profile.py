"""Where the time of an inference goes: node by node, from the trace that ONNX Runtime's profiler writes.

The trace is a JSON list of Chrome trace events: https://onnxruntime.ai/docs/performance/tune-performance/profiling-tools.html
A ``Session`` event ``model_run`` spans one inference; ``Node`` events ``NAME_kernel_time`` lie inside. Times are whole
microseconds.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# ONNX Runtime's names; workbench.placement.records has them too, which this layer cannot import.
TENSORRT, CUDA = "TensorrtExecutionProvider", "CUDAExecutionProvider"
KERNEL = "_kernel_time"
CONTROL_FLOW = {"If", "Loop", "Scan", "SequenceMap"}
COPIES = {"MemcpyFromHost", "MemcpyToHost"}
MOST_EVENTS = 1_000_000  # profiler.h of ONNX Runtime: events beyond these are dropped

OVERHEAD = "Profiling takes some microseconds a node itself: totals are larger than the latency, most of all for small nodes."
# TensorRT's provider synchronises the stream at the end of each engine (since 1.17); CUDA's does not.
BIAS = (
    "An engine's time includes the wait for what CUDA nodes before it have started; a CUDA node's time is that of its launch "
    "only. TensorRT's share is therefore too large here, and CUDA's too small."
)
LAUNCH = "A CUDA node's time is that of its launch, not of its work on the GPU."
CUT = f"The trace ends at {MOST_EVENTS:,} events, ONNX Runtime's limit: what came after is missing."


class NodeTime(Record):
    """One node of the session, or one engine, over all profiled inferences.

    Attributes
    ----------
    name : str
        The node's name after ONNX Runtime's optimisation; of an engine, the fused node's.
    calls : int
        How often it ran: once an inference, or more inside a loop.
    total_ms : float
        Milliseconds in all; of a control-flow node without those of the nodes in its bodies.
    """

    name: str
    op_type: str
    provider: str
    calls: int
    total_ms: float


class ProviderTime(Record):
    """What one provider's nodes took.

    Attributes
    ----------
    nodes, calls : int
        How many nodes, and how often they ran.
    total_ms : float
        Milliseconds over all profiled inferences.
    share : float or None
        Of all nodes' time, 0 to 1; ``None`` where the nodes took no measurable time.
    """

    provider: str
    nodes: int
    calls: int
    total_ms: float
    share: float | None


class Profile(Record):
    """Where the time of some inferences went.

    Attributes
    ----------
    runs : int
        Inferences profiled, after those that were left out as warm-up.
    run_ms : float
        Milliseconds that they took in all, inside the session.
    nodes : tuple of NodeTime
        The longest first.
    providers : tuple of ProviderTime
        The longest first.
    notes : tuple of str
        What a reader must know to believe these figures.
    """

    runs: int
    run_ms: float
    nodes: tuple[NodeTime, ...]
    providers: tuple[ProviderTime, ...]
    notes: tuple[str, ...] = ()

    def times(self) -> dict[str, float]:
        """Return the milliseconds of each provider, over all profiled inferences."""
        return {provider.provider: provider.total_ms for provider in self.providers}


class _Call(NamedTuple):
    thread: int
    start: int
    duration: int
    name: str
    op_type: str
    provider: str


def profile_of(trace: str | bytes, *, warmup: int = 0) -> Profile:
    """Return what a trace of ONNX Runtime's profiler says.

    Parameters
    ----------
    trace : str or bytes
        The file's content.
    warmup : int
        So many inferences at its beginning are left out.

    Raises
    ------
    ValueError
        When it is no such trace, or holds no inference after the warm-up.
    """
    events = json.loads(trace)
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        msg = "not a trace of ONNX Runtime's profiler: a list of events was expected"
        raise ValueError(msg)
    if not all({"ts", "dur"} <= event.keys() for event in events if event.get("cat") in ("Session", "Node")):
        msg = "not a trace of ONNX Runtime's profiler: an event has no time"
        raise ValueError(msg)
    runs = sorted((e["ts"], e["dur"]) for e in events if e.get("cat") == "Session" and e.get("name") == "model_run")[warmup:]
    if not runs:
        msg = f"the trace holds no inference after {warmup} of warm-up"
        raise ValueError(msg)
    calls = [call for call in _calls(events) if call.start >= runs[0][0]]
    nodes = _node_times(calls)
    providers = _provider_times(nodes)
    notes = _notes(nodes, {p.provider for p in providers}, cut=len(events) >= MOST_EVENTS)
    return Profile(runs=len(runs), run_ms=sum(dur for _, dur in runs) / 1e3, nodes=nodes, providers=providers, notes=tuple(notes))


def _calls(events: Sequence[dict[str, Any]]) -> Iterator[_Call]:
    for event in events:
        name = event.get("name", "")
        if event.get("cat") == "Node" and name.endswith(KERNEL):  # older releases time fences too
            about = event.get("args", {})
            name, op_type, provider = name.removesuffix(KERNEL), about.get("op_name", ""), about.get("provider", "")
            yield _Call(event.get("tid", 0), event["ts"], event["dur"], name, op_type, provider)


def _node_times(calls: list[_Call]) -> tuple[NodeTime, ...]:
    count: Counter[tuple[str, str, str]] = Counter()
    total: Counter[tuple[str, str, str]] = Counter()
    for call, own in _own_times(calls):
        key = call[3:]
        count[key] += 1
        total[key] += own
    return tuple(
        NodeTime(name=name, op_type=op_type, provider=provider, calls=count[name, op_type, provider], total_ms=time / 1e3)
        for (name, op_type, provider), time in total.most_common()
    )


def _own_times(calls: list[_Call]) -> Iterator[tuple[_Call, int]]:
    """Yield each call with its microseconds, those of the calls inside it taken off.

    Only calls inside a control-flow node lie inside another call of their thread.
    """
    around: list[tuple[_Call, list[int]]] = []
    for call in sorted(calls, key=lambda c: (c.thread, c.start, -c.duration)):
        while around and not _inside(call, around[-1][0]):
            parent, inner = around.pop()
            yield parent, max(0, parent.duration - sum(inner))
        if around:
            around[-1][1].append(call.duration)
        if call.op_type in CONTROL_FLOW:
            around.append((call, []))
        else:
            yield call, call.duration
    for parent, inner in around:
        yield parent, max(0, parent.duration - sum(inner))


def _inside(call: _Call, other: _Call) -> bool:
    return call.thread == other.thread and call.start + call.duration <= other.start + other.duration


def _provider_times(nodes: Sequence[NodeTime]) -> tuple[ProviderTime, ...]:
    whole = sum(node.total_ms for node in nodes)
    found = []
    for provider in dict.fromkeys(node.provider for node in nodes):
        own = [node for node in nodes if node.provider == provider]
        total = sum(node.total_ms for node in own)
        share = total / whole if whole else None
        calls = sum(node.calls for node in own)
        found.append(ProviderTime(provider=provider, nodes=len(own), calls=calls, total_ms=total, share=share))
    return tuple(sorted(found, key=lambda p: -p.total_ms))


def _notes(nodes: Sequence[NodeTime], providers: set[str], *, cut: bool) -> Iterator[str]:
    yield OVERHEAD
    if {TENSORRT, CUDA} <= providers:
        yield BIAS
    elif CUDA in providers:
        yield LAUNCH
    copies = [node for node in nodes if node.op_type in COPIES]
    if copies:
        total = sum(node.total_ms for node in copies)
        yield f"{len(copies)} of the nodes copy tensors between CPU and GPU ({total:.3f} ms); they count to the provider named."
    if cut:
        yield CUT
