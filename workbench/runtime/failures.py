"""From what ONNX Runtime raises to a failure's kind and remedy.

The patterns are texts of ONNX Runtime 1.17 to 1.31.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from workbench.errors import JobError
from workbench.record import FailureKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


DOCTOR = "Run `workbench doctor`: it names what is missing and the line that installs it."
ERROR_LINE = re.compile(r"\[E[:\]]|\bERROR\b")
MISSING = re.compile(r"Failed to load library (\S*/)?(?P<library>\S+) with error: (?P<why>[^\n]+)")


class _Pattern(NamedTuple):
    kind: FailureKind
    text: re.Pattern[str]
    remedy: str


def _pattern(kind: FailureKind, text: str, remedy: str) -> _Pattern:
    return _Pattern(kind, re.compile(text), remedy)


# CUDA's (cudaErrorMemoryAllocation is 2), cuBLAS's, cuDNN's, TensorRT's and the arena's words for a full GPU
GPU_MEMORY = _pattern(
    "memory",
    r"CUDA (failure|error) 2\b|cudaErrorMemoryAllocation|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED|OutOfMemory"
    r"|CUDA_ERROR_OUT_OF_MEMORY|CUDA out of memory|Requested amount of GPU memory|GPU memory.* insufficient",
    "The GPU's memory is full. Limit what is taken (trt_max_workspace_size for TensorRT, gpu_mem_limit for CUDA), use smaller "
    "shapes or a smaller profile, or close what else uses the GPU.",
)
PATTERNS = (
    GPU_MEMORY,
    _pattern(
        "shape",
        r"has no shape specified",
        "TensorRT needs the shape of this tensor: run shape inference on the model, or keep the node that makes it off TensorRT "
        "(trt_op_types_to_exclude).",
    ),
    _pattern(
        "shape",
        r"provide all the dynamic shape inputs",
        "A shape profile must name every dynamic input of every TensorRT subgraph, tensors between them included: "
        "`workbench shapes MODEL --complete` adds them. Or leave the profile out: TensorRT then takes the shapes that it sees.",
    ),
    _pattern(
        "opset",
        r"Unsupported model IR version|only \*guarantees\* support for models stamped|opset .* is under development",
        "Install a newer onnxruntime, or convert the model to an older opset (onnx.version_converter).",
    ),
    _pattern(
        "custom-op",
        r"is not a registered function/op|No Op registered for|No opset import for domain",
        "The model uses operators of another library; register it, or export the model without them.",
    ),
    _pattern(
        "memory",
        r"bad_alloc|Failed to allocate memory|out of memory|Available memory of \d+ is smaller than requested",
        "Use smaller shapes, a higher gpu_mem_limit where one is set, or a machine with more memory.",
    ),
    _pattern(
        "provider",
        r"libnvinfer_builder_resource",
        "TensorRT cannot build engines without this library: `workbench doctor` names the line that installs TensorRT whole.",
    ),
    _pattern(
        "build",
        r"failed to create engine|could not build|engine build|could not deserialize engine",
        "TensorRT refused the network; the log's last lines name the layer.",
    ),
    _pattern(
        "inputs",
        r"Got invalid dimensions|Unexpected input data type|Invalid (Feed Input|rank for input)|Missing Input|Required inputs",
        "Give inputs that fit the model, as an .npz file.",
    ),
    _pattern(
        "load",
        r"Could not find an implementation",
        "This release has no kernel for that operator with these types on any provider of the session.",
    ),
    _pattern(
        "provider",
        r"EP Error|Failed to load library|CUDA failure (35|100)\b|CUDA driver version|no CUDA-capable device"
        r"|cannot open shared object file|Could not locate cudnn|install TensorRT libraries"
        r"|Invalid TensorRT EP option|Unknown provider option",
        DOCTOR,
    ),
)


def failure_of(error: BaseException, stage: FailureKind, log: str = "") -> JobError:
    """Return the error for what ONNX Runtime raised.

    Parameters
    ----------
    error : BaseException
        What was raised.
    stage : str
        The kind where no pattern fits: ``load`` while the session is made, ``run`` after.
    log : str
        What was logged meanwhile: TensorRT tells only there that memory was short, or that a library was missing.
    """
    text = _clean(str(error))
    pattern = next((pattern for pattern in PATTERNS if pattern.text.search(text)), None)
    if pattern is None or pattern.kind in ("build", "provider"):
        cause = logged_cause(log)
        if cause is not None:
            return JobError(f"{text} ({cause.message})", kind=cause.kind, remedy=cause.remedy)
    if pattern is not None:
        return JobError(text, kind=pattern.kind, remedy=pattern.remedy)
    remedy = (
        "The inputs may not suit the model, as random ones often do not: give real ones as an .npz file, or a shape profile."
        if stage == "run"
        else ""
    )
    return JobError(text or type(error).__name__, kind=stage, remedy=remedy)


def logged_cause(log: str) -> JobError | None:
    """Return what a log says of full memory or a library that is missing; ``None`` where it says neither."""
    for line in log.splitlines():
        # no warnings: TensorRT gives one for each tactic that it leaves out for want of memory, and goes on
        if ERROR_LINE.search(line) and GPU_MEMORY.text.search(line):
            return JobError(_clean(line), kind=GPU_MEMORY.kind, remedy=GPU_MEMORY.remedy)
    found = MISSING.search(log)
    if found is None:
        return None
    return JobError(f"{found['library']}: {found['why']}", kind="provider", remedy=DOCTOR)


@contextmanager
def told(errors: tuple[type[BaseException], ...], stage: FailureKind, log: Callable[[], str] = str) -> Iterator[None]:
    """Raise what ONNX Runtime raises inside as a :class:`JobError`; `log` returns what was logged meanwhile."""
    try:
        yield
    except errors as error:
        raise failure_of(error, stage, log()) from error


def _clean(text: str) -> str:
    """Drop ONNX Runtime's status prefix and source positions, which say nothing to a user."""
    text = re.sub(r"\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ", "", " ".join(text.split()))
    text = re.sub(r"(\S+\.(cc|h|cpp):\d+ )(\S+ )*?(?=[A-Z*\[])", "", text, count=1)
    return text[:2000]
