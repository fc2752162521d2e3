"""From an ONNX file to TensorRT's plan, through the interface of TensorRT 8.6 to 11.

TensorRT's names are looked up, not assumed: 8.6 has no progress and no strongly typed networks, 10 no implicit INT8 from 10.12
on without a warning, 11 no precision flags at all.
"""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.runtime.native.messages import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Say = Callable[[dict[str, Any]], None]

Request = dict[str, Any]

MOST_ERRORS = 20
PROGRESS_EVERY_S = 0.5
LEVELS = {"INTERNAL_ERROR": "F", "ERROR": "E", "WARNING": "W", "INFO": "I", "VERBOSE": "V"}


def make_logger(trt: Any, say: Say, *, verbose: bool = False) -> Any:  # noqa: ANN401
    """Return a logger of TensorRT that sends its lines on; `last_error` holds its last error, or an empty text."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.last_error = ""
            self.verbose = verbose

        def log(self, severity: Any, message: str) -> None:  # noqa: ANN401
            level = LEVELS.get(severity.name, "I")
            if level in "FE":
                self.last_error = message
            if level != "V" or self.verbose:
                say({"log": f"[TensorRT] {level}: {message}"})

    return Log()


class Building:
    """One build: the network, its configuration, and the plan.

    Parameters
    ----------
    trt : module
        tensorrt.
    logger : ILogger
        Of :func:`make_logger`.
    request : dict
        What to build; see ``workbench.runtime.native.request``.
    say : callable
        Takes messages for the worker: progress and notes.
    """

    def __init__(self, trt: Any, logger: Any, request: Request, say: Say) -> None:  # noqa: ANN401
        self.trt, self.logger, self.request, self.say = trt, logger, request, say
        self.notes: list[str] = []
        self.builder = trt.Builder(logger)
        self.config = self.builder.create_builder_config()
        self.strongly_typed = bool(request.get("strongly_typed")) and (has_typing(trt) or major_of(trt) >= 11)
        self.network = self.builder.create_network(self._network_flags())
        self.parser = trt.OnnxParser(self.network, logger)
        self.cache: Any = None
        self.monitor: Any = None

    def _network_flags(self) -> int:
        flags = flags_of(self.trt)
        if self.strongly_typed and has_typing(self.trt):  # 11 has no other networks
            return 1 << int(flags.STRONGLY_TYPED)
        # 10 knows networks with an explicit batch only, and warns of the flag
        return 1 << int(flags.EXPLICIT_BATCH) if major_of(self.trt) < 10 else 0

    def parse(self) -> None:
        """Read the model; weights outside the file are found by its path.

        Raises
        ------
        ParserRefused
            With what the parser complains of.
        """
        load_plugins(self.trt, self.logger, self.request.get("plugins", ()))
        if not self.parser.parse_from_file(self.request["onnx"]):
            raise ParserRefused(list(parser_errors(self.parser)), self.logger.last_error)

    def configure(self, timing: bytes | None) -> None:
        """Set what was asked for; what this TensorRT does not have is refused."""
        self._set_flags()
        self._set_numbers()
        self._set_device()
        self._set_profiles()
        if self.request.get("table") is not None:
            self._set_table(Path(self.request["table"]))
        if self.request.get("ranges"):
            self._set_ranges({row["name"]: float(row["range"]) for row in self.request["ranges"]})
        self.config.profiling_verbosity = self.trt.ProfilingVerbosity.DETAILED
        if timing is not None:
            self._set_timing_cache(timing)
        if hasattr(self.trt, "IProgressMonitor") and hasattr(self.config, "progress_monitor"):
            self.monitor = make_monitor(self.trt, self.say)
            self.config.progress_monitor = self.monitor

    def build(self) -> bytes:
        """Return the plan.

        Raises
        ------
        Refused
            Of kind ``build``, with the last error that TensorRT logged.
        """
        plan = self.builder.build_serialized_network(self.network, self.config)
        if plan is None:
            said = self.logger.last_error or "it logged no error"
            memory = "out of memory" in said.lower() or "OutOfMemory" in said
            raise Refused(f"TensorRT built no engine: {said}", kind="memory" if memory else "build", remedy=_remedy(said))
        return bytes(plan)

    def timing(self) -> bytes | None:
        """Return the timing cache as it is after the build; ``None`` where none was asked for."""
        cache = self.config.get_timing_cache() if self.cache is not None else None
        return bytes(cache.serialize()) if cache is not None else None

    def _set_flags(self) -> None:
        flags = self.trt.BuilderFlag
        for name in self.request.get("flags", ()):
            if not hasattr(flags, name):
                raise Refused(
                    f"TensorRT {self.trt.__version__} has no flag {name}: precision comes from the model's own types.",
                    kind="build",
                    remedy="Convert the model (casts to FP16 or BF16, Q/DQ for INT8) and ask for fp32.",
                )
            self.config.set_flag(getattr(flags, name))
            fast = getattr(self.builder, f"platform_has_fast_{name.lower()}", True)
            if name in ("FP16", "INT8") and not fast:
                self.notes.append(f"This GPU has no fast {name}, by TensorRT's own word.")
        if self.request.get("tf32") is False and hasattr(flags, "TF32"):
            self.config.clear_flag(flags.TF32)
        if self.request.get("sparsity"):
            self.config.set_flag(flags.SPARSE_WEIGHTS)

    def _set_numbers(self) -> None:
        request, config, trt = self.request, self.config, self.trt
        if request.get("workspace"):
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, int(request["workspace"]))
        if request.get("level") is not None:
            config.builder_optimization_level = int(request["level"])
        if request.get("aux_streams") is not None:
            config.max_aux_streams = int(request["aux_streams"])
        if request.get("tactics"):
            config.set_tactic_sources(self._tactics(request["tactics"], config.get_tactic_sources()))
        for name in request.get("preview", ()):
            config.set_preview_feature(self._named(trt.PreviewFeature, name, "preview feature"), True)
        if request.get("hardware_compatible"):
            config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS

    def _tactics(self, signed: Sequence[str], before: int) -> int:
        """Return the set of tactic sources after adding those with a ``+`` and taking away those with a ``-``."""
        mask = int(before)
        for part in signed:
            bit = 1 << int(self._named(self.trt.TacticSource, part[1:], "tactic source"))
            mask = mask & ~bit if part[0] == "-" else mask | bit
        return mask

    def _named(self, names: Any, name: str, what: str) -> Any:  # noqa: ANN401
        if not hasattr(names, name):
            raise Refused(f"TensorRT {self.trt.__version__} has no {what} {name}.", kind="build", remedy="Leave it out.")
        return getattr(names, name)

    def _set_device(self) -> None:
        core = self.request.get("dla_core")
        if core is None:
            return
        if core >= int(self.builder.num_DLA_cores):
            found = f"this GPU has {self.builder.num_DLA_cores} DLA cores"
            raise Refused(f"DLA core {core} was asked for, and {found}.", kind="build", remedy="Leave trt_dla_enable out.")
        self.config.default_device_type = self.trt.DeviceType.DLA
        self.config.DLA_core = core
        self.config.set_flag(self.trt.BuilderFlag.GPU_FALLBACK)

    def _set_profiles(self) -> None:
        inputs = [self.network.get_input(i) for i in range(self.network.num_inputs)]
        open_ones = [tensor for tensor in inputs if tensor.is_shape_tensor or -1 in tuple(tensor.shape)]
        if not open_ones:
            return
        for number, ranges in enumerate(self.request.get("profiles") or [[]]):
            profile = self.builder.create_optimization_profile()
            given = {row["name"]: row for row in ranges}
            for tensor in open_ones:
                self._set_range(profile, tensor, given.get(tensor.name), number)
            if self.config.add_optimization_profile(profile) < 0:
                said = self.logger.last_error or "no reason given"
                raise Refused(f"TensorRT does not take shape profile {number}: {said}", kind="shape")

    def _set_range(self, profile: Any, tensor: Any, given: Request | None, number: int) -> None:  # noqa: ANN401
        shape = tuple(tensor.shape)
        what = "value" if tensor.is_shape_tensor else "shape"
        if given is None or (tensor.is_shape_tensor and "values" not in given):
            raise Refused(
                f"Shape profile {number} says nothing of the {what}s of input {tensor.name!r}, whose shape is {shape}.",
                kind="shape",
                remedy=f"Give NAME=MIN:OPT:MAX for {tensor.name!r}.",
            )
        if tensor.is_shape_tensor:
            profile.set_shape_input(tensor.name, *given["values"])
            return
        low, best, high = given["shapes"]
        wrong = len(low) != len(shape) or any(
            d not in (-1, v) for row in (low, best, high) for d, v in zip(shape, row, strict=False)
        )
        if wrong:
            text = f"{tuple(low)}, {tuple(best)}, {tuple(high)}"
            raise Refused(f"Shape profile {number} of {tensor.name!r} ({text}) does not fit its shape {shape}.", kind="shape")
        profile.set_shape(tensor.name, low, best, high)

    def _set_timing_cache(self, data: bytes) -> None:
        self.cache = self.config.create_timing_cache(data)
        if not self.config.set_timing_cache(self.cache, bool(self.request.get("force_timing_cache"))):
            self.notes.append("The timing cache was made on another GPU or by another TensorRT: it was not used.")
            self.cache = self.config.create_timing_cache(b"")
            self.config.set_timing_cache(self.cache, False)

    def _set_table(self, path: Path) -> None:
        if not hasattr(self.trt, "IInt8EntropyCalibrator2"):
            message = f"TensorRT {self.trt.__version__} takes no calibration table."
            raise Refused(message, kind="build", remedy="Quantise the model itself with Q/DQ nodes.")
        self.calibrator = make_calibrator(self.trt, path.read_bytes())
        self.config.int8_calibrator = self.calibrator

    def _set_ranges(self, ranges: dict[str, float]) -> None:
        """Give tensors the range that INT8 stands for, plus and minus."""
        found = 0
        for tensor in tensors_of(self.network):
            if tensor.name in ranges:
                tensor.dynamic_range = (-ranges[tensor.name], ranges[tensor.name])
                found += 1
        if not found:
            message = f"None of the {len(ranges)} tensors of the calibration table is in the network."
            raise Refused(message, kind="build", remedy="Calibrate this model: the table is another's.")
        self.notes.append(f"{found} of the {len(ranges)} tensors of the calibration table are in the network.")


class ParserRefused(Refused):
    """The parser does not take the model; `errors` says why, one record a complaint."""

    def __init__(self, errors: list[dict[str, Any]], said: str) -> None:
        first = errors[0]["text"] if errors else said or "it gives no reason"
        super().__init__(f"TensorRT's parser does not take the model: {first}", kind="load")
        self.errors = errors


def tensors_of(network: Any) -> Iterator[Any]:  # noqa: ANN401
    """Yield the network's inputs, and the outputs of its layers."""
    yield from (network.get_input(i) for i in range(network.num_inputs))
    for i in range(network.num_layers):
        layer = network.get_layer(i)
        yield from (layer.get_output(k) for k in range(layer.num_outputs))


def parser_errors(parser: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    """Yield the parser's complaints: the node's index (-1 for none), its name and operator where told, code and text."""
    for i in range(min(int(parser.num_errors), MOST_ERRORS)):
        error = parser.get_error(i)
        yield {
            "node": int(error.node()),
            "name": str(error.node_name()) if hasattr(error, "node_name") else "",
            "operator": str(error.node_operator()) if hasattr(error, "node_operator") else "",
            "code": str(error.code()).rpartition(".")[2],  # TensorRT 8.6 has a method where enumerations have their name
            "text": str(error.desc()),
        }


def make_monitor(trt: Any, say: Say) -> Any:  # noqa: ANN401
    """Return a progress monitor that sends what the builder is at, twice a second at most and at each new phase."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}
            self.told = 0.0

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.steps[phase_name] = num_steps
            say({"progress": {"phase": phase_name, "parent": parent_phase, "step": 0, "steps": num_steps}})

        def step_complete(self, phase_name: str, step: int) -> bool:
            now = time.monotonic()
            if now - self.told > PROGRESS_EVERY_S:
                self.told = now
                # steps are counted from 0
                done = {"phase": phase_name, "parent": None, "step": step + 1, "steps": self.steps.get(phase_name)}
                say({"progress": done})
            return True

        def phase_finish(self, phase_name: str) -> None:
            self.steps.pop(phase_name, None)

    return Monitor()


def make_calibrator(trt: Any, table: bytes) -> Any:  # noqa: ANN401
    """Return a calibrator that has a table already, in TensorRT's own form, and never asks for data."""

    class Table(trt.IInt8EntropyCalibrator2):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IInt8EntropyCalibrator2.__init__(self)

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, names: Sequence[str]) -> None:  # noqa: ARG002
            return None

        def read_calibration_cache(self) -> bytes:
            return table

        def write_calibration_cache(self, cache: Any) -> None:  # noqa: ANN401
            """Keep the table as it is."""

    return Table()


def load_plugins(trt: Any, logger: Any, paths: Sequence[str]) -> None:  # noqa: ANN401
    """Register TensorRT's own plugins, and load libraries of others."""
    trt.init_libnvinfer_plugins(logger, "")
    for path in paths:
        try:
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise Refused(f"Plugin library {path} cannot be loaded: {error}.", kind="load") from error


def flags_of(trt: Any) -> Any:  # noqa: ANN401
    """Return the flags that a network is made with."""
    return trt.NetworkDefinitionCreationFlag


def has_typing(trt: Any) -> bool:  # noqa: ANN401
    """Whether strongly typed networks can be asked for."""
    return hasattr(flags_of(trt), "STRONGLY_TYPED")


def major_of(trt: Any) -> int:  # noqa: ANN401
    """Return TensorRT's major version."""
    return int(str(trt.__version__).split(".")[0])


def _remedy(said: str) -> str:
    if "calibration" in said.lower() or "scaling factors" in said:
        return "INT8 needs a calibration table of this model, or Q/DQ nodes in it."
    if "int8 is not configured" in said:
        return "The model has Q/DQ nodes: ask for precision int8."
    if "workspace" in said.lower():
        return "Allow more workspace (trt_max_workspace_size), or leave the limit out."
    return "The log's last lines name the layer."
