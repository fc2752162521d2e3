"""Large weights kept out of a model that is lowered again and again.

Copying, rounding and reading them would take most of the time of a set that is tried. So the model gets a few numbers in
place of each large weight, which tell which weight it was and whether it was rounded; the session gets the weight itself,
or the rounded one, from memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper

from workbench.model.precision.half_values import clipped, rounded

if TYPE_CHECKING:
    from workbench.model.precision.half_values import Half

LARGE = 1 << 14  # bytes
DIGITS, BASE = 4, 128  # whole numbers below 128 are exact in float16 and bfloat16
UNROUNDED = np.float32(1 + 2.0**-20)  # becomes 1 in either
NOWHERE = "weights in memory"


class Weights:
    """The large float32 weights of a model, exact and rounded.

    Parameters
    ----------
    proto : onnx.ModelProto
        With its weights.
    to : str
        What they are rounded to.
    clip : bool
        Whether those beyond the range are clipped first.

    Attributes
    ----------
    skeleton : onnx.ModelProto
        The model with placeholders.
    """

    def __init__(self, proto: onnx.ModelProto, to: Half, *, clip: bool) -> None:
        self.to, self.clip = to, clip
        self.exact: list[tuple[str, np.ndarray]] = []
        self._values: dict[tuple[int, bool], Any] = {}
        self.skeleton = onnx.ModelProto()
        weights = [self._held(tensor) for tensor in proto.graph.initializer]
        for field in ("ir_version", "producer_name", "model_version", "domain"):
            setattr(self.skeleton, field, getattr(proto, field))
        self.skeleton.opset_import.extend(proto.opset_import)
        self.skeleton.functions.extend(proto.functions)
        graph = self.skeleton.graph
        for field in ("node", "input", "output", "value_info", "sparse_initializer"):
            getattr(graph, field).extend(getattr(proto.graph, field))
        graph.name = proto.graph.name
        graph.initializer.extend(weights)

    def _held(self, tensor: onnx.TensorProto) -> onnx.TensorProto:
        """Return a tensor, or a placeholder for it once it is taken into memory."""
        if tensor.data_type != onnx.TensorProto.FLOAT or tensor.ByteSize() < LARGE:
            return tensor
        number = len(self.exact)
        self.exact.append((tensor.name, np.ascontiguousarray(numpy_helper.to_array(tensor))))
        digits = [number // BASE**at % BASE for at in range(DIGITS)]
        return numpy_helper.from_array(np.array([*digits, UNROUNDED], dtype=np.float32), tensor.name)

    def fill(self, proto: onnx.ModelProto, options: Any, ort: Any) -> None:  # noqa: ANN401
        """Let a session have the weights of a lowered skeleton.

        Parameters
        ----------
        proto : onnx.ModelProto
            The lowered skeleton; its placeholders become references to data outside the file.
        options : onnxruntime.SessionOptions
            Of the session to be made.
        ort : module
            onnxruntime.
        """
        names, values = [], []
        for tensor in proto.graph.initializer:
            number = self._number(tensor)
            if number is None:
                continue
            lowered = bool(numpy_helper.to_array(tensor)[DIGITS] == 1)
            names.append(tensor.name)
            values.append(self._value(number, ort, lowered=lowered))
            _refer(tensor, self.exact[number][1].shape)
        if names:
            options.add_external_initializers(names, values)

    def _number(self, tensor: onnx.TensorProto) -> int | None:
        """Return which weight a tensor stands for; ``None`` for one that stands for itself."""
        if not self.exact or list(tensor.dims) != [DIGITS + 1] or tensor.data_type != onnx.TensorProto.FLOAT:
            return None
        *digits, mark = numpy_helper.to_array(tensor)
        if mark not in (1, UNROUNDED):
            return None
        if any(digit != int(digit) or not 0 <= digit < BASE for digit in digits):
            return None
        number = sum(int(digit) * BASE**at for at, digit in enumerate(digits))
        if number >= len(self.exact):
            return None
        return number if tensor.name.startswith(self.exact[number][0]) else None

    def _value(self, number: int, ort: Any, *, lowered: bool) -> Any:  # noqa: ANN401
        key = (number, lowered)
        if key not in self._values:
            array = self.exact[number][1]
            if lowered:
                array = rounded(clipped(array, self.to) if self.clip else array, self.to)
            self._values[key] = ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))
        return self._values[key]


def _refer(tensor: onnx.TensorProto, shape: tuple[int, ...]) -> None:
    """Make a tensor refer to data outside the file."""
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    del tensor.dims[:]
    tensor.dims.extend(shape)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=NOWHERE)
    tensor.external_data.add(key="offset", value="0")
    tensor.external_data.add(key="length", value=str(4 * int(np.prod(shape))))
