"""The first bytes of a TensorRT plan: which version wrote it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

# NVIDIA's trtexec reads a plan's version so (--getPlanVersionOnly; TensorRT, samples/common/sampleEngines.cpp): a tag, the
# version of the serialisation, and for serialisation 0 the four parts of TensorRT's version in a byte each at offset 24.
# Its help says that this holds for engines of TensorRT 8.6 and later; what stands there in older ones is something else.
TAG = 0x74727466
HEADER_BYTES = 28
SERIALISATION = 0
VERSION_AT = 24
OLDEST = (8, 6)
NEWEST_MAJOR = 40  # a byte beyond it is no version; TensorRT has come to 11 in ten years


@dataclass(frozen=True, slots=True)
class PlanHeader:
    """What the header says.

    Attributes
    ----------
    tensorrt : str or None
        Major, minor, patch and build, such as ``8.6.1.6``; ``None`` where the header is of a kind that is not known.
    problem : str
        Why it cannot be a plan, or not be read; empty otherwise.
    """

    tensorrt: str | None
    problem: str = ""


def read_header(head: bytes) -> PlanHeader:
    """Read the first `HEADER_BYTES` bytes of a file; what is not known to be a version is none."""
    if not head:
        return PlanHeader(None, "The file is empty: its writing was cut off.")
    if len(head) < HEADER_BYTES:
        return PlanHeader(None, f"The file ends after {len(head)} bytes: its writing was cut off.")
    tag, serialisation = struct.unpack_from("<II", head)
    if tag != TAG:
        return PlanHeader(None, "The file does not begin as a TensorRT plan does.")
    if serialisation != SERIALISATION:
        return PlanHeader(None)
    version = tuple(head[VERSION_AT:HEADER_BYTES])
    if version[:2] < OLDEST or version[0] > NEWEST_MAJOR:
        return PlanHeader(None)
    return PlanHeader(".".join(map(str, version)))
