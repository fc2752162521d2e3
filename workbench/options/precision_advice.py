"""Which way to lower precision works with the installed versions: provider flags, or the types of the graph itself.

Networks are strongly typed, so that TensorRT keeps the types of the file, in ONNX Runtime 1.18 to 1.26 with TensorRT 10 and
no precision flag. Before, and again in 1.27 to 1.31 (microsoft/onnxruntime pull request 28611; its repair, 29779, is not
in them), the types of the file need the flag as well, and TensorRT may lower what the file keeps in float32. TensorRT 11 has
no flags, and no calibration tables. What a GPU supports is from the support matrix of TensorRT 8.6 and 10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from packaging.version import InvalidVersion, Version

from workbench.errors import SettingsError
from workbench.options.effective import Effective
from workbench.options.findings_tensorrt import STRONG_BEFORE, STRONG_SINCE
from workbench.options.releases import NEWEST, parse_release
from workbench.record import Record

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import onnx

    from workbench.options.settings import Settings

Lowered = Literal["fp16", "bf16", "int8"]
Backend = Literal["flags", "graph", "none"]

BF16_FLAG_SINCE = Version("1.23")
FLAGS_UNTIL = 11  # the first major version of TensorRT without precision flags
TABLE_OPTIONS = ("trt_int8_calibration_table_name", "trt_int8_use_native_calibration_table")
# Compute capabilities with arithmetic for it, below the first of those that all have it
FP16_BELOW, FP16_FROM = ("5.3", "6.0", "6.2"), (7, 0)
INT8_BELOW, INT8_FROM = ("6.1",), (7, 0)
BF16_FROM = (8, 0)


class PrecisionAdvice(Record):
    """How to get a precision with some versions.

    Attributes
    ----------
    precision : str
        The one asked for.
    onnxruntime, tensorrt : str
        The versions; TensorRT's is the one that the release was built with, where none was given.
    backend : str
        ``flags``, ``graph``, or ``none`` where neither works.
    why : str
        Why this one.
    strongly_typed : bool
        Whether TensorRT keeps the types of the file when no flag is set.
    flags : bool
        Whether the flag works at all.
    graph_flags : tuple of str
        The flags that a model with these types needs, by their precision.
    exact : bool
        Whether nodes kept in float32 in the graph are sure to run in it.
    gpu : bool or None
        Whether the GPU has arithmetic for it; ``None`` where its compute capability is not known.
    notes : tuple of str
        What else to know.
    """

    precision: Lowered
    onnxruntime: str
    tensorrt: str
    backend: Backend
    why: str
    strongly_typed: bool
    flags: bool
    graph_flags: tuple[Lowered, ...]
    exact: bool
    gpu: bool | None
    notes: tuple[str, ...] = ()


def advise(
    precision: Lowered,
    *,
    onnxruntime: str = NEWEST,
    tensorrt: str | None = None,
    compute_capability: str | None = None,
    keep: bool = False,
) -> PrecisionAdvice:
    """Say which way to a precision to take.

    Parameters
    ----------
    precision : str
        ``fp16``, ``bf16`` or ``int8``.
    onnxruntime : str
        Its release.
    tensorrt : str, optional
        Its version; by default what the release was built with.
    compute_capability : str, optional
        Of the GPU, such as ``8.6``.
    keep : bool
        Whether some nodes are to stay in float32, which flags cannot say.

    Raises
    ------
    SettingsError
        When a version is none.
    """
    release = parse_release(onnxruntime)
    library = tensorrt or expected_tensorrt(release)
    major = _major(library)
    strong = _strong(release, major)
    flags = _flag_works(precision, release, major)
    graph = _graph_works(precision, release, major)
    gpu = supports(precision, compute_capability) if compute_capability else None
    backend, why = _chosen(precision, flags=flags, graph=graph, keep=keep, major=major, strong=strong)
    return PrecisionAdvice(
        precision=precision,
        onnxruntime=str(release),
        tensorrt=library,
        backend=backend,
        why=why,
        strongly_typed=strong,
        flags=flags,
        graph_flags=() if strong or not graph else (precision,),
        exact=strong,
        gpu=gpu,
        notes=tuple(_notes(precision, release, major, gpu, strong=strong, graph=graph, keep=keep)),
    )


def expected_tensorrt(release: Version) -> str:
    """Return the TensorRT that a release of ONNX Runtime was built with, as far as its behaviour here depends on it."""
    return "8.6" if release < STRONG_SINCE else "10"


def _major(text: str) -> int:
    try:
        return Version(text).major
    except InvalidVersion as error:
        raise SettingsError(f"{text!r} is no version of TensorRT.", remedy="Write one such as 8.6 or 10.14.1.") from error


def _strong(release: Version, major: int) -> bool:
    return major >= FLAGS_UNTIL or (major >= 10 and STRONG_SINCE <= release < STRONG_BEFORE)


def _flag_works(precision: Lowered, release: Version, major: int) -> bool:
    if major >= FLAGS_UNTIL:
        return False
    return precision != "bf16" or (release >= BF16_FLAG_SINCE and major >= 10)


def _graph_works(precision: Lowered, release: Version, major: int) -> bool:
    """Whether a model with these types can run in them."""
    return precision != "bf16" or _strong(release, major) or _flag_works(precision, release, major)


def _chosen(  # noqa: PLR0913
    precision: Lowered, *, flags: bool, graph: bool, keep: bool, major: int, strong: bool
) -> tuple[Backend, str]:
    """Return the way to take, and why."""
    if not flags and not graph:
        return "none", "This pair of versions has no bfloat16: neither the flag nor a strongly typed network."
    if not flags:
        reason = f"TensorRT {major} has no precision flags" if major >= FLAGS_UNTIL else "This release has no flag for it"
        return "graph", f"{reason}: it keeps the types of the file."
    if precision == "int8":
        return "graph", "Q/DQ says which nodes are quantised, runs on a CPU too, and outlives calibration tables."
    if keep:
        return "graph", "Provider flags hold for the whole model; only the graph can keep nodes in float32."
    more = "; a graph with types is the way once nodes have to stay in float32" if strong else ""
    return "flags", f"The flag needs no new model, and leaves each layer to whichever precision is faster{more}."


def _notes(  # noqa: PLR0913
    precision: Lowered, release: Version, major: int, gpu: bool | None, *, strong: bool, graph: bool, keep: bool  # noqa: FBT001
) -> list[str]:  # fmt: skip
    notes = []
    if gpu is False:
        notes.append(f"This GPU has no fast arithmetic for {precision}: it may be slower than float32, or be refused.")
    if graph and not strong:
        again = ", since 1.27 by a regression" if release >= STRONG_BEFORE else ""
        notes.append(f"A model with {precision} in its graph needs trt_{precision}_enable too{again}.")
        if keep:
            notes.append("TensorRT may still lower nodes that the graph keeps in float32: look at what was delivered.")
    if strong and major < FLAGS_UNTIL:
        notes.append("Set no precision flag beside a model with types: any flag makes the network weakly typed.")
    if precision == "int8" and major < FLAGS_UNTIL:
        since = " TensorRT deprecates them from 10.1 on." if major >= 10 else ""
        notes.append(f"A calibration table with trt_int8_enable is the other way, sometimes the faster one.{since}")
        notes.append("Allow fp16 beside int8: layers without INT8 run in it.")
    return notes


def supports(precision: Lowered, compute_capability: str) -> bool:
    """Whether a GPU has arithmetic for a precision.

    Parameters
    ----------
    precision : str
        ``fp16``, ``bf16`` or ``int8``.
    compute_capability : str
        Such as ``8.6``.

    Raises
    ------
    SettingsError
        When it is none.
    """
    try:
        major, minor = (int(part) for part in compute_capability.split("."))
    except ValueError as error:
        raise SettingsError(f"{compute_capability!r} is no compute capability.", remedy="Write one such as 8.6.") from error
    if precision == "bf16":
        return (major, minor) >= BF16_FROM
    below, start = (FP16_BELOW, FP16_FROM) if precision == "fp16" else (INT8_BELOW, INT8_FROM)
    return (major, minor) >= start or compute_capability in below


def graph_settings(
    settings: Settings, precisions: Collection[str], *, onnxruntime: str = NEWEST, tensorrt: str | None = None
) -> Settings:
    """Return Settings for a model whose graph holds the precisions itself.

    Parameters
    ----------
    settings : Settings
        Those of the model without types.
    precisions : collection of str
        What the new model holds beside float32.
    onnxruntime, tensorrt : str
        As for :func:`advise`.

    Returns
    -------
    Settings
        With the flags that the release needs, and without a calibration table.
    """
    release = parse_release(onnxruntime)
    strong = _strong(release, _major(tensorrt or expected_tensorrt(release)))
    needed = [] if strong else [p for p in ("int8", "bf16", "fp16") if p in precisions]
    options = {
        key: value
        for key, value in settings.provider_options.items()
        if key not in TABLE_OPTIONS and key not in ("trt_fp16_enable", "trt_bf16_enable", "trt_int8_enable")
    }
    options |= {f"trt_{precision}_enable": True for precision in needed[1:]}
    return settings.replace(precision=needed[0] if needed else "fp32", provider_options=options)


def flags_to_graph(  # noqa: PLR0913
    model: onnx.ModelProto,
    settings: Settings,
    *,
    keep: Collection[str] = (),
    ranges: Mapping[str, float] | None = None,
    onnxruntime: str = NEWEST,
    tensorrt: str | None = None,
) -> tuple[onnx.ModelProto, Settings, list[str]]:
    """Put into the graph what Settings ask for by flags.

    Parameters
    ----------
    model : onnx.ModelProto
        In float32, with its weights in it; not changed.
    settings : Settings
        With a precision.
    keep : collection of str
        Nodes that stay in float32, and out of INT8.
    ranges : mapping of str to float, optional
        For INT8: the largest magnitude of each tensor, as of a calibration table.
    onnxruntime, tensorrt : str
        The versions to run with.

    Returns
    -------
    tuple of onnx.ModelProto, Settings and list of str
        The new model, the Settings to run it with, and what changed, in words.

    Raises
    ------
    SettingsError
        When the Settings ask for no lower precision, or for INT8 without ranges.
    """
    from workbench.model.precision.half import to_half
    from workbench.model.precision.qdq import insert_qdq

    precisions = Effective(settings).precisions
    if not precisions:
        raise SettingsError("The Settings ask for float32: there is nothing to put into the graph.", remedy="Set precision.")
    changes: list[str] = []
    if "int8" in precisions:
        if not ranges:
            raise SettingsError("INT8 in the graph needs ranges.", remedy="Calibrate, or give the calibration table.")
        model, quantised = insert_qdq(model, ranges, exclude_nodes=keep)
        changes += quantised.changes()
    halves = [p for p in ("bf16", "fp16") if p in precisions]
    if halves:  # where both are allowed, bf16: its range is float32's
        model, halved = to_half(model, to="bf16" if halves[0] == "bf16" else "fp16", keep=keep)
        changes += halved.changes()
    held = [p for p in precisions if p == "int8" or p == halves[0]]
    return model, graph_settings(settings, held, onnxruntime=onnxruntime, tensorrt=tensorrt), changes
