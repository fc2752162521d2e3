"""A session that keeps TensorRT started between jobs.

TensorRT loads what builders need when a process makes its first one, and lets go of it with the last. ONNX Runtime makes a
builder for every session, also for one whose engines are cached; on an H200 with TensorRT 8.6 that took 6 to 7 s each time. With
another session alive in the process it is paid once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.placement.records import TENSORRT
from workbench.runtime.session import exceptions_of

if TYPE_CHECKING:
    from workbench.options.settings import Settings

IR_VERSION, OPSET = 8, 13  # all supported releases of ONNX Runtime and TensorRT read these


def standby_session(ort: Any, settings: Settings) -> Any | None:  # noqa: ANN401
    """Return a TensorRT session of one node on the GPU that Settings name; ``None`` where it fails.

    Keep it for as long as jobs may want TensorRT. Why it fails is told by the job's own session.
    """
    options = {"device_id": str(settings.provider_options.get("device_id", 0)), "trt_builder_optimization_level": "0"}
    try:
        return ort.InferenceSession(_smallest_model(), providers=[(TENSORRT, options)], enable_fallback=0)
    except exceptions_of(ort):
        return None


def _smallest_model() -> bytes:
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "standby", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", OPSET)]
    data: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()
    return data
