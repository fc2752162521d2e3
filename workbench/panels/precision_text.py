"""What the Precision tab says in HTML: which ways work, what a conversion changed, and what a calibration found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.measure.calibration import settled_after
from workbench.panels import markup
from workbench.panels.amounts import duration_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.options.precision_advice import PrecisionAdvice
    from workbench.panels.data_choice import OpenedData
    from workbench.runtime.calibration.records import Calibration
    from workbench.runtime.ready.steps_apart import Compared
    from workbench.study.convert import Converted
    from workbench.study.sensitivity_records import Sensitivity

WAYS = {"flags": "flags", "graph": "graph", "none": "neither works"}
GPU = {True: "yes", False: "not fast", None: "not known"}
CAUSES = 12  # nodes whose causes are told


def advice_table(advice: Sequence[PrecisionAdvice], *, gpu: bool | None) -> str:
    """Return a line for each precision: what the GPU and the versions support, and which way to take.

    Parameters
    ----------
    advice : sequence of PrecisionAdvice
        One for each precision.
    gpu : bool or None
        Whether there is a GPU here; ``None`` while that is not known.
    """
    rows = [("FP32", "none here" if gpu is False else "yes", "–", "–", "–", "The model as it is.")]
    for each in advice:
        graph = "no" if each.backend == "none" else f"with {_flags(each)}" if each.graph_flags else "yes"
        flags = "yes" if each.flags else "no"
        rows.append(
            (each.precision.upper(), "none here" if gpu is False else GPU[each.gpu], flags, graph, WAYS[each.backend], each.why)
        )
    return markup.wrapping(markup.grid(("Precision", "This GPU", "Flags work", "Graph works", "With TensorRT", "Why"), rows))


def _flags(advice: PrecisionAdvice) -> str:
    return ", ".join(f"trt_{precision}_enable" for precision in advice.graph_flags)


def advice_notes(advice: PrecisionAdvice, way: str) -> str:
    """Return what else to know of a precision."""
    other = {"flags": "Flags are the way with TensorRT. ", "graph": "The graph is the way. ", "none": ""}[advice.backend]
    head = advice.why if advice.backend == way else f"{other}{advice.why}"
    return markup.lines("info", head, advice.notes)


def converted_text(found: Converted) -> str:
    """Return what a conversion changed, how far the outputs are from the old model's, and what is odd."""
    odd = any(finding.level != "info" for finding in found.findings)
    head = markup.lines("warning" if odd else "success", f"Written: {found.target}", found.changes)
    tables = _compared_text("As the CPU provider runs it", found.compared)
    tables += _compared_text(f"With every rounding of {found.to} in place, as on a GPU", found.emulated)
    missing = markup.notice("warning", f"Not compared: {found.not_compared}") if found.not_compared else ""
    return head + tables + missing + markup.finding_list(found.findings)


def _compared_text(title: str, compared: Sequence[Compared]) -> str:
    if not compared:
        return ""
    worst = max(compared, key=lambda each: max((row.rel_l2 or 0.0 for row in each.outputs), default=0.0))
    rows = [
        (row.output, "identical", "", "", "")
        if row.identical
        else (row.output, _number(row.max_abs), _number(row.rel_l2), _number(row.cosine, ".6f"), _number(row.sqnr_db, ".1f"))
        for row in worst.outputs
    ]
    shown = markup.grid(("Output", "Largest", "Relative L2", "Cosine", "SQNR (dB)"), rows, numbers=(1, 2, 3, 4))
    return markup.heading(title, f"the worst of {len(compared)} inputs" if len(compared) > 1 else "") + shown


def _number(value: float | None, form: str = ".3g") -> str:
    return "–" if value is None else f"{value:{form}}"


def data_text(opened: OpenedData) -> str:
    """Return what is in the data."""
    samples = "not known before they are read" if opened.samples is None else f"{opened.samples:,}"
    pairs = [("Data", opened.origin), ("Samples", samples), ("One feed", "; ".join(opened.inputs))]
    pairs.append(("Labels", opened.labels or "none"))
    return markup.facts(pairs) + markup.finding_list(opened.findings)


def calibration_text(found: Calibration) -> str:
    """Return what a calibration was made of, and what is odd."""
    after = settled_after(found.tensors)
    pairs = [
        ("Model", found.model),
        ("Data", found.data),
        ("Samples", f"{found.samples:,}" + (f", {found.resumed:,} of them done before" if found.resumed else "")),
        ("Tensors", f"{len(found.tensors):,}"),
        ("Ranges settle after", f"{after:,} samples" if after is not None else "not known"),
        ("Took", duration_text(found.seconds)),
    ]
    return markup.facts(pairs) + markup.finding_list(found.findings)


def sensitivity_text(found: Sensitivity) -> str:
    """Return what a search found: the set with what can be seen of its causes, and what can be done."""
    level = "success" if found.status == "found" else "warning"
    head = markup.lines(level, found.sentence, found.advice())
    kept = [row for row in found.ranking if row.keep]
    rows = [(row.node.name, row.node.op_type, "; ".join(row.node.causes) or "no cause can be seen") for row in kept[:CAUSES]]
    table = markup.grid(("Stays in float32", "Operator", "Why"), rows) if rows else ""
    more = markup.note(f"and {len(kept) - CAUSES} more") if len(kept) > CAUSES else ""
    emulated = ["The CPU computes in float32; every rounding was emulated."] if found.emulated else []
    pairs = [
        ("Everything lowered", str(found.lowered) if found.lowered else "not tried"),
        ("With these in float32", str(found.repaired) if found.repaired else "–"),
        ("Sets tried", f"{found.tried:,}" + (f", {found.recalled:,} known from before" if found.recalled else "")),
        ("Inputs", f"{found.samples:,}, {found.origin}"),
        ("Took", duration_text(found.seconds)),
    ]
    notes = "".join(markup.note(text) for text in emulated)
    return head + table + more + markup.facts(pairs) + notes + markup.finding_list(found.findings)


def tools_text(found: Sensitivity) -> str:
    """Return the set as arguments of other tools, one after the other; empty where there is none."""
    parts = [f"# {tool}\n{text}" for tool, text in found.tools().items() if text]
    return "\n\n".join(["# nodes\n" + "\n".join(found.keep), *parts]) if found.keep else ""
