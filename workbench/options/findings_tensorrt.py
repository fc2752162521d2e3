"""What is useless or dangerous about Settings of the TensorRT provider.

Source: ONNX Runtime's tensorrt_execution_provider.cc, tags 1.17 to 1.31.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from packaging.version import Version

from workbench.errors import nearest
from workbench.options.tensor_types import tensor_types
from workbench.record import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.model.model import Model
    from workbench.options.effective import Effective

CONTROL_FLOW = ("If", "Loop", "Scan")
QUANTISERS = ("QuantizeLinear", "DequantizeLinear")
NARROW = ("float8_e4m3fn", "float8_e5m2", "int4", "uint4", "float4_e2m1")

# Networks are strongly typed in these releases when no precision flag is set. 1.17 goes with TensorRT 8.6, which cannot;
# 1.27 lost it (microsoft/onnxruntime PR 28611; the repair, PR 29779, is not in 1.31.1).
STRONG_SINCE, STRONG_BEFORE = Version("1.18"), Version("1.27")


def findings_of(now: Effective, release: Version, model: Model | None) -> list[Finding]:
    """Return the findings about Settings of the TensorRT provider.

    Parameters
    ----------
    now : Effective
        The values in force.
    release : Version
        A supported release of ONNX Runtime.
    model : Model or None
        The model to run.
    """
    found = [*_cache(now), *_context(now), *_building(now, release), *_plugins(now), *_memory(now), *_excluded(now, model)]
    found += _several(now)
    if model is not None:
        found += [*_shapes(now, model), *_graph(now, model), *_types(now, release, model), *_int8(now, model), *_norm(now, model)]
    return found


def _warning(where: str, seen: str, meaning: str, action: str = "") -> Finding:
    return Finding(level="warning", where=where, seen=seen, meaning=meaning, action=action)


def _cache(now: Effective) -> Iterator[Finding]:
    if now.on("trt_engine_cache_enable"):
        yield _warning(
            "trt_engine_cache_enable",
            "ONNX Runtime's own engine cache is on",
            "It does not notice changed weights, attributes, fixed shapes or most options: it then loads an old engine without a "
            "word, and results may be wrong.",
            "Use one folder for each model and each set of options, or put a hash of both into trt_engine_cache_prefix.",
        )
    if now.on("trt_engine_cache_enable") and now.settings.profile:
        yield Finding(
            level="info",
            where="trt_engine_cache_enable",
            seen="ONNX Runtime's own engine cache is on, and a shape profile is given",
            meaning="Where TensorRT takes more than one part of the model, such engines are built again in every session.",
            action="Look at the placement; if there are several parts, leave the profile out and warm up instead.",
        )


def _context(now: Effective) -> Iterator[Finding]:
    if not now.on("trt_dump_ep_context_model"):
        return
    path = str(now.value("trt_engine_cache_path") or "")
    if path and PurePath(path).is_absolute():
        yield _warning(
            "trt_engine_cache_path",
            "the path is absolute, and an EP context model is written",
            "ONNX Runtime wants a relative path then.",
            "Give it relative to the folder that the session is made in.",
        )
    yield Finding(
        level="info",
        where="trt_dump_ep_context_model",
        seen="an EP context model is written when the engine is built",
        meaning="With fixed shapes or a profile, an engine that comes from the cache writes none. A graph that TensorRT does not "
        "take whole gives a model that cannot be used.",
        action="Start with an empty cache folder, and look at the placement first.",
    )
    if now.value("trt_ep_context_embed_mode") == 1:
        yield Finding(
            level="info",
            where="trt_ep_context_embed_mode",
            seen="the engine goes into the ONNX file",
            meaning="That fails for engines above 2 GB.",
            action="Use 0 for large models.",
        )


def _building(now: Effective, release: Version) -> Iterator[Finding]:
    sources = str(now.value("trt_tactic_sources") or "").split(",")
    removed = [source for source in sources if source.startswith("-")]
    if removed:
        yield _warning(
            "trt_tactic_sources",
            f"{', '.join(removed)} is meant to take a source away",
            "ONNX Runtime adds sources to TensorRT's defaults only; a '-' has no effect.",
            "Leave these parts out.",
        )
    if now.settings.provider_options.get("trt_max_workspace_size") == 0 and release.release[:2] <= (1, 18):
        yield _warning(
            "trt_max_workspace_size",
            "0 is given",
            "Up to ONNX Runtime 1.18 that is replaced by 1 GiB; from 1.19 on it means no limit.",
            "Give a size in bytes, such as 8GiB.",
        )
    if now.on("trt_weight_stripped_engine_enable"):
        yield _warning(
            "trt_weight_stripped_engine_enable",
            "engines are built without weights",
            "The engine with its weights put back is written into the current folder, not into the cache folder.",
        )


def _plugins(now: Effective) -> Iterator[Finding]:
    if now.on("trt_extra_plugin_lib_paths"):
        yield _warning(
            "trt_extra_plugin_lib_paths",
            "plugin libraries are given",
            "They are loaded once in a process; another list in a later session of that process is ignored.",
            "End the worker before changing them.",
        )


def _memory(now: Effective) -> Iterator[Finding]:
    if now.on("gpu_mem_limit"):
        yield Finding(
            level="info",
            where="gpu_mem_limit",
            seen="a memory limit is given",
            meaning="It holds for the CUDA provider's arena only; TensorRT takes its memory beside it.",
            action="Limit TensorRT's scratch memory with trt_max_workspace_size.",
        )
    if now.value("use_tf32") is False:
        yield _warning(
            "use_tf32",
            "TF32 is off for the CUDA provider",
            "TensorRT still rounds FP32 to TF32; no option switches that off.",
            "Set NVIDIA_TF32_OVERRIDE=0 in the environment.",
        )


def _excluded(now: Effective, model: Model | None) -> Iterator[Finding]:
    text = str(now.value("trt_op_types_to_exclude") or "")
    if any(letter.isspace() for letter in text):
        yield _warning(
            "trt_op_types_to_exclude",
            f"{text!r} holds spaces",
            "ONNX Runtime compares names exactly: a name with a space matches no operator.",
            f"Write {','.join(part.strip() for part in text.split(','))!r}.",
        )
    operators = {count.op_type for count in model.operators} if model is not None else set()
    absent = [name for part in text.split(",") if (name := part.strip()) and name not in operators]
    if model is not None and absent:
        hints = [hint for name in absent if (hint := nearest(name, sorted(operators)))]
        yield _warning(
            "trt_op_types_to_exclude",
            f"the model has no {', '.join(absent)}",
            "Leaving an operator out that is not there has no effect.",
            " ".join(hints),
        )


def _shapes(now: Effective, model: Model) -> Iterator[Finding]:
    dynamic = [spec.name for spec in model.inputs if spec.dynamic]
    profile = now.settings.profile
    if dynamic and not profile:
        yield _warning(
            "profile",
            f"no shape profile is given, and {', '.join(dynamic)} {'have' if len(dynamic) > 1 else 'has'} dynamic dimensions",
            "TensorRT builds at the first run, and again inside a run whenever a shape lies outside those seen before.",
            "Give a profile, or warm up with the smallest and the largest shapes.",
        )
    fixed = profile and all(given.fixed for given in profile.ranges)
    if dynamic and now.on("trt_cuda_graph_enable") and not fixed:
        yield _warning(
            "trt_cuda_graph_enable",
            f"a CUDA graph is recorded, and {', '.join(dynamic)} may change shape",
            "A recorded graph replays one shape at one address.",
            "Give a profile with min = opt = max, and bind inputs and outputs.",
        )


def _several(now: Effective) -> Iterator[Finding]:
    count = now.settings.profile.count
    if count > 1:
        yield _warning(
            "profile",
            f"{count} profiles are given for each input",
            "ONNX Runtime builds engines with all of them, but runs on the first only: shapes outside it fail (ONNX Runtime's "
            "pull request 31624 is to change that).",
            "Give one profile that holds all shapes, make one session for each profile, or use the provider 'native'.",
        )


def _graph(now: Effective, model: Model) -> Iterator[Finding]:
    flow = [count.op_type for count in model.operators if count.op_type in CONTROL_FLOW]
    if now.on("trt_cuda_graph_enable") and flow:
        yield _warning(
            "trt_cuda_graph_enable",
            f"a CUDA graph is recorded, and the model has control flow: {', '.join(flow)}",
            "CUDA graphs need a model without control flow that runs on TensorRT as a whole.",
            "Leave it out.",
        )


def _types(now: Effective, release: Version, model: Model) -> Iterator[Finding]:
    """Find types of the file that TensorRT does not keep, because the network is weakly typed."""
    types = tensor_types(model)
    quantised = any(count.op_type in QUANTISERS for count in model.operators)
    weak = not STRONG_SINCE <= release < STRONG_BEFORE
    why = (
        f"In ONNX Runtime {release.major}.{release.minor} TensorRT keeps the types of the file only where a precision flag "
        f"allows them{' (a regression of 1.27)' if release >= STRONG_BEFORE else ''}"
    )
    wanted = [("float16", "fp16", "")]
    if release >= STRONG_BEFORE:
        wanted.append(("bfloat16", "bf16", ""))
    if quantised:
        wanted.append(("int8", "int8", " and the build may fail"))
    for dtype, precision, more in wanted:
        if weak and dtype in types and precision not in now.precisions:
            slower = ": FP16 models have been seen to drop to a third of their speed" if dtype == "float16" else more
            yield _warning(
                "precision",
                f"the model holds {dtype} tensors, and {precision} is off",
                f"{why}{slower}.",
                f"Set precision={precision!r}.",
            )
    narrow = [dtype for dtype in NARROW if dtype in types]
    if quantised and narrow and (weak or now.precisions):
        yield _warning(
            "precision",
            f"the model is quantised to {', '.join(narrow)}",
            "TensorRT needs a strongly typed network for that, and no option of this release asks for one"
            if weak
            else "TensorRT needs a strongly typed network for that, and any precision flag gives a weakly typed one",
            "Use ONNX Runtime 1.18 to 1.26 with precision='fp32'." if weak else "Set precision='fp32'.",
        )


def _int8(now: Effective, model: Model) -> Iterator[Finding]:
    if not now.on("trt_int8_enable"):
        return
    quantised = any(count.op_type in QUANTISERS for count in model.operators)
    table = now.on("trt_int8_calibration_table_name")
    if quantised and table:
        yield _warning(
            "trt_int8_calibration_table_name",
            "a calibration table is given, and the model has Q/DQ nodes",
            "TensorRT refuses ranges from a table when the model brings its own: the build fails.",
            "Leave the table out.",
        )
    if not quantised and not table:
        yield _warning(
            "precision",
            "INT8 is on without a calibration table, and the model has no Q/DQ nodes",
            "TensorRT knows no ranges of the activations: the build fails with 'no scaling factors detected'.",
            "Give trt_int8_calibration_table_name, or quantise the model.",
        )


def _norm(now: Effective, model: Model) -> Iterator[Finding]:
    norms = sum(count.count for count in model.operators if count.op_type == "LayerNormalization")
    if now.on("trt_layer_norm_fp32_fallback") and norms and (now.on("trt_fp16_enable") or now.on("trt_bf16_enable")):
        yield _warning(
            "trt_layer_norm_fp32_fallback",
            f"the model has {norms} LayerNormalization nodes",
            "The option looks for Pow followed by a reduction; it leaves LayerNormalization nodes alone.",
            "Keep these nodes in FP32 in the model itself.",
        )
