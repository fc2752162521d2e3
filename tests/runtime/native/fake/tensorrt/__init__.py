"""TensorRT's Python interface over a CPU: what 8.6, 10 and 11 have, and no more, by FAKE_TRT_VERSION.

An engine is the ONNX model itself, run by NumPy. FAKE_TRT is a list of words that let things happen: ``fail-build``,
``die-build``, ``die-run``, ``slow-build``, ``no-builder``, ``fail-run``.
"""

import base64
import ctypes
import enum
import json
import os
import signal
import time

import numpy as np
import onnx
import onnx.numpy_helper

__version__ = os.environ.get("FAKE_TRT_VERSION", "10.14.1.48")
MAJOR = int(__version__.split(".")[0])
HAPPENS = os.environ.get("FAKE_TRT", "").split()
OPERATORS = {
    "Add": np.add,
    "Relu": lambda x: np.maximum(x, 0),
    "Identity": lambda x: x,
    "Reshape": lambda x, shape: x.reshape([int(d) for d in shape]),
    "NonZero": lambda x: np.array(np.nonzero(x)),
}
PROTO = {1: "FLOAT", 2: "UINT8", 3: "INT8", 6: "INT32", 7: "INT64", 9: "BOOL", 10: "HALF", 11: "DOUBLE", 16: "BF16"}
NUMPY = {"FLOAT": "f4", "UINT8": "u1", "INT8": "i1", "INT32": "i4", "INT64": "i8", "BOOL": "?", "HALF": "f2", "BF16": "u2"}
WORD = {"FLOAT": "Float", "HALF": "Half", "INT8": "Int8", "INT32": "Int32", "INT64": "Int64", "BOOL": "Bool", "BF16": "BFloat16"}


def Names(name, *words):  # noqa: N802
    return enum.IntEnum(name, {word: index for index, word in enumerate(words)})


DataType = Names(
    "DataType", "FLOAT", "HALF", "INT8", "INT32", "BOOL", "UINT8", "FP8", *(("BF16", "INT64") if MAJOR >= 10 else ())
)
TensorIOMode = Names("TensorIOMode", "NONE", "INPUT", "OUTPUT")
TensorLocation = Names("TensorLocation", "DEVICE", "HOST")
LayerInformationFormat = Names("LayerInformationFormat", "ONELINE", "JSON")
ProfilingVerbosity = Names("ProfilingVerbosity", "LAYER_NAMES_ONLY", "NONE", "DETAILED")
MemoryPoolType = Names("MemoryPoolType", "WORKSPACE", "DLA_MANAGED_SRAM")
TacticSource = Names("TacticSource", "CUBLAS", "CUBLAS_LT", "CUDNN", "EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS")
HardwareCompatibilityLevel = Names("HardwareCompatibilityLevel", "NONE", "AMPERE_PLUS")
DeviceType = Names("DeviceType", "GPU", "DLA")
PreviewFeature = Names("PreviewFeature", "PROFILE_SHARING_0806", *(("ALIASED_PLUGIN_IO_10_03",) if MAJOR >= 10 else ()))
BuilderFlag = Names(
    "BuilderFlag",
    *(("FP16", "INT8") if MAJOR < 11 else ()),
    "GPU_FALLBACK",
    "TF32",
    "SPARSE_WEIGHTS",
    *(("BF16",) if MAJOR == 10 else ()),
)
NetworkDefinitionCreationFlag = (
    Names("NetworkDefinitionCreationFlag", "EXPLICIT_BATCH", *(("STRONGLY_TYPED",) if MAJOR >= 10 else ()))
    if MAJOR < 11
    else enum.IntEnum("NetworkDefinitionCreationFlag", {"PREFER_JIT_PYTHON_PLUGINS": 2})
)


def die():
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(30)


class ILogger:
    Severity = Names("Severity", "INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE")

    def __init__(self):
        self.made = True


class Base:
    def __init__(self):
        self.made = True


class IOutputAllocator(Base):
    pass


class IProfiler(Base):
    pass


if MAJOR >= 10:

    class IProgressMonitor(Base):
        pass


if MAJOR < 11:

    class IInt8EntropyCalibrator2(Base):
        pass


def need(value, *types):
    """Refuse what pybind11 refuses."""
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise TypeError(f"incompatible function arguments: {value!r}")
    return value


def init_libnvinfer_plugins(logger, namespace):
    assert logger.made
    need(namespace, str)


class HostMemory:
    def __init__(self, data):
        self.data = data

    def __bytes__(self):
        return self.data


class Tensor:
    def __init__(self, name, dtype, shape, *, is_shape_tensor=False):
        self.name, self.dtype, self.shape, self.is_shape_tensor = name, dtype, shape, is_shape_tensor
        self.dynamic_range = None


def dtype_of(value):
    name = PROTO[value.type.tensor_type.elem_type]
    if name == "DOUBLE":
        name = "FLOAT"
    return "INT32" if name == "INT64" and MAJOR < 10 else name


def shape_of(value):
    return tuple(d.dim_value if d.HasField("dim_value") else -1 for d in value.type.tensor_type.shape.dim)


def deciding(graph):
    """Return the inputs whose values decide shapes."""
    return {node.input[1] for node in graph.node if node.op_type in ("Reshape", "Expand")}


class Layer:
    def __init__(self, node):
        self.name, self.outputs = node.name, [Tensor(name, None, None) for name in node.output]
        self.num_outputs = len(self.outputs)

    def get_output(self, index):
        return self.outputs[index]


class Network:
    def __init__(self, flags):
        if MAJOR < 10:
            assert flags == 1, "implicit batch is not supported by the ONNX parser"
        self.flags, self.model = flags, None

    def fill(self, model):
        self.model = model
        graph = model.graph
        weights = {tensor.name for tensor in graph.initializer}
        shaping = deciding(graph)
        self.inputs = [
            Tensor(v.name, dtype_of(v), shape_of(v), is_shape_tensor=v.name in shaping)
            for v in graph.input
            if v.name not in weights
        ]
        self.layers = [Layer(node) for node in graph.node]

    num_inputs = property(lambda self: len(self.inputs))
    num_layers = property(lambda self: len(self.layers))

    def get_input(self, index):
        return self.inputs[index]

    def get_layer(self, index):
        return self.layers[index]


class ErrorCode:
    """As TensorRT 8.6 has it: no enumeration of Python's, and its name is a method."""

    def __str__(self):
        return "ErrorCode.UNSUPPORTED_NODE"

    def name(self):
        return str(self)


class ParserError:
    def __init__(self, index, node):
        self.index, self.of = index, node

    def node(self):
        return self.index

    def code(self):
        return ErrorCode()

    def desc(self):
        return f"No importer registered for op: {self.of.op_type}. Attempting to import as plugin."

    if MAJOR >= 10:

        def node_name(self):
            return self.of.name

        def node_operator(self):
            return self.of.op_type


class OnnxParser:
    def __init__(self, network, logger):
        self.network, self.logger, self.errors = network, logger, []

    num_errors = property(lambda self: len(self.errors))

    def get_error(self, index):
        return self.errors[index]

    def parse_from_file(self, path):
        model = onnx.load(need(path, str))  # finds external data by the path
        wrong = [(i, node) for i, node in enumerate(model.graph.node) if node.op_type not in OPERATORS]
        self.errors = [ParserError(i, node) for i, node in wrong]
        if not wrong:
            self.network.fill(model)
        return not wrong


class OptimizationProfile:
    def __init__(self):
        self.shapes, self.values = {}, {}

    def set_shape(self, name, low, best, high):
        self.shapes[need(name, str)] = [tuple(low), tuple(best), tuple(high)]

    def set_shape_input(self, name, low, best, high):
        self.values[need(name, str)] = [tuple(low), tuple(best), tuple(high)]


class TimingCache:
    def __init__(self, data):
        self.data = data

    def serialize(self):
        return HostMemory(self.data)


class BuilderConfig:
    def __init__(self):
        self.flags, self.profiles, self.pools, self.tactics, self.preview = set(), [], {}, 0b11000, []
        self.builder_optimization_level, self.max_aux_streams = 3, None
        self.profiling_verbosity = ProfilingVerbosity.LAYER_NAMES_ONLY
        self.hardware_compatibility_level = HardwareCompatibilityLevel.NONE
        self.int8_calibrator = self.cache = None
        if MAJOR >= 10:
            self.progress_monitor = None

    def set_flag(self, flag):
        self.flags.add(need(flag, BuilderFlag).name)

    def clear_flag(self, flag):
        self.flags.discard(flag.name)

    def set_memory_pool_limit(self, pool, size):
        self.pools[need(pool, MemoryPoolType).name] = need(size, int)

    def get_tactic_sources(self):
        return self.tactics

    def set_tactic_sources(self, mask):
        self.tactics = need(mask, int)
        return True

    def set_preview_feature(self, feature, on):
        self.preview += [feature.name] if on else []

    def add_optimization_profile(self, profile):
        ranges = [*profile.shapes.values(), *profile.values.values()]
        if not ranges or not all(a <= b <= c for low, best, high in ranges for a, b, c in zip(low, best, high, strict=True)):
            return -1
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def create_timing_cache(self, data):
        return TimingCache(need(data, bytes))

    def set_timing_cache(self, cache, ignore_mismatch):
        if cache.data.startswith(b"foreign") and not ignore_mismatch:
            return False
        self.cache = cache
        return True

    def get_timing_cache(self):
        return self.cache


class Builder:
    num_DLA_cores = 0  # noqa: N815
    platform_has_fast_fp16 = platform_has_fast_int8 = True

    def __init__(self, logger):
        if "no-builder" in HAPPENS:
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self.logger = logger

    def create_network(self, flags=0):
        return Network(need(flags, int))

    def create_builder_config(self):
        return BuilderConfig()

    def create_optimization_profile(self):
        return OptimizationProfile()

    def build_serialized_network(self, network, config):
        log = self.logger.log
        log(ILogger.Severity.INFO, "Graph optimization time: 0.01 seconds.")
        log(ILogger.Severity.VERBOSE, "Running tactics.")
        self.progress(config)
        if "die-build" in HAPPENS:
            log(ILogger.Severity.WARNING, "the last words")
            die()
        if "slow-build" in HAPPENS:
            time.sleep(60)
        if "INT8" in config.flags and config.int8_calibrator is None and not self.ranges(network):
            log(ILogger.Severity.ERROR, "Calibration failure occurred with no scaling factors detected.")
            return None
        if "fail-build" in HAPPENS:
            log(ILogger.Severity.ERROR, "Could not find any implementation for node conv.")
            return None
        if config.cache is not None:
            config.cache = TimingCache(config.cache.data + b"timed;")
        facts = {
            "version": __version__,
            "onnx": base64.b64encode(network.model.SerializeToString()).decode(),
            "profiles": [{"shapes": p.shapes, "values": p.values} for p in config.profiles],
            "verbosity": config.profiling_verbosity.name,
            "flags": sorted(config.flags),
            "typed": network.flags,
            "config": [config.builder_optimization_level, config.max_aux_streams, config.tactics, config.pools, config.preview],
            "table": config.int8_calibrator.read_calibration_cache().decode() if config.int8_calibrator else None,
            "ranges": self.ranges(network),
        }
        return HostMemory(json.dumps(facts).encode())

    def ranges(self, network):
        tensors = [*network.inputs, *(output for layer in network.layers for output in layer.outputs)]
        return {tensor.name: tensor.dynamic_range for tensor in tensors if tensor.dynamic_range}

    def progress(self, config):
        monitor = getattr(config, "progress_monitor", None)
        if monitor is not None:
            monitor.phase_start("Building engine", None, 4)
            monitor.phase_start("Tactic timing", "Building engine", 9)
            for step in range(9):
                assert monitor.step_complete("Tactic timing", step)
            monitor.phase_finish("Tactic timing")
            monitor.phase_finish("Building engine")


class Runtime:
    def __init__(self, logger):
        self.logger = logger

    def deserialize_cuda_engine(self, plan):
        try:
            facts = json.loads(plan)
        except ValueError:
            self.logger.log(ILogger.Severity.ERROR, "Magic tag does not match.")
            return None
        if facts["version"] != __version__:
            self.logger.log(ILogger.Severity.ERROR, "The engine plan file is not compatible with this version of TensorRT.")
            return None
        return Engine(facts)


class Engine:
    device_memory_size = 4096
    if MAJOR >= 10:
        device_memory_size_v2 = 4096

    def __init__(self, facts):
        self.facts = facts
        self.model = onnx.load_from_string(base64.b64decode(facts["onnx"]))
        graph = self.model.graph
        weights = {tensor.name for tensor in graph.initializer}
        self.shaping = deciding(graph)
        self.inputs = [value for value in graph.input if value.name not in weights]
        self.tensors = {value.name: value for value in [*self.inputs, *graph.output]}
        self.contexts = 0

    num_io_tensors = property(lambda self: len(self.tensors))
    num_layers = property(lambda self: len(self.model.graph.node))
    num_optimization_profiles = property(lambda self: max(1, len(self.facts["profiles"])))

    def get_tensor_name(self, index):
        return list(self.tensors)[index]

    def get_tensor_mode(self, name):
        return TensorIOMode.INPUT if any(v.name == name for v in self.inputs) else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name):
        return DataType[dtype_of(self.tensors[need(name, str)])]

    def get_tensor_location(self, name):
        return TensorLocation.HOST if name in self.shaping else TensorLocation.DEVICE

    def is_shape_inference_io(self, name):
        return name in self.shaping

    def get_tensor_shape(self, name):
        return shape_of(self.tensors[name])

    def get_tensor_profile_shape(self, name, profile):
        need(name, str)
        ranges = self.facts["profiles"][need(profile, int)]["shapes"] if self.facts["profiles"] else {}
        return [tuple(row) for row in ranges.get(name, [shape_of(self.tensors[name])] * 3)]

    def _values(self, profile, name):
        need(profile, int)
        return self.facts["profiles"][profile]["values"][need(name, str)]

    if MAJOR >= 10:
        get_tensor_profile_values = _values
    else:
        get_profile_shape_input = _values

    def create_execution_context(self):
        self.contexts += 1
        return Context(self)

    def create_engine_inspector(self):
        return Inspector(self)


class Inspector:
    def __init__(self, engine):
        self.engine, self.execution_context = engine, None

    def get_engine_information(self, form):
        assert form == LayerInformationFormat.JSON
        detailed = self.engine.facts["verbosity"] == "DETAILED"
        layers = [self.layer(node) if detailed else node.name for node in self.engine.model.graph.node]
        return json.dumps({"Layers": layers, "Bindings": list(self.engine.tensors)})

    def layer(self, node):
        word = "Half" if "FP16" in self.engine.facts["flags"] else "Float"
        form = word if MAJOR >= 10 else {"Half": "Row major linear FP16 format", "Float": "Row major linear FP32"}[word]
        tensors = [
            [{"Name": name, "Dimensions": [1], "Format/Datatype": form} for name in names] for names in (node.input, node.output)
        ]
        return {
            "Name": node.name,
            "LayerType": "Reformat" if node.op_type == "Cast" else "CaskConvolution",
            "Inputs": tensors[0],
            "Outputs": tensors[1],
            "TacticName": "kernel",
            "Metadata": f"[ONNX Layer: {node.name}]",
        }


class Context:
    def __init__(self, engine):
        self.engine, self.shapes, self.addresses, self.allocators = engine, {}, {}, {}
        self.active_optimization_profile = 0 if engine.contexts == 1 else -1
        self.profiler = None

    def __del__(self):
        self.engine.contexts -= 1

    def set_optimization_profile_async(self, profile, stream):
        need(stream, int)
        self.active_optimization_profile = need(profile, int)
        return True

    def set_input_shape(self, name, shape):
        assert self.active_optimization_profile >= 0, "no profile is chosen"
        self.shapes[need(name, str)] = tuple(need(shape, tuple))
        low, _, high = self.engine.get_tensor_profile_shape(name, self.active_optimization_profile)
        return all(a <= s <= b for a, s, b in zip(low, shape, high, strict=True))

    def set_tensor_address(self, name, address):
        self.addresses[need(name, str)] = need(address, int)
        return bool(address)

    def set_output_allocator(self, name, allocator):
        assert allocator.made
        self.allocators[name] = allocator
        return True

    def infer_shapes(self):
        return [value.name for value in self.engine.inputs if value.name not in self.shapes]

    def get_tensor_shape(self, name):
        if any(node.op_type == "NonZero" for node in self.engine.model.graph.node):
            return shape_of(self.engine.tensors[name])
        feeds = {
            v.name: self.read(v) if v.name in self.engine.shaping else np.zeros(self.shapes[v.name], "f4")
            for v in self.engine.inputs
        }
        return self.evaluate(feeds)[name].shape

    def read(self, value):
        dtype = np.dtype(NUMPY[dtype_of(value)])
        shape = self.shapes[value.name]
        data = ctypes.string_at(self.addresses[value.name], int(np.prod(shape)) * dtype.itemsize)
        array = np.frombuffer(data, dtype).reshape(shape)
        return (array.astype("u4") << 16).view("f4") if dtype_of(value) == "BF16" else array

    def evaluate(self, feeds):
        graph = self.engine.model.graph
        found = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer} | feeds
        for node in graph.node:
            found[node.output[0]] = OPERATORS[node.op_type](*(found[name] for name in node.input))
        return {value.name: found[value.name] for value in graph.output}

    def execute_async_v3(self, stream):
        need(stream, int)
        if "die-run" in HAPPENS:
            die()
        if "fail-run" in HAPPENS:
            return False
        for name, array in self.evaluate({v.name: self.read(v) for v in self.engine.inputs}).items():
            self.write(name, np.asarray(array))
        for node in self.engine.model.graph.node if self.profiler is not None else ():
            self.profiler.report_layer_time(node.name, 0.25)
        return True

    def write(self, name, array):
        kind = dtype_of(self.engine.tensors[name])
        if kind == "BF16":
            data = (array.astype("f4").view("u4") >> 16).astype("u2").tobytes()
        else:
            data = array.astype(NUMPY[kind]).tobytes()
        if name in self.allocators:
            give = self.allocators[name]
            if MAJOR >= 10:
                self.addresses[name] = give.reallocate_output_async(name, 0, len(data), 256, 1)
            else:
                self.addresses[name] = give.reallocate_output(name, 0, len(data), 256)
            give.notify_shape(name, array.shape)
        ctypes.memmove(self.addresses[name], data, len(data))
