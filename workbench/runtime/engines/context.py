"""EP context models: ONNX files of one node that holds an engine, or names the file of one. Checked before they are used.

ONNX Runtime takes such a file where its graph is exactly one EPContext node, compares the GPU's architecture with a warning
only, and then fails, or ends, where TensorRT cannot load the engine (onnx_ctx_model_helper.cc, 1.17 to 1.31).
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from workbench.errors import EngineError, JobError, ModelError
from workbench.placement.attributes import attribute, integer, text
from workbench.record import Finding, Record
from workbench.runtime.engines.file_name import is_engine_name, read_name
from workbench.runtime.engines.files import read_engine_file
from workbench.runtime.engines.here import other_architecture, other_tensorrt, session_environment, without_gpu
from workbench.runtime.engines.plan_header import HEADER_BYTES, read_header

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.model.graph import Node
    from workbench.model.model import Model
    from workbench.runtime.job import Environment

OPERATOR = "EPContext"
DOMAIN = "com.microsoft"
TENSORRT_SOURCES = ("TensorrtExecutionProvider", "")  # 1.17 writes none
METADATA = "workbench.context"
AGAIN = "Dump it again from the original model: `workbench context MODEL`."


class ContextOrigin(Record):
    """What the workbench wrote into a context model that it dumped: where the engine comes from.

    Attributes
    ----------
    content_hash : str
        Of the original model.
    """

    model: str
    content_hash: str
    settings: str
    onnxruntime: str | None = None
    tensorrt: str | None = None
    gpu: str | None = None


class ContextModel(Record):
    """An EP context model, and what is to be said of it before it is used.

    Attributes
    ----------
    path : str
        The file.
    source : str
        The provider that it is for; empty where the node does not say, as ONNX Runtime 1.17 writes it.
    embedded : bool
        Whether the engine lies in the file itself.
    engine : str or None
        The engine's file, as the node names it; ``None`` where the engine is embedded, or nothing is named.
    bytes : int or None
        The engine's size; ``None`` where it is not there.
    architecture : str
        Compute capability as the node has it, such as ``90`` or ``80+``; empty where it has none.
    original : str
        The file name of the model that it was made from.
    tensorrt : str or None
        The version that wrote the engine, by its header.
    origin : ContextOrigin or None
        What the workbench noted when it dumped it; ``None`` for files of other tools.
    findings : tuple of Finding
        Errors for what ONNX Runtime would refuse or fail for.
    """

    path: str
    source: str
    embedded: bool
    engine: str | None
    bytes: int | None
    architecture: str
    original: str
    tensorrt: str | None
    origin: ContextOrigin | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether nothing speaks against using it."""
        return not any(finding.level == "error" for finding in self.findings)


def is_context_model(model: Model) -> bool:
    """Whether a model holds an EPContext node: a part that was compiled for a provider before."""
    return any(node.op_type == OPERATOR for node in model.nodes)


def check_context(model: Model, here: Environment) -> ContextModel:
    """Check an EP context model before it is used.

    Parameters
    ----------
    model : Model
        The file.
    here : Environment
        This machine, with the versions that a session has here.

    Raises
    ------
    ModelError
        When it holds no EPContext node.
    """
    nodes = [node for node in model.nodes if node.op_type == OPERATOR]
    if not nodes:
        message = f"{model.path}: no EP context model: it holds no {OPERATOR} node."
        raise ModelError(message, remedy="Make one of it: `workbench context MODEL`.")
    node = nodes[0].proto
    embedded = bool(integer(node, "embed_mode", 1))  # the operator's own default
    held = attribute(node, "ep_cache_context")
    known = ContextModel(
        path=str(model.path),
        source=text(node, "source", ""),
        embedded=embedded,
        engine=None if embedded or held is None else held.s.decode(errors="replace"),
        bytes=len(held.s) if embedded and held is not None else None,
        architecture=text(node, "hardware_architecture", ""),
        original=text(node, "onnx_model_filename", ""),
        tensorrt=None,
        origin=_origin(model),
    )
    findings = [*_graph(model, nodes), *_source(known), *_held(known, present=held is not None)]
    engine, told = _engine(known, b"" if held is None or not embedded else held.s, Path(model.path).parent)
    known = known.model_copy(update=engine)
    findings += [*told, *_machine(known, here), *_original(known, model.path.parent)]
    return known.model_copy(update={"findings": tuple(findings)})


def context_findings(model: Model, here: Environment | None = None) -> tuple[Finding, ...]:
    """Return what a check of an EP context model says on this machine; empty for any other model.

    Parameters
    ----------
    model : Model
        Any model.
    here : Environment or None
        This machine; asked where it is ``None``, which takes seconds with a GPU.
    """
    return check_context(model, here or session_environment()).findings if is_context_model(model) else ()


def refuse_unusable(model: Model, here: Environment) -> None:
    """Raise JobError where an EP context model cannot be used on this machine.

    Raises
    ------
    JobError
        Of the kind ``load``, with the first reason.
    """
    wrong = [finding for finding in check_context(model, here).findings if finding.level == "error"]
    if wrong:
        message = f"{model.path.name}: {wrong[0].seen}. {wrong[0].meaning}".strip()
        raise JobError(message, kind="load", remedy=wrong[0].action)


def _origin(model: Model) -> ContextOrigin | None:
    for entry in model.proto.metadata_props:
        if entry.key == METADATA:
            try:
                return ContextOrigin.model_validate(json.loads(entry.value))
            except ValueError:
                return None
    return None


def _error(where: str, seen: str, meaning: str = "", action: str = AGAIN) -> Finding:
    return Finding(level="error", where=where, seen=seen, meaning=meaning, action=action)


def _graph(model: Model, nodes: list[Node]) -> Iterator[Finding]:
    others = [node.name for node in model.nodes if node.op_type != OPERATOR]
    if len(nodes) > 1 or others:
        seen = f"the graph has {len(nodes)} EPContext nodes and {len(others)} others"
        meaning = "ONNX Runtime's TensorRT provider takes a graph of exactly one EPContext node."
        yield _error("graph", seen, meaning, "Dump it again from a model that TensorRT takes whole.")
    if any(node.domain != DOMAIN for node in nodes):
        yield _error("graph", f"its EPContext node is not in the domain {DOMAIN}", "ONNX Runtime does not know it.")


def _source(known: ContextModel) -> Iterator[Finding]:
    if known.source in TENSORRT_SOURCES:
        return
    name = known.source.removesuffix("ExecutionProvider")
    meaning = "ONNX Runtime's TensorRT provider does not take it."
    yield _error("source", f"it was compiled for {name}, not for TensorRT", meaning, f"Run it with the provider of {name}.")


def _held(known: ContextModel, *, present: bool) -> Iterator[Finding]:
    if not present:
        yield _error("ep_cache_context", "the node neither holds an engine nor names one")
    if not known.architecture:
        meaning = "Whether the engine fits a GPU shows only when TensorRT loads it."
        seen = "the node does not say for which GPU architecture its engine is"
        yield Finding(level="info", where="hardware_architecture", seen=seen, meaning=meaning)


def _engine(known: ContextModel, embedded: bytes, folder: Path) -> tuple[dict[str, Any], list[Finding]]:
    """Return the engine's size and version, and what is wrong with it."""
    if known.embedded:
        if known.bytes is None:
            return {}, []
        header = read_header(embedded[:HEADER_BYTES])
        wrong = [_error("engine", header.problem.rstrip("."), "TensorRT cannot load it.")] if header.problem else []
        return {"tensorrt": header.tensorrt}, wrong
    if known.engine is None:
        return {}, []
    outside = _outside(known.engine, folder)
    if outside:
        return {}, [_error("ep_cache_context", outside, "ONNX Runtime refuses such a path for security.", MOVE)]
    path = folder / known.engine
    if not path.is_file():
        meaning = "ONNX Runtime looks for it beside the model, or in a folder below."
        return {}, [_error("ep_cache_context", f"its engine {known.engine!r} is missing", meaning, f"Copy it to {path}.")]
    return _file(path)


MOVE = "Put the engine beside the model, and dump it again."


def _outside(name: str, folder: Path) -> str:
    """Return why a path does not lead to a file in the model's folder; empty where it does."""
    if not name:
        return "it names no engine file"
    if PurePosixPath(name).is_absolute() or Path(name).is_absolute():
        return f"it names its engine by an absolute path: {name}"
    if ".." in name:  # ONNX Runtime looks for the two dots anywhere in the text
        return f"the path of its engine has '..': {name}"
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        return f"its engine {name} is a link that leads out of the folder"
    return ""


def _file(path: Path) -> tuple[dict[str, Any], list[Finding]]:
    try:
        file = read_engine_file(path)
    except EngineError as error:
        return {}, [_error("engine", error.message.rstrip("."), action=error.remedy)]
    found: dict[str, Any] = {"bytes": file.bytes, "tensorrt": file.tensorrt}
    wrong = [_error("engine", f"{path.name}: {file.problem.rstrip('.')}", "TensorRT cannot load it.")] if file.problem else []
    if file.form == "encrypted":
        wrong.append(_error("engine", f"{path.name} is encrypted", "ONNX Runtime does not decrypt engines of context models."))
    if file.form == "stripped":
        meaning = "ONNX Runtime puts them in from the original model, which must be there."
        wrong.append(Finding(level="warning", where="engine", seen=f"{path.name} holds no weights", meaning=meaning))
    return found, [*wrong, *_parts(path)]


def _parts(path: Path) -> Iterator[Finding]:
    """Find engines of other parts of the same model: then ONNX Runtime wrote the file once for each of them."""
    name = read_name(path.name)
    beside = map(read_name, (file.name for file in path.parent.iterdir() if is_engine_name(file.name)))
    others = {each.subgraph for each in beside if name.model_hash and each.model_hash == name.model_hash} - {name.subgraph}
    if others:
        count = len(others) + 1
        yield Finding(
            level="warning",
            where="engine",
            seen=f"beside it lie engines of {len(others)} more part{'s' * (len(others) > 1)} of the same model",
            meaning=(
                f"If one session made them, TensorRT took the model in {count} parts: ONNX Runtime then writes the node of the "
                "last with the engine of the first, and running it ends the process."
            ),
            action="Ask `workbench placement MODEL --predict`, and dump only a model that TensorRT takes whole.",
        )


def _machine(known: ContextModel, here: Environment) -> Iterator[Finding]:
    if without_gpu(here):
        meaning = "Architecture and versions were read, and compared with nothing."
        yield Finding(level="info", where="machine", seen="there is no NVIDIA GPU here", meaning=meaning)
        return
    for where, built, why in (
        ("hardware_architecture", known.architecture, other_architecture(known.architecture or None, here)),
        ("engine", known.tensorrt, other_tensorrt(known.tensorrt, here)),
    ):
        if built and why:
            again = "Dump it again on this machine: `workbench context MODEL`."
            yield _error(where, why.rstrip("."), "ONNX Runtime only warns, and then TensorRT fails to load it.", again)


def _original(known: ContextModel, folder: Path) -> Iterator[Finding]:
    """Find an original model beside it that has changed since."""
    beside = folder / Path(known.original).name if known.original else None
    if known.origin is None or beside is None or not beside.is_file():
        return
    from workbench.model.model import Model

    try:
        changed = Model.load(beside).content_hash() != known.origin.content_hash
    except ModelError:
        return
    if changed:
        meaning = "The engine holds the weights that it had then."
        yield Finding(
            level="warning", where="onnx_model_filename", seen=f"{beside.name} has changed since", meaning=meaning, action=AGAIN
        )
