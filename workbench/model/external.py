"""External data: the files beside a model that hold its weights.

Specification: https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import ModelError
from workbench.model.graph import bodies_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import onnx

BLOCK = 1 << 20

# TensorProto.DataType -> bits of one element; strings have no fixed size
BITS = {
    1: 32,
    2: 8,
    3: 8,
    4: 16,
    5: 16,
    6: 32,
    7: 64,
    9: 8,
    10: 16,
    11: 64,
    12: 32,
    13: 64,
    14: 64,
    15: 128,
    16: 16,
    17: 8,
    18: 8,
    19: 8,
    20: 8,
    21: 4,
    22: 4,
    23: 4,
    24: 8,
    25: 2,
    26: 2,
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """Where the bytes of one tensor lie.

    Attributes
    ----------
    tensor : str
        The tensor's name.
    location : str
        As the model gives it: relative to the model's folder.
    file : Path
        The file that holds them.
    offset : int
        Of the first byte in the file.
    length : int or None
        In bytes; ``None`` means up to the file's end.
    needed : int
        Bytes that the tensor's shape and type ask for; 0 where its type has no fixed size.
    """

    tensor: str
    location: str
    file: Path
    offset: int
    length: int | None
    needed: int

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes, a block at a time."""
        with self.file.open("rb") as file:
            file.seek(self.offset)
            left = self.length
            while block := file.read(BLOCK if left is None else min(BLOCK, left)):
                yield block
                left = None if left is None else left - len(block)


def external_chunks(proto: onnx.ModelProto, path: Path) -> Iterator[Chunk]:
    """Yield the external data of a skimmed model that lies outside the model's own file.

    Parameters
    ----------
    proto : onnx.ModelProto
        The model.
    path : Path
        Its file; locations are relative to its folder.
    """
    return (chunk for chunk in chunks_of(proto, path) if chunk.file != path)


def chunks_of(proto: onnx.ModelProto, path: Path) -> Iterator[Chunk]:
    """Yield what all external data entries refer to, those that :func:`workbench.model.skim.skim` made included.

    Raises
    ------
    ValueError
        When an offset or a length is no number.
    """
    for tensor in model_tensors(proto):
        if tensor.data_location != tensor.EXTERNAL:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location, length = entries.get("location", ""), entries.get("length")
        yield Chunk(
            tensor=tensor.name,
            location=location,
            file=path.parent / location,
            offset=int(entries.get("offset") or 0),
            length=int(length) if length else None,
            needed=byte_count(tensor) or 0,
        )


def check_external(proto: onnx.ModelProto, path: Path) -> None:
    """Check that every external file lies in the model's folder and is long enough.

    Raises
    ------
    ModelError
        Naming the tensor and the file.
    """
    sizes: dict[Path, int] = {}
    try:
        for chunk in chunks_of(proto, path):
            what = f"{path}: external data of tensor {chunk.tensor!r}"
            if chunk.file not in sizes:
                sizes[chunk.file] = _size(chunk, path, what)
            _check_range(chunk, sizes[chunk.file], what)
    except ValueError as error:
        msg = f"{path}: the offset or length of external data is no number: {error}."
        raise ModelError(msg, remedy="Export the model again.") from error


def _check_range(chunk: Chunk, size: int, what: str) -> None:
    if chunk.offset < 0 or (chunk.length or 0) < 0:
        msg = f"{what} has a negative offset or length: {chunk.offset}, {chunk.length}."
        raise ModelError(msg, remedy="Export the model again.")
    needed = chunk.offset + (chunk.needed if chunk.length is None else chunk.length)
    if size < needed:
        msg = f"{what} is truncated: {chunk.file} has {size:,} bytes, {needed:,} are needed."
        raise ModelError(msg, remedy="Copy or download it again.")


def _size(chunk: Chunk, path: Path, what: str) -> int:
    """Return an external file's size in bytes once it is known to be one that ONNX Runtime would read."""
    file = chunk.file
    if file == path.parent:
        msg = f"{what} names no file."
        raise ModelError(msg, remedy="Export the model again.")
    if Path(chunk.location).is_absolute():
        msg = f"{what} is given by an absolute path: {chunk.location!r}."
        raise ModelError(msg, remedy="Save it with a path relative to the model; ONNX Runtime refuses absolute ones too.")
    try:
        if not _inside(file, path):
            msg = f"{what} lies outside the model's folder: {file}."
            raise ModelError(msg, remedy="Move it beside the model; ONNX Runtime refuses such paths too.")
        if not file.is_file():
            msg = f"{what} is missing: {file}."
            raise ModelError(msg, remedy="Copy it beside the model.")
        return file.stat().st_size
    except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, a zero byte
        msg = f"{what} cannot be read: {str(file)!r}: {error}."
        raise ModelError(msg, remedy="Check the file beside the model.") from error


def _inside(file: Path, path: Path) -> bool:
    """Return whether a file lies under the model's folder, or under the one that the model is linked from.

    The second is how download caches store files: links into one folder of blobs. ONNX Runtime's rule since 1.24
    (``ValidateExternalDataPath``, pull request 27374 of microsoft/onnxruntime).
    """
    real = file.resolve()
    return any(real.is_relative_to(folder) for folder in (path.parent.resolve(), path.resolve().parent))


def model_tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield every constant tensor of a model: its graph's, its control-flow bodies' and its functions'."""
    yield from tensors_of(proto.graph)
    for function in proto.functions:
        yield from _node_tensors(function.node)


def tensors_of(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Yield every constant tensor of a graph and of its control-flow bodies."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("sparse_tensor"):
                yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
        for body in bodies_of(node):
            yield from tensors_of(body)


def element_count(tensor: onnx.TensorProto) -> int:
    """Return how many elements a tensor's shape asks for; 0 where it is no valid shape."""
    count = 1
    for dim in tensor.dims:
        count *= max(dim, 0)
    return count


def byte_count(tensor: onnx.TensorProto) -> int | None:
    """Return how many bytes a tensor's shape and type ask for; ``None`` for strings and unknown types."""
    bits = BITS.get(tensor.data_type)
    return None if bits is None else (element_count(tensor) * bits + 7) // 8
