"""Whether a TensorRT's ONNX parser takes a node, from the operator table of its release.

The parser goes by the operator's name and ignores its domain. What is checked here: the operator is known, its types
are accepted, and the documented restrictions that can be told from the node (``importer_rules``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from workbench.errors import SettingsError
from workbench.placement.dataflow import UNKNOWN
from workbench.placement.importer_rules import broken_rule
from workbench.placement.operands import Operands, Version
from workbench.placement.refusal import Refusal
from workbench.placement.tables import table

if TYPE_CHECKING:
    from workbench.placement.dataflow import Graph, Op

RELEASES = ("8.6", "10.1", "10.16", "11.1")
PLUGINS = "trt.plugins"  # the domain in which ONNX Runtime registers TensorRT's plugins as operators

# ONNX element type -> the name in TensorRT's tables. DOUBLE is cast to FP32 on the way in and out.
TYPES = {
    "float": "FP32",
    "double": "FP32",
    "float16": "FP16",
    "bfloat16": "BF16",
    "int64": "INT64",
    "int32": "INT32",
    "int8": "INT8",
    "uint8": "UINT8",
    "bool": "BOOL",
    "int4": "INT4",
    "float8e4m3fn": "FP8",
    "float4e2m1": "FP4",
}
# The input whose type the table speaks of, where it is not the first; None for operators that take any
DATA = {"Where": 1, "OneHot": 2, "If": None, "Loop": None, "Scan": None, "Shape": None, "Size": None, "ConstantOfShape": None}
# Operators whose number of results depends on the data. Before TensorRT 10.7 they never reach it through ONNX Runtime:
# the parser says no to them where it is asked what it supports (seen on an H200 with 8.6; isDDSOp in 10.0 and 10.1).
DATA_DEPENDENT = {"NonMaxSuppression", "NonZero", "RoiAlign"}
# Seen to be imported by 8.6 although its table does not list the type: the importer, or the layer, converts it.
UNLISTED = {"INT32", "INT64", "BOOL", "INT8"}
DIMENSIONS = 8  # nvinfer1::Dims::MAX_DIMS
STRICT = {"DequantizeLinear", "Cast"}
FROM_TABLE = (
    "TensorRT's parser is followed from its documentation and from what sessions were seen to do; errors that it finds only "
    "while it builds the network or the engine are not predicted."
)


@dataclass(frozen=True)
class SupportTable:
    """What one TensorRT's parser takes. Use :meth:`load`.

    Attributes
    ----------
    importers : frozenset of str
        Operators that it has an importer for.
    types : dict of str to frozenset of str
        Documented types by operator.
    rejected : dict of str to frozenset of str
        Types that an importer refuses outright.
    opsets : tuple of int
        The lowest and highest operator set that the release documents.
    """

    release: str
    importers: frozenset[str]
    types: dict[str, frozenset[str]]
    rejected: dict[str, frozenset[str]]
    opsets: tuple[int, int]

    @staticmethod
    @cache
    def load(release: str) -> SupportTable:
        """Read the table of a release.

        Parameters
        ----------
        release : str
            One of ``RELEASES``.

        Raises
        ------
        SettingsError
            For any other release.
        """
        if release not in RELEASES:
            msg = f"TensorRT {release}: there is no operator table of this release, only of {', '.join(RELEASES)}."
            raise SettingsError(msg, remedy="Use the nearest of them.")
        data = table(f"trt_ops_{release}")
        supported = {op["op"]: frozenset(op["types"]) for op in data["ops"] if op["supported"]}
        importers = frozenset(data["importers"] or ()) - {"FallbackPluginImporter", "LocalFunctionImporter"}
        low, _, high = data["opset"].replace("<=", "7..").partition("..")
        rejected = {op: frozenset(types) for op, types in data["reject_types"].items()}
        return SupportTable(release, importers or frozenset(supported), supported, rejected, (int(low), int(high)))

    @property
    def version(self) -> Version:
        """The release as two numbers."""
        major, minor = self.release.split(".")
        return int(major), int(minor)

    def cuts_at_once(self, op: Op) -> bool:
        """Whether the parser takes such operations out of a graph all together, and not one for each time it is asked.

        TensorRT 8 does so with what it has no importer for, and up to 10.6 with what depends on data (``isDDSOp``).
        """
        unknown = op.op_type not in self.importers and op.domain != PLUGINS
        return (unknown and self.version < (9, 0)) or (op.op_type in DATA_DEPENDENT and self.version < (10, 7))

    def verdict(self, op: Op, graph: Graph) -> Refusal | None:
        """Return why the parser does not take an operation; ``None`` if it takes it.

        Parameters
        ----------
        op : Op
            The operation.
        graph : Graph
            The graph that it stands in, for the types, shapes and constants of what it reads.
        """
        if op.domain == PLUGINS:
            return None
        name = f"TensorRT {self.release}"
        if op.op_type not in self.importers:
            return Refusal("operator", f"{name} has no importer for {op.op_type}")
        if op.op_type in DATA_DEPENDENT and self.version < (10, 7):
            why = f"{name} does not take {op.op_type} from ONNX Runtime: the size of its result depends on the data"
            return Refusal("operator", why)
        broken = broken_rule(Operands(op, graph, self.version)) or self._types(op, graph)
        return Refusal(broken.cause, f"with {name}, {broken.text}") if broken is not None else None

    def notes(self) -> tuple[str, ...]:
        """Return what a reader must know of these answers."""
        return (FROM_TABLE,)

    def _types(self, op: Op, graph: Graph) -> Refusal | None:
        elements = []
        for name in (*op.inputs, *op.outputs):
            value = graph.value(name) if name else UNKNOWN
            elements.append(value.element)
            if value.element and value.element not in TYPES:
                why = f"{op.op_type} reads or writes {name!r} of type {value.element}, which TensorRT does not know"
                return Refusal("type", why)
            if value.shape is not None and len(value.shape) > DIMENSIONS:
                why = f"{name!r} has {len(value.shape)} dimensions, and TensorRT's tensors {DIMENSIONS} at most"
                return Refusal("attribute", why)
        at = DATA.get(op.op_type, 0)
        seen = self._named(elements[at]) if at is not None and at < len(op.inputs) else ""
        if not seen:
            return None
        if seen in self.rejected.get(op.op_type, ()):
            return Refusal("type", f"{op.op_type} does not take {seen}")
        listed = self.types.get(op.op_type)
        if listed is None or seen in listed or (self.version[0] < 9 and op.op_type not in STRICT and seen in UNLISTED):
            return None
        return Refusal("type", f"{op.op_type} takes {', '.join(sorted(listed))}, not {seen}")

    def _named(self, element: str) -> str:
        seen = TYPES.get(element, "")
        # Before TensorRT 9 there was no INT64: the parser clamps weights and casts tensors to INT32.
        return "INT32" if seen == "INT64" and self.version[0] < 9 else seen


def nearest_release(tensorrt: str) -> str:
    """Return the newest of ``RELEASES`` that is no newer than a TensorRT, such as ``10.9.0``; the oldest where there is none."""
    known = [release for release in RELEASES if _number(release) <= _number(tensorrt)]
    return known[-1] if known else RELEASES[0]


def _number(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split(".")[:2] if part.isdigit())
