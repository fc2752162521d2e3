"""The options of ONNX Runtime's CUDA provider.

Keys and defaults: ONNX Runtime's cuda_execution_provider_info.cc, tags 1.17 to 1.31. None of them changes a TensorRT engine.
"""

from __future__ import annotations

from typing import Any

from workbench.options.option import LARGEST_INT, LARGEST_SIZE, OptionEffect, OptionSpec

DEVICE, MEMORY, CONVOLUTION, KERNELS, TUNING = "Device", "Memory and streams", "Convolution", "Kernels", "Tuning"

LARGEST_ADDRESS = 2**64 - 1


def _option(
    key: str,
    group: str,
    text: str,
    since: str | None = None,
    *,
    effect: OptionEffect = "runtime",
    **more: Any,  # noqa: ANN401  # further fields of OptionSpec
) -> OptionSpec:
    fields: dict[str, Any] = {"type": "bool", "default": False} | more
    return OptionSpec(key=key, provider="cuda", group=group, effect=effect, help=text, since=since, **fields)


def _number(*row: Any, **more: Any) -> OptionSpec:  # noqa: ANN401  # as _option
    fields: dict[str, Any] = {"type": "int", "default": 0, "minimum": 0, "maximum": LARGEST_INT} | more
    return _option(*row, **fields)


def _address(*row: Any) -> OptionSpec:  # noqa: ANN401  # as _option
    return _number(*row, default=None, maximum=LARGEST_ADDRESS)


OPTIONS: tuple[OptionSpec, ...] = (
    _number("device_id", DEVICE, "Index of the GPU."),
    _number(
        "gpu_mem_limit",
        MEMORY,
        "Most memory that the arena may take; no limit when not given. TensorRT's own memory is not counted.",
        default=None,
        minimum=1,
        maximum=LARGEST_SIZE,
        unit="bytes",
    ),
    _option(
        "arena_extend_strategy",
        MEMORY,
        "How the arena grows: by powers of two, or by what is asked for.",
        type="enum",
        default="kNextPowerOfTwo",
        choices=("kNextPowerOfTwo", "kSameAsRequested"),
    ),
    _option("do_copy_in_default_stream", MEMORY, "Copy in the stream that computes; off risks data races.", default=True),
    _address("user_compute_stream", MEMORY, "Address of the CUDA stream to run on.", "1.18"),
    _option("has_user_compute_stream", MEMORY, "Ignored: follows from user_compute_stream.", effect="ignored"),
    _option("use_ep_level_unified_stream", MEMORY, "Run all nodes on one stream.", "1.17"),
    _option("enable_cuda_graph", MEMORY, "Record the run once and replay it; needs fixed shapes and IO binding.", "1.11"),
    _address("gpu_external_alloc", MEMORY, "Address of a function that allocates GPU memory."),
    _address("gpu_external_free", MEMORY, "Address of the function that frees it."),
    _address("gpu_external_empty_cache", MEMORY, "Address of a function that empties that allocator's cache."),
    _option(
        "cudnn_conv_algo_search",
        CONVOLUTION,
        "How cuDNN finds a convolution's kernel: EXHAUSTIVE measures, which makes the first run of every shape slow.",
        type="enum",
        default="EXHAUSTIVE",
        choices=("EXHAUSTIVE", "HEURISTIC", "DEFAULT"),
    ),
    _option("cudnn_conv_use_max_workspace", CONVOLUTION, "Let cuDNN use as much scratch memory as it likes.", default=True),
    _option("cudnn_conv1d_pad_to_nc1d", CONVOLUTION, "Treat 1D convolutions as [N,C,1,D] instead of [N,C,D,1]."),
    _option("fuse_conv_bias", CONVOLUTION, "Run a convolution and its bias as one kernel.", "1.19"),
    _option("prefer_nhwc", CONVOLUTION, "Prefer kernels with channels last.", "1.17"),
    _option("use_tf32", KERNELS, "Let FP32 matrix products round to TF32. TensorRT does not heed it.", "1.18", default=True),
    _number("sdpa_kernel", KERNELS, "Which attention kernels may be used, as a bit mask; 0 lets ONNX Runtime choose.", "1.19"),
    _option("enable_cudnn", KERNELS, "Use cuDNN; without it, nodes that need it run elsewhere.", "1.28", default=True),
    _option("enable_skip_layer_norm_strict_mode", KERNELS, "Ignored: accepted for older scripts.", effect="ignored"),
    _option("tunable_op_enable", TUNING, "Choose between kernels by results of tuning.", "1.15"),
    _option("tunable_op_tuning_enable", TUNING, "Tune while running, where no result is there yet.", "1.15"),
    _number("tunable_op_max_tuning_duration_ms", TUNING, "Longest tuning of one kernel; 0 sets no limit.", "1.15", unit="ms"),
)
