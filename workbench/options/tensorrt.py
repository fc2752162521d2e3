"""The options of ONNX Runtime's TensorRT provider.

Keys, defaults and first releases: ONNX Runtime's tensorrt_execution_provider_info.cc and onnxruntime_pybind_state.cc, tags 1.17
to 1.31. What its engine cache notices: the engine's file name (TRTGenerateId and the suffixes) and the .profile file.
"""

from __future__ import annotations

from typing import Any

from workbench.options.option import LARGEST_INT, LARGEST_SIZE, EngineCache, OptionEffect, OptionSpec

DEVICE, PRECISION, BUILDING, CACHE = "Device", "Precision", "Building", "Engine cache"
SHAPES, PARTITIONING, MEMORY, INT8 = "Shapes", "Partitioning", "Memory and streams", "INT8"
CONTEXT, DEBUGGING, PLUGINS = "EP context", "Debugging", "Plugins and security"

TACTIC_SOURCES = ("CUBLAS", "CUBLAS_LT", "CUDNN", "EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS")
_TACTIC = rf"[+-](?:{'|'.join(TACTIC_SOURCES)})"


def _option(  # noqa: PLR0913, PLR0917  # one row of the table
    key: str,
    group: str,
    effect: OptionEffect,
    text: str,
    cache: EngineCache | None = None,
    since: str = "1.8",
    **more: Any,  # noqa: ANN401  # further fields of OptionSpec
) -> OptionSpec:
    fields: dict[str, Any] = {"type": "bool", "default": False} | more
    return OptionSpec(key=key, provider="tensorrt", group=group, effect=effect, ort_cache=cache, help=text, since=since, **fields)


def _number(*row: Any, **more: Any) -> OptionSpec:  # noqa: ANN401  # as _option
    fields: dict[str, Any] = {"type": "int", "minimum": 0, "maximum": LARGEST_INT} | more
    return _option(*row, **fields)


def _path(*row: Any) -> OptionSpec:  # noqa: ANN401  # as _option
    return _option(*row, type="path", default="")


def _shapes(which: str) -> OptionSpec:
    text = f"The {which} shape of every dynamic input; min, opt and max belong together. Settings.profile writes it."
    form = "NAME:SHAPE,NAME:SHAPE, such as x:1x3x224x224,mask:1x77"
    key = f"trt_profile_{which}_shapes"
    return _option(key, SHAPES, "rebuild", text, "profile", "1.15", type="shapes", default="", form=form)


def _foreign(key: str, group: str, text: str, instead: str, since: str) -> OptionSpec:
    return _option(key, group, "not-python", text, None, since, type="int", default=None, python=False, instead=instead)


_DEVICE = (
    _number("device_id", DEVICE, "rebuild", "Index of the GPU; the CUDA provider gets the same.", "name", default=0),
    _option(
        "trt_dla_enable", DEVICE, "rebuild", "Run layers on a DLA (Jetson), the rest on the GPU; needs fp16 or int8.", "name"
    ),
    _number("trt_dla_core", DEVICE, "rebuild", "Index of the DLA core.", "name", default=0),
    _option(
        "trt_engine_hw_compatible",
        DEVICE,
        "rebuild",
        "Build engines that run on every GPU from Ampere on; somewhat slower, not for Jetson, only with the engine cache on.",
        "name",
        "1.18.1",
    ),
)

_PRECISION = (
    _option(
        "trt_fp16_enable", PRECISION, "rebuild", "Let TensorRT use FP16 where it is faster. Settings.precision sets it.", "name"
    ),
    _option(
        "trt_bf16_enable",
        PRECISION,
        "rebuild",
        "Let TensorRT use BF16; compute capability 8.0 on. Settings.precision sets it.",
        "name",
        "1.23",
    ),
    _option(
        "trt_int8_enable",
        PRECISION,
        "rebuild",
        "Let TensorRT use INT8; needs a calibration table or a model with Q/DQ nodes. Settings.precision sets it.",
        "name",
    ),
    _option(
        "trt_layer_norm_fp32_fallback",
        PRECISION,
        "rebuild",
        "Keep Pow directly followed by a reduction in FP32 under fp16 or bf16; leaves LayerNormalization nodes alone.",
        "stale",
        "1.14",
    ),
)

_INT8 = (
    _path(
        "trt_int8_calibration_table_name",
        INT8,
        "rebuild",
        "File with the activations' ranges, looked up in the engine cache folder; not for models with Q/DQ nodes.",
        "stale",
    ),
    _option(
        "trt_int8_use_native_calibration_table",
        INT8,
        "rebuild",
        "The table is TensorRT's own text form, not ONNX Runtime's flatbuffers form.",
        "stale",
    ),
)

_BUILDING = (
    _number(
        "trt_max_workspace_size",
        BUILDING,
        "rebuild",
        "Most GPU memory that a layer may use as scratch space; 1 GiB when not given.",
        "stale",
        until="1.18",
        default=1 << 30,
        maximum=LARGEST_SIZE,
        unit="bytes",
    ),
    _number(
        "trt_max_workspace_size",
        BUILDING,
        "rebuild",
        "Most GPU memory that a layer may use as scratch space; 0 sets no limit.",
        "stale",
        "1.19",
        default=0,
        maximum=LARGEST_SIZE,
        unit="bytes",
    ),
    _number(
        "trt_builder_optimization_level",
        BUILDING,
        "rebuild",
        "How hard TensorRT searches for fast kernels: 0 builds fastest, 5 longest.",
        "stale",
        "1.15",
        default=3,
        maximum=5,
    ),
    _option(
        "trt_sparsity_enable",
        BUILDING,
        "rebuild",
        "Use sparse kernels for weights with 2:4 structured sparsity.",
        "stale",
        "1.15",
    ),
    OptionSpec(
        key="trt_tactic_sources",
        provider="tensorrt",
        type="str",
        default="",
        pattern=rf"{_TACTIC}(?:,{_TACTIC})*",
        form=f"+NAME parts with commas between, NAME being one of {', '.join(TACTIC_SOURCES)}",
        group=BUILDING,
        effect="rebuild",
        ort_cache="stale",
        since="1.15",
        help="Libraries that TensorRT may take kernels from, on top of its defaults.",
    ),
    OptionSpec(
        key="trt_preview_features",
        provider="tensorrt",
        type="enum",
        default="",
        choices=("ALIASED_PLUGIN_IO_10_03",),
        group=BUILDING,
        effect="rebuild",
        ort_cache="stale",
        since="1.22",
        help="Preview features of TensorRT to switch on.",
    ),
    _option(
        "trt_build_heuristics_enable", BUILDING, "ignored", "Does nothing; use trt_builder_optimization_level=2.", None, "1.15"
    ),
    _option("trt_force_sequential_engine_build", BUILDING, "ignored", "Does nothing: builds are always one after the other."),
    _option(
        "trt_weight_stripped_engine_enable",
        BUILDING,
        "rebuild",
        "Build engines without weights; they are put in from the ONNX model when the engine is loaded.",
        "name",
        "1.18.1",
    ),
    _path(
        "trt_onnx_model_folder_path",
        BUILDING,
        "reuse",
        "Folder of the ONNX model that weight-stripped engines get their weights from.",
        None,
        "1.18.1",
    ),
)

_CACHE = (
    _option("trt_engine_cache_enable", CACHE, "reuse", "Keep built engines as files; ONNX Runtime's cache may serve stale ones."),
    _path(
        "trt_engine_cache_path", CACHE, "reuse", "Folder of engines, timing caches and calibration tables; its parent must exist."
    ),
    OptionSpec(
        key="trt_engine_cache_prefix",
        provider="tensorrt",
        type="str",
        default="",
        group=CACHE,
        effect="reuse",
        ort_cache="name",
        since="1.17",
        help="Begins engine files' names; a hash of the model keeps two models apart.",
    ),
    _option(
        "trt_timing_cache_enable",
        CACHE,
        "reuse",
        "Keep kernel timings as a file: later builds are several times faster.",
        None,
        "1.15",
    ),
    _path(
        "trt_timing_cache_path", CACHE, "reuse", "Folder of the timing cache; the engine cache's when not given.", None, "1.17"
    ),
    _option("trt_force_timing_cache", CACHE, "reuse", "Use a timing cache made on another GPU model too.", None, "1.17"),
)

_SHAPES = (_shapes("min"), _shapes("opt"), _shapes("max"))

_PARTITIONING = (
    _number(
        "trt_max_partition_iterations",
        PARTITIONING,
        "rebuild",
        "How often a part of the graph may be cut again; when exceeded, TensorRT takes nothing at all.",
        default=1000,
        minimum=1,
    ),
    _number(
        "trt_min_subgraph_size",
        PARTITIONING,
        "rebuild",
        "Parts of the graph with fewer nodes are left to CUDA or the CPU.",
        "stale",
        default=1,
        minimum=1,
    ),
    OptionSpec(
        key="trt_op_types_to_exclude",
        provider="tensorrt",
        type="str",
        default="",
        form="operator types with commas and no spaces between, such as NonMaxSuppression,NonZero",
        group=PARTITIONING,
        effect="rebuild",
        ort_cache="stale",
        since="1.21",
        help="Operators that TensorRT must not take, with commas between.",
    ),
)

_MEMORY = (
    OptionSpec(
        key="user_compute_stream",
        provider="tensorrt",
        type="int",
        default=None,
        minimum=0,
        maximum=2**64 - 1,
        group=MEMORY,
        effect="runtime",
        since="1.18",
        help="Address of the CUDA stream to run on; for IO binding within one process.",
    ),
    _option(
        "trt_context_memory_sharing_enable", MEMORY, "runtime", "Let a model's engines share activation memory.", None, "1.12"
    ),
    _number(
        "trt_auxiliary_streams",
        MEMORY,
        "rebuild",
        "Extra streams within an engine: -1 lets TensorRT choose, 0 needs least memory.",
        "stale",
        "1.15",
        default=-1,
        minimum=-1,
    ),
    _option(
        "trt_cuda_graph_enable",
        MEMORY,
        "runtime",
        "Record the run once and replay it; needs the whole model on TensorRT, fixed shapes and IO binding.",
        None,
        "1.16",
    ),
)

_CONTEXT = (
    _option(
        "trt_dump_ep_context_model",
        CONTEXT,
        "reuse",
        "Write an ONNX model that holds or names the engine and loads at once; TensorRT must take the whole graph.",
        None,
        "1.17",
    ),
    _path(
        "trt_ep_context_file_path",
        CONTEXT,
        "reuse",
        "File or folder of that model; <model>_ctx.onnx when not given.",
        None,
        "1.17",
    ),
    _number(
        "trt_ep_context_embed_mode",
        CONTEXT,
        "reuse",
        "0 names the engine file in that model, 1 puts the engine into it (up to 2 GB).",
        None,
        "1.17",
        default=0,
        maximum=1,
        choices=(0, 1),
    ),
)

_DEBUGGING = (
    _option(
        "trt_dump_subgraphs", DEBUGGING, "reuse", "Write every part that TensorRT takes as an ONNX file into the current folder."
    ),
    _option(
        "trt_detailed_build_log", DEBUGGING, "reuse", "Log TensorRT's steps and the build time of every engine.", None, "1.15"
    ),
)

_PLUGINS = (
    _path(
        "trt_extra_plugin_lib_paths",
        PLUGINS,
        "rebuild",
        "Plugin libraries, with semicolons between; loaded once in a process.",
        "stale",
        "1.15",
    ),
    _option(
        "trt_engine_decryption_enable", PLUGINS, "reuse", "Encrypt engine files, and decrypt them when they are loaded.", "name"
    ),
    _path("trt_engine_decryption_lib_path", PLUGINS, "reuse", "Library with the functions encrypt and decrypt."),
)

_BYTES = "Give the model as a file path; Python cannot pass a pointer here."
_NOT_PYTHON = (
    _foreign(
        "has_user_compute_stream",
        MEMORY,
        "Whether a stream is given; ONNX Runtime derives it.",
        "Set user_compute_stream; this one follows from it.",
        "1.17",
    ),
    _foreign("trt_onnx_bytestream", BUILDING, "Pointer to the model's bytes, for weight-stripped engines.", _BYTES, "1.19"),
    _foreign("trt_onnx_bytestream_size", BUILDING, "Size of those bytes.", _BYTES, "1.19"),
    _foreign("trt_external_data_bytestream", BUILDING, "Pointer to the external data's bytes.", _BYTES, "1.23"),
    _foreign("trt_external_data_bytestream_size", BUILDING, "Size of those bytes.", _BYTES, "1.23"),
    _foreign(
        "trt_load_user_initializer",
        BUILDING,
        "Keep weights in memory instead of in files while building.",
        "Leave it out; from Python, weights go through files.",
        "1.23",
    ),
)

OPTIONS: tuple[OptionSpec, ...] = (
    *_PRECISION,
    *_INT8,
    *_BUILDING,
    *_SHAPES,
    *_CACHE,
    *_PARTITIONING,
    *_MEMORY,
    *_DEVICE,
    *_CONTEXT,
    *_DEBUGGING,
    *_PLUGINS,
    *_NOT_PYTHON,
)
