"""PyTorch's two ONNX exporters behind one function, and what their errors mean.

The exporter that traces TorchScript comes first: TensorRT takes its graphs best, because they hold the operators and
constants that its parser was written for, at the opset asked for. The one based on ``torch.export`` starts at opset 18.
"""

from __future__ import annotations

import contextlib
import ctypes
import inspect
import io
import logging
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import ModelError
from workbench.model.graph import read_instead

if TYPE_CHECKING:
    from collections.abc import Iterator

Exporter = Literal["TorchScript", "torch.export"]
EXPORTERS: tuple[Exporter, ...] = ("TorchScript", "torch.export")
EMBEDDED_BYTES = 1_500_000_000  # weights of less than that stay in the file; protobuf ends at 2 GiB
# A user's module and an exporter may raise any of these, and do.
FOREIGN = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    OSError,
    ImportError,
)

Axes = dict[str, dict[int, str]]


@dataclass(frozen=True)
class Order:
    """What is to be exported.

    Attributes
    ----------
    args, kwargs : tuple and dict
        The example.
    inputs, outputs : tuple of str
        Names for the tensors.
    axes : dict of str to dict of int to str
        The dynamic axes of inputs and outputs, with their dimensions' names.
    places : tuple and dict
        The example's structure with the dynamic axes of each tensor in its place, for ``torch.export``.
    """

    module: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    axes: Axes
    places: tuple[tuple[Any, ...], dict[str, Any]]
    opset: int
    path: Path


@dataclass(frozen=True)
class Traced:
    """Where an exporter took a value of the example for a constant: file, line and what it said."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Explained:
    """What an exporter's error means, and what to do."""

    what: str
    remedy: str


def export(torch: Any, exporter: Exporter, order: Order) -> list[Traced]:  # noqa: ANN401
    """Write the ONNX file; return where values were taken for constants.

    Raises
    ------
    ModelError
        When the exporter fails; the message names the operator or the line at fault.
    """
    run = _by_torchscript if exporter == "TorchScript" else _by_torch_export
    try:
        with _quietly() as caught:
            run(torch, order)
    except FOREIGN as error:
        found = explained(error)
        raise ModelError(found.what, remedy=found.remedy) from error
    return _traced(caught)


def _by_torchscript(torch: Any, order: Order) -> None:  # noqa: ANN401
    # A dict in last place would be taken for the keyword arguments.
    ends_in_dict = bool(order.args) and isinstance(order.args[-1], dict)
    args = (*order.args, order.kwargs) if order.kwargs or ends_in_dict else order.args
    more = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    torch.onnx.export(
        order.module,
        args,
        str(order.path),
        opset_version=order.opset,
        input_names=list(order.inputs),
        output_names=list(order.outputs),
        dynamic_axes=order.axes or None,
        **more,
    )
    _read_weights_themselves(order.path)


def _read_weights_themselves(path: Path) -> None:
    """Take out the Identity nodes between a weight and its readers: the exporter stores equal weights once, and hands them on.

    ONNX Runtime does so before it runs a model. TensorRT's parser makes a layer of each, which runs with every request.
    """
    import onnx

    proto = onnx.load(str(path), load_external_data=False)
    graph = proto.graph
    weights, results = {each.name for each in graph.initializer}, {each.name for each in graph.output}
    weight_of: dict[str, str] = {}
    for i in reversed(range(len(graph.node))):
        node = graph.node[i]
        if node.op_type == "Identity" and node.input[0] in weights and node.output[0] not in results:
            weight_of[node.output[0]] = node.input[0]
            del graph.node[i]
    if weight_of:
        read_instead(graph, weight_of)
        onnx.save(proto, str(path))


def _by_torch_export(torch: Any, order: Order) -> None:  # noqa: ANN401
    known = inspect.signature(torch.onnx.export).parameters
    if "dynamic_shapes" not in known:
        raise RuntimeError(f"torch {torch.__version__} has no exporter based on torch.export (from 2.5 on)")
    weights = sum(each.numel() * each.element_size() for each in order.module.state_dict().values())
    torch.onnx.export(
        order.module,
        order.args,
        str(order.path),
        kwargs=order.kwargs or None,
        opset_version=order.opset,
        input_names=list(order.inputs),
        output_names=list(order.outputs),
        dynamic_shapes=_dynamic_shapes(torch, order),
        dynamo=True,
        verbose=False,
        external_data=weights > EMBEDDED_BYTES,
    )


def _dynamic_shapes(torch: Any, order: Order) -> Any:  # noqa: ANN401
    """Return the places of dynamic axes as ``torch.export`` takes them, or ``None`` where there are none."""
    names = {name for input_ in order.inputs for name in order.axes.get(input_, {}).values()}
    if not names:
        return None
    dims = {name: torch.export.Dim(re.sub(r"\W", "_", name)) for name in sorted(names)}

    def filled(place: Any) -> Any:  # noqa: ANN401
        if isinstance(place, str):
            return {axis: dims[name] for axis, name in order.axes.get(place, {}).items()} or None
        if isinstance(place, list):
            return type(place)(filled(each) for each in place[1:]) if place[0] == "list" else tuple(map(filled, place[1:]))
        return {key: filled(each) for key, each in place.items()} if isinstance(place, dict) else None

    args, kwargs = order.places
    if not kwargs:
        return tuple(filled(place) for place in args)
    names_of = list(inspect.signature(order.module.forward).parameters)
    return {**dict(zip(names_of, map(filled, args), strict=False)), **{key: filled(place) for key, place in kwargs.items()}}


@contextlib.contextmanager
def _quietly() -> Iterator[list[warnings.WarningMessage]]:
    """Keep what exporters print and warn of from the user, and collect the warnings."""
    before = logging.root.manager.disable
    try:
        logging.disable(logging.CRITICAL)
        said = io.StringIO()
        with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            warnings.simplefilter("always")
            with _nothing_printed():
                yield caught
    finally:
        logging.disable(before)


@contextlib.contextmanager
def _nothing_printed() -> Iterator[None]:
    """Point the process's standard output at nothing: the exporters' C++ part prints there, past Python."""
    try:
        kept = os.dup(1)
    except OSError:  # there is none
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), 1)
        yield
    finally:
        with contextlib.suppress(OSError, AttributeError, TypeError):  # what C still holds back belongs to the exporter too
            ctypes.CDLL(None).fflush(None)
        os.dup2(kept, 1)
        os.close(kept)


def _traced(caught: list[warnings.WarningMessage]) -> list[Traced]:
    found = [
        Traced(each.filename, each.lineno, str(each.message).partition(".")[0])
        for each in caught
        if each.category.__name__ == "TracerWarning"
    ]
    return list(dict.fromkeys(found))


_OPERATOR = re.compile(r"operator '([\w:.]+)' to ONNX opset version (\d+) is not supported")
_ADDED = re.compile(r"[Ss]upport for this operator was added in version (\d+)")
_UNKNOWN = re.compile(r"No ONNX function found for <OpOverload\(op='([\w:.]+)'")
_CONTROL = re.compile(r"data-dependent|[Dd]ynamic control flow|non-Tensor|torch\.cond")
_LINE = re.compile(r'File "([^"]+)", line (\d+), in forward')
_FIXED = re.compile(r"Constraints violated|specialized|marked as dynamic")
_MISSING = re.compile(r"No module named '(onnx\w*)|[Pp]lease install `?(onnx\w*)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m|\[\d\dm|\[0m")


def explained(error: BaseException) -> Explained:
    """Return what an exporter's error means.

    The patterns are texts of PyTorch 2.4 to 2.13.
    """
    text = _COLOUR.sub("", str(error))
    where = _LINE.search(text)
    if found := _OPERATOR.search(text):
        return _unsupported(found[1], f"at opset {found[2]}", text)
    if found := _UNKNOWN.search(text):
        return _unsupported(found[1], "", text)
    if found := _MISSING.search(text):
        package = found[1] or found[2]
        return Explained(f"the package {package} is missing", f"pip install {package}")
    if _CONTROL.search(text):
        line = f" at {where[1]}:{where[2]}" if where else ""
        return Explained(f"its path depends on the values of tensors{line}", CONTROL_FLOW)
    if _FIXED.search(text):
        reason = next((line.strip(" -") for line in text.splitlines() if _FIXED.search(line)), "")
        return Explained(
            f"a dynamic dimension has only one size in it ({reason[:200]})", "Leave that dimension out of `dynamic`."
        )
    return Explained(_first_sentence(error, text), "Export the module in parts to find the one at fault.")


CONTROL_FLOW = "ONNX models take every path with one graph: write it with torch.where, or with torch.cond (torch.export only)."


def _unsupported(operator: str, where: str, text: str) -> Explained:
    added = _ADDED.search(text)
    if added:
        remedy = f"Give opset={added[1]}: the operator came with it."
    else:
        remedy = "Write that part with other operators, or register an ONNX function for it with PyTorch."
    return Explained(" ".join(filter(None, (f"operator {operator} cannot be exported", where))), remedy)


def _first_sentence(error: BaseException, text: str) -> str:
    """Return the line that says most: exporters put the cause behind pages of advice."""
    causes = re.findall(r"<class '[\w.]+'>: (.+)", text)
    lines = [line.strip() for line in causes or text.splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
