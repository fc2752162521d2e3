"""What the command line prints of engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from workbench.measure.amounts import age_text, duration_text, size_text
from workbench.terminal.console import standard_output

if TYPE_CHECKING:
    from workbench.runtime.engines.listing import ListedEngine
    from workbench.runtime.engines.prune import Pruning
    from workbench.runtime.job import Environment

COLOURS = {"reachable": "green", "possible": "green", "stale": "yellow", "elsewhere": "", "unjudged": ""}


def show_engines(engines: list[ListedEngine], folder: str, here: Environment) -> None:
    """Print engines, with what speaks against those that are stale."""
    console = standard_output()
    for engine in engines:
        console.print(_line(engine))
    total = sum(engine.bytes for engine in engines)
    console.print(Text(f"{len(engines)} in {folder}, {size_text(total)}." if engines else f"No engines in {folder}."))
    plain = [engine for engine in engines if engine.source == "folder"]
    for note in dict.fromkeys(note for engine in plain for note in engine.judgement.unknown):
        console.print(Text(f"note: {note}", style="dim"))
    if here.gpu is None:
        console.print(Text("note: there is no NVIDIA GPU here: engines are built and used where there is one.", style="dim"))


def show_engine(engine: ListedEngine) -> None:
    """Print all that is known of one."""
    console = standard_output()
    console.print(Text(engine.name, style="bold"))
    for name, value in facts_of(engine):
        console.print(Text(f"{name}: {value}"))
    for file in engine.files:
        console.print(Text(f"file {file.name}: {size_text(file.bytes)}{f', {file.problem}' if file.problem else ''}"))
    console.print(Text(engine.judgement.state, style=COLOURS[engine.judgement.state]))
    for text in (*engine.judgement.reasons, *engine.judgement.unknown):
        console.print(Text(f"  {text}"))


def facts_of(engine: ListedEngine) -> list[tuple[str, str]]:
    """Return names and values of what is known of an engine."""
    known = [
        ("folder", engine.folder),
        ("model", engine.model),
        ("settings", engine.settings),
        ("precision", engine.precision),
        *(("range", text) for text in engine.ranges),
        ("architecture", engine.architecture or ""),
        ("GPU", engine.gpu or ""),
        ("TensorRT", engine.tensorrt or ""),
        ("ONNX Runtime", engine.onnxruntime or ""),
        ("size", size_text(engine.bytes)),
        ("built" if engine.source == "cache" else "written", age_text(engine.created)),
        ("last used", age_text(engine.last_used)),
        ("took", duration_text(engine.build_seconds) if engine.build_seconds is not None else ""),
    ]
    return [(name, value) for name, value in known if value]


def show_pruning(pruning: Pruning, folder: str) -> None:
    """Print what goes, or would."""
    console = standard_output()
    for removal in pruning.removals:
        console.print(Text(f"{removal.key[:12]}  {removal.model or '–'}  {size_text(removal.bytes)}  {removal.because}"))
    verb = "would be removed" if pruning.dry_run else "removed"
    stay = f"{pruning.kept} stay with {size_text(pruning.kept_bytes)}"
    console.print(Text(f"{len(pruning.removals)} {verb} from {folder}, {size_text(pruning.bytes)}; {stay}.", style="bold"))
    if pruning.dry_run and pruning.removals:
        console.print(Text("→ with --yes they go"))
    for problem in pruning.problems:
        console.print(Text(problem, style="red"))


def _line(engine: ListedEngine) -> Text:
    """Return an engine in a few lines; names of ONNX Runtime's are too long for a column."""
    state = engine.judgement.state
    line = Text(engine.title, style="bold").append("  ").append(state, style=COLOURS[state] or "dim")
    what = (engine.model, engine.settings or engine.precision)
    age = f"{'built' if engine.source == 'cache' else 'written'} {age_text(engine.created)}" if engine.created else ""
    used = f"used {age_text(engine.last_used)}" if engine.last_used else ""
    tensorrt = f"TensorRT {engine.tensorrt}" if engine.tensorrt else ""
    architecture = engine.architecture or ""
    architecture = f"compute capability {architecture}" if engine.source == "cache" and architecture else architecture
    where = (architecture, tensorrt, size_text(engine.bytes), age, used)
    for parts in (what, where, engine.ranges):
        text = ", ".join(filter(None, parts))
        line.append(f"\n  {text}" if text else "", style="")
    for reason in engine.judgement.reasons:
        line.append(f"\n  → {reason}", style="yellow")
    for text in engine.judgement.unknown if engine.source == "cache" else ():
        line.append(f"\n  {text}", style="dim")
    return line
