"""The process that asks TensorRT's ONNX parser which nodes it takes. Started by ``workbench.runtime.parser``.

It needs nothing but tensorrt, so that it also runs under an interpreter that has only that. Messages go both ways with
their length in eight bytes before them: models come in on standard input, JSON goes out on standard output. What libraries
print goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import struct
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

LENGTH = struct.Struct(">Q")
MOST_ERRORS = 20

Groups = list[tuple[list[int], bool]]


def send(stream: BinaryIO, data: bytes) -> None:
    """Write one message."""
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


def receive(stream: BinaryIO) -> bytes | None:
    """Read one message; ``None`` where the stream ends."""
    head = _exactly(stream, LENGTH.size)
    return _exactly(stream, LENGTH.unpack(head)[0]) if head is not None else None


def _exactly(stream: BinaryIO, count: int) -> bytes | None:
    parts = []
    while count:
        part = stream.read(count)
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class Asked:
    """One builder of TensorRT, and a fresh network and parser for each question, as ONNX Runtime's provider has.

    Parameters
    ----------
    trt : module
        tensorrt, 8.6 or later.
    strongly_typed : bool
        Whether networks are strongly typed, which is what ONNX Runtime does from TensorRT 10 on where no precision flag is
        set.
    """

    def __init__(self, trt: Any, *, strongly_typed: bool) -> None:  # noqa: ANN401
        self.trt = trt
        self.logger = trt.Logger(trt.Logger.ERROR)
        trt.init_libnvinfer_plugins(self.logger, "")
        self.builder = trt.Builder(self.logger)
        self.flags = _flags(trt, strongly_typed=strongly_typed)

    def answer(self, model: bytes) -> dict[str, Any]:
        """Return the parser's groups of node indices, whether it takes each, and what it complains of."""
        network = self.builder.create_network(self.flags)
        parser = self.trt.OnnxParser(network, self.logger)
        groups = _supported_v2(parser, model) if hasattr(parser, "supports_model_v2") else _supported(parser, model)
        return {"groups": groups, "errors": list(_errors(parser))}


def _flags(trt: Any, *, strongly_typed: bool) -> int:  # noqa: ANN401
    flags = trt.NetworkDefinitionCreationFlag
    if int(trt.__version__.split(".")[0]) < 10:
        return 1 << int(flags.EXPLICIT_BATCH)  # 10 knows no other networks
    # 11 has strongly typed networks only, and may not have the flag
    return 1 << int(flags.STRONGLY_TYPED) if strongly_typed and hasattr(flags, "STRONGLY_TYPED") else 0


def _supported_v2(parser: Any, model: bytes) -> Groups:  # noqa: ANN401
    """Ask the interface of TensorRT 10.1 and later."""
    parser.supports_model_v2(model)
    return [
        ([int(node) for node in parser.get_subgraph_nodes(i)], bool(parser.is_subgraph_supported(i)))
        for i in range(parser.num_subgraphs)
    ]


def _supported(parser: Any, model: bytes) -> Groups:  # noqa: ANN401
    """Ask the older interface: whether all is supported, and pairs of node indices and support."""
    _, groups = parser.supports_model(model)
    return [([int(node) for node in nodes], bool(supported)) for nodes, supported in groups]


def _errors(parser: Any) -> Iterator[tuple[int, str]]:  # noqa: ANN401
    """Yield the node (-1 for none) and the text of the parser's complaints."""
    for i in range(min(int(parser.num_errors), MOST_ERRORS)):
        error = parser.get_error(i)
        yield int(error.node()), str(error.desc())


def main() -> None:
    """Say which TensorRT there is, then answer until standard input ends."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        trt = importlib.import_module("tensorrt")
        asked = Asked(trt, strongly_typed="--strongly-typed" in sys.argv[1:])
    except (ImportError, OSError, RuntimeError, TypeError, AttributeError) as error:
        # pybind11 raises TypeError where TensorRT gives no builder, as without a GPU
        send(out, json.dumps({"absent": f"{type(error).__name__}: {error}"}).encode())
        return
    send(out, json.dumps({"tensorrt": str(trt.__version__)}).encode())
    while (model := receive(sys.stdin.buffer)) is not None:
        try:
            reply = asked.answer(model)
        except (RuntimeError, TypeError, ValueError, AttributeError) as error:
            reply = {"failed": f"{type(error).__name__}: {error}"}
        send(out, json.dumps(reply).encode())


if __name__ == "__main__":
    main()
