"""Which integers become shapes: TensorRT calls such inputs shape tensors, and bounds their values instead of their sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from workbench.model.model import Model, TensorSpec

# Operator -> the inputs whose values TensorRT takes as a shape, an index or a count when it works out shapes. Axes are left
# out: they must be constant. (Importers of TensorRT's ONNX parser, 8.6 to 10.16.)
OPERANDS: Mapping[str, tuple[int, ...]] = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "Loop": (0,),
    "NonMaxSuppression": (2,),
    "OneHot": (1,),
    "Pad": (1,),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (3,),
    "Slice": (1, 2, 4),
    "Tile": (1,),
    "TopK": (1,),
}
# Arithmetic that shapes are worked out with: what its result is used for, its operands are used for.
ARITHMETIC = frozenset(
    {
        *("Abs", "Add", "And", "Cast", "Ceil", "Concat", "Div", "Equal", "Floor", "Gather", "Greater", "GreaterOrEqual"),
        *("Identity", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "ReduceMax", "ReduceMin"),
        *("ReduceProd", "ReduceSum", "Reshape", "Slice", "Squeeze", "Sub", "Unsqueeze", "Where"),
    }
)
INTEGERS = ("int32", "int64")
MOST_VALUES = 64  # TensorRT's limit for a shape tensor (developer guide, "Execution Tensors vs. Shape Tensors")


def shape_operands(nodes: Iterable[tuple[str, Sequence[str], Sequence[str]]]) -> set[str]:
    """Return the tensors whose values decide shapes, directly or through arithmetic.

    Parameters
    ----------
    nodes : iterable of (str, sequence of str, sequence of str)
        Operator, inputs and outputs of each node; any order.
    """
    producer: dict[str, tuple[str, Sequence[str]]] = {}
    found: set[str] = set()
    for op_type, inputs, outputs in nodes:
        producer.update((name, (op_type, inputs)) for name in outputs if name)
        found.update(inputs[i] for i in OPERANDS.get(op_type, ()) if i < len(inputs) and inputs[i])
    open_ends = list(found)
    while open_ends:
        op_type, inputs = producer.get(open_ends.pop(), ("", ()))
        if op_type in ARITHMETIC:
            new = {name for name in inputs if name} - found
            found |= new
            open_ends += new
    return found


def may_be_shape_tensor(dtype: str, shape: tuple[int | str | None, ...] | None) -> bool:
    """Whether a tensor can be a shape tensor: a 32 or 64-bit integer, or a list of at most 64 with a fixed length."""
    if dtype not in INTEGERS or shape is None or len(shape) > 1:
        return False
    return not shape or (isinstance(shape[0], int) and shape[0] <= MOST_VALUES)


def shape_tensors(model: Model) -> tuple[TensorSpec, ...]:
    """Return the inputs of a model whose values decide shapes inside it, in the model's order."""
    possible = [spec for spec in model.inputs if may_be_shape_tensor(spec.dtype, spec.shape)]
    if not possible:
        return ()
    operands = shape_operands((node.op_type, node.proto.input, node.proto.output) for node in model.nodes)
    return tuple(spec for spec in possible if spec.name in operands)


def values_of(spec: TensorSpec) -> int:
    """Return how many values a shape tensor holds: one for a single number."""
    return next((dim for dim in spec.shape or () if isinstance(dim, int)), 1)
