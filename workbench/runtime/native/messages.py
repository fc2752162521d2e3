"""What the worker and the process that holds TensorRT say to each other: JSON, and bytes beside it.

This module, like all that ``workbench.runtime.native.process`` imports, needs NumPy and Python's own library only: the process
may run under an interpreter that has nothing else of this package's.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LENGTH = struct.Struct(">Q")
CHUNK = 1 << 26
BFLOAT16 = "bfloat16"  # NumPy has none of its own: its bits travel as uint16

Blob = bytes | memoryview
Message = tuple[dict[str, Any], list[bytes]]


class Refused(Exception):
    """TensorRT or CUDA did not do what was asked.

    Parameters
    ----------
    message : str
        What failed, on what.
    kind : str
        One of the kinds of a failure: ``load``, ``build``, ``shape``, ``inputs``, ``memory``, ``run``, ``provider``.
    remedy : str
        What to do about it.
    """

    def __init__(self, message: str, *, kind: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message, self.kind, self.remedy = message, kind, remedy


def send(stream: BinaryIO, fields: Mapping[str, Any], blobs: Sequence[Blob] = ()) -> None:
    """Write one message: the length of its JSON in eight bytes, the JSON, and the blobs, whose lengths the JSON holds."""
    head = json.dumps({**fields, "blobs": [len(blob) for blob in blobs]}).encode()
    stream.write(LENGTH.pack(len(head)) + head)
    stream.writelines(blobs)
    stream.flush()


def receive(stream: BinaryIO) -> Message | None:
    """Read one message; ``None`` where the stream ends."""
    head = _exactly(stream, LENGTH.size)
    data = _exactly(stream, LENGTH.unpack(head)[0]) if head is not None else None
    if data is None:
        return None
    fields: dict[str, Any] = json.loads(data)
    blobs = []
    for length in fields.pop("blobs"):
        blob = _exactly(stream, length)
        if blob is None:
            return None
        blobs.append(blob)
    return fields, blobs


def _exactly(stream: BinaryIO, count: int) -> bytes | None:
    parts = []
    while count:
        part = stream.read(min(count, CHUNK))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def pack_arrays(arrays: Iterable[tuple[str, np.ndarray]]) -> tuple[list[dict[str, Any]], list[Blob]]:
    """Return what JSON says of arrays (name, type, shape), and their bytes in C order."""
    told, blobs = [], []
    for name, array in arrays:
        told.append({"name": name, "dtype": array.dtype.name, "shape": list(array.shape)})
        blobs.append(np.ascontiguousarray(array).tobytes())
    return told, list(blobs)


def unpack_arrays(told: Iterable[Mapping[str, Any]], blobs: Sequence[bytes]) -> list[tuple[str, np.ndarray]]:
    """Return the arrays of :func:`pack_arrays`; bfloat16 comes as float32, which holds all its values."""
    found = []
    for about, blob in zip(told, blobs, strict=True):
        narrow = about["dtype"] == BFLOAT16
        array = np.frombuffer(blob, dtype=np.uint16 if narrow else np.dtype(about["dtype"])).reshape(about["shape"])
        found.append((about["name"], from_bfloat16(array) if narrow else array))
    return found


def from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """Return the float32 values of bfloat16 bits (uint16)."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """Return the bfloat16 bits (uint16) of float32 values, rounded to nearest, ties to even; NaN stays NaN."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32).astype(np.uint64)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded).astype(np.uint16).reshape(values.shape)
