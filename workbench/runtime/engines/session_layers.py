"""What the engines of an ONNX Runtime session compute in, as far as their files tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.model.precision.qdq_check import quantised_weights
from workbench.options.effective import Effective
from workbench.runtime.native.look import Look, Looked, look_into, untold

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.runtime.engines.session_engines import SessionEngines

NOWHERE = "no engine lies in a file, so none can be looked into"
KEEP = "Let the workbench keep the engines: leave --no-cache and the options of ONNX Runtime's own cache out."


def look_at(engines: SessionEngines | None, model: Model, settings: Settings, *, budget_s: float) -> Looked:
    """Look into the engine files of a session.

    Parameters
    ----------
    engines : SessionEngines or None
        Where they come from and are kept; ``None`` for a session without.
    model : Model
        The model.
    settings : Settings
        What was asked for.
    budget_s : float
        Seconds that it may take.
    """
    if engines is None or not engines.taken:
        return Looked((), (untold("TensorRT took no node: there is no engine to look into", level="info"),))
    paths, why = engine_paths(engines)
    if not paths:
        return Looked((), (untold(*why, level="info"),))
    now = Effective(settings)
    plugins = tuple(part.strip() for part in str(now.value("trt_extra_plugin_lib_paths") or "").split(";") if part.strip())
    names = frozenset(node.name for node in model.nodes)
    device = int(now.value("device_id") or 0)
    quantised = quantised_weights(model.proto)
    return look_into(paths, Look(now.precisions, names, quantised, device, plugins, budget_s=budget_s))


def engine_paths(engines: SessionEngines) -> tuple[tuple[Path, ...], tuple[str, str]]:
    """Return the files of the engines that a session runs; or, where none can be named, why, and what to do."""
    if engines.context:
        what = "the engines came from an EP context model, which was not looked into"
        return (), (what, "`workbench engines layers FILE` reads one that lies beside such a model.")
    if engines.own is not None:
        folder = engines.own.folder
        if folder is None:
            return (), (NOWHERE, KEEP)
        written = tuple(folder / use.name for use in engines.own.uses())
        which = f"which engines of {folder} the session loaded is not known"
        return written, (which, f"`workbench engines --folder {folder}` lists them, `workbench engines layers FILE` reads one.")
    if engines.opened is None or engines.opened.folder is None:
        return (), (NOWHERE, KEEP)
    return tuple(engines.opened.folder / use.name for use in engines.opened.uses()), (NOWHERE, "")
