"""Options of the session: attributes of ``SessionOptions``, and configuration entries, whose keys hold dots.

First releases: ONNX Runtime's onnxruntime_session_options_config_keys.h, and the keys found in the wheels 1.17.3 to 1.31.1.
"""

from __future__ import annotations

from typing import Any

from workbench.options.option import LARGEST_INT, EngineCache, OptionEffect, OptionSpec

GRAPH, THREADS, MEMORY, PLACEMENT = "Graph", "Threads", "Memory", "Placement"
CONTEXT, DEBUGGING = "EP context", "Debugging"

_LEVELS = ("disable", "basic", "extended", "all")


def _option(  # noqa: PLR0913  # one row of the table
    key: str,
    group: str,
    text: str,
    since: str | None = None,
    *,
    effect: OptionEffect = "runtime",
    cache: EngineCache | None = None,
    **more: Any,  # noqa: ANN401  # further fields of OptionSpec
) -> OptionSpec:
    fields: dict[str, Any] = {"type": "bool", "default": False} | more
    return OptionSpec(key=key, provider="session", group=group, effect=effect, ort_cache=cache, help=text, since=since, **fields)


def _number(*row: Any, **more: Any) -> OptionSpec:  # noqa: ANN401  # as _option
    fields: dict[str, Any] = {"type": "int", "default": 0, "minimum": 0, "maximum": LARGEST_INT} | more
    return _option(*row, **fields)


def _text(*row: Any, **more: Any) -> OptionSpec:  # noqa: ANN401  # as _option
    fields: dict[str, Any] = {"type": "str", "default": ""} | more
    return _option(*row, **fields)


def _graph(*row: Any, **more: Any) -> OptionSpec:  # noqa: ANN401  # as _option
    # The engine's file name holds the names of all tensors after the first optimisations.
    return _option(*row, effect="rebuild", cache="name", **more)


def _context(key: str, text: str, instead: str, since: str, **more: Any) -> OptionSpec:  # noqa: ANN401  # as _option
    return _option(key, CONTEXT, text, since, effect="not-python", python=False, instead=instead, **more)


def _level(choices: tuple[str, ...], **more: Any) -> OptionSpec:  # noqa: ANN401  # as _option
    text = "How far ONNX Runtime rewrites the graph; TensorRT gets it after the basic level."
    return _graph("graph_optimization_level", GRAPH, text, type="enum", default="all", choices=choices, **more)


_ATTRIBUTES = (
    _level(_LEVELS, until="1.22"),
    _level((*_LEVELS[:-1], "layout", "all"), since="1.23"),
    _number("intra_op_num_threads", THREADS, "Threads within one operator on the CPU; 0 takes one for each core."),
    _number("inter_op_num_threads", THREADS, "Threads that run operators side by side; only in parallel mode."),
    _option(
        "execution_mode",
        THREADS,
        "Whether operators on the CPU run one after the other or side by side.",
        type="enum",
        default="sequential",
        choices=("sequential", "parallel"),
    ),
    _option("enable_cpu_mem_arena", MEMORY, "Keep freed CPU memory for later.", default=True),
    _option("enable_mem_pattern", MEMORY, "Plan memory ahead where shapes are fixed.", default=True),
    _option("enable_mem_reuse", MEMORY, "Let tensors take the memory of others that are no longer needed.", default=True),
    _option("use_deterministic_compute", GRAPH, "Prefer kernels that give the same result every time."),
    _number(
        "log_severity_level",
        DEBUGGING,
        "0 verbose, 1 info, 2 warning, 3 error, 4 fatal; -1 is ONNX Runtime's own choice.",
        default=-1,
        minimum=-1,
        maximum=4,
    ),
    _number("log_verbosity_level", DEBUGGING, "How much a verbose log says."),
)

_FROM_PYTHON = "From Python, the TensorRT provider reads its own options only: set {}."
_ENTRIES = (
    _option("session.disable_cpu_ep_fallback", PLACEMENT, "Fail when a node of the main graph would run on the CPU.", "1.16"),
    _option("session.record_ep_graph_assignment_info", PLACEMENT, "Record which provider takes each node.", "1.24"),
    _option("session.disable_model_compile", PLACEMENT, "Fail instead of building an engine; EP context models load.", "1.22"),
    _text("session.layer_assignment_settings", PLACEMENT, "Which layers go to which device.", "1.25"),
    _option("session.name_based_layer_assignment", PLACEMENT, "Match those layers by node name.", "1.28"),
    _text("session.resource_cuda_partitioning_settings", PLACEMENT, "Memory that the CUDA provider's nodes may need.", "1.21"),
    _text("session.collect_node_memory_stats_to_file", DEBUGGING, "Write every node's memory use to this file.", "1.21"),
    _graph("session.disable_quant_qdq", GRAPH, "Leave Q/DQ nodes as they are."),
    _graph("session.disable_qdq_constant_folding", GRAPH, "Do not fold constants through Q/DQ nodes.", "1.26"),
    _graph("session.disable_double_qdq_remover", GRAPH, "Keep pairs of Q/DQ nodes that undo each other."),
    _graph("session.enable_quant_qdq_cleanup", GRAPH, "Remove Q/DQ nodes that are left over."),
    _graph("session.disable_aot_function_inlining", GRAPH, "Do not replace model functions by their nodes beforehand.", "1.17"),
    _graph(
        "optimization.disable_specified_optimizers",
        GRAPH,
        "Optimisers to leave out.",
        "1.18",
        type="str",
        default="",
        form="names with semicolons between",
    ),
    _graph("optimization.enable_gelu_approximation", GRAPH, "Compute Gelu approximately."),
    _graph("optimization.enable_cast_chain_elimination", GRAPH, "Remove chains of Cast nodes.", "1.23"),
    _option("session.intra_op.allow_spinning", THREADS, "Let idle threads wait actively.", default=True),
    _option("session.inter_op.allow_spinning", THREADS, "Let idle threads of the parallel mode wait actively.", default=True),
    _option("session.force_spinning_stop", THREADS, "Stop active waiting after every run."),
    _text("session.intra_op_thread_affinities", THREADS, "Cores that the threads are bound to, such as 1;2;3."),
    _option("session.set_denormal_as_zero", GRAPH, "Treat subnormal numbers as zero on the CPU."),
    _option("session.disable_prepacking", MEMORY, "Do not keep a second, packed copy of weights for the CPU."),
    _option("session.use_device_allocator_for_initializers", MEMORY, "Allocate weights outside the arena."),
    _option("session.use_env_allocators", MEMORY, "Share allocators between sessions."),
    _option("session.strict_shape_type_inference", GRAPH, "Fail where inferred shapes or types contradict the model."),
    _context("ep.context_enable", "Write an EP context model.", _FROM_PYTHON.format("trt_dump_ep_context_model"), "1.17"),
    _context(
        "ep.context_file_path", "Its file.", _FROM_PYTHON.format("trt_ep_context_file_path"), "1.17", type="path", default=""
    ),
    _context(
        "ep.context_embed_mode",
        "Whether the engine lies within it.",
        _FROM_PYTHON.format("trt_ep_context_embed_mode"),
        "1.17",
        type="int",
        default=0,
        choices=(0, 1),
    ),
)

OPTIONS: tuple[OptionSpec, ...] = (*_ATTRIBUTES, *_ENTRIES)

# Entries that ONNX Runtime knows and this workbench says nothing of; with the first release that has them, as far as the
# supported releases show it.
OTHER_ENTRIES: tuple[tuple[str, str | None], ...] = (
    ("ep.context_node_name_prefix", "1.19"),
    ("ep.share_ep_contexts", "1.20"),
    ("ep.context_model_external_initializers_file_name", "1.21"),
    ("ep.stop_share_ep_contexts", "1.22"),
    ("ep.enable_weightless", "1.29"),
    ("ep.cuda.fpa_intb_gemm", "1.31"),
    ("ep.cuda.fpa_intb_profile_m", "1.31"),
    ("ep.cuda.gqa_workspace_max_total_sequence_length", "1.31"),
    ("memory.enable_memory_arena_shrinkage", None),
    ("mlas.disable_kleidiai", "1.30"),
    ("mlas.kleidiai.conv_igemm_max_work", "1.28"),
    ("mlas.nchwc_depthwise_sliding", "1.31"),
    ("mlas.nchwc_pointwise_conv_max_input_channel_batch", "1.30"),
    ("mlas.qnbit.force_fp32", "1.31"),
    ("mlas.use_lut_gemm", "1.24"),
    ("optimization.constant_folding_max_output_size_in_bytes", "1.27"),
    ("optimization.minimal_build_optimizations", None),
    ("session.allow_released_opsets_only", None),
    ("session.compile_only", "1.27"),
    ("session.debug_layout_transformation", None),
    ("session.dynamic_block_base", None),
    ("session.enable_cpu_mem_arena", "1.28"),
    ("session.enable_dq_matmulnbits_fusion", "1.24"),
    ("session.enable_mem_pattern", "1.28"),
    ("session.enable_moe_expert_counting", "1.31"),
    ("session.enable_moe_expert_statistics", "1.31"),
    ("session.enable_profiling", "1.28"),
    ("session.enable_saved_runtime_optimizations", "1.30"),
    ("session.execution_mode", "1.28"),
    ("session.fail_on_suboptimal_compiled_model", "1.23"),
    ("session.function_expansion_byte_limit", "1.31"),
    ("session.function_expansion_node_limit", "1.31"),
    ("session.gqa_value_layout", "1.30"),
    ("session.graph_optimization_level", "1.28"),
    ("session.graph_optimizations_loop_level", "1.23"),
    ("session.inter_op.spin_backoff_max", "1.26"),
    ("session.inter_op.spin_duration_us", "1.26"),
    ("session.inter_op_num_threads", "1.28"),
    ("session.intra_op.spin_backoff_max", "1.26"),
    ("session.intra_op.spin_duration_us", "1.26"),
    ("session.intra_op_num_threads", "1.28"),
    ("session.load_model_format", None),
    ("session.log_id", "1.28"),
    ("session.log_severity_level", "1.28"),
    ("session.log_verbosity_level", "1.28"),
    ("session.max_shape_override", "1.29"),
    ("session.model_external_initializers_file_folder_path", "1.21"),
    ("session.moe_expert_counter_alpha", "1.31"),
    ("session.moe_expert_counter_beta", "1.31"),
    ("session.moe_expert_counter_state_file", "1.31"),
    ("session.node_partition_config_file", None),
    ("session.optimized_model_external_initializers_file_name", None),
    ("session.optimized_model_external_initializers_min_size_in_bytes", None),
    ("session.optimized_model_filepath", "1.28"),
    ("session.prepack.enable_parallel", "1.31"),
    ("session.qdq_matmulnbits_accuracy_level", "1.19"),
    ("session.qdq_matmulnbits_block_size", "1.25"),
    ("session.qdqisint8allowed", None),
    ("session.save_external_prepacked_constant_initializers", "1.21"),
    ("session.save_model_format", None),
    ("session.strict_workspace_verification", "1.31"),
    ("session.use_deterministic_compute", "1.28"),
    ("session.use_external_initializer_file_buffers_directly", "1.31"),
    ("session.use_memory_mapped_ort_model", "1.26"),
    ("session.use_ort_model_bytes_directly", None),
    ("session.use_ort_model_bytes_for_initializers", None),
    ("session.use_per_session_threads", "1.28"),
    ("session.x64quantprecision", None),
)
