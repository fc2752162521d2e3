"""What a split costs: what is copied between the providers in each inference, and what moving the rest could win at most.

Tensors of TensorRT and CUDA lie in the GPU's memory, those of the CPU in the host's, and a few inputs and outputs of CUDA's
kernels too. A tensor that is needed on the other side is copied once for each inference. Between TensorRT and CUDA nothing
is copied, but an engine ends there: what could have been fused across is not.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.placement.crossing import Crossing, crossings
from workbench.placement.dataflow import ELEMENTS
from workbench.placement.dimensions import sizes_of
from workbench.placement.prepare import prepare
from workbench.placement.records import TENSORRT
from workbench.placement.wording import counted
from workbench.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workbench.model.model import Model
    from workbench.placement.dataflow import Value
    from workbench.placement.records import Placement

BITS_BY_NAME = {"float": 32, "double": 64, "complex64": 64, "complex128": 128, "bool": 8, "int4": 4, "uint4": 4}


class Boundary(Record):
    """A tensor that passes from one provider, or engine, to another.

    Attributes
    ----------
    source, target : str or None
        The providers; ``None`` for the caller, who gives the inputs and takes the outputs.
    shape : tuple of (int, str or None) or None
        As far as it is known at the given input shapes.
    bytes : int or None
        Its size; ``None`` where a dimension or the type is unknown.
    copied : bool
        Whether it is copied between the memories of the host and of the GPU.
    """

    tensor: str
    source: str | None
    target: str | None
    shape: tuple[int | str | None, ...] | None
    bytes: int | None
    copied: bool


class Cost(Record):
    """What a placement costs in each inference beside the computing itself.

    Attributes
    ----------
    boundaries : tuple of Boundary
        The largest first, those of unknown size last.
    engines : int
        How many TensorRT engines run.
    copies : int
        How many tensors are copied between host and GPU inside the graph: ONNX Runtime's Memcpy nodes.
    copied_bytes : int or None
        Bytes of those copies; ``None`` where the size of one is unknown.
    caller_bytes : int or None
        Bytes of the inputs and outputs that are copied, unless the caller binds them to GPU memory.
    """

    boundaries: tuple[Boundary, ...]
    engines: int
    copies: int
    copied_bytes: int | None
    caller_bytes: int | None

    def __str__(self) -> str:
        size = "of unknown size" if self.copied_bytes is None else f"of {_readable(self.copied_bytes)}"
        copies = f"{counted(self.copies, 'copy')} between host and GPU" + (f" {size}" if self.copies else "")
        return f"{counted(self.engines, 'engine')}, {copies} per inference."


class Bound(Record):
    """What could be won at most by moving everything to TensorRT: Amdahl's law.

    Attributes
    ----------
    outside : float or None
        Share (0 to 1) of the measured time that is spent outside TensorRT; ``None`` where nothing was measured.
    speed_up : float or None
        How many times faster an inference would be if that time were zero; ``None`` where nothing bounds it.
    """

    outside: float | None
    speed_up: float | None

    def __str__(self) -> str:
        if self.outside is None:
            return "No time was measured."
        return f"{self.outside:.0%} {self.meaning}."

    @property
    def meaning(self) -> str:
        """What the share `outside` is of, and what it bounds; reads on after the share."""
        if self.speed_up is None:
            return "of the time outside TensorRT: this measurement does not bound what moving it could win"
        return f"of the time outside TensorRT: moving all of it could win at most {self.speed_up:.2f} ×"


def cost_of(placement: Placement, model: Model, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Cost:
    """Return what a placement costs in each inference beside the computing itself.

    Parameters
    ----------
    placement : Placement
        Of this model, predicted or measured.
    shapes : mapping of str to tuple of int, or None
        Concrete input shapes, such as the optimum of a profile; dimensions that they leave open stay unknown.

    Raises
    ------
    InputError
        For shapes that do not fit the model's inputs.
    """
    graph = prepare(model, sizes=sizes_of(model, shapes or {})).graph
    found = crossings(placement, graph)
    boundaries = {_boundary(crossing): None for crossing in found}
    ordered = sorted(boundaries, key=lambda b: (b.bytes is None, -(b.bytes or 0), b.tensor))
    inside = _copied(c for c in found if c.source is not None and c.target is not None)
    outside = _copied(c for c in found if c.source is None or c.target is None)
    return Cost(
        boundaries=tuple(ordered),
        engines=placement.engines(),
        copies=len(inside),
        copied_bytes=_total(inside),
        caller_bytes=_total(outside),
    )


def bound_of(times: Mapping[str, float]) -> Bound:
    """Return what could be won at most by moving to TensorRT what runs elsewhere.

    Parameters
    ----------
    times : mapping of str to float
        Measured time by provider, in any one unit.

    Raises
    ------
    ValueError
        For a time that is negative or no number.
    """
    if any(not math.isfinite(time) or time < 0 for time in times.values()):
        msg = f"times must be numbers of 0 or more: {dict(times)}"
        raise ValueError(msg)
    total = math.fsum(times.values())
    if not total:
        return Bound(outside=None, speed_up=None)
    inside = times.get(TENSORRT, 0.0)
    return Bound(outside=(total - inside) / total, speed_up=total / inside if inside else None)


def _copied(found: Iterable[Crossing]) -> dict[tuple[str, bool], int | None]:
    """Return the size of what is copied, by tensor and direction: a second reader on the same side needs no second copy."""
    return {(c.tensor, c.to_host): _bytes(c.value) for c in found if c.copied}


def _total(copies: Mapping[tuple[str, bool], int | None]) -> int | None:
    total = 0
    for size in copies.values():
        if size is None:
            return None
        total += size
    return total


def _boundary(crossing: Crossing) -> Boundary:
    return Boundary(
        tensor=crossing.tensor,
        source=crossing.source,
        target=crossing.target,
        shape=crossing.value.shape,
        bytes=_bytes(crossing.value),
        copied=crossing.copied,
    )


def _bytes(value: Value) -> int | None:
    bits = _bits(value.element)
    if bits is None or value.shape is None:
        return None
    sizes = [dim for dim in value.shape if isinstance(dim, int)]
    return -(-math.prod(sizes) * bits // 8) if len(sizes) == len(value.shape) else None


def _bits(element: str) -> int | None:
    """Return how many bits an element has; ``None`` for an unknown type, and for text, whose size varies."""
    if element not in ELEMENTS.values() or element == "string":
        return None
    if element in BITS_BY_NAME:
        return BITS_BY_NAME[element]
    if element.startswith("float8"):
        return 8
    digits = "".join(c for c in element.removesuffix("e2m1") if c.isdigit())
    return int(digits)


def _readable(size: int) -> str:
    number, unit = float(size), "bytes"
    for larger in ("KB", "MB", "GB"):
        if number < 1000:
            break
        number, unit = number / 1000, larger
    return f"{number:.3g} {unit}"
