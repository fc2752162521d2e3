"""An engine: its tensors, types and profiles, and what the inspector says. The interface of TensorRT 8.6 and later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.runtime.native.messages import BFLOAT16, Refused, to_bfloat16

if TYPE_CHECKING:
    from workbench.runtime.native.cuda import Cuda

# tensorrt.DataType -> NumPy's name; a type that is not here cannot go in or out
DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": BFLOAT16,
    "INT8": "int8",
    "UINT8": "uint8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}

Feeds = dict[str, np.ndarray]
Shape = tuple[int, ...]


class Engine:
    """A plan made ready.

    Parameters
    ----------
    trt : module
        tensorrt.
    cuda : Cuda
        The CUDA runtime.
    logger : ILogger
        Holds TensorRT's last error.
    plan : bytes
        What TensorRT built.

    Raises
    ------
    Refused
        When TensorRT does not take the plan.
    """

    def __init__(self, trt: Any, cuda: Cuda, logger: Any, plan: bytes) -> None:  # noqa: ANN401
        self.trt, self.cuda, self.logger = trt, cuda, logger
        self.runtime = trt.Runtime(logger)
        self.engine = self.runtime.deserialize_cuda_engine(plan)
        if self.engine is None:
            said = logger.last_error or "it gives no reason"
            remedy = "A plan works with the TensorRT version and on the kind of GPU that it was built with: build it anew."
            raise Refused(f"TensorRT {trt.__version__} does not take the plan: {said}", kind="load", remedy=remedy)
        self.names = [self.engine.get_tensor_name(i) for i in range(self.engine.num_io_tensors)]

    def inputs(self) -> list[str]:
        """Return the names of what goes in."""
        return [name for name in self.names if self.engine.get_tensor_mode(name) == self.trt.TensorIOMode.INPUT]

    def outputs(self) -> list[str]:
        """Return the names of what comes out."""
        return [name for name in self.names if self.engine.get_tensor_mode(name) == self.trt.TensorIOMode.OUTPUT]

    def dtype(self, name: str) -> str:
        """Return the type of a tensor that goes in or out: NumPy's name, or ``bfloat16``."""
        found = self.engine.get_tensor_dtype(name).name
        return DTYPES.get(found, str(found).lower())

    def on_host(self, name: str) -> bool:
        """Whether TensorRT reads or writes a tensor in the CPU's memory: the values of a shape tensor."""
        return bool(self.engine.get_tensor_location(name) == self.trt.TensorLocation.HOST)

    def shape(self, name: str) -> Shape:
        """Return a tensor's shape, -1 for a dimension that is open."""
        return tuple(int(d) for d in self.engine.get_tensor_shape(name))

    def ranges(self, name: str, profile: int) -> list[Shape]:
        """Return the smallest, the best and the largest shape of an input in a profile."""
        return [tuple(int(d) for d in shape) for shape in self.engine.get_tensor_profile_shape(name, profile)]

    def values(self, name: str, profile: int) -> list[Shape]:
        """Return the same of a shape tensor's values; empty where this release does not tell."""
        if not self.engine.is_shape_inference_io(name):
            return []
        if hasattr(self.engine, "get_tensor_profile_values"):
            found = self.engine.get_tensor_profile_values(profile, name)
        elif hasattr(self.engine, "get_profile_shape_input"):  # 8.6; it takes a name too
            found = self.engine.get_profile_shape_input(profile, name)
        else:
            found = []
        return [tuple(int(v) for v in row) for row in found]

    def describe(self) -> dict[str, Any]:
        """Return what goes in and out, the profiles, and what the engine takes."""
        return {
            "inputs": [self._tensor(name) for name in self.inputs()],
            "outputs": [self._tensor(name) for name in self.outputs()],
            "profiles": [self._profile(k) for k in range(self.engine.num_optimization_profiles)],
            "layers": int(self.engine.num_layers),
            "device_bytes": device_bytes(self.engine),
        }

    def _tensor(self, name: str) -> dict[str, Any]:
        return {"name": name, "dtype": self.dtype(name), "shape": self.shape(name), "values": self.on_host(name)}

    def _profile(self, number: int) -> list[dict[str, Any]]:
        rows = []
        for name in self.inputs():
            if self.on_host(name):
                found, values = self.values(name, number), True
            elif -1 in self.shape(name):
                found, values = self.ranges(name, number), False
            else:
                continue
            if len(found) == 3:
                rows.append({"name": name, "min": found[0], "opt": found[1], "max": found[2], "values": values})
        return rows

    def inspect(self) -> str:
        """Return what the engine inspector says, as JSON: names only, or details where it was built to tell them."""
        inspector = self.engine.create_engine_inspector()
        return str(inspector.get_engine_information(self.trt.LayerInformationFormat.JSON))

    def made_up(self, profile: int) -> Feeds:
        """Return arrays that fit: random numbers, ones where numbers are whole, the best values of shape tensors."""
        rng = np.random.default_rng(0)
        feeds = {}
        for name in self.inputs():
            shape, dtype = self.shape(name), self.dtype(name)
            if -1 in shape:
                shape = self.ranges(name, profile)[1]
            best = self.values(name, profile)[1:2] if self.on_host(name) else []
            real = dtype in ("float32", "float16", BFLOAT16)
            array = rng.standard_normal(shape) if real else np.ones(shape)
            array = np.asarray(best[0]).reshape(shape) if best else array
            feeds[name] = array.astype(np.float32 if dtype == BFLOAT16 else dtype)
        return feeds


def device_bytes(engine: Any) -> int | None:  # noqa: ANN401
    """Return the GPU memory that one context of an engine takes; ``None`` where the release does not say."""
    for name in ("device_memory_size_v2", "device_memory_size"):  # 10.1 brought the first
        if hasattr(engine, name):
            return int(getattr(engine, name))
    return None


def storage(dtype: str, name: str) -> np.dtype[Any]:
    """Return NumPy's type for a tensor's bytes."""
    if dtype not in DTYPES.values():
        raise Refused(f"{name!r} is {dtype}, which cannot be passed in or out.", kind="inputs", remedy="Cast it in the model.")
    return np.dtype(np.uint16 if dtype == BFLOAT16 else dtype)


def convert(array: np.ndarray, dtype: str, name: str) -> np.ndarray:
    """Return an input in the type that the engine wants, contiguous.

    Raises
    ------
    Refused
        When whole numbers do not fit.
    """
    wanted = storage(dtype, name)
    if dtype == BFLOAT16:
        return to_bfloat16(array)
    if wanted.kind in "iu" and array.dtype.kind in "iu" and array.size:
        low, high = np.iinfo(wanted).min, np.iinfo(wanted).max
        for value in (int(array.min()), int(array.max())):
            if not low <= value <= high:
                raise Refused(f"Input {name!r} holds {value}, and the engine takes {dtype} there.", kind="inputs")
    return np.array(array, dtype=wanted, order="C", copy=True)
