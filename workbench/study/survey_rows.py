"""What a survey found: a row for each configuration, and which is fastest of those that are right."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from workbench.record import Evidence, Record
from workbench.runtime.job import Cache
from workbench.study.compare import compare
from workbench.study.configuration import configuration_name
from workbench.study.target import Target, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.study.run import Run

# SQNR of 40 dB: above what TF32 and FP16 do to image networks (0.002 to 0.003 in ResNet-50), below what shows in results.
TOLERANCE = 1e-2
BATCH = re.compile(r" · batch (\d+)$")  # how a survey labels its Runs

RowStatus = Literal["ok", "failed", "not possible", "not run"]


class SurveyRow(Record):
    """One configuration at one batch size.

    Attributes
    ----------
    configuration : str
        Its name.
    batch : int or None
        The size of the first axis; ``None`` where none was asked for.
    status : str
        ``ok``; ``failed``; ``not possible`` on this machine; ``not run`` for lack of time, or cancelled.
    why : str
        Why there is no result; the first line of it.
    run : str or None
        The Run's id.
    evidence : str or None
        Of the Run.
    median_ms, p99_ms : float or None
        Latency of one inference.
    throughput_per_s : float or None
        Samples a second: inferences times the batch size, where one was asked for.
    speedup : float or None
        The baseline's median over this one's, at the same batch size.
    trusted : bool or None
        Whether the difference to the baseline can be trusted; ``None`` for the baseline itself, and without one.
    doubt : str
        Why it cannot.
    build_s : float or None
        Seconds that the session took to make, the first run included where engines or kernels are built then.
    cache : str or None
        What there was before: ``cold``, ``timing``, ``engine`` or ``context``.
    rel_l2 : float or None
        The largest relative L2 distance of an output from the reference; ``None`` where none could be taken.
    right : bool or None
        Whether the outputs are within the tolerance; ``None`` where nobody knows.
    wrong : str
        How they are not.
    fastest : bool
        Whether it has the least median of the right ones at this batch size.
    """

    configuration: str
    batch: int | None
    status: RowStatus
    why: str = ""
    run: str | None = None
    evidence: Evidence | None = None
    median_ms: float | None = None
    p99_ms: float | None = None
    throughput_per_s: float | None = None
    speedup: float | None = None
    trusted: bool | None = None
    doubt: str = ""
    build_s: float | None = None
    cache: Cache | None = None
    rel_l2: float | None = None
    right: bool | None = None
    wrong: str = ""
    fastest: bool = False


class Survey(Record):
    """What a survey found.

    Attributes
    ----------
    source : str
        What was surveyed: a file, or ``package.module:callable``.
    model : str
        The model's name.
    baseline : str
        The configuration that speed-ups are over; empty where none has a latency.
    tolerance : float
        The largest relative L2 distance that counts as right.
    unsteady : tuple of str
        Outputs that rounding alone changes much; they are not judged.
    notes : tuple of str
        What was done to the model before.
    rows : tuple of SurveyRow
        In the order asked for.
    """

    source: str
    model: str
    baseline: str
    tolerance: float
    unsteady: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rows: tuple[SurveyRow, ...] = ()


@dataclass(frozen=True)
class About:
    """What is to be kept and known of a surveyed model beside its file.

    Attributes
    ----------
    source : str
        What was surveyed: a file, or ``package.module:callable``; the model's file where it is empty.
    notes : tuple of str
        What was done to the model before.
    unsteady : tuple of str
        Outputs that rounding alone changes much, as ``TorchOrigin.unsteady`` tells; they are not judged.
    """

    source: str = ""
    notes: tuple[str, ...] = ()
    unsteady: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A configuration that was tried, and its Run or why there is none."""

    configuration: str
    batch: int | None
    run: Run | None = None
    status: RowStatus = "ok"
    why: str = ""


def entry_of(run: Run, name: str | None = None, batch: int | None = None) -> Entry:
    """Return the entry of a Run; its name and batch come from its Settings and label where they are not given."""
    if name is None:
        name = configuration_name(run.settings)
        told = BATCH.search(run.label)
        batch = int(told[1]) if told is not None and batch is None else batch
    if run.status == "ok":
        return Entry(name, batch, run)
    why = run.error.message if run.error is not None else run.status
    if run.status == "cancelled":
        return Entry(name, batch, run, "not run", why)
    absent = run.error is not None and run.error.kind == "provider"
    return Entry(name, batch, run, "not possible" if absent else "failed", why)


def survey_of(runs: Sequence[Run], *, source: str = "", baseline: str | None = None, tolerance: float = TOLERANCE) -> Survey:
    """Return the survey of Runs that are there already, such as recorded ones; parameters as of ``survey``."""
    model = runs[0].model.name if runs else ""
    about = About(source=source or model)
    return survey_of_entries([entry_of(run) for run in runs], model, about, baseline=baseline, tolerance=tolerance)


def survey_of_entries(
    entries: Sequence[Entry], model: str, about: About, *, baseline: str | None = None, tolerance: float = TOLERANCE
) -> Survey:
    """Return what entries say together.

    Parameters
    ----------
    entries : sequence of Entry
        What was tried.
    model : str
        The model's name.
    about, baseline, tolerance
        As for :func:`workbench.study.survey.survey`.
    """
    target = Target(rel_l2=tolerance)
    entries = [replace(each, run=_steady(each.run, about.unsteady)) for each in entries]
    measured = [each for each in entries if each.run is not None and each.run.latency is not None and each.status == "ok"]
    name = baseline or (measured[0].configuration if measured else "")
    rows = [_row(each, _of(measured, name, each.batch), target) for each in entries]
    best = {min((r for r in rows if r.right and r.batch == b), key=_median, default=None) for b in {r.batch for r in rows}}
    rows = [row.model_copy(update={"fastest": row in best}) for row in rows]
    return Survey(
        source=about.source,
        model=model,
        baseline=name,
        tolerance=tolerance,
        unsteady=about.unsteady,
        notes=about.notes,
        rows=tuple(rows),
    )


def _steady(run: Run | None, unsteady: Sequence[str]) -> Run | None:
    """Return a Run without the accuracy of outputs that are not to be judged."""
    if run is None or not unsteady:
        return run
    return run.model_copy(update={"accuracy": tuple(row for row in run.accuracy if row.output not in unsteady)})


def _median(row: SurveyRow) -> float:
    return row.median_ms if row.median_ms is not None else float("inf")


def _of(measured: Sequence[Entry], name: str, batch: int | None) -> Run | None:
    """Return the baseline's Run at a batch size."""
    return next((each.run for each in measured if each.configuration == name and each.batch == batch), None)


def _row(entry: Entry, base: Run | None, target: Target) -> SurveyRow:
    run = entry.run
    fields: dict[str, object] = {
        "configuration": entry.configuration,
        "batch": entry.batch,
        "status": entry.status,
        "why": entry.why,
    }
    if run is None:
        return SurveyRow.model_validate(fields)
    fields |= {"run": run.id, "evidence": run.evidence}
    if run.build is not None:
        stages = [stage.seconds for stage in run.build.stages if stage.name in ("session", "first run")]
        fields |= {"build_s": sum(stages) or run.build.seconds, "cache": run.build.cache}
    if run.latency is None or entry.status != "ok":
        return SurveyRow.model_validate(fields)
    fields |= {"median_ms": run.latency.median_ms, "p99_ms": run.latency.p99_ms}
    fields |= {"throughput_per_s": run.latency.throughput_per_s * (entry.batch or 1)}
    return SurveyRow.model_validate({**fields, **_accuracy(run, target), **_against(run, base, target)})


def _accuracy(run: Run, target: Target) -> dict[str, object]:
    """Return the worst distance, and whether the outputs are right; not known where there was nothing to compare."""
    compared = [row for row in run.accuracy if row.shape == row.reference_shape and 0 not in row.shape]
    found = judge(run.accuracy, None, target)
    distances = [0.0 if row.identical else row.rel_l2 for row in compared if not row.not_real]
    known = [value for value in distances if value is not None]
    right = found.ok if compared or not found.ok else None
    unknown = "" if right is not None else "the outputs were not compared" if not run.accuracy else "no output could be compared"
    return {"rel_l2": max(known, default=None), "right": right, "wrong": unknown or found.why if right is not True else ""}


def _against(run: Run, base: Run | None, target: Target) -> dict[str, object]:
    """Return the speed-up over the baseline, and whether it can be trusted."""
    if base is None or base.latency is None or run.latency is None:
        return {}
    speedup = base.latency.median_ms / run.latency.median_ms
    if base.id == run.id:
        return {"speedup": speedup}
    found = compare(base, run, target=target)
    return {"speedup": speedup, "trusted": found.trusted, "doubt": "" if found.trusted else found.verdict}
