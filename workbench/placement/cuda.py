"""What ONNX Runtime's CUDA provider leaves to the CPU although it has a kernel.

Two things: forms of an operator that its kernels do not implement (``cuda_execution_provider.cc``), and shape
arithmetic, which stays on the CPU because its data is there already (``fallback_cpu_capability.cc``).
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING

from workbench.placement.attributes import attribute, integer, integers, text, texts
from workbench.placement.kernels import KernelTable
from workbench.placement.records import CPU

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workbench.placement.dataflow import Graph, Op

SMALL = 100  # elements of an initializer that may be copied to the CPU for a shape operation: kSmallInitializerThreshold
HALF = {"tensor(float16)", "tensor(bfloat16)"}
ACTIVATIONS = {"GRU": ("sigmoid", "tanh"), "LSTM": ("sigmoid", "tanh", "tanh"), "RNN": ("tanh",)}


def cuda_leaves(op: Op) -> str:
    """Return why CUDA's kernel cannot run this form of an operator; empty where it can."""
    if op.domain:
        return ""
    if op.op_type in ACTIVATIONS:
        return _recurrent(op)
    if op.op_type == "ConvTranspose":
        return _transposed(op)
    if op.op_type in ("ArgMax", "ArgMin") and integer(op.proto, "select_last_index", 0):
        return f"CUDA has no {op.op_type} with select_last_index=1"
    if op.op_type == "Cast" and integer(op.proto, "to", 1) == 8:
        return "CUDA cannot cast to strings"
    return ""


def _recurrent(op: Op) -> str:
    for name in ("activation_alpha", "activation_beta", "clip"):
        if attribute(op.proto, name) is not None:
            return f"CUDA has no {op.op_type} with {name}"
    default = ACTIVATIONS[op.op_type]
    given = [name.lower() for name in texts(op.proto, "activations")]
    if any(name != default[i % len(default)] for i, name in enumerate(given)):
        return f"CUDA has no {op.op_type} with other activations than {', '.join(default)}"
    if op.op_type == "GRU" and attribute(op.proto, "linear_before_reset") and not integer(op.proto, "linear_before_reset", 0):
        return "CUDA has no GRU with linear_before_reset=0"
    if op.op_type == "LSTM":
        if integer(op.proto, "input_forget", 0):
            return "CUDA has no LSTM with input_forget=1"
        if len(op.inputs) > 7 and op.inputs[7]:
            return "CUDA has no LSTM with peepholes"
    return ""


def _transposed(op: Op) -> str:
    if text(op.proto, "auto_pad", "NOTSET").startswith("SAME"):
        return "CUDA has no ConvTranspose with auto_pad SAME"
    pads = integers(op.proto, "pads") or ()
    half = len(pads) // 2
    return "CUDA has no ConvTranspose with asymmetric pads" if pads[:half] != pads[half:] else ""


def shape_arithmetic(graph: Graph, order: Sequence[Op], tentative: Iterable[Op]) -> set[Op]:
    """Return the operations that CUDA could run, but that ONNX Runtime keeps on the CPU beside their data.

    Parameters
    ----------
    order : sequence of Op
        All operations of the graph in ONNX Runtime's topological order.
    tentative : iterable of Op
        Those for which CUDA has a kernel.
    """
    kernels = KernelTable.load()
    rank = {op: i for i, op in enumerate(order)}
    ours = set(tentative)
    on_cpu: set[str] = set()
    heap: list[int] = []
    for op in ours:
        for i in kernels.cpu_outputs(op):
            if i < len(op.outputs):
                on_cpu.add(op.outputs[i])
                heap.extend(rank[user] for user in graph.consumers.get(op.outputs[i], ()) if user in rank)
    heapq.heapify(heap)
    chosen: set[Op] = set()
    seen: set[int] = set()
    while heap:
        at = heapq.heappop(heap)
        op = order[at]
        if at in seen or op not in ours:
            continue
        seen.add(at)
        if _stays(graph, op, on_cpu, kernels) and kernels.find(CPU, op, graph).found:
            chosen.add(op)
            on_cpu.update(op.outputs)
            for output in op.outputs:
                for user in graph.consumers.get(output, ()):
                    if user in rank:
                        heapq.heappush(heap, rank[user])
    return chosen


def _stays(graph: Graph, op: Op, on_cpu: set[str], kernels: KernelTable) -> bool:
    """Whether all inputs are at hand on the CPU, and CUDA's kernel would not read them from there anyway."""
    host = kernels.cpu_inputs(op)
    for i, name in enumerate(op.inputs):  # an optional input that is left out counts as one that is not at hand
        if graph.value(name).type in HALF:
            return False
        if _small(graph, name) or name in graph.inputs:
            continue
        if name not in on_cpu or i in host:
            return False
    return True


def _small(graph: Graph, name: str) -> bool:
    if not graph.is_constant(name):
        return False
    shape = graph.value(name).shape
    return (
        shape is not None
        and all(isinstance(d, int) for d in shape)
        and math.prod(d for d in shape if isinstance(d, int)) <= SMALL
    )
