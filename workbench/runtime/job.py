"""What a worker is asked, and what comes of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workbench.measure.accuracy import OutputAccuracy
from workbench.measure.delivered import EngineDelivered
from workbench.measure.latency import Latency
from workbench.measure.profile import Profile
from workbench.measure.task import TaskAccuracy, TaskMetric
from workbench.options.settings import Settings
from workbench.placement.records import Placement
from workbench.record import Failure, Finding, Record
from workbench.runtime.data.dataset import DataSource

Status = Literal["ok", "failed", "crashed", "cancelled", "timeout"]
Cache = Literal["cold", "timing", "engine", "context"]


class StageTimeout(Record):
    """How long one stage of a job may take, in seconds; the stages are those of ``STAGES``."""

    stage: str
    seconds: float = Field(gt=0)


class Plan(Record):
    """What to find out, and how long to take over it.

    Attributes
    ----------
    latency, accuracy : bool
        Whether to measure the latency, and to compare the outputs with a reference. With neither, the session is made
        and its placement read, but nothing is run.
    profile : bool
        Whether to find out, in a further short session, how long each node takes. Where engines are built, that session
        builds them once more, unless a cache has them.
    warmup : int
        Inferences that are not timed, at least.
    iterations : int
        Timed inferences, at most.
    seconds : float
        Stop timing after this long, once ten inferences are timed.
    inputs : str or None
        An ``.npz`` file with one array for each input; random arrays from `seed` where there is none.
    seed : int
        Of the random inputs.
    timeout_s : float
        The worker is ended, and the Run says ``timeout``, when a stage takes longer.
    stage_timeouts : tuple of StageTimeout
        Other limits for single stages; of two for one stage, the last counts.
    buffers : str
        Where inputs and outputs lie while the latency is measured: ``host`` for NumPy arrays in and out, copies included;
        ``device`` for buffers on the GPU that are filled once.
    reference : str or None
        What the outputs are compared with: ``None`` for the model itself on the CPU provider without graph optimisation;
        the path of another ONNX model, run in the same way; the path of an ``.npz`` file of outputs; or ``run:ID`` for
        the outputs kept with a Run.
    data : DataSource or None
        Many inputs, for the accuracy; the latency is then measured on the first of them, unless `inputs` are given.
    samples : int or None
        How many samples of `data` to use, at most.
    task : TaskMetric or None
        How to judge the predictions for the labels of `data`.
    keep_outputs : bool
        Whether to keep the outputs beside the store, so that other Runs can be compared with this one.
    layers : bool or None
        Whether to look into TensorRT's engines: which precision each layer computes in, and how long it takes. ``None`` to do
        so where a precision below fp32 was asked for and an engine was built: it costs a few seconds in a process of its own.
    """

    latency: bool = True
    accuracy: bool = True
    profile: bool = False
    warmup: int = Field(default=10, ge=0)
    iterations: int = Field(default=1000, ge=1)
    seconds: float = Field(default=3.0, gt=0)
    inputs: str | None = None
    seed: int = 0
    timeout_s: float = Field(default=1800.0, gt=0)
    stage_timeouts: tuple[StageTimeout, ...] = ()
    buffers: Literal["host", "device"] = "host"
    reference: str | None = None
    data: DataSource | None = None
    samples: int | None = Field(default=None, ge=1)
    task: TaskMetric | None = None
    keep_outputs: bool = False
    layers: bool | None = None

    @property
    def runs(self) -> bool:
        """Whether the model is run at all; otherwise only its session is made."""
        return self.latency or self.accuracy or self.profile or self.task is not None or self.keep_outputs or bool(self.layers)

    def limit_of(self, stage: str) -> float:
        """Return the seconds that a stage may take."""
        return next((limit.seconds for limit in reversed(self.stage_timeouts) if limit.stage == stage), self.timeout_s)


class Job(Record):
    """Model + Settings + what to find out.

    Attributes
    ----------
    cache : str or None
        The folder of the workbench's engine cache; ``None`` to do without.
    outputs : str or None
        The ``.npz`` file to write the outputs to; ``None`` to keep none.
    """

    model: str
    settings: Settings
    plan: Plan = Plan()
    cache: str | None = None
    outputs: str | None = None


class Event(Record):
    """What the worker is doing now.

    Attributes
    ----------
    stage : str
        One of ``STAGES``.
    elapsed_s : float
        Seconds since the job began.
    message : str
        A line for the log; empty when only the stage changed.
    """

    stage: str
    elapsed_s: float
    message: str = ""


STAGES = (
    "starting",
    "loading",
    "waiting",
    "session",
    "inputs",
    "first run",
    "warm-up",
    "measuring",
    "profiling",
    "reference",
    "comparing",
    "layers",
    "done",
)


class Stage(Record):
    """How long one stage took, in seconds."""

    name: str
    seconds: float


class EngineUse(Record):
    """An engine that a session runs.

    Attributes
    ----------
    name : str
        Its file.
    bytes : int
        Its size.
    origin : str
        ``built`` in this job, from the ``cache``, or from an EP ``context`` model.
    seconds : float or None
        How long TensorRT took to build it; ``None`` where it did not say.
    """

    name: str
    bytes: int
    origin: Literal["built", "cache", "context"]
    seconds: float | None = None


class Build(Record):
    """How the session came to be.

    Attributes
    ----------
    seconds : float
        Session creation and, where engines are built then, the first run; without the time that another process was waited for,
        and without what a process pays once: loading the libraries and starting TensorRT.
    cache : str
        What there was that could be used: nothing (``cold``), a timing cache, every engine, or an EP context model. Where only
        some of the engines were there, `engines` tells which.
    engines : tuple of EngineUse
        The engines, as far as they are known: those in the workbench's engine cache, or that the session wrote elsewhere.
    key : str or None
        Of these engines in the workbench's engine cache; ``None`` without one.
    waited_s : float
        How long another process was waited for that was building the same engines.
    timing_cache : bool
        Whether TensorRT had a timing cache to begin with.
    """

    seconds: float
    cache: Cache
    stages: tuple[Stage, ...] = ()
    engines: tuple[EngineUse, ...] = ()
    key: str | None = None
    waited_s: float = 0.0
    timing_cache: bool = False


class InputUsed(Record):
    """An input as it was fed; `origin` says where its values came from."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    origin: str


class Memory(Record):
    """Memory of the worker process, in bytes.

    Attributes
    ----------
    host_before_bytes, host_session_bytes, host_peak_bytes : int
        Resident set before the session was made, after it was made and run once, and at its highest.
    gpu_used_bytes : int or None
        What the process holds on the GPU; ``None`` where there is none, or its driver does not say.
    """

    host_before_bytes: int
    host_session_bytes: int
    host_peak_bytes: int
    gpu_used_bytes: int | None = None


class Environment(Record):
    """Where a job ran, or a machine. Missing parts are ``None``.

    Attributes
    ----------
    tensorrt : str or None
        Of what ran the job: the library that ONNX Runtime loads, or that of the provider ``native``.
    native_tensorrt : str or None
        Of a machine that was looked at: the TensorRT of the provider ``native``, which may be another one.
    cuda : str or None
        The newest CUDA that the driver runs.
    """

    host: str
    platform: str
    python: str
    cpu: str
    cores: int
    memory_bytes: int
    onnxruntime: str | None = None
    onnxruntime_package: str | None = None
    providers: tuple[str, ...] = ()
    tensorrt: str | None = None
    native_tensorrt: str | None = None
    cuda: str | None = None
    driver: str | None = None
    gpu: str | None = None
    gpu_memory_bytes: int | None = None
    compute_capability: str | None = None
    libraries: tuple[str, ...] = ()
    packages: dict[str, str] = Field(default_factory=dict)

    def tensorrt_of(self, provider: str) -> str | None:
        """Return the version of TensorRT with which a provider builds engines on this machine."""
        return self.native_tensorrt if provider == "native" else self.tensorrt


class Outcome(Record):
    """What came of a job. Failures and crashes are outcomes too, with what was found until then.

    `delivered` tells what TensorRT's engines compute in; empty where nobody looked, or there are none.
    """

    status: Status
    error: Failure | None = None
    environment: Environment | None = None
    placement: Placement | None = None
    build: Build | None = None
    inputs: tuple[InputUsed, ...] = ()
    latency: Latency | None = None
    profile: Profile | None = None
    accuracy: tuple[OutputAccuracy, ...] = ()
    task: TaskAccuracy | None = None
    memory: Memory | None = None
    delivered: tuple[EngineDelivered, ...] = ()
    findings: tuple[Finding, ...] = ()
    log: tuple[str, ...] = ()
