"""The layers of an engine on disk: of one entry of our cache, or of one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import Unavailable
from workbench.model.precision.qdq_check import quantised_weights
from workbench.options.effective import Effective
from workbench.runtime.native.companion import INSTALL
from workbench.runtime.native.look import Look, Looked, absent, look_into

if TYPE_CHECKING:
    from workbench.model.model import Model
    from workbench.runtime.engines.listing import ListedEngine
    from workbench.runtime.engines.records import EngineEntry


def engine_layers(
    listed: ListedEngine, *, entry: EngineEntry | None = None, model: Model | None = None, profile_runs: int = 0
) -> Looked:
    """Return what the layers of an engine compute in, and how long they take.

    Parameters
    ----------
    listed : ListedEngine
        From :func:`workbench.runtime.engines.listing.find_engine` or a list.
    entry : EngineEntry or None
        Of the cache, where it is one of ours: its Settings name the GPU and the plugins.
    model : Model, optional
        The engine's, where it is at hand: layers' names are then read for certain, and tell of weights in 8 bits.
    profile_runs : int
        How often to run each engine, on made-up inputs of the best shapes, to time its layers; 0 for not at all.

    Raises
    ------
    Unavailable
        When TensorRT or a GPU is missing, or none of the files can be read.
    """
    if reason := absent():
        raise Unavailable(f"{reason}, so no engine can be looked into.", remedy=INSTALL["tensorrt"])
    asked = tuple(part for part in listed.precision.split("+") if part not in ("", "fp32"))
    device, plugins = _needs(entry)
    known = frozenset(node.name for node in model.nodes) if model is not None else frozenset()
    quantised = quantised_weights(model.proto) if model is not None else frozenset()
    look = Look(asked, known, quantised, device, plugins, profile_runs)
    looked = look_into([Path(listed.folder) / file.name for file in listed.files], look)
    if not looked.engines:
        first = looked.findings[0] if looked.findings else None
        seen = first.seen if first else "it has no files"
        raise Unavailable(f"{listed.title}: {seen.rstrip('.')}.", remedy=first.action if first else "")
    return looked


def _needs(entry: EngineEntry | None) -> tuple[int, tuple[str, ...]]:
    if entry is None:
        return 0, ()
    now = Effective(entry.settings)
    named = str(now.value("trt_extra_plugin_lib_paths") or "")
    return int(now.value("device_id") or 0), tuple(part.strip() for part in named.split(";") if part.strip())
