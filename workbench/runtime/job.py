"""What a worker is asked, and what comes of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workbench.measure.accuracy import OutputAccuracy
from workbench.measure.latency import Latency
from workbench.measure.profile import Profile
from workbench.options.settings import Settings
from workbench.placement.records import Placement
from workbench.record import Failure, Finding, Record

Status = Literal["ok", "failed", "crashed", "cancelled", "timeout"]
Cache = Literal["cold", "timing", "engine", "context"]


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


class Job(Record):
    """Model + Settings + what to find out."""

    model: str
    settings: Settings
    plan: Plan = Plan()


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
    "session",
    "inputs",
    "first run",
    "warm-up",
    "measuring",
    "profiling",
    "reference",
    "comparing",
    "done",
)


class Stage(Record):
    """How long one stage took, in seconds."""

    name: str
    seconds: float


class Build(Record):
    """How the session came to be.

    Attributes
    ----------
    seconds : float
        Session creation and, where engines are built then, the first run.
    cache : str
        What was there before: nothing (``cold``), a timing cache, an engine, or an EP context model.
    """

    seconds: float
    cache: Cache
    stages: tuple[Stage, ...] = ()


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
    """Where a job ran. Missing parts are ``None``."""

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
    cuda: str | None = None
    driver: str | None = None
    gpu: str | None = None
    gpu_memory_bytes: int | None = None
    compute_capability: str | None = None
    libraries: tuple[str, ...] = ()
    packages: dict[str, str] = Field(default_factory=dict)


class Outcome(Record):
    """What came of a job. Failures and crashes are outcomes too, with what was found until then."""

    status: Status
    error: Failure | None = None
    environment: Environment | None = None
    placement: Placement | None = None
    build: Build | None = None
    inputs: tuple[InputUsed, ...] = ()
    latency: Latency | None = None
    profile: Profile | None = None
    accuracy: tuple[OutputAccuracy, ...] = ()
    memory: Memory | None = None
    findings: tuple[Finding, ...] = ()
    log: tuple[str, ...] = ()
