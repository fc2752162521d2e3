"""A worker that needs no ONNX Runtime, and a state in which every job has ended when the call returns."""

import threading

from workbench.measure.latency import latency_of
from workbench.panels.background import Background, InlineExecutor
from workbench.panels.state import WorkbenchState
from workbench.placement.records import CPU, Group, PlacedNode, Placement, RuntimeVersions
from workbench.record import Failure
from workbench.runtime.job import Build, Event, Outcome
from workbench.study.store import Store


class FakeWorker:
    """Says that every node runs on the CPU, in a millisecond; or whatever outcome it is given."""

    def __init__(self):
        self.jobs, self.cancelled = [], threading.Event()
        self.outcome = None
        self.gate = None

    def run(self, job, on_event=None):
        self.jobs.append(job)
        tell = on_event or (lambda _: None)
        tell(Event(stage="starting", elapsed_s=0.0))
        tell(Event(stage="session", elapsed_s=0.5, message="a line of the log"))
        if self.gate is not None:
            self.gate.wait(10)
        if self.cancelled.is_set():
            error = Failure(kind="cancelled", message="Cancelled by the user.")
            return Outcome(status="cancelled", error=error)
        tell(Event(stage="measuring", elapsed_s=2.0))
        return self.outcome or measured(job)

    def cancel(self):
        self.cancelled.set()


def measured(job):
    from workbench.model.model import Model

    nodes = Model.load(job.model).nodes
    placed = tuple(
        PlacedNode(name=n.name, op_type=n.op_type, provider=CPU, group=i, reason="the CPU has a kernel")
        for i, n in enumerate(nodes)
    )
    placement = Placement(
        model=job.model,
        evidence="measured",
        runtime=RuntimeVersions(onnxruntime="1.31.1"),
        groups=tuple(Group(provider=CPU, nodes=(n.name,)) for n in nodes),
        nodes=placed,
        coverage={CPU: 1.0},
    )
    latency = latency_of([1.0 + 0.001 * (i % 7) for i in range(200)]) if job.plan.latency else None
    return Outcome(
        status="ok", placement=placement, build=Build(seconds=0.2, cache="cold"), latency=latency, log=("a line of the log",)
    )


def failed():
    error = Failure(
        kind="provider", message="TensorRT is not installed.", remedy="Install it.", log=("libnvinfer.so.10: not found",)
    )
    return Outcome(status="failed", error=error, log=error.log)


def make_state(folder, **given):
    """Return a state with a store of its own, whose jobs end at once."""
    settings = {"store": Store(folder / "runs.sqlite3"), "worker": FakeWorker(), "background": Background(InlineExecutor())}
    return WorkbenchState(**(settings | given))
