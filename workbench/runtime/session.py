"""Sessions of ONNX Runtime that are what was asked for, or an error. Imported by the worker process only.

ONNX Runtime's Python layer retries a failed session on other providers without saying so, and a CUDA provider whose
libraries are missing only logs a warning. So fallback is off, and the providers of the session are checked.
"""

from __future__ import annotations

import contextlib
import importlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import JobError, Unavailable
from workbench.model.graph import nodes_of
from workbench.placement.observed import placement_of_assignment, placement_of_log
from workbench.placement.records import CPU, CUDA, TENSORRT, Placement, RuntimeVersions
from workbench.runtime.dumps import Dumps, dumped_engines
from workbench.runtime.environment import tensorrt_version
from workbench.runtime.failures import told
from workbench.runtime.prepared import Feeds, Prepared
from workbench.runtime.process import scratch_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from workbench.measure.profile import Profile
    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.runtime.job import Plan

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
INSTALL = {"cpu": "pip install 'trt-workbench[cpu]'", "gpu": "pip install 'trt-workbench[gpu]'"}


@dataclass(frozen=True)
class Made(Prepared):
    """A session, who runs its nodes, and what it may raise."""

    ort: Any
    session: Any
    source: str | bytes
    settings: Settings
    placement: Placement
    errors: tuple[type[BaseException], ...]

    def run(self, feeds: Feeds) -> list[Any]:
        """Run once; the outputs come in the model's order."""
        outputs: list[Any] = self.session.run(None, feeds)
        return outputs

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
        raise Unavailable(f"onnxruntime cannot be imported: {error}.", remedy=INSTALL[extra]) from error
    if ASKED[provider] not in ort.get_available_providers():
        raise Unavailable(
            f"The installed onnxruntime {ort.__version__} was built without {ASKED[provider]}: it has "
            f"{', '.join(ort.get_available_providers())}.",
            remedy=f"Uninstall it, then: {INSTALL[extra]}",
        )
    return ort


def make_session(ort: Any, model: Model, settings: Settings, log: Path) -> Made:  # noqa: ANN401
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

    Raises
    ------
    JobError
        When ONNX Runtime refuses the model or the options, or the session does not have the provider asked for.
    """
    errors = exceptions_of(ort)
    _preload(ort, settings.provider)
    source = _source(model)
    options = _session_options(ort, settings)
    recorded = hasattr(ort.InferenceSession, "get_provider_graph_assignment_info")
    if not recorded:
        options.log_severity_level = 0
    engines: AbstractContextManager[Dumps] = contextlib.nullcontext(Dumps(settings.to_providers()))
    if settings.provider == "tensorrt" and not recorded:
        engines = dumped_engines(model, settings, scratch_of(log))
    log_from = log.stat().st_size
    with engines as dumps, told(errors, "load"):
        # enable_fallback=0: Python's wrapper must not try other providers when this one fails
        session = ort.InferenceSession(source, options, providers=dumps.providers, enable_fallback=0)
    asked = ASKED[settings.provider]
    if asked not in session.get_providers():
        raise JobError(
            f"{asked} was asked for, but the session has only {', '.join(session.get_providers())}.",
            kind="provider",
            remedy="Run `workbench doctor`: it names the library that is missing.",
        )
    with log.open("rb") as file:
        file.seek(log_from)
        text = file.read().decode(errors="replace")
    placement = _placement(ort, session, model, settings, text, dumps)
    return Made(ort, session, source, settings, placement, errors)


def reference_session(ort: Any, model: Model) -> Any:  # noqa: ANN401
    """Return a session of a model on the CPU provider without graph optimisation."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(str(model.path), options, providers=[CPU], enable_fallback=0)


def profiled_session(made: Made, prefix: Path) -> Any:  # noqa: ANN401
    """Return a session like the one made, but with the profiler on; its trace's path begins with `prefix`."""
    options = _session_options(made.ort, made.settings)
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


def _preload(ort: Any, provider: str) -> None:  # noqa: ANN401
    """Load CUDA's and TensorRT's libraries from their Python packages, where they are; what is missing shows at the session."""
    if provider == "cpu":
        return
    if hasattr(ort, "preload_dlls"):  # from 1.21 on; it never loads TensorRT
        ort.preload_dlls()
    if provider == "tensorrt":
        with contextlib.suppress(ImportError):
            importlib.import_module("tensorrt")


def _source(model: Model) -> str | bytes:
    """Return what the session reads: the file, or a copy in memory whose nodes all have a name of their own."""
    if all(node.name == node.proto.name for node in model.nodes):
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


def _session_options(ort: Any, settings: Settings) -> Any:  # noqa: ANN401
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
