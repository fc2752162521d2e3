"""Sessions of ONNX Runtime that are what was asked for, or an error. Imported by the worker process only.

ONNX Runtime's Python layer retries a failed session on other providers without saying so, and a CUDA provider whose
libraries are missing only logs a warning. So fallback is off, and the providers of the session are checked.
"""

from __future__ import annotations

import contextlib
import importlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.errors import JobError, Unavailable
from workbench.installing import install_line
from workbench.model.graph import nodes_of
from workbench.placement.observed import placement_of_assignment, placement_of_log
from workbench.placement.records import CPU, CUDA, TENSORRT, Placement, RuntimeVersions
from workbench.runtime.binding import Binding
from workbench.runtime.dumps import Dumps, dumped_engines
from workbench.runtime.environment import tensorrt_version
from workbench.runtime.failures import DOCTOR, logged_cause, told
from workbench.runtime.prepared import Built, Feeds, Prepared, time_calls
from workbench.runtime.process import scratch_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from workbench.measure.profile import Profile
    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.runtime.engines.session_engines import SessionEngines
    from workbench.runtime.job import Plan
    from workbench.runtime.native.look import Looked

RECORD_ASSIGNMENT = "session.record_ep_graph_assignment_info"
ASKED = {"tensorrt": TENSORRT, "cuda": CUDA, "cpu": CPU}
LEVELS = {
    "disable": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "layout": "ORT_ENABLE_LAYOUT",
    "all": "ORT_ENABLE_ALL",
}
COPIES = re.compile(r"(\d+) Memcpy nodes are added to the graph")
WARNING = 2  # ONNX Runtime's own severity, where the session has none


@dataclass(frozen=True)
class Made(Prepared):
    """A session, who runs its nodes, and what it may raise.

    Attributes
    ----------
    buffers : str
        As in a Plan.
    engines : SessionEngines or None
        Where TensorRT's engines come from and are kept.
    """

    ort: Any
    session: Any
    source: str | bytes
    settings: Settings
    placement: Placement
    errors: tuple[type[BaseException], ...]
    buffers: str = "host"
    engines: SessionEngines | None = None
    _bound: list[tuple[Feeds, Binding]] = field(default_factory=list)

    def run(self, feeds: Feeds) -> list[Any]:
        """Run once; the outputs come in the model's order."""
        if self.buffers == "device":
            binding = self._binding(feeds)
            binding.run()
            return binding.outputs()
        outputs: list[Any] = self.session.run(None, feeds)
        return outputs

    def time(self, feeds: Feeds, plan: Plan, stage: Callable[[str], None]) -> list[float]:
        """Return the latency of single inferences in milliseconds, with the buffers where `buffers` says."""
        if self.buffers == "device":
            return time_calls(self._binding(feeds).run, plan, stage)
        return super().time(feeds, plan, stage)

    def _binding(self, feeds: Feeds) -> Binding:
        """Return the binding of these inputs: one for all runs, so that no address changes."""
        for given, binding in self._bound:
            if given is feeds:
                return binding
        device = int(self.settings.provider_options.get("device_id", 0))
        self._bound.append((feeds, Binding(self.ort, self.session, feeds, index=device)))
        return self._bound[-1][1]

    def profile(self, feeds: Feeds, plan: Plan, folder: Path) -> Profile:
        """Return how long each node takes in a further session, with the profiler on.

        Raises
        ------
        OSError
            When the trace cannot be written or read.
        ValueError
            When the profiler wrote no complete trace, as on a full disk.
        """
        from workbench.runtime.node_times import profile_nodes

        def make(prefix: Path) -> Any:  # noqa: ANN401
            return profiled_session(self, prefix)

        return profile_nodes(make, len(self.placement.nodes), feeds, seconds=plan.seconds, folder=folder)

    def look(self, model: Model, plan: Plan, feeds: Feeds, *, budget_s: float) -> Looked:  # noqa: ARG002  # Prepared's
        """Return what the engines compute in, as far as their files tell."""
        from workbench.runtime.engines.session_layers import look_at

        return look_at(self.engines, model, self.settings, budget_s=budget_s)

    def origin(self) -> Built:
        """Return which engines were there and which were built."""
        return self.engines.built() if self.engines is not None else Built()

    def keep(self, seconds: float, *, more: bool = False) -> None:
        """Keep the engines that were built."""
        if self.engines is not None:
            self.engines.keep(seconds, more=more)

    def failed(self, error: JobError) -> None:
        """Set engines aside that TensorRT could not load at the first run."""
        if self.engines is not None:
            self.engines.failed(error)

    def close(self) -> None:
        """Let go of the engines' folder."""
        if self.engines is not None:
            self.engines.close()


def load_onnxruntime(provider: str) -> Any:  # noqa: ANN401
    """Import onnxruntime and check that it was built with a provider.

    Raises
    ------
    Unavailable
        When onnxruntime, or the provider in it, is missing.
    """
    extra = "cpu" if provider == "cpu" else "gpu"
    try:
        ort = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise Unavailable(f"onnxruntime cannot be imported: {error}.", remedy=install_line(extra)) from error
    if ASKED[provider] not in ort.get_available_providers():
        raise Unavailable(
            f"The installed onnxruntime {ort.__version__} was built without {ASKED[provider]}: it has "
            f"{', '.join(ort.get_available_providers())}.",
            remedy=f"Uninstall it, then: {install_line(extra)}",
        )
    return ort


def make_session(ort: Any, model: Model, settings: Settings, log: Path, *, buffers: str = "host") -> Made:  # noqa: ANN401
    """Make a session and check that it is what was asked for.

    Parameters
    ----------
    ort : module
        onnxruntime, from :func:`load_onnxruntime`.
    model : Model
        The model.
    settings : Settings
        Provider, options, profile and precision.
    log : Path
        The file that this process logs to; older releases say only there where nodes were placed.
    buffers : str
        Where inputs and outputs lie, as in a Plan.

    Raises
    ------
    JobError
        When ONNX Runtime refuses the model or the options, or the session does not have the provider asked for.
    """
    errors = exceptions_of(ort)
    source = _source(model)
    options = session_options(ort, settings)
    recorded = hasattr(ort.InferenceSession, "get_provider_graph_assignment_info")
    if not recorded:
        options.log_severity_level = 0
    engines: AbstractContextManager[Dumps] = contextlib.nullcontext(Dumps(settings.to_providers()))
    if settings.provider == "tensorrt" and not recorded:
        engines = dumped_engines(model, settings, scratch_of(log))
    logged = LogTail(log)
    with engines as dumps, told(errors, "load", logged.text):
        # enable_fallback=0: Python's wrapper must not try other providers when this one fails
        session = ort.InferenceSession(source, options, providers=dumps.providers, enable_fallback=0)
    text = logged.text()
    refuse_others(session.get_providers(), dumps.providers, text)
    placement = _placement(ort, session, model, settings, text, dumps)
    return Made(ort, session, source, settings, placement, errors, buffers)


def refuse_others(has: Sequence[str], asked: Sequence[Any], log: str) -> None:
    """Refuse a session that has not all the providers that it was made for.

    Parameters
    ----------
    has : sequence of str
        The providers of the session.
    asked : sequence
        Those asked for: names, or pairs of name and options.
    log : str
        What was logged meanwhile: where the CUDA provider fails, ONNX Runtime says so only there.

    Raises
    ------
    JobError
        Of the kind ``provider``.
    """
    names = [one if isinstance(one, str) else one[0] for one in asked]
    missing = [name for name in names if name not in has and name != CPU]  # the CPU's is always there
    if missing:
        cause = logged_cause(log)
        why = f" {cause.message}." if cause is not None else ""
        message = f"{' and '.join(missing)} was asked for, but the session has only {', '.join(has)}.{why}"
        raise JobError(message, kind=cause.kind if cause else "provider", remedy=cause.remedy if cause else DOCTOR)


class LogTail:
    """What is written to a log file from now on."""

    def __init__(self, log: Path) -> None:
        self._log, self._from = log, log.stat().st_size

    def text(self) -> str:
        """Return what was written since."""
        with self._log.open("rb") as file:
            file.seek(self._from)
            return file.read().decode(errors="replace")


def reference_session(ort: Any, model: Model) -> Any:  # noqa: ANN401
    """Return a session of a model on the CPU provider without graph optimisation."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(str(model.path), options, providers=[CPU], enable_fallback=0)


def profiled_session(made: Made, prefix: Path) -> Any:  # noqa: ANN401
    """Return a session like the one made, but with the profiler on; its trace's path begins with `prefix`."""
    options = session_options(made.ort, made.settings)
    options.enable_profiling = True
    options.profile_file_prefix = str(prefix)
    return made.ort.InferenceSession(made.source, options, providers=made.settings.to_providers(), enable_fallback=0)


def exceptions_of(ort: Any) -> tuple[type[BaseException], ...]:  # noqa: ANN401
    """Return what ONNX Runtime raises: its own exceptions derive from Exception, its wrapper's from RuntimeError."""
    state = ort.capi.onnxruntime_pybind11_state
    own = [getattr(state, name, None) for name in (
        "Fail", "InvalidArgument", "NoSuchFile", "NoModel", "EngineError", "RuntimeException", "InvalidProtobuf",
        "ModelLoaded", "NotImplemented", "InvalidGraph", "EPFail", "ModelLoadCanceled", "ModelRequiresCompilation", "NotFound",
    )]  # fmt: skip
    return (*(e for e in own if e is not None), RuntimeError, ValueError)


def _source(model: Model) -> str | bytes:
    """Return what the session reads: the file, or a copy in memory whose nodes all have a name of their own."""
    # An EPContext node names its engine by a path from the model's own folder, which a copy in memory has not.
    if any(node.op_type == "EPContext" for node in model.nodes) or all(node.name == node.proto.name for node in model.nodes):
        return str(model.path)
    import onnx
    from google.protobuf.message import EncodeError

    whole = onnx.load(str(model.path))
    for node in nodes_of(whole.graph):
        node.proto.name = node.name
    try:
        data: bytes = whole.SerializeToString()
    except (ValueError, EncodeError):  # more than 2 GB do not fit into one message: then names stay as they are
        return str(model.path)
    return data


def session_options(ort: Any, settings: Settings) -> Any:  # noqa: ANN401
    """Return ONNX Runtime's session options that Settings ask for."""
    options = ort.SessionOptions()
    for key, text in settings.session_entries().items():
        options.add_session_config_entry(key, text)
    for key, value in settings.session_options.items():
        if key == "graph_optimization_level":
            options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, LEVELS[str(value)])
        elif key == "execution_mode":
            options.execution_mode = getattr(ort.ExecutionMode, f"ORT_{str(value).upper()}")
        elif "." not in key:
            setattr(options, key, value)
    if hasattr(ort.InferenceSession, "get_provider_graph_assignment_info"):
        options.add_session_config_entry(RECORD_ASSIGNMENT, "1")
    return options


def _placement(ort: Any, session: Any, model: Model, settings: Settings, log: str, dumps: Dumps) -> Placement:  # noqa: ANN401, PLR0913, PLR0917
    tensorrt = tensorrt_version() if TENSORRT in session.get_providers() else None
    versions = RuntimeVersions(onnxruntime=ort.__version__, tensorrt=tensorrt)
    if hasattr(session, "get_provider_graph_assignment_info"):
        assigned = [
            (part.ep_name, [(node.name, node.domain, node.op_type) for node in part.get_nodes()])
            for part in session.get_provider_graph_assignment_info()
        ]
        copies = logged_copies(log, settings)
        return placement_of_assignment(model.nodes, assigned, model=model.name, runtime=versions, memcpy=copies)
    placement = placement_of_log(model.nodes, log, dumps=dumps.engines, model=model.name, runtime=versions)
    return placement.model_copy(update={"notes": (*placement.notes, *dumps.notes)})


def logged_copies(log: str, settings: Settings) -> int | None:
    """Return how many Memcpy nodes a session's log says were added; ``None`` where it does not say.

    ONNX Runtime logs their number, as a warning, for the CUDA provider only, and not where TensorRT comes before it.
    """
    if settings.provider == "cpu":
        return 0
    severity = settings.session_options.get("log_severity_level", WARNING)
    if settings.provider == "tensorrt" or int(severity) > WARNING:
        return None
    return sum(int(found[1]) for found in COPIES.finditer(log))
