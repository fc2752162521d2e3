"""What the command line prints of engines' layers: by precision, and the slowest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from workbench.measure.amounts import size_text
from workbench.terminal.console import standard_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.measure.delivered import EngineDelivered, PrecisionShare
    from workbench.measure.layers import EngineLayer

MOST_LAYERS = 15
MOST_NODES = 4


def show_layers(engines: Sequence[EngineDelivered], *, most: int = MOST_LAYERS) -> None:
    """Print what engines compute in.

    Parameters
    ----------
    engines : sequence of EngineDelivered
        Of one Run, or one entry of the cache.
    most : int
        How many layers of each to list, the slowest first.
    """
    console = standard_output()
    for engine in engines:
        console.print(Text(f"engine {engine.file}: {len(engine.layers)} layers, {size_text(engine.bytes)}", style="bold"))
        if engine.found.asked:
            console.print(Text(f"asked for {'+'.join(engine.found.asked)}; delivered: {engine.found.sentence()}"))
        if engine.runs:
            console.print(
                Text(f"timed over {engine.runs} runs on {engine.inputs}, {engine.run_ms or 0.0:.3f} ms each", style="dim")
            )
        if engine.told:
            console.print(_by_precision(engine))
        console.print(_slowest(engine, most))
        hidden = len(engine.slowest()) - most
        if hidden > 0:
            console.print(f"… and {hidden} more layers; all of them with --json")


def _by_precision(engine: EngineDelivered) -> Table:
    table = _table("computes in", "layers", "of layers", "ms", "of time")
    for share in engine.found.shares:
        table.add_row(share.precision, str(share.layers), f"{share.layer_share:.0%}", *_times(share))
    if engine.found.moving:
        table.add_row("moves data", str(engine.found.moving), "", _ms(engine.found.moving_ms), "")
    if engine.found.untold:
        table.add_row("not told", str(engine.found.untold), "", "", "")
    return table


def _times(share: PrecisionShare) -> tuple[str, str]:
    return _ms(share.ms), "" if share.time_share is None else f"{share.time_share:.0%}"


def _slowest(engine: EngineDelivered, most: int) -> Table:
    table = _table("layer", "type", "computes in", "ms", "ONNX nodes")
    for layer in engine.slowest()[:most]:
        table.add_row(Text(layer.name), layer.type, _precision(layer), _ms(layer.ms), Text(_nodes(layer)))
    return table


def _precision(layer: EngineLayer) -> str:
    return "moves data" if layer.moving else layer.precision or "not told"


def _nodes(layer: EngineLayer) -> str:
    more = len(layer.nodes) - MOST_NODES
    return ", ".join(layer.nodes[:MOST_NODES]) + (f" and {more} more" if more > 0 else "")


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
