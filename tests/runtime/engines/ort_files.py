"""Engine and profile files, byte for byte as ONNX Runtime and TensorRT lay them out."""

import struct

from flatbuffers import flexbuffers

FUSED = "TensorrtExecutionProvider_TRTKernel_graph_main_graph_13312345678901234567_0_0"


def plan(version=(8, 6, 1, 6), *, tag=0x74727466, serialisation=0, rest=b"\1" * 100):
    """Return a file that begins as a plan: tag, serialisation, 16 bytes that nobody reads, version, and what follows."""
    return struct.pack("<II16x4B", tag, serialisation, *version) + rest


def profile(entries):
    """Write {input: [number, ...]} as ONNX Runtime's builder does: a map of typed vectors, each number by Int()."""
    builder = flexbuffers.Builder()
    with builder.Map():
        for name, numbers in entries.items():
            with builder.TypedVector(name.encode()):
                for number in numbers:
                    builder.Int(number)
    return bytes(builder.Finish())


def write_engine(folder, name=f"{FUSED}_fp16_sm90.engine", *, content=None, ranges=None):
    """Write an engine, and the ranges beside it where there are some; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(plan() if content is None else content)
    if ranges is not None:
        stem = name.removesuffix(".encrypted").removesuffix(".engine").removesuffix(".stripped")
        (folder / f"{stem}.profile").write_bytes(ranges if isinstance(ranges, bytes) else profile(ranges))
    return path
