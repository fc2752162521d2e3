"""Check a calibration table against a model."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from workbench.record import Finding
from workbench.runtime.calibration.augment import activations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.model.model import Model
    from workbench.runtime.calibration.table import Table

SHOWN = 5


def check_table(table: Table, model: Model) -> list[Finding]:
    """Return what is wrong with a table for a model: each kind of fault once.

    A table of another model, tensors without a range, ranges of tensors that the model does not have, and ranges that
    are no range.

    Parameters
    ----------
    table : Table
        As read.
    model : Model
        What it is to be used for.
    """
    wanted = activations(model.proto)
    given = [entry.tensor for entry in table.entries]
    if not table.entries:
        return [_finding("error", [], "the table is empty", "", "Make one with `workbench calibrate`.")]
    common = set(given) & set(wanted)
    if not common:
        seen = f"none of the table's {len(given)} tensors is in {model.name}"
        return [_finding("error", given, seen, "It was made for another model.", "Calibrate this model.")]
    found = []
    if unusable := [entry.tensor for entry in table.entries if entry.amax is None or entry.amax <= 0]:
        seen = f"{len(unusable)} ranges are zero, negative or not finite"
        meaning = "TensorRT refuses them, or computes nonsense."
        found.append(_finding("error", unusable, seen, meaning, "Write the largest magnitudes; calibrate again."))
    if twice := [name for name, count in Counter(given).items() if count > 1]:
        found.append(_finding("warning", twice, f"{len(twice)} tensors are there twice", "The last range counts.", ""))
    if missing := [name for name in wanted if name not in common]:
        seen = f"{len(missing)} of the model's {len(wanted)} tensors have no range"
        meaning = "They were never seen in calibration, or the model has changed; what reads them stays in float."
        found.append(_finding("warning", missing, seen, meaning, "Calibrate again, with samples that reach them."))
    if foreign := [name for name in dict.fromkeys(given) if name not in common]:
        seen = f"{len(foreign)} of the table's {len(given)} tensors are not in {model.name}"
        found.append(_finding("warning", foreign, seen, "The model has changed since.", "Calibrate again."))
    return found


def _finding(level: str, names: Sequence[str], seen: str, meaning: str, action: str) -> Finding:
    shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    where = f"calibration table: {shown}" if shown else "calibration table"
    return Finding.model_validate({"level": level, "where": where, "seen": seen, "meaning": meaning, "action": action})
