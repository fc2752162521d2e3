"""What the command line prints for people: tables on standard output, progress on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from rich.table import Table
from rich.text import Text

from workbench.terminal.accuracy import output_lines, task_lines
from workbench.terminal.console import standard_error, standard_output
from workbench.terminal.layers import show_layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.status import Status

    from workbench.measure.accuracy import OutputAccuracy
    from workbench.measure.profile import Profile
    from workbench.model.model import Model
    from workbench.placement.records import Placement
    from workbench.placement.smallest import Proposal
    from workbench.record import Finding
    from workbench.runtime.doctor.checks import Diagnosis
    from workbench.runtime.job import Build, Event
    from workbench.study.compare import Comparison
    from workbench.study.ready_records import Readied
    from workbench.study.run import Run

LEVELS = {"error": "red", "warning": "yellow", "info": ""}
STATES = {"ok": "green", "warning": "yellow", "missing": "red"}
ORIGINS = {
    "cold": "",
    "timing": " with a timing cache",
    "engine": " with engines from the cache",
    "context": " from an EP context",
}
MOST_NODES = 40
MOST_SLOW_NODES = 15


class Progress:
    """The stage and the elapsed time of a job on standard error; never an invented percentage."""

    def __init__(self) -> None:
        self.console = standard_error()
        self.status: Status | None = None
        self.stage = ""

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.status = self.console.status("starting")
            self.status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.status is not None:
            self.status.stop()

    def update(self, event: Event) -> None:
        """Show an event; without a terminal only what is new, a line each."""
        if self.status is not None:
            self.status.update(f"{event.stage}  {event.elapsed_s:.0f} s")
        elif event.stage != self.stage:
            self.console.print(f"{event.elapsed_s:6.1f} s  {event.stage}", highlight=False)
        self.stage = event.stage
        if event.message:
            self.console.print(Text(event.message), style="dim", highlight=False)


def model_document(model: Model, more: Sequence[Finding] = ()) -> dict[str, Any]:
    """Return what ``inspect --json`` prints; `more` are findings beside the model's own."""
    return {
        "model": model.name,
        "path": str(model.path),
        "outcome": "ok",
        "inputs": [spec.model_dump(mode="json") for spec in model.inputs],
        "outputs": [spec.model_dump(mode="json") for spec in model.outputs],
        "dynamic_dimensions": list(model.dynamic_dimensions),
        "nodes": len(model.nodes),
        "operators": [count.model_dump(mode="json") for count in model.operators],
        "opset": model.opset,
        "opsets": model.opsets,
        "ir_version": model.ir_version,
        "parameters": model.parameters,
        "size_bytes": model.size_bytes,
        "producer": model.producer,
        "findings": [finding.model_dump(mode="json") for finding in (*model.findings(), *more)],
    }


def show_model(model: Model, more: Sequence[Finding] = ()) -> None:
    """Print what is in a model; `more` are findings beside the model's own."""
    console = standard_output()
    console.print(Text(str(model.path), style="bold"))
    facts = [
        f"opset {model.opset}" if model.opset else "no ONNX opset",
        f"IR version {model.ir_version}",
        f"{len(model.nodes):,} nodes",
        f"{model.parameters:,} parameters",
        human_bytes(model.size_bytes),
        f"made by {model.producer}" if model.producer else "exporter unknown",
    ]
    console.print(", ".join(facts), highlight=False)
    for title, specs in (("Inputs", model.inputs), ("Outputs", model.outputs)):
        table = _table(title, "name", "type", "shape")
        for spec in specs:
            table.add_row(Text(spec.name), spec.dtype, str(spec).partition("[")[2].rstrip("]"))
        console.print(table)
    table = _table("Operators", "operator", "domain", "count")
    for count in model.operators:
        table.add_row(count.op_type, count.domain or "ai.onnx", str(count.count))
    console.print(table)
    for finding in (*model.findings(), *more):
        console.print(Text(f"{finding.level}: {finding}", style=LEVELS[finding.level]))


def show_placement(placement: Placement) -> None:
    """Print who runs each node: the verdict, the shares, and every node that is off the first provider."""
    from workbench.placement.verdict import verdict_of

    console = standard_output()
    verdict = verdict_of(placement)
    versions = [f"ONNX Runtime {placement.runtime.onnxruntime}" if placement.runtime.onnxruntime else ""]
    versions.append(f"TensorRT {placement.runtime.tensorrt}" if placement.runtime.tensorrt else "")
    console.print(Text(f"{placement.model}: {placement.evidence} for {', '.join(filter(None, versions))}", style="bold"))
    console.print(Text(f"{verdict.answer}: {verdict.sentence}"))
    if verdict.action:
        console.print(Text(f"→ {verdict.action}"))
    for provider, share in placement.coverage.items():
        count = sum(node.provider == provider for node in placement.nodes)
        console.print(f"  {provider}: {count} {'node' if count == 1 else 'nodes'}, {share:.1%}", highlight=False)
    if placement.memcpy:
        console.print(f"  {placement.memcpy} nodes of ONNX Runtime's own copy tensors between CPU and GPU", highlight=False)
    _show_others(console, placement)
    for note in placement.notes:
        console.print(Text(f"note: {note}", style="dim"))


def _show_others(console: Console, placement: Placement) -> None:
    """List the nodes that the commonest provider does not run: these are what a reader looks for."""
    if not placement.coverage:
        return
    first = max(placement.coverage, key=lambda provider: placement.coverage[provider])
    others = [node for node in placement.nodes if node.provider not in (first, None)]
    if not others:
        return
    table = _table("", "node", "operator", "provider", "reason")
    for node in others[:MOST_NODES]:
        table.add_row(Text(node.name), node.op_type, (node.provider or "").removesuffix("ExecutionProvider"), Text(node.reason))
    console.print(table)
    if len(others) > MOST_NODES:
        console.print(f"… and {len(others) - MOST_NODES} more; all of them with --json")


def show_proposal(proposal: Proposal) -> None:
    """Print the smallest change that was found, and what stays to be changed in the model."""
    console = standard_output()
    console.print(Text("Smallest change", style="bold"))
    console.print(Text(proposal.sentence))
    for change in proposal.changes:
        console.print(Text(f"→ {change}"))
    if proposal.refused:
        table = _table("TensorRT refuses", "operator", "count", "reason")
        for refused in proposal.refused[:MOST_NODES]:
            table.add_row(refused.op_type, str(refused.count), Text(refused.reason))
        console.print(table)
    if not proposal.complete:
        console.print(Text("note: the time was over before all candidates were tried", style="dim"))


def show_run(run: Run) -> None:
    """Print one Run."""
    console = standard_output()
    console.print(Text(f"{run.id}  {run.title}: {run.status}", style="bold"))
    if run.error is not None:
        console.print(Text(f"{run.error.kind}: {run.error.message}", style="red"))
        if run.error.remedy:
            console.print(Text(f"→ {run.error.remedy}"))
        for line in run.error.log[-10:]:
            console.print(Text(f"  {line}", style="dim"))
    for used in run.inputs:
        console.print(Text(f"input {used.name}: {used.dtype} {' × '.join(map(str, used.shape))}, {used.origin}"))
    if run.build is not None:
        console.print(build_text(run.build), highlight=False)
    if run.latency is not None:
        found = run.latency
        line = (
            f"latency median {found.median_ms:.3f} ms, p90 {found.p90_ms:.3f}, p99 {found.p99_ms:.3f} ({found.samples} samples"
            f"{', GPU buffers' if run.plan.buffers == 'device' else ''})"
        )
        console.print(line, highlight=False)
        for warning in found.warnings:
            console.print(Text(f"  warning: {warning}", style="yellow"))
    if run.profile is not None:
        _show_profile(console, run.profile)
        _show_bound(console, run)
    for row in run.accuracy:
        console.print(Text(f"output {row.output}: {accuracy_text(row)}"))
        for text in output_lines(row):
            console.print(Text(text))
    for text in task_lines(run.task) if run.task is not None else ():
        console.print(Text(text))
    show_layers(run.delivered)
    if run.memory is not None:
        console.print(f"memory at its peak {human_bytes(run.memory.host_peak_bytes)}", highlight=False)


def build_text(build: Build) -> str:
    """Return how a session came to be, in one line."""
    parts = [f"session made in {build.seconds:.2f} s{ORIGINS[build.cache]}"]
    if built := sum(use.origin == "built" for use in build.engines):
        parts.append(f"{built} of {len(build.engines)} engine{'s' if len(build.engines) > 1 else ''} built")
    if build.waited_s:
        parts.append(f"{build.waited_s:.1f} s waited for another process that built them")
    return ", ".join(parts)


def _show_profile(console: Console, profile: Profile) -> None:
    """Print what each provider and the slowest nodes take, in milliseconds an inference."""
    for of in profile.providers:
        share = f" ({of.share:.1%})" if of.share is not None else ""
        console.print(Text(f"{of.provider}: {of.total_ms / profile.runs:.3f} ms in {of.nodes} nodes{share}"))
    table = _table("", "node", "operator", "provider", "calls", "ms")
    for node in profile.nodes[:MOST_SLOW_NODES]:
        times = f"{node.calls / profile.runs:g}", f"{node.total_ms / profile.runs:.3f}"
        table.add_row(Text(node.name), node.op_type, node.provider.removesuffix("ExecutionProvider"), *times)
    console.print(table)
    if len(profile.nodes) > MOST_SLOW_NODES:
        console.print(f"… and {len(profile.nodes) - MOST_SLOW_NODES} more; all of them with --json")
    for note in profile.notes:
        console.print(Text(f"note: {note}", style="dim"))


def _show_bound(console: Console, run: Run) -> None:
    """Print what moving the rest to TensorRT could win at most, with its bias."""
    from workbench.study.bound import TOO_LOW, bound_of_run

    found = bound_of_run(run)
    if found is not None:
        console.print(Text(str(found.bound)))
        if found.note:  # the profile's notes told the rest of it
            console.print(Text(f"note: {TOO_LOW}", style="dim"))


def accuracy_text(row: OutputAccuracy) -> str:
    """Return one output's accuracy in a few words."""
    reference = f"the {row.reference}" if row.reference.startswith(("CPU", "stored")) else row.reference  # else a model's name
    if row.identical:
        return f"identical to {reference}"
    if row.max_abs is None:
        return row.note
    parts = [f"max difference {row.max_abs:.3g}"]
    if row.rel_l2 is not None:
        parts.append(f"relative L2 {row.rel_l2:.3g}")
    if row.sqnr_db is not None:
        parts.append(f"SQNR {row.sqnr_db:.1f} dB")
    if row.nan or row.inf:
        parts.append(f"{row.nan} NaN, {row.inf} infinite")
    return ", ".join(parts) + f" against {reference}"


def show_ready(readied: Readied) -> None:
    """Print what came of making a model ready."""
    console = standard_output()
    good = readied.outcome in ("ready", "as it is", "settings")
    console.print(Text(readied.message, style="bold" if good else "red"))
    if readied.path is not None:
        console.print(Text(f"New file: {readied.path}"))
    for change in readied.changes:
        console.print(Text(f"  {change}"))
    for each in readied.compared:
        shapes = ", ".join(f"{name} {' × '.join(map(str, shape)) or 'scalar'}" for name, shape in each.shapes)
        console.print(Text(f"outputs {'equal' if each.equal else 'DIFFERENT'} with {shapes}"))
    table = _table("", "tried", "outcome", "seconds", "why")
    for step in readied.steps:
        table.add_row(step.words, step.outcome, f"{step.seconds:.1f}", Text(step.why))
    console.print(table)


def show_runs(runs: list[Run]) -> None:
    """Print Runs, a line each."""
    from workbench.study.run import titles_of

    table = _table("", "id", "what", "status", "median ms", "p99 ms", "session s")
    for run, title in zip(runs, titles_of(runs), strict=True):
        median = f"{run.latency.median_ms:.3f}" if run.latency else "–"
        p99 = f"{run.latency.p99_ms:.3f}" if run.latency else "–"
        status = run.status if run.error is None else f"{run.status}: {run.error.kind}"
        table.add_row(run.id, Text(title), status, median, p99, f"{run.build.seconds:.2f}" if run.build else "–")
    console = standard_output()
    console.print(table if runs else "No Runs are kept yet: `workbench run MODEL` makes one.")


def show_comparison(comparison: Comparison) -> None:
    """Print which of two Runs is faster."""
    console = standard_output()
    console.print(Text(comparison.verdict, style="bold"))
    for caveat in comparison.caveats:
        console.print(Text(f"  caveat: {caveat}", style="yellow"))
    for difference in comparison.differences:
        console.print(Text(f"  differs: {difference}"))


def show_diagnosis(diagnosis: Diagnosis) -> None:
    """Print what the doctor found."""
    console = standard_output()
    table = _table("", "area", "what", "state", "found")
    for check in diagnosis.checks:
        table.add_row(check.area, Text(check.name), Text(check.state, style=STATES[check.state]), Text(check.found))
    console.print(table)
    for remedy in dict.fromkeys(check.remedy for check in diagnosis.checks if check.remedy):
        names = ", ".join(check.name for check in diagnosis.checks if check.remedy == remedy)
        console.print(Text(f"\n{names}:"))
        console.print(Text(f"  {remedy}", style="bold"), soft_wrap=True)  # a line to copy stays one line
    can = _table("", "runs here", "", "why not")
    for name, able in diagnosis.can.items():
        can.add_row(name, Text("yes" if able else "no", style="green" if able else "red"), Text(diagnosis.why_not.get(name, "")))
    console.print()
    console.print(can)


def human_bytes(count: int) -> str:
    """Return a number of bytes in decimal units."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
