"""The steps of making a model ready that read one file and write another."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
from google.protobuf.message import Error  # type: ignore[import-untyped,unused-ignore]
from onnx import shape_inference

from workbench.errors import JobError, ModelError
from workbench.model.known_shapes import copy_shapes, name_dimensions
from workbench.model.model import Model
from workbench.model.names import name_nodes
from workbench.model.opset import Versions, lower_versions
from workbench.model.precision.single import to_float32
from workbench.model.static_shapes import fix_scalars, freeze_inputs
from workbench.model.symmetric import to_int8
from workbench.runtime.data.inputs import read_inputs
from workbench.runtime.ready.inputs import Trial, compared_scalars, first_trials
from workbench.runtime.ready.sessions import Runtime
from workbench.runtime.ready.steps_apart import Answer, Errand

if TYPE_CHECKING:
    from collections.abc import Iterable

LARGEST = (1 << 31) - 1  # protobuf's own limit, in bytes
INFERENCE_ERRORS = (shape_inference.InferenceError, Error, RuntimeError, ValueError, TypeError)


def fix(errand: Errand) -> Answer:
    """Give nodes names, lower versions, and replace types that TensorRT does not take."""
    proto = read(errand.source)
    folder = str(Path(errand.source).parent)
    proto, changes = lower_versions(proto, Versions(errand.opset, errand.ml_opset, errand.ir_version))
    changes += name_nodes(proto)
    changes += to_int8(proto, folder)
    if errand.float32:
        changes += to_float32(proto, folder)
    write(proto, errand.target)
    return Answer(status="done", changes=tuple(changes))


def infer(errand: Errand) -> Answer:
    """Infer shapes with ONNX, constants of shape arithmetic followed, and name the dimensions that stay open."""
    proto = read(errand.source)
    structure = Model.load(errand.source).proto  # weights make ONNX's inference slow, and fail beyond 2 GiB
    try:
        inferred = shape_inference.infer_shapes(structure, data_prop=True)
    except INFERENCE_ERRORS as error:
        raise ModelError(f"ONNX's shape inference gave up: {_one_line(error)}.") from error
    found = copy_shapes(inferred.graph, proto.graph)
    named = name_dimensions(proto.graph)
    write(proto, errand.target)
    changes = [f"Added the shapes of {found:,} tensors, as ONNX's shape inference finds them."] if found else []
    if named:
        changes.append(f"Named dimensions of unknown size in {named:,} tensors: TensorRT asks for a number or a name.")
    return Answer(status="done", changes=tuple(changes), why="" if changes else "ONNX's inference finds nothing new.")


def symbolic(errand: Errand) -> Answer:
    """Infer shapes with ONNX Runtime's symbolic shape inference."""
    try:
        importlib.import_module("sympy")
        tool = importlib.import_module("onnxruntime.tools.symbolic_shape_infer")
    except ImportError as error:
        return Answer(status="failed", why=f"It cannot be imported ({error}): pip install onnxruntime sympy.")
    proto = read(errand.source)
    failures = (*INFERENCE_ERRORS, AssertionError, AttributeError, ArithmeticError, LookupError, NotImplementedError)
    try:
        inferred = tool.SymbolicShapeInference.infer_shapes(proto, auto_merge=True, guess_output_rank=True)
    except failures as error:
        return Answer(status="failed", why=f"It gave up: {type(error).__name__}: {_one_line(error)}.")
    target = read(errand.source)
    found = copy_shapes(inferred.graph, target.graph)
    name_dimensions(target.graph)
    write(target, errand.target)
    changes = (f"Added the shapes of {found:,} tensors, as ONNX Runtime's symbolic shape inference finds them.",) if found else ()
    return Answer(status="done", changes=changes)


def freeze(errand: Errand) -> Answer:
    """Make the inputs static, and let ONNX Runtime fold what is constant then."""
    runtime, model = Runtime.load(), Model.load(errand.source)
    if errand.inputs is not None:
        shapes = {i.name: tuple(i.array.shape) for i in read_inputs(errand.inputs, model)}
    else:
        trial = _first_running(runtime, model, errand, first_trials(model, errand.profile, errand.fixed))
        shapes = dict(trial.shapes)
    proto = read(errand.source)
    changes = freeze_inputs(proto, shapes)
    if not changes:
        return Answer(status="done", why="The inputs are static already.")
    return Answer(status="done", changes=(*changes, _fold(runtime, model, proto, errand)))


def specialise(errand: Errand) -> Answer:
    """Fix an integer input that chooses between branches to the first value that the model runs with, and fold."""
    runtime, model = Runtime.load(), Model.load(errand.source)
    values = compared_scalars(model)
    if not values:
        return Answer(status="done", why="No input chooses between branches.")
    if errand.inputs is not None:
        given = {i.name: i.array for i in read_inputs(errand.inputs, model)}
        fixed = tuple({name: int(given[name].item()) for name, _ in values}.items())
    else:
        trials = (trial for pair in values for trial in first_trials(model, errand.profile, (pair,)))
        fixed = _first_running(runtime, model, errand, trials).scalars
    proto = read(errand.source)
    changes = fix_scalars(proto, fixed)
    return Answer(status="done", changes=(*changes, _fold(runtime, model, proto, errand)), fixed=fixed)


def _first_running(runtime: Runtime, model: Model, errand: Errand, trials: Iterable[Trial]) -> Trial:
    """Return the first trial that the model runs on.

    Raises
    ------
    ModelError
        When there is none.
    """
    session, until = runtime.session(errand.source), time.monotonic() + errand.stop_after_s
    last = "there was no time left"
    for trial in trials:
        if time.monotonic() > until:
            break
        try:
            runtime.run(session, trial.inputs(model, errand.seed))
        except JobError as error:
            last = error.message
            continue
        return trial
    raise ModelError(
        f"The model ran on no inputs that were tried; the last error: {last}.",
        remedy="Give a shape profile (--profile NAME=SHAPE) or real inputs (--inputs FILE.npz).",
    )


def _fold(runtime: Runtime, model: Model, proto: onnx.ModelProto, errand: Errand) -> str:
    """Write a changed model, folded by ONNX Runtime; return what changed."""
    if model.size_bytes > LARGEST:
        raise ModelError("ONNX Runtime writes a folded model with its weights inside, and this one has more than 2 GiB of them.")
    name_dimensions(proto.graph)
    write(proto, errand.target)
    folded = f"{errand.target}.folded"
    options = runtime.options()
    options.graph_optimization_level = runtime.ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = folded
    try:
        runtime.session(errand.target, options)
        after = read(folded)
    finally:
        Path(folded).unlink(missing_ok=True)
    after.ir_version = min(after.ir_version, proto.ir_version)
    _restore_imports(after, proto)
    name_nodes(after)
    name_dimensions(after.graph)
    write(after, errand.target)
    nodes = len(Model.load(errand.target).nodes)
    return f"Folded what is constant then, with ONNX Runtime's basic optimisation: {len(model.nodes):,} nodes became {nodes:,}."


def _restore_imports(after: onnx.ModelProto, before: onnx.ModelProto) -> None:
    """Drop the operator sets that ONNX Runtime imports although no node uses them: older releases refuse some."""
    from workbench.model.graph import nodes_in

    used = {node.domain for node in nodes_in(after)} | {entry.domain for entry in before.opset_import}
    kept = [entry for entry in after.opset_import if entry.domain in used | {"", "ai.onnx"}]
    copies = [(entry.domain, entry.version) for entry in kept]
    del after.opset_import[:]
    for domain, version in copies:
        after.opset_import.add(domain=domain, version=version)


def read(path: str) -> onnx.ModelProto:
    """Return a model with the weights that stand in its file; external data stays where it is."""
    return onnx.load(path, load_external_data=False)


def write(proto: onnx.ModelProto, path: str) -> None:
    """Write a model; its external data stays where it is.

    Raises
    ------
    ModelError
        When it does not fit into one file.
    """
    try:
        data = proto.SerializeToString()
    except (ValueError, Error) as error:
        raise ModelError(
            f"The changed model does not fit into one file of 2 GiB: {_one_line(error)}.",
            remedy="Save its weights as external data first.",
        ) from error
    Path(path).write_bytes(data)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
