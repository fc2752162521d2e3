"""What is worth knowing of a model before it is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.model.external import chunks_of, model_tensors
from workbench.model.graph import nodes_in
from workbench.model.pytorch.origin import findings_of_origin
from workbench.model.skim import LARGEST_MESSAGE
from workbench.record import Finding

if TYPE_CHECKING:
    import onnx

    from workbench.model.model import Model

TENSORRT_INPUT_DTYPES = {"float32", "float16", "bfloat16", "bool", "int8", "uint8", "int32", "int64", "float64"}
# Operators that ONNX's checker prints a line about, on standard output (checker.cc, experimental_ops)
EXPERIMENTAL = frozenset(
    {
        "ATen",
        "Affine",
        "ConstantFill",
        "Crop",
        "DynamicSlice",
        "GRUUnit",
        "GivenTensorFill",
        "ImageScaler",
        "ParametricSoftplus",
        "Scale",
        "ScaledTanh",
    }
)
UNCHECKED = "workbench.unchecked"  # a domain that ONNX's checker has no schema for


def findings_of(model: Model) -> list[Finding]:
    """Return the findings about a model, the graver first."""
    return [
        *_too_large(model),
        *_weights(model),
        *_invalid(model),
        *_order(model),
        *_dimensions(model),
        *_types(model),
        *_names(model),
        *findings_of_origin(model),
    ]


def _too_large(model: Model) -> list[Finding]:
    if model.path.stat().st_size <= LARGEST_MESSAGE:
        return []
    return [
        Finding(
            level="error",
            where="file",
            seen=f"the file has {model.path.stat().st_size:,} bytes",
            meaning="Protobuf, which all runtimes read models with, ends at 2 GiB.",
            action="Save the weights as external data.",
        )
    ]


def _weights(model: Model) -> list[Finding]:
    """Compare the bytes of each external or embedded payload with what its tensor's shape asks for."""
    wrong = [
        (chunk.tensor, chunk.length, chunk.needed)
        for chunk in chunks_of(model.proto, model.path)
        if chunk.length is not None and chunk.needed and chunk.length != chunk.needed
    ]
    return [
        Finding(
            level="error",
            where=name,
            seen=f"the tensor has {length:,} bytes, its shape asks for {needed:,}",
            meaning="Runtimes refuse the model.",
            action="Export it again.",
        )
        for name, length, needed in wrong[:5]
    ]


def _invalid(model: Model) -> list[Finding]:
    """Let ONNX's checker speak; what it refuses, ONNX Runtime may still run, so nothing is fatal here."""
    import onnx

    try:
        onnx.checker.check_model(_checkable(model.proto))
    except (onnx.checker.ValidationError, ValueError) as error:
        seen = " ".join(str(error).split())[:400]
        return [
            Finding(level="warning", where="graph", seen=seen, meaning="ONNX's checker refuses the model; a runtime may too.")
        ]
    return []


def _checkable(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy for ONNX's checker, which would open external data, and print a line about experimental operators."""
    import onnx

    bare = onnx.ModelProto()
    bare.CopyFrom(proto)
    for tensor in model_tensors(bare):
        if tensor.data_location == tensor.EXTERNAL:
            del tensor.external_data[:]
            tensor.ClearField("data_location")
            tensor.dims[:] = [0]  # an empty tensor of its type: the checker does not compare shapes
    experimental = [n for n in nodes_in(bare) if n.op_type in EXPERIMENTAL and n.domain in ("", "ai.onnx")]
    if experimental:
        bare.opset_import.add(domain=UNCHECKED, version=1)
    for node in experimental:
        node.domain = UNCHECKED
    return bare


def _order(model: Model) -> list[Finding]:
    if model.in_order:
        return []
    return [
        Finding(
            level="warning",
            where="graph",
            seen="the nodes are not in topological order",
            meaning="The ONNX specification wants them to be; ONNX Runtime sorts them itself, other tools may refuse.",
        )
    ]


def _names(model: Model) -> list[Finding]:
    changed = sum(node.name != node.proto.name for node in model.nodes)
    if not changed:
        return []
    return [
        Finding(
            level="info",
            where="nodes",
            seen=f"{changed} of {len(model.nodes)} nodes have no name of their own, or one that another node has",
            meaning="The workbench names them by operator and position.",
        )
    ]


def _dimensions(model: Model) -> list[Finding]:
    unknown = [spec.name for spec in model.inputs if spec.shape is None]
    found = [
        Finding(
            level="warning",
            where=name,
            seen="the input's rank is unknown",
            meaning="TensorRT needs every input's rank.",
            action="Export it with dynamic axes instead of an unknown shape.",
        )
        for name in unknown
    ]
    dynamic = [spec.name for spec in model.inputs if spec.dynamic and spec.shape is not None]
    if dynamic:
        found.append(
            Finding(
                level="info",
                where=", ".join(dynamic),
                seen=f"dynamic dimensions: {', '.join(model.dynamic_dimensions)}",
                meaning="Without a shape profile TensorRT builds at the first run, and again when a shape leaves the seen range.",
                action="Give a shape profile for them.",
            )
        )
    return found


def _types(model: Model) -> list[Finding]:
    refused = [spec for spec in model.inputs if spec.dtype not in TENSORRT_INPUT_DTYPES]
    return [
        Finding(
            level="info",
            where=spec.name,
            seen=f"the input is {spec.dtype}",
            meaning="TensorRT takes no such input; its consumers run elsewhere.",
        )
        for spec in refused
    ]
