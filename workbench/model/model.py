"""An ONNX model: what a reader wants to know of it, without loading its weights."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import ModelError
from workbench.model.external import Chunk, check_external, element_count, external_chunks, model_tensors
from workbench.model.graph import Node, nodes_of
from workbench.model.skim import skim
from workbench.model.structure import check_structure, check_text
from workbench.record import Finding, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

    from workbench.model.pytorch.cases import Dynamic

# TensorProto.DataType -> NumPy's name, or ONNX's where NumPy has none
DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    8: "string",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    14: "complex64",
    15: "complex128",
    16: "bfloat16",
    17: "float8_e4m3fn",
    18: "float8_e4m3fnuz",
    19: "float8_e5m2",
    20: "float8_e5m2fnuz",
    21: "uint4",
    22: "int4",
    23: "float4_e2m1",
    24: "float8_e8m0",
    25: "uint2",
    26: "int2",
    27: "float6_e2m3",
    28: "float6_e3m2",
}


class TensorSpec(Record):
    """An input or output of a model.

    Attributes
    ----------
    dtype : str
        NumPy's name of the element type, or ONNX's where NumPy has none; ``sequence``, ``map`` or ``optional`` for
        values that are no tensors.
    shape : tuple of (int, str or None) or None
        A number, a symbolic dimension's name, or ``None`` for a dimension without either; ``None`` for unknown rank.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None

    @property
    def dynamic(self) -> bool:
        """Whether some dimension is not a number."""
        return self.shape is None or any(not isinstance(d, int) for d in self.shape)

    def __str__(self) -> str:
        dims = "?" if self.shape is None else " × ".join("?" if d is None else str(d) for d in self.shape) or "scalar"
        return f"{self.name}: {self.dtype} [{dims}]"


class OperatorCount(Record):
    """How often an operator stands in the model, control-flow bodies included."""

    op_type: str
    domain: str
    count: int


@dataclass(frozen=True, eq=False)
class Model:
    """An ONNX file and what is in it.

    Use :meth:`Model.load`. Weights are not read: large tensors of `proto` refer to their bytes in the file.

    Attributes
    ----------
    path : Path
        The file, absolute.
    proto : onnx.ModelProto
        Its structure; not to be changed.
    in_order : bool
        Whether the nodes stand in topological order.
    """

    path: Path
    proto: onnx.ModelProto
    in_order: bool

    @classmethod
    def load(cls, path: str | Path) -> Model:
        """Read a model's structure, and check it.

        Parameters
        ----------
        path : str or Path
            An ONNX file.

        Raises
        ------
        ModelError
            When the file is missing, truncated, not ONNX, refers to external data that is missing or outside its
            folder, or holds an invalid graph. The message names the file, what is wrong and where.
        """
        path = _absolute(path)
        try:
            data = skim(path)
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
            reason = getattr(error, "strerror", None) or error
            msg = f"{path}: cannot be read: {reason}."
            raise ModelError(msg, remedy="Check the path.") from error
        proto = _parse(path, data)
        check_text(proto, str(path))
        check_external(proto, path)
        return cls(path, proto, check_structure(proto, str(path)))

    @classmethod
    def from_torch(  # noqa: PLR0913
        cls,
        module: Any,  # noqa: ANN401  # torch.nn.Module; torch is optional
        example: Any,  # noqa: ANN401
        *,
        dynamic: Dynamic | None = None,
        path: str | Path | None = None,
        opset: int = 17,
        tolerance: float | None = None,
    ) -> Model:
        """Export a PyTorch module, and check the model against it.

        The module is exported in evaluation mode, and left in the mode it was in. The exporter that traces TorchScript is
        tried first, then the one based on ``torch.export``; the file's metadata say which was used. The result is run by ONNX
        Runtime on the CPU, in a process of its own, on the example and on a second size of each dynamic dimension. The module
        is kept beside the model as ``NAME.torch.pt``, for ``--provider torch``: a pickle, which runs code when it is loaded.

        Parameters
        ----------
        module : torch.nn.Module
            The module.
        example : tensor, tuple, list or dict
            A tuple: positional arguments; a dict: keyword arguments; a tensor or a list: the only argument. Inputs are named
            after the arguments of ``forward``.
        dynamic : dict, str or None
            Dynamic axes by input name or position, as ``{"x": {0: "batch"}}``; or the name of one dimension that is the first
            axis of every input.
        path : str, Path or None
            The file to write, ``CLASS.onnx`` in the current folder by default. A file that was exported so is written over.
        opset : int
            The version of ONNX's operators.
        tolerance : float or None
            The largest relative L2 distance between an output of model and module; by default what rounding explains.

        Raises
        ------
        ModelError
            When the module cannot be exported, or the model does not give what the module gives.
        InputError
            When the module does not run on the example, or not with other sizes of the dynamic dimensions.
        Unavailable
            Without PyTorch, or without ONNX Runtime to check with.
        """
        from workbench.model.pytorch.from_torch import export_module

        return cls.load(export_module(module, example, dynamic=dynamic, path=path, opset=opset, tolerance=tolerance))

    def __repr__(self) -> str:
        return f"Model({self.path.name!r}, {len(self.nodes)} nodes, opset {self.opset})"

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @cached_property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs that a caller must give; weights listed among the graph's inputs are left out."""
        graph = self.proto.graph
        weights = {i.name for i in graph.initializer} | {s.values.name for s in graph.sparse_initializer}
        return tuple(_spec(v) for v in self.proto.graph.input if v.name not in weights)

    @cached_property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs."""
        return tuple(_spec(v) for v in self.proto.graph.output)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes under unique names; those of control-flow bodies follow their parent."""
        return tuple(nodes_of(self.proto.graph))

    @cached_property
    def operators(self) -> tuple[OperatorCount, ...]:
        """Operators by count, the commonest first."""
        counts = Counter((n.op_type, n.domain) for n in self.nodes)
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return tuple(OperatorCount(op_type=o, domain=d, count=c) for (o, d), c in ordered)

    @property
    def opsets(self) -> dict[str, int]:
        """The version of each operator domain that the model imports; ``""`` is ONNX's own."""
        return {"" if o.domain == "ai.onnx" else o.domain: o.version for o in self.proto.opset_import}

    @property
    def opset(self) -> int | None:
        """The version of ONNX's own operators, or ``None`` where the model uses none."""
        return self.opsets.get("")

    @property
    def ir_version(self) -> int:
        """The version of the file format."""
        return self.proto.ir_version

    @property
    def producer(self) -> str:
        """The exporter and its version; empty where the file does not say."""
        return f"{self.proto.producer_name} {self.proto.producer_version}".strip()

    @cached_property
    def dynamic_dimensions(self) -> tuple[str, ...]:
        """The symbolic dimensions of the inputs, in order; ``?`` for one without a name."""
        dims = [d for spec in self.inputs for d in (spec.shape or (None,)) if not isinstance(d, int)]
        return tuple(dict.fromkeys("?" if d is None else d for d in dims))

    @cached_property
    def parameters(self) -> int:
        """How many numbers the weights hold, constants of control-flow bodies and functions included."""
        return sum(element_count(tensor) for tensor in model_tensors(self.proto))

    @cached_property
    def size_bytes(self) -> int:
        """Size of the file and of the external data it refers to.

        Raises
        ------
        ModelError
            When a file has gone since the model was loaded.
        """
        files = {self.path} | {chunk.file for chunk in external_chunks(self.proto, self.path)}
        with self._there():
            return sum(file.stat().st_size for file in files)

    def content_hash(self) -> str:
        """Return a SHA-256 over the file and its external data: equal for equal content under another name.

        Reads everything, so it is taken only when a Run or a cache needs it, and again when a file has changed.

        Raises
        ------
        ModelError
            When a file has gone since the model was loaded.
        """
        chunks = tuple(external_chunks(self.proto, self.path))
        files = dict.fromkeys((self.path, *(chunk.file for chunk in chunks)))
        with self._there():
            return _hash(self.path, chunks, tuple((f.stat().st_size, f.stat().st_mtime_ns) for f in files))

    @contextmanager
    def _there(self) -> Iterator[None]:
        """Turn the error for a file that has gone into a ModelError."""
        try:
            yield
        except OSError as error:
            msg = f"{self.path}: cannot be read again: {error.strerror or error}: {error.filename}."
            raise ModelError(msg, remedy="Load the model again.") from error

    def findings(self) -> list[Finding]:
        """Return what is worth knowing before running the model."""
        from workbench.model.findings import findings_of

        with self._there():
            return findings_of(self)


def _absolute(path: str | Path) -> Path:
    try:
        path = Path(path).expanduser().absolute()
    except RuntimeError as error:  # ~name of a user that does not exist
        msg = f"{path}: {error}"
        raise ModelError(msg, remedy="Check the path.") from error
    try:
        path.name.encode()
    except UnicodeEncodeError as error:
        msg = f"{str(path)!r}: the file's name is not valid text, so that no ONNX file can refer to it."
        raise ModelError(msg, remedy="Rename it.") from error
    return path


def _parse(path: Path, data: bytes) -> onnx.ModelProto:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]

    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except (DecodeError, ValueError) as error:  # ValueError: over protobuf's 2 GiB without the large weights
        msg = f"{path}: not an ONNX model: its protobuf content does not fit ({error})."
        raise ModelError(msg, remedy="Check that the file is a binary ONNX model.") from error
    if not proto.HasField("graph"):
        msg = f"{path}: not an ONNX model: it holds no graph."
        raise ModelError(msg, remedy="Check that the file is a binary ONNX model and that its copy is complete.")
    # Opsets stand behind the graph, so a file cut off right there still parses; before format 3 there were none.
    missing = "IR version" if not proto.ir_version else "" if proto.opset_import or proto.ir_version < 3 else "opset"
    if missing:
        msg = f"{path}: not a complete ONNX model: it names no {missing}."
        raise ModelError(msg, remedy="Copy or export it again.")
    return proto


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    kind = value.type.WhichOneof("value")
    if kind not in ("tensor_type", "sparse_tensor_type"):
        return TensorSpec(name=value.name, dtype=(kind or "unknown").removesuffix("_type"), shape=None)
    tensor = getattr(value.type, kind)
    dtype = DTYPES.get(tensor.elem_type, f"type {tensor.elem_type}")
    if not tensor.HasField("shape"):
        return TensorSpec(name=value.name, dtype=dtype, shape=None)
    return TensorSpec(name=value.name, dtype=dtype, shape=tuple(_dim(d) for d in tensor.shape.dim))


def _dim(dim: onnx.TensorShapeProto.Dimension) -> int | str | None:
    """Return a dimension; some exporters write -1 or "?" for one that they know nothing of."""
    if dim.HasField("dim_value"):
        return dim.dim_value if dim.dim_value >= 0 else None
    return dim.dim_param if dim.dim_param.strip("?") else None


@lru_cache(maxsize=32)
def _hash(path: Path, chunks: tuple[Chunk, ...], _stamps: tuple[tuple[int, int], ...]) -> str:
    """Return the content hash; `_stamps`, sizes and times of the files, change whenever a file does."""
    with path.open("rb") as file:
        digest = hashlib.sha256(hashlib.file_digest(file, "sha256").digest())
    for chunk in chunks:
        for block in chunk.blocks():
            digest.update(block)
    return digest.hexdigest()
