"""A shape profile proposed from the shapes that requests really had.

The range is that of the data. The optimum, for which TensorRT picks its kernels, is where the most work is: requests count
by how many elements they bring, since time grows about with them. Where one combination of sizes carries a tenth of that work
or more it is the optimum (the work's mode); where sizes are spread, it is the median of the work, dimension by dimension.
Few requests far beyond the others' sizes (outliers) widen the range, but do not decide the optimum.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from workbench.errors import InputError
from workbench.model.shape_operands import shape_tensors, values_of
from workbench.options.profile import InputRange, ShapeProfile
from workbench.options.seen import SeenRequest, dimension_labels
from workbench.record import Finding, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from workbench.model.model import Model

COMMON = 0.1  # share of the work from which one combination of sizes is worth tuning for
TAIL = 0.99
WIDENS = 1.25  # times the 99th percentile: from there on the rest is called outliers
GAP = 2.0  # between two groups of sizes: the larger group begins at this many times the end of the smaller
SIDE = 0.2  # least share of requests on each side of the gap

Triple = tuple[int, int, int]


class DimensionProposal(Record):
    """What is proposed for one dimension.

    Attributes
    ----------
    name : str
        Symbolic name, or input and axis.
    places : tuple of str
        Where it stands.
    sizes : tuple of (int, int)
        Each size that was seen, ascending, and how many requests had it.
    min, opt, max : int
        The proposal.
    at_opt : float
        Share (0 to 1) of the requests with exactly that size.
    percentile_99 : int
        The size that 99 % of the requests do not exceed.
    """

    name: str
    places: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    min: int
    opt: int
    max: int
    at_opt: float
    percentile_99: int

    @property
    def beyond(self) -> int:
        """How many requests exceed the 99th percentile."""
        return sum(count for size, count in self.sizes if size > self.percentile_99)

    @property
    def outliers(self) -> bool:
        """Whether few requests widen the range much."""
        return self.max >= WIDENS * self.percentile_99


class Split(Record):
    """Two profiles instead of one, because requests fall into two groups.

    Attributes
    ----------
    profiles : tuple of ShapeProfile
        For the smaller and for the larger requests.
    shares : tuple of float
        Share (0 to 1) of the requests in each.
    reason : str
        What was seen.
    """

    profiles: tuple[ShapeProfile, ShapeProfile]
    shares: tuple[float, float]
    reason: str

    @property
    def together(self) -> ShapeProfile:
        """Both in one, the more frequent first: ONNX Runtime runs on the first only."""
        first, second = self.profiles if self.shares[0] >= self.shares[1] else self.profiles[::-1]
        return ShapeProfile(ranges=(*first.ranges, *second.ranges))


class Proposal(Record):
    """A shape profile from real shapes.

    Attributes
    ----------
    requests : int
        How many requests it is made from.
    dimensions : tuple of DimensionProposal
        In the model's order.
    profile : ShapeProfile
        The proposal.
    at_opt : float
        Share (0 to 1) of the requests whose sizes are all at the optimum.
    split : Split or None
        Two profiles, where requests fall into two groups.
    findings : tuple of Finding
        Outliers that widen the range.
    """

    requests: int
    dimensions: tuple[DimensionProposal, ...]
    profile: ShapeProfile
    at_opt: float
    split: Split | None = None
    findings: tuple[Finding, ...] = ()


def propose_profile(model: Model, seen: Sequence[SeenRequest]) -> Proposal:
    """Propose a profile for a model.

    Parameters
    ----------
    model : Model
        The model.
    seen : sequence of SeenRequest
        The shapes that requests had; from :mod:`workbench.options.seen`.

    Raises
    ------
    InputError
        When there is nothing to propose: all inputs have fixed shapes, no request was seen, or a dimension has no size.
    """
    labels = dimension_labels(model)
    _check(model, seen, labels)
    usual = _usual(seen, tuple(labels))
    best = _optimum(usual, tuple(labels))
    dimensions = tuple(_dimension(label, places, seen, best[label]) for label, places in labels.items())
    total = sum(request.count for request in seen)
    full = [request for request in seen if all(size == best[label] for label, size in request.sizes)]
    return Proposal(
        requests=total,
        dimensions=dimensions,
        profile=profile_of(model, {d.name: (d.min, d.opt, d.max) for d in dimensions}),
        at_opt=sum(request.count for request in full) / total,
        split=_split(model, seen, tuple(labels)),
        findings=tuple(_outliers(dimension) for dimension in dimensions if dimension.outliers),
    )


def profile_of(model: Model, sizes: Mapping[str, Triple]) -> ShapeProfile:
    """Return the profile that gives each dynamic dimension, and each value that decides shapes, its (min, opt, max).

    Inputs whose values decide shapes may be left out.

    Raises
    ------
    SettingsError
        As :meth:`ShapeProfile.of_dimensions`.
    """
    holding = [spec for spec in shape_tensors(model) if f"{spec.name}[{values_of(spec) - 1}]" in sizes]
    values = {f"{spec.name}[{at}]" for spec in holding for at in range(values_of(spec))}
    ranges = list(ShapeProfile.of_dimensions(model, {k: v for k, v in sizes.items() if k not in values}).ranges)
    for spec in holding:
        low, opt, high = zip(*[sizes[f"{spec.name}[{at}]"] for at in range(values_of(spec))], strict=True)
        ranges.append(InputRange(name=spec.name, min=low, opt=opt, max=high))
    return ShapeProfile(ranges=tuple(ranges))


def _usual(seen: Sequence[SeenRequest], labels: tuple[str, ...]) -> list[SeenRequest]:
    """Return the requests without outliers in any dimension."""
    limit = {}
    for label in labels:
        sizes = _histogram(label, seen)
        most = _quantile(sizes, TAIL)
        limit[label] = most if sizes[-1][0] >= WIDENS * most else sizes[-1][0]
    return [request for request in seen if all(size <= limit[label] for label, size in request.sizes)]


def _check(model: Model, seen: Sequence[SeenRequest], labels: Mapping[str, tuple[str, ...]]) -> None:
    if not labels:
        raise InputError(f"{model.name}: all inputs have fixed shapes: there is nothing to propose.")
    if not seen:
        raise InputError("No request was seen.", remedy="Give a CSV file with the shapes of real requests.")
    missing = [label for label in labels if not any(label == name for request in seen for name, _ in request.sizes)]
    if missing:
        raise InputError(f"The requests say nothing of {', '.join(map(repr, missing))}.", remedy="Add a column for each of them.")


def _work(request: SeenRequest) -> float:
    """Return how many elements requests bring, up to a factor that is the same for all."""
    return request.count * math.prod(float(size) for _, size in request.sizes)


def _optimum(seen: Sequence[SeenRequest], labels: tuple[str, ...]) -> dict[str, int]:
    """Return the size to tune for of each dimension; see the module's first lines."""
    total = math.fsum(map(_work, seen))
    whole = [request for request in seen if len(request.sizes) == len(labels)]
    top = max(whole, key=_work, default=None)
    if top is not None and _work(top) >= COMMON * total:
        return dict(top.sizes)
    return {label: _median(label, seen) for label in labels}


def _median(label: str, seen: Sequence[SeenRequest]) -> int:
    """Return the size that half of the work does not exceed, or the one size that carries a tenth of it and the most."""
    work: Counter[int] = Counter()
    for request in seen:
        for name, size in request.sizes:
            if name == label:
                work[size] += _work(request)  # type: ignore[assignment]  # a Counter holds any number
    total = math.fsum(work.values())
    size, most = max(work.items(), key=lambda item: item[1])
    return size if most >= COMMON * total else _quantile(sorted(work.items()), 0.5)


def _quantile(counts: Sequence[tuple[int, float]], share: float) -> int:
    """Return the least size that at least this share of the counts does not exceed."""
    total, reached = math.fsum(count for _, count in counts), 0.0
    for size, count in counts:
        reached += count
        if reached >= share * total - 1e-9:
            return size
    return counts[-1][0]


def _histogram(label: str, seen: Sequence[SeenRequest]) -> list[tuple[int, int]]:
    counts: Counter[int] = Counter()
    for request in seen:
        counts.update({size: request.count for name, size in request.sizes if name == label})
    return sorted(counts.items())


def _dimension(label: str, places: tuple[str, ...], seen: Sequence[SeenRequest], opt: int) -> DimensionProposal:
    sizes = _histogram(label, seen)
    total = sum(count for _, count in sizes)
    return DimensionProposal(
        name=label,
        places=places,
        sizes=tuple(sizes),
        min=sizes[0][0],
        opt=opt,
        max=sizes[-1][0],
        at_opt=dict(sizes).get(opt, 0) / total,
        percentile_99=_quantile(sizes, TAIL),
    )


def _outliers(dimension: DimensionProposal) -> Finding:
    return Finding(
        level="warning",
        where=dimension.name,
        seen=f"{dimension.beyond:,} of {sum(count for _, count in dimension.sizes):,} requests widen the range from "
        f"{dimension.percentile_99:,} to {dimension.max:,}",
        meaning="TensorRT plans memory for the greatest size, and a wider range leaves it fewer kernels to choose from.",
        action=f"Consider max {dimension.percentile_99:,}, the 99th percentile, and another way for larger requests.",
    )


# Two groups


def _split(model: Model, seen: Sequence[SeenRequest], labels: tuple[str, ...]) -> Split | None:
    """Return two profiles where one dimension has two groups of sizes with nothing between them; the widest gap counts."""
    whole = [request for request in seen if len(request.sizes) == len(labels)]
    if len(whole) < len(seen):  # single inputs' shapes: nobody knows which go together
        return None
    usual = _usual(whole, labels)
    found = [gap for label in labels if (gap := _gap(label, usual)) is not None]
    if not found:
        return None
    _, label, low, high = max(found)
    sides = [[r for r in whole if dict(r.sizes)[label] <= low], [r for r in whole if dict(r.sizes)[label] >= high]]
    profiles = [_profile_of_side(model, side, labels) for side in sides]
    total = sum(request.count for request in whole)
    shares = [sum(request.count for request in side) / total for side in sides]
    reason = (
        f"{shares[0]:.0%} of the requests have {label} up to {low:,}, {shares[1]:.0%} {high:,} or more, and none lies between: "
        "an engine tuned for one group is not tuned for the other."
    )
    return Split(profiles=(profiles[0], profiles[1]), shares=(shares[0], shares[1]), reason=reason)


def _gap(label: str, seen: Sequence[SeenRequest]) -> tuple[float, str, int, int] | None:
    """Return the widest gap of a dimension's sizes that has enough requests on both sides: ratio, label and its ends."""
    sizes = _histogram(label, seen)
    total = sum(count for _, count in sizes)
    below, best = 0, None
    for (size, count), (above, _) in pairwise(sizes):
        below += count
        enough = min(below, total - below) >= SIDE * total
        if enough and size > 0 and above >= GAP * size and (best is None or above / size > best[0]):
            best = (above / size, label, size, above)
    # Sizes that only ever double, such as 1, 2, 4, 8, are no two groups.
    steps: Iterator[float] = (high / low for (low, _), (high, _) in pairwise(sizes) if low)
    wide = sum(step >= GAP for step in steps)
    return best if wide == 1 else None


def _profile_of_side(model: Model, seen: Sequence[SeenRequest], labels: tuple[str, ...]) -> ShapeProfile:
    best = _optimum(_usual(seen, labels), labels)
    sizes = {label: [size for size, _ in _histogram(label, seen)] for label in labels}
    return profile_of(model, {label: (held[0], best[label], held[-1]) for label, held in sizes.items()})
