"""What the command line prints of shapes, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from workbench.terminal.console import standard_output

if TYPE_CHECKING:
    from workbench.options.propose import Proposal
    from workbench.study.shapes import ShapesReport

STYLES = {"error": "red", "warning": "yellow", "info": ""}
ANSWERS = {"runs": "green", "builds": "yellow", "rebuilds": "yellow", "fails": "red"}
MOST_INPUTS = 40


def show_shapes(report: ShapesReport) -> None:
    """Print the inputs of the engines, a proposal, the profile, the answer about a request, and what is wrong."""
    console = standard_output()
    console.print(Text(f"{report.model}: {report.engines} TensorRT engine(s), {report.evidence}", style="bold"))
    _show_inputs(console, report)
    if report.proposal is not None:
        _show_proposal(console, report.proposal)
    if report.completed is not None and report.completed != report.profile:
        console.print(Text("Completed profile", style="bold"))
        _show_profile(console, report.completed.to_arguments())
    elif report.profile:
        console.print(Text("Profile", style="bold"))
        _show_profile(console, report.profile.to_arguments())
    if report.answer is not None:
        console.print(Text(f"Request: {report.answer.sentence}", style=ANSWERS[report.answer.result]))
        for text in (report.answer.error, report.answer.remedy):
            if text:
                console.print(Text(f"  {text}"))
    for finding in report.findings:
        console.print(Text(f"{finding.level}: {finding}", style=STYLES[finding.level]))


def _show_inputs(console: Console, report: ShapesReport) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("engine", "input", "from", "in a profile"):
        table.add_column(column, overflow="fold")
    for each in report.inputs[:MOST_INPUTS]:
        need = "its values" if each.shape_tensor else "its shape" if each.dynamic else "not needed"
        state = " (missing)" if each.name in report.missing else ""
        table.add_row(str(each.engine + 1), Text(str(each)), "caller" if each.origin == "input" else "graph", need + state)
    if report.inputs:
        console.print(table)
    if len(report.inputs) > MOST_INPUTS:
        console.print(f"... and {len(report.inputs) - MOST_INPUTS} more", highlight=False)


def _show_proposal(console: Console, proposal: Proposal) -> None:
    console.print(Text(f"Proposed from {proposal.requests:,} requests, {proposal.at_opt:.0%} of them at opt", style="bold"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("dimension", "sizes", "min", "opt", "max", "at opt", "99 % up to"):
        table.add_column(column, overflow="fold", justify="left" if column == "dimension" else "right")
    for each in proposal.dimensions:
        numbers = [f"{number:,}" for number in (len(each.sizes), each.min, each.opt, each.max)]
        table.add_row(Text(each.name), *numbers, f"{each.at_opt:.0%}", f"{each.percentile_99:,}")
    console.print(table)
    for finding in proposal.findings:
        console.print(Text(f"{finding.level}: {finding}", style=STYLES[finding.level]))
    if proposal.split is not None:
        console.print(Text(f"Two profiles may serve better: {proposal.split.reason}"))
        for profile, share in zip(proposal.split.profiles, proposal.split.shares, strict=True):
            console.print(Text(f"  {share:.0%} of the requests: {profile}"))
        console.print(Text("  ONNX Runtime runs on the first profile of a session only: make a session for each of them."))


def _show_profile(console: Console, arguments: list[str]) -> None:
    for argument in arguments:
        console.print(Text(f"  --profile {argument}"))
