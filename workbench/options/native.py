"""Which options of ONNX Runtime's TensorRT provider mean something to TensorRT itself, and what keeps the others from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.record import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.model.model import Model
    from workbench.options.effective import Effective

USED = frozenset(
    {
        "device_id",
        "trt_fp16_enable",
        "trt_bf16_enable",
        "trt_int8_enable",
        "trt_int8_calibration_table_name",
        "trt_int8_use_native_calibration_table",
        "trt_max_workspace_size",
        "trt_builder_optimization_level",
        "trt_sparsity_enable",
        "trt_tactic_sources",
        "trt_preview_features",
        "trt_auxiliary_streams",
        "trt_engine_cache_path",
        "trt_engine_hw_compatible",
        "trt_timing_cache_enable",
        "trt_timing_cache_path",
        "trt_force_timing_cache",
        "trt_profile_min_shapes",
        "trt_profile_opt_shapes",
        "trt_profile_max_shapes",
        "trt_cuda_graph_enable",
        "trt_detailed_build_log",
        "trt_dla_enable",
        "trt_dla_core",
        "trt_extra_plugin_lib_paths",
    }
)
WHOLE = "TensorRT itself takes the whole model or nothing: there are no parts to divide it into."
KEPT = "The workbench's own cache keeps the engine, by the model's contents."
NO_CONTEXT = "TensorRT itself has no EP context models: its plan is the engine."
BY_OPTION = {
    "trt_max_partition_iterations": WHOLE,
    "trt_min_subgraph_size": WHOLE,
    "trt_op_types_to_exclude": WHOLE,
    "trt_dump_subgraphs": WHOLE,
    "trt_context_memory_sharing_enable": "There is one engine only: it shares its memory with none.",
    "trt_engine_cache_enable": KEPT,
    "trt_engine_cache_prefix": KEPT,
    "trt_dump_ep_context_model": NO_CONTEXT,
    "trt_ep_context_file_path": NO_CONTEXT,
    "trt_ep_context_embed_mode": NO_CONTEXT,
    "trt_layer_norm_fp32_fallback": "ONNX Runtime's provider does this to the network, not TensorRT.",
    "user_compute_stream": "The engine runs in a process and a stream of its own.",
}
OTHERS = "ONNX Runtime's TensorRT provider does this, not TensorRT itself."
NO_SESSION = "TensorRT itself runs the model: there is no session of ONNX Runtime."
ACTION = "Leave it out, or choose provider 'tensorrt'."


def unused(key: str) -> str | None:
    """Return why an option of the TensorRT provider means nothing to TensorRT itself; ``None`` where it means something."""
    return None if key in USED else BY_OPTION.get(key, OTHERS)


def findings_of(now: Effective, model: Model | None) -> Iterator[Finding]:
    """Yield what is useless or dangerous about Settings for TensorRT itself.

    Parameters
    ----------
    now : Effective
        The values in force.
    model : Model or None
        The model to run.
    """
    if model is None:
        return
    missing = [spec.name for spec in model.inputs if spec.dynamic and not now.settings.profile.of(spec.name)]
    if missing:
        yield Finding(
            level="info",
            where="profile",
            seen=f"no range is given for {', '.join(map(repr, missing))}, whose shape is open",
            meaning="TensorRT itself does not let ranges grow: the engine takes the shapes of this job's inputs only.",
            action="Give NAME=MIN:OPT:MAX for each, to run other shapes with one engine.",
        )
    quantised = any(count.op_type in ("QuantizeLinear", "DequantizeLinear") for count in model.operators)
    if now.on("trt_int8_enable") and not quantised and not now.on("trt_int8_calibration_table_name"):
        yield Finding(
            level="warning",
            where="precision",
            seen="int8 is asked for, the model has no Q/DQ nodes, and no calibration table is given",
            meaning="TensorRT knows no ranges then, and refuses to build.",
            action="Calibrate the model, or give a table: trt_int8_calibration_table_name.",
        )
