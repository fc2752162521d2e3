"""Dump a model as an EP context model: a file that a session loads in a fraction of a second, with its engine in or beside it.

ONNX Runtime writes such a file only when an engine is built, so the session gets an empty folder of its own; what it wrote is
checked there, and then published by renames, the model last.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import JobError, ModelError, Unavailable
from workbench.model.model import Model
from workbench.options.mapping import Options
from workbench.placement.attributes import attribute, integer
from workbench.placement.records import Placement, RuntimeVersions
from workbench.placement.releases import tensorrt_for
from workbench.placement.whole import LARGEST_EMBEDDED, dump_obstacles
from workbench.record import Record
from workbench.runtime.engines.context import METADATA, OPERATOR, ContextModel, ContextOrigin, check_context, is_context_model
from workbench.runtime.engines.key import architecture_of
from workbench.runtime.engines.timing import SharedTimings
from workbench.runtime.job import Plan
from workbench.study.execute import execute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import onnx

    from workbench.options.settings import Settings
    from workbench.record import Finding
    from workbench.runtime.engines.cache import EngineCache
    from workbench.runtime.job import Environment, Event
    from workbench.runtime.worker import Worker
    from workbench.study.run import Run

ENDING = "_ctx.onnx"


class ContextDump(Record):
    """What was dumped.

    Attributes
    ----------
    path : str
        The context model.
    engine : str or None
        The engine's file beside it; ``None`` where it is embedded.
    bytes : int
        Size of both.
    seconds : float
        How long the session, with the building in it, took.
    checked : ContextModel
        What a check of the new file says.
    """

    path: str
    engine: str | None
    bytes: int
    seconds: float
    checked: ContextModel


def context_obstacles(
    model: Model, settings: Settings, *, embed: bool = False, placement: Placement | None = None, tensorrt: str | None = None
) -> list[Finding]:
    """Return why a context model of a model cannot be dumped, or would be unusable; empty where it can.

    Parameters
    ----------
    model, settings, embed
        As for :func:`dump_context`.
    placement : Placement, optional
        Measured with these Settings; predicted where there is none.
    tensorrt : str, optional
        The TensorRT to predict for; by default the one that goes with the installed ONNX Runtime.
    """
    from workbench.placement.predict import predict

    if placement is None and settings.provider == "tensorrt" and not is_context_model(model):
        placement = predict(model, settings, tensorrt=tensorrt or tensorrt_for())
    if placement is None:
        placement = _nothing(model)
    return dump_obstacles(model, settings, placement, embed=embed)


def _nothing(model: Model) -> Placement:
    return Placement(model=model.name, evidence="predicted", runtime=RuntimeVersions())


def dump_context(  # noqa: PLR0913
    model: Model,
    settings: Settings,
    path: str | Path | None = None,
    *,
    embed: bool = False,
    here: Environment,
    cache: EngineCache | None = None,
    placement: Placement | None = None,
    worker: Worker | None = None,
    on_event: Callable[[Event], None] | None = None,
    timeout_s: float = 1800.0,
) -> ContextDump:
    """Build a model's engine and dump it as an EP context model.

    Parameters
    ----------
    model : Model
        The original model; its weights go into the engine.
    settings : Settings
        Provider ``tensorrt``, with a shape profile where inputs are dynamic.
    path : str or Path, optional
        Where to put it; by default ``NAME_ctx.onnx`` beside the model. The engine goes beside it.
    embed : bool
        Put the engine into the ONNX file itself, up to 2 GB.
    here : Environment
        This machine, for the check of what was written.
    cache : EngineCache, optional
        Whose kernel timings are used, so that building takes less long; its engines are not.
    placement : Placement, optional
        Measured with these Settings; predicted where there is none.
    worker, on_event, timeout_s : optional
        As for :func:`workbench.study.execute.measure_placement`.

    Returns
    -------
    ContextDump
        Nothing that was there before is touched until the new file was checked.

    Raises
    ------
    JobError
        When the dump is refused, the session fails, or what was written cannot be used; with the first reason.
    Unavailable
        When the target cannot be written.
    """
    target = Path(path).expanduser().absolute() if path is not None else model.path.with_name(f"{model.name}{ENDING}")
    _refuse_target(target, model)
    _refuse(context_obstacles(model, settings, embed=embed, placement=placement))
    with _staging(target) as folder:
        made = folder / target.name
        _copy_timings(cache, here, folder / "timing")
        plan = Plan(latency=False, accuracy=False, timeout_s=timeout_s)
        run = execute(model, _with_dump(settings, made, embed=embed), plan, worker=worker, on_event=on_event)
        _refuse_run(run, model, settings)
        engine = _finished(made, model, settings, run)
        dumped = _dumped(made, engine, target, run, here)
        _publish(made, engine, target)
    return dumped


def _dumped(made: Path, engine: Path | None, target: Path, run: Run, here: Environment) -> ContextDump:
    """Check what was written, while it lies in the staging folder; return what it will be in its place."""
    checked = check_context(Model.load(made), here)
    _refuse([finding for finding in checked.findings if finding.level == "error"])
    return ContextDump(
        path=str(target),
        engine=engine.name if engine is not None else None,
        bytes=made.stat().st_size + (engine.stat().st_size if engine is not None else 0),
        seconds=run.build.seconds if run.build is not None else 0.0,
        checked=checked.model_copy(update={"path": str(target)}),
    )


def _refuse_target(target: Path, model: Model) -> None:
    if target == model.path:
        raise JobError(f"{target}: that is the model itself.", kind="build", remedy="Name another file (--out).")
    if not target.exists():
        return
    try:
        ours = is_context_model(Model.load(target))
    except ModelError:
        ours = False
    if not ours:
        message = f"{target}: the file is there already, and is no EP context model."
        raise JobError(message, kind="build", remedy="Name another file (--out), or move this one aside.")


def _refuse(findings: list[Finding]) -> None:
    """Raise the first of some errors."""
    if findings:
        first = findings[0]
        message = f"No context model can be made: {first.seen}. {first.meaning}".rstrip()
        raise JobError(message, kind="build", remedy=first.action)


def _refuse_run(run: Run, model: Model, settings: Settings) -> None:
    if run.error is not None:
        raise JobError(run.error.message, kind=run.error.kind, remedy=run.error.remedy)
    if run.placement is not None and run.placement.groups:  # where the log was silent, the file alone tells
        _refuse(dump_obstacles(model, settings, run.placement))


@contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """Make a private folder beside the target, so that renames into its place cannot fail half-way; removed at the end."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.stem}-", dir=target.parent))
    except OSError as error:
        message = f"{target.parent}: cannot be written: {error.strerror or error}."
        raise Unavailable(message, remedy="Name another place (--out).") from error
    try:
        yield folder
    except OSError as error:
        message = f"{target}: the context model cannot be written: {error.strerror or error}."
        raise Unavailable(message, remedy="Free some space, or name another place (--out).") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _with_dump(settings: Settings, made: Path, *, embed: bool) -> Settings:
    """Return the Settings that make ONNX Runtime dump into the staging folder, whatever folders the user's name.

    The engine goes beside the file: `trt_engine_cache_path` would be taken from there, and must be relative.
    """
    ours = ("trt_engine_cache_path", "trt_engine_cache_prefix", "trt_dump_subgraphs", "trt_timing_cache_path")
    options = {
        **{key: value for key, value in settings.provider_options.items() if key not in ours},
        "trt_dump_ep_context_model": True,
        "trt_ep_context_file_path": str(made),
        "trt_ep_context_embed_mode": int(embed),
        "trt_engine_cache_enable": True,
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(made.parent / "timing"),
    }
    return settings.model_copy(update={"provider_options": Options(options)})


def _copy_timings(cache: EngineCache | None, here: Environment, folder: Path) -> None:
    folder.mkdir()
    if cache is not None and here.tensorrt is not None and here.compute_capability is not None:
        SharedTimings(cache.folder, architecture_of(here.compute_capability), here.tensorrt).copy_to(folder)


def _finished(made: Path, model: Model, settings: Settings, run: Run) -> Path | None:
    """Note in the new file where it comes from, and give its engine a name of its own; return the engine's file.

    ONNX Runtime's name for an engine does not follow the model's content: two dumps in one folder would share it.
    """
    if not made.is_file():
        message = f"ONNX Runtime wrote no context model of {model.path.name}."
        remedy = "Look at the log: an engine that comes from a cache, or is built at the first run, writes none."
        raise JobError(message, kind="build", remedy=remedy)
    if made.stat().st_size > LARGEST_EMBEDDED:
        message = f"The context model takes {made.stat().st_size / 1e9:.1f} GB; an ONNX file ends at 2 GB."
        raise JobError(message, kind="build", remedy="Leave the engine beside the model (without --embed).")
    import onnx

    proto = onnx.load(str(made), load_external_data=False)
    engine = _own_name(proto, made)
    there = run.environment
    origin = ContextOrigin(
        model=model.path.name,
        content_hash=model.content_hash(),
        settings=settings.summary(),
        onnxruntime=there.onnxruntime if there else None,
        tensorrt=there.tensorrt if there else None,
        gpu=there.gpu if there else None,
    )
    entry = proto.metadata_props.add()
    entry.key, entry.value = METADATA, json.dumps(origin.model_dump(mode="json"))
    onnx.save(proto, str(made))
    return engine


def _own_name(proto: onnx.ModelProto, made: Path) -> Path | None:
    """Rename the engine that an EPContext node names by its content, and let the node name it so."""
    for node in proto.graph.node:
        held = attribute(node, "ep_cache_context")
        if node.op_type != OPERATOR or held is None or integer(node, "embed_mode", 1):
            continue
        named = made.parent / held.s.decode(errors="replace")
        if not named.is_file():
            return None  # the check tells
        engine = made.with_name(f"{made.stem}_{_digest(named)[:12]}.engine")
        named.rename(engine)
        held.s = engine.name.encode()
        return engine
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _publish(made: Path, engine: Path | None, target: Path) -> None:
    """Move the engine, then the model; only then the engine that the model before named, if it was ours, is removed."""
    before = _engine_of(target)
    if engine is not None:
        engine.replace(target.with_name(engine.name))
    made.replace(target)
    if before is not None and before.name.startswith(f"{target.stem}_") and (engine is None or before.name != engine.name):
        before.unlink(missing_ok=True)


def _engine_of(target: Path) -> Path | None:
    """Return the engine that a context model at this place names; ``None`` where there is none."""
    try:
        nodes = Model.load(target).nodes if target.exists() else ()
    except ModelError:
        return None
    for node in nodes:
        held = attribute(node.proto, "ep_cache_context")
        if held is not None and not integer(node.proto, "embed_mode", 1):
            return target.with_name(Path(held.s.decode(errors="replace")).name)
    return None
