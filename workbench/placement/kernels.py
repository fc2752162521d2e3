"""Which operations ONNX Runtime's CPU and CUDA providers have a kernel for.

A kernel fits when its domain and operator are the node's, the version since which the operator is as it is lies in
the kernel's range, and each of its type variables admits the types that the node binds to it: the rule of
ONNX Runtime's ``KernelRegistry``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from workbench.placement.records import CPU, CUDA
from workbench.placement.tables import table

if TYPE_CHECKING:
    from workbench.placement.dataflow import Graph, Op

SHORT = {CPU: "CPU", CUDA: "CUDA"}
HALF, FLOAT = "tensor(float16)", "tensor(float)"


@dataclass(frozen=True, slots=True)
class Lookup:
    """Whether there is a kernel, and what is wrong where there is none."""

    found: bool
    reason: str = ""


FOUND = Lookup(found=True)
Bindings = tuple[tuple[str, ...], tuple[str, ...]]  # types of the inputs and outputs, empty where unknown or absent


@dataclass(frozen=True, slots=True)
class Kernel:
    """One registered kernel; `until` is ``None`` where it ends with the version it begins with."""

    since: int
    until: int | None
    types: tuple[tuple[str, frozenset[str]], ...]

    def covers(self, version: int) -> bool:
        """Whether it serves an operator that is as it is since `version`."""
        return self.since == version or (self.until is not None and self.since <= version <= self.until)


@dataclass(frozen=True)
class KernelTable:
    """The kernels of both providers. Use :meth:`load`."""

    kernels: dict[tuple[str, str, str], tuple[Kernel, ...]]
    memory: dict[str, tuple[frozenset[int], frozenset[int]]]
    known: dict[tuple[str, str], tuple[int, ...]]
    _found: dict[tuple[str, str, str, int, Bindings], Lookup] = field(default_factory=dict)

    @staticmethod
    @cache
    def load() -> KernelTable:
        """Read the table, once."""
        data = table("ort_kernels")
        sets = [frozenset(data["types"][i] for i in indices) for indices in data["type_sets"]]
        kernels: dict[tuple[str, str, str], tuple[Kernel, ...]] = {}
        for provider, domains in data["kernels"].items():
            for domain, ops in domains.items():
                for op_type, rows in ops.items():
                    key = (provider, "" if domain == "ai.onnx" else domain, op_type)
                    kernels[key] = tuple(
                        Kernel(since, until, tuple((name, sets[i]) for name, i in types.items())) for since, until, types in rows
                    )
        memory = {key: (frozenset(i), frozenset(o)) for key, (i, o) in data["cuda_memory"].items()}
        known: dict[tuple[str, str], tuple[int, ...]] = {}
        for (_, domain, op), rows in kernels.items():
            known[domain, op] = known.get((domain, op), ()) + tuple(row.since for row in rows)
        return KernelTable(kernels, memory, known)

    def version(self, domain: str, op_type: str, opset: int) -> int:
        """Return the version of an operator that only its kernels tell of, at an opset; 0 where they do not reach so far back."""
        return max((since for since in self.known.get((domain, op_type), ()) if since <= opset), default=0)

    def find(self, provider: str, op: Op, graph: Graph) -> Lookup:
        """Say whether a provider has a kernel for an operation with the types it has in its graph."""
        bound = (
            tuple(graph.value(name).type if name else "" for name in op.inputs),
            tuple(graph.value(name).type if name else "" for name in op.outputs),
        )
        return self._remembered(provider, op, bound)

    def find_widened(self, op: Op, graph: Graph) -> Lookup:
        """Say whether the CPU has a kernel once float16 is cast to float: ONNX Runtime adds those casts by itself."""
        inputs, outputs = ([graph.value(name).type if name else "" for name in names] for names in (op.inputs, op.outputs))
        if HALF not in (*inputs, *outputs):
            return Lookup(found=False)
        wide = tuple(tuple(FLOAT if value == HALF else value for value in types) for types in (inputs, outputs))
        return self._remembered(CPU, op, (wide[0], wide[1]))

    def _remembered(self, provider: str, op: Op, bound: Bindings) -> Lookup:
        key = (provider, op.domain, op.op_type, op.version, bound)
        lookup = self._found.get(key)
        if lookup is None:
            lookup = self._found[key] = self._find(provider, op, bound)
        return lookup

    def _find(self, provider: str, op: Op, bound: Bindings) -> Lookup:
        label = SHORT[provider]
        rows = self.kernels.get((provider, op.domain, op.op_type), ())
        if not rows:
            return Lookup(found=False, reason=f"{label} has no kernel for {op.op_type}")
        fitting = [row for row in rows if row.covers(op.version)]
        if not fitting:
            return Lookup(found=False, reason=f"{label} has no kernel for {op.op_type} of opset {op.version}")
        formals = _formals(op.op_type, op.domain, op.version)
        for row in fitting:
            if all(_admits(types, name, formals, bound) for name, types in row.types):
                return FOUND
        seen = ", ".join(dict.fromkeys(_plain(t) for t in bound[0] if t)) or "these types"
        return Lookup(found=False, reason=f"{label} has no kernel for {op.op_type} with {seen}")

    def cpu_inputs(self, op: Op) -> frozenset[int]:
        """Return the indices of the inputs that CUDA's kernel reads from CPU memory."""
        return self.memory.get(f"{op.domain or 'ai.onnx'}:{op.op_type}", (frozenset(), frozenset()))[0]

    def cpu_outputs(self, op: Op) -> frozenset[int]:
        """Return the indices of the outputs that CUDA's kernel writes to CPU memory."""
        return self.memory.get(f"{op.domain or 'ai.onnx'}:{op.op_type}", (frozenset(), frozenset()))[1]


@dataclass(frozen=True, slots=True)
class Formals:
    """Which inputs and outputs a type variable (or a parameter's name) stands for."""

    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    variadic: tuple[bool, bool]


@cache
def _formals(op_type: str, domain: str, version: int) -> Formals | None:
    import onnx

    try:
        schema = onnx.defs.get_schema(op_type, version, domain)
    except onnx.defs.SchemaError:
        return None
    many = onnx.defs.OpSchema.FormalParameterOption.Variadic
    ends = tuple(bool(part) and part[-1].option == many for part in (schema.inputs, schema.outputs))
    return Formals(
        tuple((p.type_str, p.name) for p in schema.inputs),
        tuple((p.type_str, p.name) for p in schema.outputs),
        (ends[0], ends[1]),
    )


def _admits(types: frozenset[str], name: str, formals: Formals | None, bound: Bindings) -> bool:
    """Whether a kernel's type variable admits the types that a node binds to it.

    ONNX Runtime's own operators have no schema here, so which inputs a variable stands for is not known: one that fits is enough.
    """
    if formals is None:
        known = {value for value in bound[0] if value}
        return not known or not known.isdisjoint(types)
    return all(not value or value in types for value in _bound(name, formals, bound))


def _bound(name: str, formals: Formals, bound: Bindings) -> set[str]:
    """Return the types that a node binds to a type variable."""
    found: set[str] = set()
    for parameters, variadic, types in zip((formals.inputs, formals.outputs), formals.variadic, bound, strict=True):
        for i, value in enumerate(types):
            at = len(parameters) - 1 if variadic and i >= len(parameters) else i
            if at < len(parameters) and name in parameters[at]:
                found.add(value)
    return found


def _plain(value: str) -> str:
    return value[7:-1] if value.startswith("tensor(") else value
