"""What the command line prints of accuracy: over many inputs, on labelled data, and what breaks lower precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from workbench.placement.wording import counted
from workbench.terminal.console import standard_output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workbench.measure.accuracy import OutputAccuracy
    from workbench.measure.interval import Interval
    from workbench.measure.task import TaskAccuracy
    from workbench.study.sensitivity_records import Sensitivity

MOST_NODES = 20


def output_lines(row: OutputAccuracy) -> Iterator[str]:
    """Yield what is known of an output beyond its distances, a line each."""
    if row.identical:
        return
    if row.quantiles is not None:
        found = row.quantiles
        yield f"  differences: 50 % below {found.p50:.3g}, 90 % {found.p90:.3g}, 99 % {found.p99:.3g}, 99.9 % {found.p999:.3g}"
    if row.tolerance is not None:
        rtol = f"rtol {row.tolerance.rtol:.3g} alone, " if row.tolerance.rtol is not None else ""
        yield f"  would pass with: {rtol}atol {row.tolerance.atol:.3g} alone, or both {row.tolerance.both:.3g}"
    if row.argmax_agreement is not None:
        yield f"  largest element at the same place in {row.argmax_agreement:.2%} of the rows"
    if row.reference_nan or row.reference_inf:
        yield f"  the reference has {row.reference_nan:,} NaN and {row.reference_inf:,} infinite"
    if row.over_inputs is not None:
        found_over = row.over_inputs
        if found_over.mean_rel_l2 is not None:
            yield (
                f"  over {found_over.samples:,} inputs: mean relative L2 {found_over.mean_rel_l2:.3g}"
                f"{_interval(found_over.interval, '.3g')}"
            )
        if found_over.worst:
            worst = (f"{w.index} ({w.rel_l2:.3g})" if w.rel_l2 is not None else f"{w.index}" for w in found_over.worst)
            yield f"  worst inputs: {', '.join(worst)}"


def task_lines(task: TaskAccuracy) -> Iterator[str]:
    """Yield what is known of task accuracy, a line each."""
    share = task.metric in ("top1", "top5")
    form = ".2%" if share else ".4g"
    yield f"{task.metric} of {task.output}: {task.value:{form}}{_interval(task.interval, form)} on {task.samples:,} samples"
    if task.reference_value is None or task.difference is None:
        return
    against = f"  reference {task.reference_value:{form}}; difference {task.difference:+{form}}"
    yield against + _interval(task.difference_interval, "+" + form)
    if task.p_value is not None:
        yield f"  right here only {task.only_here}, in the reference only {task.only_reference}; McNemar p = {task.p_value:.2g}"
    if task.wrong:
        yield f"  wrong: samples {', '.join(map(str, task.wrong[:10]))}{', …' if len(task.wrong) > 10 else ''}"


def _interval(found: Interval | None, form: str) -> str:
    return "" if found is None else f" ({found.level:.0%} interval {found.low:{form}} to {found.high:{form}})"


def show_sensitivity(found: Sensitivity, out: Path | None, changes: tuple[str, ...]) -> None:
    """Print what breaks lower precision.

    Parameters
    ----------
    found : Sensitivity
        What the search found.
    out : Path or None
        The model that was written.
    changes : tuple of str
        What was changed in it.
    """
    console = standard_output()
    console.print(Text(found.sentence, style="bold"))
    how = "emulated in float32 with roundings, " if found.emulated else ""
    sets = f"{counted(found.tried, 'set')} run, {found.recalled} known from before"
    console.print(Text(f"{how}{counted(found.samples, 'input')} ({found.origin}), {sets}, {found.seconds:.1f} s"))
    for what, error in (("all lowered", found.lowered), ("with these kept", found.repaired), ("real graph", found.verified)):
        if error is not None:
            console.print(Text(f"  {what}: {error}", style="" if error.ok else "yellow"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("keep", "node", "operator", "added error", "what can break it"):
        table.add_column(column, overflow="fold")
    for row in found.ranking[:MOST_NODES]:
        if row.keep or row.node.causes or row.node.growth:
            causes = "; ".join(row.node.causes)
            table.add_row(
                "yes" if row.keep else "", Text(row.node.name), row.node.op_type, f"{row.node.growth:.2g}", Text(causes)
            )
    console.print(table)
    if len(found.keep) > MOST_NODES:
        console.print(f"… and {len(found.keep) - MOST_NODES} more to keep; all of them with --json")
    for line in found.advice():
        console.print(Text(f"→ {line}"))
    for tool, text in found.tools().items():
        if text and len(found.keep) <= MOST_NODES:
            console.print(Text(f"{tool}: {text}"), soft_wrap=True)
    if out is not None:
        console.print(Text(f"New file: {out}"))
        for change in changes:
            console.print(Text(f"  {change}"))
