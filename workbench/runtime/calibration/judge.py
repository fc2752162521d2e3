"""What is odd about calibrated ranges: for each a sentence, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.model.graph import nodes_in
from workbench.record import Finding
from workbench.runtime.calibration.augment import inner_activations

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workbench.measure.calibration import TensorCalibration
    from workbench.model.model import Model

SHOWN = 5
GROWTH = 0.05  # over the second half of the samples
OUTLIERS = 8.0  # times the 99.9th percentile: three of eight bits for a thousandth of the numbers


def findings_of(tensors: Sequence[TensorCalibration], model: Model, samples: int) -> list[Finding]:
    """Return what is odd about the ranges found on so many samples."""
    found = []
    if quantisers := sum(node.op_type == "QuantizeLinear" for node in nodes_in(model.proto)):
        found.append(
            Finding(
                level="warning",
                where="calibration",
                seen=f"the model holds {quantisers} QuantizeLinear nodes already",
                meaning="These are the ranges of numbers that are rounded to 8 bits; what is quantised is not quantised again.",
                action="Calibrate the model that it was made from.",
            )
        )
    if names := [t.name for t in tensors if not t.seen]:
        found.append(
            _finding(
                names,
                f"never seen in {samples:,} samples",
                "They were empty, or held no finite number; nothing that reads them is quantised.",
                "Use samples that reach them.",
            )
        )
    if names := [t.name for t in tensors if t.constant and not t.amax]:
        found.append(
            _finding(
                names,
                f"zero throughout {samples:,} samples",
                "There is no range to quantise.",
                "Check the data; nothing that reads them is quantised.",
            )
        )
    if names := [t.name for t in tensors if t.constant and t.amax]:
        found.append(
            _finding(names, f"one number throughout {samples:,} samples", "Other data may need another range.", level="info")
        )
    if names := [t.name for t in tensors if t.not_finite]:
        found.append(
            _finding(names, "NaN or infinite in places", "Such numbers were left out of the ranges.", "Look for an overflow.")
        )
    found += _spread(tensors)
    if inner := inner_activations(model.proto):
        found.append(_finding(inner, "inside control flow", "They are not calibrated, and stay in float.", level="info"))
    return found


def _spread(tensors: Iterable[TensorCalibration]) -> list[Finding]:
    found = []
    grown = sorted((t for t in tensors if (t.growth() or 0) > GROWTH), key=lambda t: -(t.growth() or 0))
    if grown:
        most = grown[0].growth() or 0
        meaning = f"The largest grew by {most:.0%} over the second half of the samples."
        found.append(_finding([t.name for t in grown], "not settled", meaning, "Use more samples, or a method that clips."))
    wide = sorted((t for t in tensors if (t.outlier_ratio or 0) > OUTLIERS), key=lambda t: -(t.outlier_ratio or 0))
    if wide:
        most = wide[0].outlier_ratio or 0
        meaning = f"The largest number is up to {most:.0f} times the 99.9th percentile: minimum and maximum waste bits on it."
        action = "Use entropy or percentile, or leave their readers out of INT8."
        found.append(_finding([t.name for t in wide], "ranges set by outliers", meaning, action))
    return found


def _finding(names: Sequence[str], seen: str, meaning: str, action: str = "", *, level: str = "warning") -> Finding:
    shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    what = f"{len(names)} tensors are {seen}" if len(names) > 1 else f"the tensor is {seen}"
    return Finding.model_validate({"level": level, "where": shown, "seen": what, "meaning": meaning, "action": action})
