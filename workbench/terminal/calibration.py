"""What the command line prints of calibration, and of models in lower precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from workbench.measure.calibration import outliers_first, settled_after
from workbench.terminal.console import standard_output

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from workbench.runtime.calibration.records import Calibration
    from workbench.runtime.ready.steps_apart import Compared
    from workbench.study.convert import Converted

MOST_TENSORS = 15
_READERS = {  # who reads a table
    ".flatbuffers": " (ONNX Runtime: trt_int8_calibration_table_name)",
    ".json": " (the same for people and scripts)",
    "calibration.cache": " (the same as text)",
    "calibration.trt.cache": " (TensorRT itself; ONNX Runtime with trt_int8_use_native_calibration_table)",
}


def show_calibration(found: Calibration, files: Sequence[Path]) -> None:
    """Print the ranges: the tensors with outliers first, with each method's threshold and what it clips, the chosen first."""
    console = standard_output()
    before = f", {found.resumed:,} of them done before" if found.resumed else ""
    head = f"{found.model}: {len(found.tensors)} tensors calibrated on {found.samples:,} samples of {found.data}{before}"
    console.print(Text(head, style="bold"))
    shown = outliers_first(found.tensors)
    others = {each.method for tensor in shown for each in tensor.thresholds} - {found.method}
    methods = (found.method, *sorted(others))
    heads = [f"{found.method} (clipped)", *methods[1:]]
    table = _table("tensor", "range", "outliers", *heads, "settled after")
    for tensor in shown[:MOST_TENSORS]:
        ends = [tensor.threshold(method) for method in methods]
        table.add_row(
            Text(tensor.name),
            f"{tensor.low:.4g} … {tensor.high:.4g}",
            f"{tensor.outlier_ratio:.1f}×",
            *("" if end is None else f"±{end.amax:.4g} ({end.clipped:.3%})" for end in ends),
            f"{tensor.settled_after():,}",
        )
    console.print(table)
    if len(shown) > MOST_TENSORS:
        console.print(f"and {len(shown) - MOST_TENSORS} more", style="dim")
    after = settled_after(found.tensors)
    if after is not None:
        console.print(f"The last range settled after {after:,} samples.")
    for file in files:
        console.print(Text(f"written: {file}{_READERS.get(file.name) or _READERS.get(file.suffix, '')}"))


def show_converted(found: Converted) -> None:
    """Print what changed, and how far the outputs are from the old model's."""
    console = standard_output()
    console.print(Text(f"written: {found.target}", style="bold"))
    for change in found.changes:
        console.print(Text(f"  {change}"))
    _show_compared(console, "As the CPU provider runs it", found.compared)
    _show_compared(console, f"With every rounding of {found.to}, as on a GPU", found.emulated)
    if found.not_compared:
        console.print(Text(f"Not compared: {found.not_compared}", style="yellow"))
    advice = found.advice
    if advice.notes:
        console.print(Text(f"With ONNX Runtime {advice.onnxruntime} and TensorRT {advice.tensorrt}:"))
    for note in advice.notes:
        console.print(Text(f"  {note}"))


def _show_compared(console: Console, title: str, compared: Sequence[Compared]) -> None:
    if not compared:
        return
    console.print(f"{title}, the worst of {len(compared)} inputs:" if len(compared) > 1 else f"{title}:")
    table = _table("output", "max abs", "relative L2", "cosine", "SQNR")
    for row in max(compared, key=_distance).outputs:
        cells = [_number(row.max_abs), _number(row.rel_l2), _number(row.cosine, ".6f"), _number(row.sqnr_db, ".1f", " dB")]
        table.add_row(Text(row.output), *(cells if not row.identical else ["identical", "", "", ""]))
    console.print(table)
    for row in max(compared, key=_distance).outputs:
        if row.not_finite_differing:
            lost = f"  {row.output}: {row.not_finite_differing:,} elements are NaN or infinite, and not in the figures above."
            console.print(Text(lost, style="red"))


def _distance(compared: Compared) -> tuple[int, float]:
    """Return how far outputs are from the old model's, for the worst of several to be found."""
    lost = sum(row.not_finite_differing for row in compared.outputs)
    return lost, max((row.rel_l2 or 0.0 for row in compared.outputs), default=0.0)


def _number(value: float | None, form: str = ".3g", unit: str = "") -> str:
    return "" if value is None else f"{value:{form}}{unit}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
