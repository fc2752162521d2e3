"""Why a session cannot be made, as far as that can be predicted, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.placement.checks import unknown_operator
from workbench.placement.records import CPU, CUDA
from workbench.placement.tensorrt import QUANTIZERS
from workbench.record import Failure

if TYPE_CHECKING:
    from workbench.model.model import Model
    from workbench.placement.assignment import Assignment
    from workbench.placement.dataflow import Op
    from workbench.placement.partition import NoShape
    from workbench.placement.plan import Plan
    from workbench.placement.prepare import Prepared
    from workbench.placement.tensorrt import NotBuilt

SHAPE_REMEDY = (
    "Infer the shapes before (python -m onnxruntime.tools.symbolic_shape_infer), export with static shapes, or replace "
    "the nodes that TensorRT refuses: it only asks for shapes when it has to split the graph."
)


def load_failure(model: Model, plan: Plan, prepared: Prepared) -> Failure | None:
    """Return why ONNX Runtime does not load a model, or ends while it does."""
    broken = unknown_operator(model, prepared.graph, tensorrt=plan.support is not None)
    if broken is not None:
        return broken
    if prepared.defect:
        return Failure(
            kind="load",
            message=f"ONNX Runtime refuses the model: {prepared.defect}.",
            remedy="Export it again; onnx.shape_inference.infer_shapes(model, strict_mode=True) shows the same error.",
        )
    return _known_crash(model, plan, prepared)


def _known_crash(model: Model, plan: Plan, prepared: Prepared) -> Failure | None:
    """Return the one crash that is known: seen on an H200 with ONNX Runtime 1.17.1 and TensorRT 8.6.0.

    All models with LayerNormalization at opset 18 or later that were tried, and none without, ended the process.
    """
    opset = model.opset or 0
    if plan.support is None or plan.support.version >= (9, 0) or opset < 18:
        return None
    norm = next((op for _, op in prepared.graph.walk() if op.op_type == "LayerNormalization" and not op.removed), None)
    if norm is None:
        return None
    return Failure(
        kind="crash",
        message=f"LayerNormalization ({norm.name!r}) at opset {opset} ends the process with TensorRT {plan.support.release}.",
        remedy="Export at opset 17, or use TensorRT 10 with ONNX Runtime 1.18 or later.",
    )


def no_shape(missing: NoShape) -> Failure:
    """Return the failure of a graph that TensorRT has to split where a shape is unknown."""
    return Failure(
        kind="shape",
        message=f"TensorRT input: {missing.value} has no shape specified (read by {missing.op.op_type} {missing.op.name!r}).",
        remedy=SHAPE_REMEDY,
    )


def not_built(broken: NotBuilt) -> Failure:
    """Return the failure of an operator whose body TensorRT took nodes from."""
    return Failure(
        kind="build",
        message=f"ONNX Runtime cannot split {broken.op.op_type} {broken.op.name!r} after TensorRT took nodes inside it.",
        remedy="Run it with the CUDA provider.",
    )


def not_enabled(plan: Plan, assignment: Assignment) -> Failure | None:
    """Return the failure of quantized engines where INT8 is off: TensorRT 8 then refuses to build them.

    From TensorRT 10 on, ONNX Runtime makes strongly typed networks, which take the types of the graph.
    """
    if plan.int8 or plan.support is None or plan.support.version >= (9, 0):
        return None
    op = next((op for op in assignment.engine if op.op_type in QUANTIZERS), None)
    if op is None:
        return None
    return Failure(
        kind="build",
        message=f"TensorRT {plan.support.release} builds no engine with {op.op_type} ({op.name!r}) while INT8 is off.",
        remedy="Set precision int8 (trt_int8_enable).",
    )


def no_kernel(model: Model, prepared: Prepared, assignment: Assignment) -> Failure | None:
    """Return the failure of a model with an operation that no provider can run.

    An operator that others define is no failure: ONNX Runtime puts its definition in its place.
    """
    functions = {(f.domain, f.name) for f in model.proto.functions}
    for _, op in prepared.graph.walk():
        if op.removed or op in assignment.provider:
            continue
        if (op.domain, op.op_type) in functions or _defined_by_others(op):
            assignment.provider[op] = CUDA if CUDA in assignment.plan.providers else CPU
            assignment.reason[op] = f"ONNX Runtime replaces {op.op_type} by its definition, which was not looked into"
            continue
        return Failure(
            kind="load",
            message=f"No provider can run {op.op_type} {op.name!r}: {assignment.reason.get(op, 'it has no kernel')}.",
            remedy="Cast its inputs to a type that has a kernel, such as float32, or export with another operator.",
        )
    return None


def _defined_by_others(op: Op) -> bool:
    import onnx

    try:
        schema: Any = onnx.defs.get_schema(op.op_type, op.version, op.domain)  # its stubs lack these two
    except onnx.defs.SchemaError:
        return False
    return bool(schema.has_function or schema.has_context_dependent_function)
