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
    from collections.abc import Iterator


class _Pattern(NamedTuple):
    kind: FailureKind
    text: re.Pattern[str]
    remedy: str


def _pattern(kind: FailureKind, text: str, remedy: str) -> _Pattern:
    return _Pattern(kind, re.compile(text), remedy)


PATTERNS = (
    _pattern(
        "shape",
        r"has no shape specified",
        "TensorRT needs the shape of this tensor: run shape inference on the model, or keep the node that makes it off TensorRT "
        "(trt_op_types_to_exclude).",
    ),
    _pattern(
        "shape",
        r"provide all the dynamic shape inputs",
        "A shape profile must name every dynamic input of every TensorRT subgraph, tensors between them included. Leave the "
        "profile out: TensorRT then takes the shapes that it sees; or keep the graph in one engine.",
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
        r"bad_alloc|Failed to allocate memory|out of memory|CUDA failure 2",
        "Use smaller shapes, or a machine with more memory.",
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
        r"EP Error|Failed to load library|CUDA failure 35|CUDA driver version|no CUDA-capable device"
        r"|install TensorRT libraries|Invalid TensorRT EP option|Unknown provider option",
        "Run `workbench doctor`: it names what is missing and the line that installs it.",
    ),
)


def failure_of(error: BaseException, stage: FailureKind) -> JobError:
    """Return the error for what ONNX Runtime raised.

    Parameters
    ----------
    error : BaseException
        What was raised.
    stage : str
        The kind where no pattern fits: ``load`` while the session is made, ``run`` after.
    """
    text = _clean(str(error))
    for pattern in PATTERNS:
        if pattern.text.search(text):
            return JobError(text, kind=pattern.kind, remedy=pattern.remedy)
    remedy = (
        "Random inputs do not suit every model: give real ones as an .npz file, or a shape profile." if stage == "run" else ""
    )
    return JobError(text or type(error).__name__, kind=stage, remedy=remedy)


@contextmanager
def told(errors: tuple[type[BaseException], ...], stage: FailureKind) -> Iterator[None]:
    """Raise what ONNX Runtime raises inside as a :class:`JobError`."""
    try:
        yield
    except errors as error:
        raise failure_of(error, stage) from error


def _clean(text: str) -> str:
    """Drop ONNX Runtime's status prefix and source positions, which say nothing to a user."""
    text = re.sub(r"\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ", "", " ".join(text.split()))
    text = re.sub(r"(\S+\.(cc|h|cpp):\d+ )(\S+ )*?(?=[A-Z*\[])", "", text, count=1)
    return text[:2000]
