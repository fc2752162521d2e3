"""What ``workbench survey`` prints for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from workbench.terminal.console import standard_output

if TYPE_CHECKING:
    from workbench.study.survey_rows import Survey, SurveyRow

WORDS = ("configuration", "engines", "remark")
COLUMNS = ("configuration", "batch", "median ms", "p99 ms", "samples/s", "speed-up", "rel. L2", "made in s", "engines", "remark")


def show_survey(survey: Survey) -> None:
    """Print a row for each configuration, and below the table why some have no result or a wrong one."""
    console = standard_output()
    console.print(Text(f"{survey.model}: {survey.source}", style="bold"))
    for note in survey.notes:
        console.print(Text(note))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in COLUMNS:
        table.add_column(column, overflow="fold", justify="left" if column in WORDS else "right")
    for row in survey.rows:
        style = "dim" if row.status != "ok" or row.right is False else "bold" if row.fastest else ""
        table.add_row(*(Text(cell) for cell in _cells(row, survey)), style=style)
    console.print(table)
    for line in reasons_of(survey):
        console.print(Text(line))
    if survey.baseline:
        console.print(Text(f"Speed-up over {survey.baseline}; ≈ where the difference cannot be trusted."))
    if survey.unsteady:
        console.print(Text(f"Rounding alone changes {', '.join(survey.unsteady)}: not judged."))
    console.print(Text(f"Outputs are right up to a relative L2 distance of {survey.tolerance:g} from the reference."))


def _cells(row: SurveyRow, survey: Survey) -> list[str]:
    unsure = "≈ " if row.trusted is False else ""
    return [
        row.configuration,
        _text(row.batch, "d"),
        _text(row.median_ms, ".3f"),
        _text(row.p99_ms, ".3f"),
        _text(row.throughput_per_s, ",.0f"),
        f"{unsure}{row.speedup:.2f}" if row.speedup is not None else "–",
        _text(row.rel_l2, ".2g"),
        _text(row.build_s, ".1f"),
        _engines(row),
        _remark(row, survey.baseline),
    ]


def _text(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _engines(row: SurveyRow) -> str:
    """Return what there was before; only those that build engines have any."""
    return row.cache or "–" if row.configuration.startswith(("tensorrt", "native")) else "–"


def _remark(row: SurveyRow, baseline: str) -> str:
    if row.status != "ok":
        return row.status
    if row.right is False:
        return "WRONG"
    parts = ["fastest"] if row.fastest else []
    parts += ["baseline"] if row.configuration == baseline else []
    parts += ["unchecked"] if row.right is None else []
    return ", ".join(parts)


def reasons_of(survey: Survey) -> list[str]:
    """Return why rows have no result, a wrong or an unchecked one; rows with the same reason share a line."""
    found: dict[str, list[str]] = {}
    for row in survey.rows:
        reason = _reason(row)
        if reason:
            found.setdefault(reason, []).append(row.configuration)
    return [f"{', '.join(dict.fromkeys(names))}: {reason}" for reason, names in found.items()]


def _reason(row: SurveyRow) -> str:
    if row.status == "not possible":
        return f"not possible here: {row.why}"
    if row.status != "ok":
        return f"{row.status}: {row.why}"
    batch = f" (batch {row.batch})" if row.batch is not None else ""
    if row.right is False:
        return f"its outputs are wrong{batch}: {row.wrong}; its latency does not count"
    return f"{row.wrong}{batch}: it cannot be the fastest" if row.right is None else ""
