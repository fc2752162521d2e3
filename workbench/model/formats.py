"""Files that people take for an ONNX model, told by their first bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

HEAD_BYTES = 128


@dataclass(frozen=True, slots=True)
class Format:
    """A format, the bytes that its files hold at `offset`, and what to do with such a file."""

    magic: bytes
    what: str
    remedy: str
    offset: int = 0


# None of these can begin an ONNX file: it begins with a field of ModelProto, in practice ir_version (byte 0x08).
FORMATS = (
    Format(b"version https://git-lfs", "a Git LFS pointer, not the model itself", "Run `git lfs pull`."),
    Format(b"PK\x03\x04", "a zip archive (a PyTorch checkpoint, perhaps)", "Export it with torch.onnx.export."),
    Format(b"\x80\x02", "a Python pickle (a PyTorch checkpoint, perhaps)", "Export it with torch.onnx.export."),
    Format(b"\x89HDF", "an HDF5 file (a Keras model, perhaps)", "Convert it with tf2onnx."),
    Format(b"\x1f\x8b", "a gzip archive", "Unpack it first."),
    Format(b"ftrt", "a TensorRT engine", "Give the ONNX file that it was built from."),
    Format(b"GGUF", "a GGUF file (llama.cpp)", "Export the original model to ONNX."),
    Format(b"ORTM", "ONNX Runtime's own ORT format", "Give the ONNX file that it was made from.", offset=4),
    Format(b"TFL3", "a TensorFlow Lite model", "Convert it with tf2onnx.", offset=4),
)
# Text, after white space and a byte order mark
TEXTS = (
    Format(b"<ir_version", "ONNX in text form", "Save it as binary: onnx.save(onnx.parser.parse_model(text), path)."),
    Format(
        b"ir_version", "ONNX in protobuf's text form", 'Save it as binary: onnx.save(onnx.load(path, format="textproto"), ...).'
    ),
    Format(b"<", "an HTML or XML page", "Download the file itself, not its page."),
    Format(b"{", "JSON text", "The workbench reads binary ONNX files."),
)
WHITE = b" \t\r\n\xef\xbb\xbf"


def refuse_other_formats(path: Path, head: bytes) -> None:
    """Raise ModelError when a file's first bytes are those of another format.

    Parameters
    ----------
    path : Path
        The file, for the message.
    head : bytes
        Its first ``HEAD_BYTES`` bytes, or fewer where it is shorter.

    Raises
    ------
    ModelError
        Naming the format, and how to get at an ONNX file.
    """
    text = head.lstrip(WHITE)
    found = next((f for f in FORMATS if head.startswith(f.magic, f.offset)), None)
    found = found or next((f for f in TEXTS if text.startswith(f.magic)), None)
    if found is not None:
        msg = f"{path}: this is {found.what}."
        raise ModelError(msg, remedy=found.remedy)
