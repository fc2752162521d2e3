"""Write an ONNX graph node by node, each under a readable name and with the shape of its output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Sequence

OPSET = 17
IR_VERSION = 8  # with opset 17 this is what ONNX Runtime 1.17 and older readers accept
PRODUCER = "trt-workbench samples"
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL

Dims = tuple[int | str, ...]


class Graph:
    """A graph under construction.

    The names of nodes read like paths and end in the operator, such as ``/stage1/conv/Conv``. Every tensor's shape is
    given, because shape inference has no name for what a convolution makes of a symbolic dimension, and ONNX Runtime
    hands TensorRT a part of a graph only when each dimension at its border has a value or a name.

    Parameters
    ----------
    name, description : str
        Of the graph.
    """

    def __init__(self, name: str, description: str) -> None:
        self.name, self.description = name, description
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._values: dict[str, onnx.ValueInfoProto] = {}

    def input(self, name: str, dims: Dims, dtype: int = FLOAT) -> str:
        """Add an input and return its name."""
        self._inputs.append(helper.make_tensor_value_info(name, dtype, dims))
        return name

    def weight(self, name: str, values: np.ndarray | Sequence[int | float] | float) -> str:
        """Add a constant and return its name; Python integers become int64, Python floats float32."""
        array = np.asarray(values)
        if not isinstance(values, np.ndarray):
            array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        self._weights.append(numpy_helper.from_array(array, name))
        return name

    def node(
        self, name: str, inputs: Sequence[str], dims: Dims, dtype: int = FLOAT, *, output: str = "", **attributes: object
    ) -> str:
        """Add a node with one output.

        Parameters
        ----------
        name : str
            Path-like; its last part is the operator.
        inputs : sequence of str
            The tensors it reads.
        dims, dtype
            Shape and element type of its output.
        output : str
            Name of its output; by default made from the node's.
        **attributes
            Of the operator.

        Returns
        -------
        str
            The output's name.
        """
        output = output or f"{name}_output_0"
        node = helper.make_node(name.rsplit("/", 1)[-1], list(inputs), [output], name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        self._nodes.append(node)
        self._values[output] = helper.make_tensor_value_info(output, dtype, dims)
        return output

    def split(self, name: str, source: str, parts: Sequence[str], dims: Dims, *, axis: int) -> tuple[str, ...]:
        """Cut a float tensor into parts of equal size along an axis and return their names; `dims` is one part's shape."""
        outputs = [f"{name.rsplit('/', 1)[0]}/{part}" for part in parts]
        self._nodes.append(helper.make_node("Split", [source], outputs, name=name, axis=axis))
        self._values |= {output: helper.make_tensor_value_info(output, FLOAT, dims) for output in outputs}
        return tuple(outputs)

    def model(self, outputs: Sequence[str], metadata: dict[str, str]) -> onnx.ModelProto:
        """Return the finished model, checked with full shape inference.

        Parameters
        ----------
        outputs : sequence of str
            The tensors that the model returns.
        metadata : dict of str to str
            Kept in the file under ``metadata_props``.
        """
        graph = helper.make_graph(
            self._nodes,
            self.name,
            self._inputs,
            [self._values[output] for output in outputs],
            self._weights,
            doc_string=self.description,
            value_info=[value for name, value in self._values.items() if name not in outputs],
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name=PRODUCER
        )
        model.producer_version = "1"
        model.doc_string = self.description
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model, full_check=True)
        return model
