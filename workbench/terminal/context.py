"""What the command line prints of EP context models, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from workbench.terminal.console import standard_output
from workbench.terminal.results import human_bytes

if TYPE_CHECKING:
    from workbench.runtime.engines.context import ContextModel
    from workbench.study.context import ContextDump

STYLES = {"error": "red", "warning": "yellow", "info": ""}


def show_context(checked: ContextModel) -> None:
    """Print what an EP context model holds, and whether it can be used here."""
    console = standard_output()
    console.print(Text(checked.path, style="bold"))
    size = human_bytes(checked.bytes) if checked.bytes is not None else "not there"
    where = "in the file itself" if checked.embedded else checked.engine or "not named"
    facts = [("engine", f"{where}, {size}"), ("for", checked.source or "TensorRT (not said)")]
    facts += [("architecture", checked.architecture or "not said"), ("TensorRT", checked.tensorrt or "not said")]
    facts += [("made from", checked.original or "not said")]
    if checked.origin is not None:
        facts.append(("with", f"{checked.origin.settings}, on {checked.origin.gpu or 'a GPU that was not noted'}"))
    for name, value in facts:
        console.print(Text(f"  {name:13} {value}"))
    for finding in checked.findings:
        console.print(Text(f"{finding.level}: {finding}", style=STYLES[finding.level]))
    if checked.usable:
        console.print(Text("Nothing that can be seen from here speaks against using it.", style="green"))


def show_dump(dumped: ContextDump) -> None:
    """Print what was dumped."""
    console = standard_output()
    beside = f", with its engine {dumped.engine} beside it" if dumped.engine else ", with its engine in it"
    console.print(Text(f"{dumped.path}{beside}: {human_bytes(dumped.bytes)}", style="bold"))
    console.print(f"The session took {dumped.seconds:.1f} s to make.", highlight=False)
    for finding in dumped.checked.findings:
        console.print(Text(f"{finding.level}: {finding}", style=STYLES[finding.level]))
