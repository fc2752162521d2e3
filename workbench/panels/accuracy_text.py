"""What a Run's accuracy says, in HTML: the task, each output, and whether the latency counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.panels import markup
from workbench.study.target import acceptable

if TYPE_CHECKING:
    from workbench.measure.accuracy import OutputAccuracy
    from workbench.measure.interval import Interval
    from workbench.measure.task import TaskAccuracy
    from workbench.study.run import Run

HEAD = ("Output", "Largest", "99 %", "rtol = atol", "Same arg-max", "NaN, infinite", "Worst inputs")


def accuracy_text(run: Run) -> str:
    """Return what is known of a Run's accuracy; empty where nothing was compared."""
    if not run.accuracy and run.task is None:
        return ""
    verdict = acceptable(run)
    card = "" if verdict.ok else markup.notice("error", "The outputs are wrong: the latency does not count.", verdict.why)
    task = "" if run.task is None else markup.facts(_task(run.task))
    rows = [_row(output) for output in run.accuracy]
    return f"{card}{markup.heading('Accuracy')}{task}{markup.grid(HEAD, rows) if rows else ''}"


def _task(task: TaskAccuracy) -> list[tuple[str, str]]:
    share = task.metric in ("top1", "top5")
    form = ".2%" if share else ".4g"
    facts = [(f"{task.metric} of {task.output}", f"{task.value:{form}}{_ends(task.interval, form)}, {task.samples:,} samples")]
    if task.reference_value is not None and task.difference is not None:
        facts.append(("Reference", f"{task.reference_value:{form}} ({task.reference})"))
        difference = f"{task.difference:+{form}}{_ends(task.difference_interval, '+' + form)}"
        p_value = f", McNemar p = {task.p_value:.2g}" if task.p_value is not None else ""
        facts.append(("Difference, sample by sample", difference + p_value))
    return facts


def _ends(found: Interval | None, form: str) -> str:
    return "" if found is None else f" ({found.low:{form}} to {found.high:{form}})"


def _row(output: OutputAccuracy) -> tuple[str, ...]:
    if output.identical:
        return (output.output, "identical", "", "", "", "", "")
    over = output.over_inputs
    return (
        output.output,
        "–" if output.max_abs is None else f"{output.max_abs:.3g}",
        "–" if output.quantiles is None else f"{output.quantiles.p99:.3g}",
        "–" if output.tolerance is None else f"{output.tolerance.both:.3g}",
        "–" if output.argmax_agreement is None else f"{output.argmax_agreement:.2%}",
        f"{output.nan:,}, {output.inf:,} (reference {output.reference_nan:,}, {output.reference_inf:,})",
        "" if over is None else ", ".join(str(worst.index) for worst in over.worst),
    )
