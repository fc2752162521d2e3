"""Read an ONNX file without its weights.

A model's structure is some kilobytes to a few megabytes; its weights may be gigabytes. :func:`skim` walks the file's
protobuf fields and copies all of them but the payload of large tensors. Each of those becomes what ONNX calls external
data: a reference to the same bytes, at their offset in the same file. The result is a complete, valid model beside
that file, and the weights are never read.

The file is read, not mapped: a mapped file that another program shortens ends the process.

Wire format: https://protobuf.dev/programming-guides/encoding ; field numbers: onnx/onnx.proto of the ONNX repository.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from workbench.errors import ModelError
from workbench.model.formats import HEAD_BYTES, refuse_other_formats

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

KEEP_BYTES = 16_384  # payloads up to this size hold shapes, axes and other constants that inference needs
WINDOW_BYTES = 4096
HEADER_BYTES = 20  # a field's tag and length: two varints of at most ten bytes
DEPTH = 100  # protobuf's own limit of messages inside messages
LARGEST_MESSAGE = (1 << 31) - 1  # protobuf's own limit, in bytes

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
WIDTH = {FIXED64: 8, FIXED32: 4}
# message -> field number -> the message inside; only what can hold a tensor
CHILDREN = {
    "model": {7: "graph", 25: "function"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
}
# ModelProto's fields and their wire types: what a file must begin with to be taken for a model that was cut off
MODEL_FIELDS = {1: VARINT, 2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT, 6: BYTES, 7: BYTES, 8: BYTES, 14: BYTES, 20: BYTES, 25: BYTES}
LISTS = (7, 8, 9)  # AttributeProto's floats, ints, strings: no tensor comes after them
# TensorProto field -> the data type it must go with for its bytes to be those of raw_data (9): float_data, double_data
PAYLOADS = {9: None, 4: 1, 10: 11}
DATA_TYPE, DATA_LOCATION = 2, 14


class Field(NamedTuple):
    """A protobuf field: its tag begins at `begin`, its value at `value`, and `end` is behind it."""

    number: int
    wire: int
    begin: int
    value: int
    end: int


def skim(path: Path) -> bytes:
    """Return the model's bytes with every large tensor payload turned into a reference into `path`.

    Parameters
    ----------
    path : Path
        An ONNX file.

    Raises
    ------
    ModelError
        When it is no regular file, of another format, or no complete protobuf message.
    OSError
        When it cannot be read.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        msg = f"{path}: this is a device or a pipe, not a file."
        raise ModelError(msg, remedy="Check the path.")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            msg = f"{path}: the file is empty."
            raise ModelError(msg, remedy="Copy or export it again.")
        refuse_other_formats(path, file.read(HEAD_BYTES))
        return b"".join(_Skimmer(path, file, size).message("model", 0, size, 0))


class _Skimmer:
    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path, self.file, self.size = path, file, size
        self.window, self.window_start = b"", 0

    def message(self, kind: str, start: int, end: int, depth: int) -> Iterator[bytes]:
        """Yield the bytes of the message in [start, end), large payloads replaced."""
        if depth > DEPTH:
            raise self.damaged(f"its messages are nested more than {DEPTH} deep, at byte {start:,}")
        if kind == "tensor":
            yield from self.tensor(start, end)
            return
        children = CHILDREN[kind]
        copied = start
        for field in self.fields(kind, start, end):
            if kind == "attribute" and field.number in LISTS:
                break
            if field.wire == BYTES and field.number in children and field.end - field.value > KEEP_BYTES:
                yield self.read(copied, field.begin)
                inner = b"".join(self.message(children[field.number], field.value, field.end, depth + 1))
                yield _tag(field.number, BYTES) + _varint(len(inner)) + inner
                copied = field.end
        yield self.read(copied, end)

    def tensor(self, start: int, end: int) -> Iterator[bytes]:
        """Yield a TensorProto whose payload, if large, is a reference into the file."""
        payload = self.payload(start, end)
        if payload is None:
            yield self.read(start, end)
            return
        yield self.read(start, payload.begin)
        yield self.read(payload.end, end)
        length = payload.end - payload.value
        for key, text in (("location", self.path.name), ("offset", str(payload.value)), ("length", str(length))):
            entry = b"".join(_tag(i, BYTES) + _varint(len(s)) + s for i, s in ((1, key.encode()), (2, text.encode())))
            yield _tag(13, BYTES) + _varint(len(entry)) + entry
        yield _tag(DATA_LOCATION, VARINT) + b"\x01"  # EXTERNAL

    def payload(self, start: int, end: int) -> Field | None:
        """Return the field whose bytes can be referred to: large, and the only one that holds numbers."""
        data_type, held, count = 0, None, 0
        for field in self.fields("tensor", start, end):
            if field.number == DATA_TYPE:
                data_type = self.number(field)
            elif field.number == DATA_LOCATION and self.number(field):
                return None  # external already, whatever else it holds
            elif field.number in PAYLOADS:
                held, count = field, count + 1
        if held is None or count > 1 or held.wire != BYTES or held.end - held.value <= KEEP_BYTES:
            return None
        return held if PAYLOADS[held.number] in (None, data_type) else None

    def fields(self, kind: str, start: int, end: int) -> Iterator[Field]:
        """Yield the fields of the message in [start, end)."""
        at = start
        while at < end:
            begin = at
            tag, at = self.varint(kind, begin, at, end)
            number, wire = tag >> 3, tag & 7
            value = at
            if wire == BYTES:
                length, value = self.varint(kind, begin, at, end)
                at = value + length
            elif wire == VARINT:
                _, at = self.varint(kind, begin, at, end)
            elif wire in WIDTH:
                at += WIDTH[wire]
            if number == 0 or wire not in (BYTES, VARINT, *WIDTH):
                raise self.damaged(f"no field of the {kind} can begin at byte {begin:,}")
            if at > end:
                raise self.cut(kind, begin, number, wire, at)
            yield Field(number, wire, begin, value, at)

    def varint(self, kind: str, begin: int, at: int, end: int) -> tuple[int, int]:
        """Return the number that is encoded at byte `at`, and where the next byte is."""
        window, index = self.header(at)
        value = shift = 0
        for byte in window[index : index + 10]:
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                after = at + shift // 7
                if after > end:
                    break
                return value, after
        if at + 10 > end:
            raise self.cut(kind, begin, 0, VARINT, end + 1)
        raise self.damaged(f"no field of the {kind} can begin at byte {begin:,}")

    def header(self, at: int) -> tuple[bytes, int]:
        """Return a window on the file that holds a whole field header at byte `at`, and its index in there."""
        index = at - self.window_start
        if index < 0 or index + HEADER_BYTES > len(self.window):
            self.file.seek(at)
            self.window, self.window_start, index = self.file.read(WINDOW_BYTES), at, 0
        return self.window, index

    def number(self, field: Field) -> int:
        """Return the value of a varint field."""
        return self.varint("tensor", field.begin, field.value, field.end)[0]

    def read(self, start: int, stop: int) -> bytes:
        """Return the file's bytes in [start, stop)."""
        self.file.seek(start)
        data = self.file.read(stop - start)
        if len(data) != stop - start:
            raise self.damaged("it became shorter while it was read")
        return data

    def cut(self, kind: str, begin: int, number: int, wire: int, needed: int) -> ModelError:
        """Return the error for a field that does not end within its message."""
        missing = needed - self.size
        if kind == "model" and (number == 0 or MODEL_FIELDS.get(number) == wire) and missing <= LARGEST_MESSAGE:
            what = CHILDREN["model"].get(number, "field")
            msg = (
                f"{self.path}: the file is truncated: its {what} at byte {begin:,} goes on for at least {missing:,} bytes "
                f"after the file's end at {self.size:,}."
            )
            return ModelError(msg, remedy="Copy or download it again.")
        return self.damaged(f"field {number or '?'} of the {kind}, at byte {begin:,}, is longer than the {kind}")

    def damaged(self, what: str) -> ModelError:
        msg = f"{self.path}: not an ONNX model, or a damaged one: {what}."
        return ModelError(msg, remedy="Check that the file is a binary ONNX model and that its copy is complete.")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _tag(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)
