"""Calibration tables: the files in which ONNX Runtime and TensorRT find the ranges of activations.

Two formats. ONNX Runtime's own is a FlatBuffers file (its CalTableFlatBuffers schema: a table with one vector of tables of
two strings, key and value), whose values are the largest magnitudes as text; its library writes ``calibration.json`` and
``calibration.cache`` beside it, for people. TensorRT's own is text: a line with its version and calibrator, then for each
tensor its name and the bits of its scale, the largest magnitude over 127, as a big-endian float32 in hexadecimal.

onnxruntime.quantization.write_calibration_table is not used: from release 1.20 on it writes the greater of the two ends of a
range instead of the greater magnitude, which is far too small, or negative, for tensors that are mostly negative; in 1.17
it fails on its own calibrators' results.
"""

from __future__ import annotations

import json
import math
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workbench.errors import SettingsError
from workbench.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["onnxruntime", "tensorrt", "text", "json"]

LEVELS = 127
NATIVE = "TRT-"
FLATBUFFERS_NAME, NATIVE_NAME = "calibration.flatbuffers", "calibration.trt.cache"
CALIBRATOR = "EntropyCalibration2"
TENSORRT = 8600  # of the header; ONNX Runtime reads only its first letters
MOST_BYTES = 1 << 30
SLOTS = (4, 6)  # offsets of a FlatBuffers table's first two fields


class TableEntry(Record):
    """The largest magnitude of one tensor; whatever the file says, sense or not, as text where it is no finite number."""

    tensor: str
    amax: float | None
    text: str = ""


class Table(Record):
    """What a calibration table says.

    Attributes
    ----------
    kind : str
        ``onnxruntime`` (FlatBuffers), ``tensorrt`` (its own text), ``text`` or ``json``.
    entries : tuple of TableEntry
        In the file's order.
    header : str
        TensorRT's first line; empty in other files.
    """

    kind: Kind
    entries: tuple[TableEntry, ...]
    header: str = ""

    def ranges(self) -> dict[str, float]:
        """Return the largest magnitudes that are numbers, by tensor; the last counts where one is there twice."""
        return {entry.tensor: entry.amax for entry in self.entries if entry.amax is not None}


def write_tables(ranges: Mapping[str, float], folder: Path, *, tensorrt: int = TENSORRT) -> list[Path]:
    """Write a table in each format into a folder.

    Parameters
    ----------
    ranges : mapping of str to float
        The largest magnitude of each tensor; those that are zero are left out, as TensorRT takes no empty range.
    folder : Path
        Made where it is not there.
    tensorrt : int
        The version in the header of TensorRT's own format, as 8601 for 8.6.1.

    Returns
    -------
    list of Path
        ``calibration.flatbuffers``, ``.json`` and ``.cache``, as ONNX Runtime names them, and ``calibration.trt.cache``.

    Raises
    ------
    SettingsError
        When a range is negative or not finite, or the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = usable(ranges)
    files = {
        FLATBUFFERS_NAME: flatbuffer(kept),
        "calibration.json": json.dumps(kept, indent=1).encode(),
        "calibration.cache": "".join(f"{name} {value!r}\n" for name, value in kept.items()).encode(),
        NATIVE_NAME: native(kept, tensorrt),
    }
    return [_write(folder / name, data) for name, data in files.items()]


def write_table(ranges: Mapping[str, float], path: Path, *, tensorrt: int = TENSORRT) -> Path:
    """Write one table, in the format that the file's ending names: ``.flatbuffers``, ``.json``, or TensorRT's own.

    Raises
    ------
    SettingsError
        As :func:`write_tables`.
    """
    kept = usable(ranges)
    if path.suffix == ".json":
        data = json.dumps(kept, indent=1).encode()
    else:
        data = flatbuffer(kept) if path.suffix == ".flatbuffers" else native(kept, tensorrt)
    return _write(path, data)


def usable(ranges: Mapping[str, float]) -> dict[str, float]:
    """Return ranges in the order of their names, as float32 numbers, without those that are zero.

    Raises
    ------
    SettingsError
        When one is negative or not finite.
    """
    for name, amax in ranges.items():
        if not math.isfinite(amax) or amax < 0:
            raise SettingsError(f"The range of {name!r} is {amax}: a largest magnitude is wanted.", remedy="Calibrate again.")
    return {name: _single(ranges[name]) for name in sorted(ranges) if _single(ranges[name]) > 0}


def _single(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def flatbuffer(ranges: Mapping[str, float]) -> bytes:
    """Return ONNX Runtime's table."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    made = []
    for name, amax in ranges.items():
        texts = [builder.CreateString(name), builder.CreateString(repr(amax))]
        builder.StartObject(2)
        for slot, text in enumerate(texts):
            builder.PrependUOffsetTRelativeSlot(slot, text, 0)
        made.append(builder.EndObject())
    builder.StartVector(4, len(made), 4)
    for offset in reversed(made):  # vectors are written from their end
        builder.PrependUOffsetTRelative(offset)
    vector = builder.EndVector()
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, vector, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def native(ranges: Mapping[str, float], tensorrt: int = TENSORRT) -> bytes:
    """Return TensorRT's own table.

    Raises
    ------
    SettingsError
        When a tensor's name holds a line break, which the format cannot.
    """
    lines = [f"{NATIVE}{tensorrt}-{CALIBRATOR}"]
    for name, amax in ranges.items():
        if "\n" in name or "\r" in name:
            raise SettingsError(f"The tensor {name!r} has a line break in its name: TensorRT's table cannot hold it.")
        lines.append(f"{name}: {struct.pack('>f', amax / LEVELS).hex()}")
    return ("\n".join(lines) + "\n").encode()


def _write(path: Path, data: bytes) -> Path:
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as part:
            part.write(data)
        Path(part.name).chmod(0o644)
        return Path(part.name).replace(path)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written: {error.strerror or error}.", remedy="Name another file.") from error


def read_table(path: Path) -> Table:
    """Read a table, whatever its format.

    Raises
    ------
    SettingsError
        When the file cannot be read, or is no calibration table.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _no_table(path, "it is too large")
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}.", remedy="Check the path.") from error
    if data.startswith(NATIVE.encode()):
        return _read_native(path, data)
    try:
        if data.lstrip().startswith(b"{"):
            return _read_json(path, json.loads(data))
        if path.suffix == ".flatbuffers" or b"\0" in data:
            return Table(kind="onnxruntime", entries=tuple(_entry(*pair) for pair in _pairs(data)))
        return _read_text(path, data.decode())
    except (struct.error, IndexError, OverflowError, ValueError, TypeError) as error:
        raise _no_table(path, str(error)) from error


def _no_table(path: Path, why: str) -> SettingsError:
    return SettingsError(f"{path}: no calibration table: {why}.", remedy="Make one with `workbench calibrate`.")


def _entry(name: str, text: str) -> TableEntry:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    return TableEntry(tensor=name, amax=value) if math.isfinite(value) else TableEntry(tensor=name, amax=None, text=text)


def _pairs(data: bytes) -> list[tuple[str, str]]:
    """Return the keys and values of ONNX Runtime's table; offsets outside the file raise."""
    root = _follow(data, 0)
    vector = _field(data, root, SLOTS[0])
    if vector is None:
        return []
    vector = _follow(data, vector)
    (count,) = struct.unpack_from("<I", data, vector)
    if count > len(data) // 4:
        raise ValueError("its vector is longer than the file")
    tables = [_follow(data, vector + 4 + 4 * i) for i in range(count)]
    return [(_text(data, table, SLOTS[0]), _text(data, table, SLOTS[1])) for table in tables]


def _follow(data: bytes, at: int) -> int:
    (offset,) = struct.unpack_from("<I", data, at)
    if not 0 < offset <= len(data) - at:
        raise ValueError("an offset points out of the file")
    return int(at + offset)


def _field(data: bytes, table: int, slot: int) -> int | None:
    """Return where a table's field lies; ``None`` where it has none."""
    (back,) = struct.unpack_from("<i", data, table)
    places = table - back
    if places < 0:
        raise ValueError("an offset points out of the file")
    (size,) = struct.unpack_from("<H", data, places)
    if slot >= size:
        return None
    (offset,) = struct.unpack_from("<H", data, places + slot)
    return table + offset if offset else None


def _text(data: bytes, table: int, slot: int) -> str:
    field = _field(data, table, slot)
    if field is None:
        return ""
    start = _follow(data, field)
    (size,) = struct.unpack_from("<I", data, start)
    if start + 4 + size > len(data):
        raise ValueError("a text ends after the file")
    return data[start + 4 : start + 4 + size].decode()


def _read_native(path: Path, data: bytes) -> Table:
    header, *lines = data.decode(errors="replace").splitlines()
    entries = []
    for number, line in enumerate(lines, start=2):
        name, separator, bits = line.rpartition(": ")
        if not line.strip():
            continue
        try:
            (scale,) = struct.unpack(">f", bytes.fromhex(bits.strip().zfill(8)))
        except (ValueError, struct.error) as error:
            raise _no_table(path, f"line {number} is not a name and eight hexadecimal digits") from error
        if not separator:
            raise _no_table(path, f"line {number} holds no name")
        entries.append(_entry(name, repr(scale * LEVELS)))
    return Table(kind="tensorrt", entries=tuple(entries), header=header)


def _read_json(path: Path, document: dict[str, object]) -> Table:
    inner = document.get("data", document)  # the library's own files hold more than ranges
    if not isinstance(inner, dict) or not all(isinstance(value, (int, float)) for value in inner.values()):
        raise _no_table(path, "its JSON is no object of names and numbers")
    return Table(kind="json", entries=tuple(_entry(str(name), repr(value)) for name, value in inner.items()))


def _read_text(path: Path, text: str) -> Table:
    pairs = [line.rpartition(" ") for line in text.splitlines() if line.strip()]
    if not pairs or not all(name for name, _, _ in pairs):
        raise _no_table(path, "its lines are not a name and a number each")
    return Table(kind="text", entries=tuple(_entry(name, value) for name, _, value in pairs))
