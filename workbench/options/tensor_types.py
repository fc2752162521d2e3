"""The element types that a model's file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from workbench.model.external import tensors_of
from workbench.model.model import DTYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.model.model import Model

_KNOWN: WeakKeyDictionary[Model, frozenset[str]] = WeakKeyDictionary()


def tensor_types(model: Model) -> frozenset[str]:
    """Return the element types of a model's weights, constants, inputs, outputs, declared tensors and casts.

    Named as ``TensorSpec.dtype``. Types that only shape inference would tell are not among them.
    """
    if model not in _KNOWN:
        _KNOWN[model] = frozenset(DTYPES[number] for number in _numbers(model) if number in DTYPES)
    return _KNOWN[model]


def _numbers(model: Model) -> Iterator[int]:
    graph = model.proto.graph
    for tensor in tensors_of(graph):
        yield tensor.data_type
    for values in (graph.input, graph.output, graph.value_info):
        for value in values:
            yield value.type.tensor_type.elem_type
    for node in model.nodes:
        if node.op_type == "Cast":
            yield from (attribute.i for attribute in node.proto.attribute if attribute.name == "to")
