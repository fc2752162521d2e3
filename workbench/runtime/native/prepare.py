"""A model made ready by TensorRT itself, for a job with the provider ``native``. Imported by the worker process only."""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import JobError
from workbench.measure.delivered import delivered
from workbench.measure.layers import EngineLayer, layers_of, with_times
from workbench.model.graph import nodes_of
from workbench.options.effective import Effective
from workbench.record import Finding
from workbench.runtime.data.inputs import random_inputs, read_inputs
from workbench.runtime.delivery import layers_wanted
from workbench.runtime.judgement import first_samples
from workbench.runtime.native.companion import Companion, NativeError
from workbench.runtime.native.complaints import readable
from workbench.runtime.native.layer_times import Timed, own_engine, profile_of_layers, time_layers
from workbench.runtime.native.messages import pack_arrays, unpack_arrays
from workbench.runtime.native.placed import placement_of_layers
from workbench.runtime.native.plans import open_plans
from workbench.runtime.native.request import build_request, implied, plugins_of, settings_at
from workbench.runtime.prepared import Feeds, Prepared
from workbench.runtime.process import scratch_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workbench.measure.profile import Profile
    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.placement.records import Placement
    from workbench.runtime.job import Job, Plan
    from workbench.runtime.native.look import Looked
    from workbench.runtime.native.plans import Plans
    from workbench.runtime.prepared import Built
    from workbench.runtime.worker_process import Reporter

FORGET_LIMIT_S = 30.0


class ProfileFailed(RuntimeError):
    """The layers could not be timed; what was measured before stands."""


class Native(Prepared):
    """An engine in the companion process.

    Parameters
    ----------
    companion : Companion
        Holds the engine; closed with this.
    model : Model
        The model that it was built from.
    reporter : Reporter
        Takes findings.
    plans : Plans
        What is kept of the build.
    settings : Settings
        What it was built with.

    Attributes
    ----------
    layers : tuple of EngineLayer
        What the engine consists of.
    timed : Timed or None
        What TensorRT's profiler said of them; ``None`` until it was asked.
    about : dict
        What the companion said of the build or the loading: seconds of its parts, and the plan's size in bytes.
    """

    def __init__(self, companion: Companion, model: Model, reporter: Reporter, plans: Plans, settings: Settings) -> None:
        self.companion, self.model, self.reporter, self.plans = companion, model, reporter, plans
        self.graph = Effective(settings).on("trt_cuda_graph_enable")
        self.asked = Effective(settings).precisions
        companion.on_message = self.heard
        self.placement: Placement | None = None
        self.errors: tuple[type[BaseException], ...] = (ProfileFailed,)
        self.layers: tuple[EngineLayer, ...] = ()
        self.about: dict[str, Any] = {}
        self.kept = False
        self.timed: Timed | None = None
        self.on_stage: Callable[[str], None] = lambda _: None

    def run(self, feeds: Feeds) -> list[Any]:
        """Run once; the outputs come in the model's order and types."""
        told, blobs = pack_arrays(feeds.items())
        reply = self.companion.ask("run", blobs, arrays=told)
        found = dict(unpack_arrays(reply.fields["arrays"], reply.blobs))
        missing = [spec.name for spec in self.model.outputs if spec.name not in found]
        if missing:
            raise JobError(f"The engine gives no {', '.join(map(repr, missing))}.", kind="run")
        return [_as_declared(found[spec.name], spec.dtype) for spec in self.model.outputs]

    def time(self, feeds: Feeds, plan: Plan, stage: Callable[[str], None]) -> list[float]:
        """Return latencies in milliseconds, timed in the companion.

        With the plan's buffers on the ``host``, NumPy arrays are copied in and out each time; on the ``device``, one inference is
        TensorRT's work and the wait for it.
        """
        told, blobs = pack_arrays(feeds.items())
        asked = {
            "warmup": plan.warmup,
            "iterations": plan.iterations,
            "seconds": plan.seconds,
            "buffers": plan.buffers,
            "graph": self.graph,
        }
        self.on_stage = stage
        try:
            reply = self.companion.ask("time", blobs, arrays=told, plan=asked)
        finally:
            self.on_stage = lambda _: None
        findings = tuple(
            Finding(level="warning", where="trt_cuda_graph_enable", seen=note, meaning="The latency is without it.")
            for note in reply.fields["notes"]
        )
        if findings:
            self.reporter.part("findings", findings)
        return [float(sample) for sample in reply.fields["samples"]]

    def profile(self, feeds: Feeds, plan: Plan, folder: Path) -> Profile | None:  # noqa: ARG002  # there is no trace
        """Return how long each layer takes, by TensorRT's own profiler.

        Raises
        ------
        ProfileFailed
            When TensorRT refuses.
        """
        try:
            timed = time_layers(self.companion, feeds, seconds=plan.seconds)
        except NativeError as error:
            raise ProfileFailed(str(error)) from error
        self.take_times(timed)
        shares = delivered(self.layers, self.asked)
        if shares.told:
            seen = f"what was delivered: {shares.sentence()}"
            self.reporter.part("findings", (Finding(level="info", where="precision", seen=seen),))
        return profile_of_layers(timed, self.layers)

    def look(self, model: Model, plan: Plan, feeds: Feeds, *, budget_s: float) -> Looked:  # noqa: ARG002  # Prepared's
        """Return what the engine computes in, its layers timed on the job's inputs."""
        return own_engine(self, feeds, seconds=plan.seconds, limit_s=budget_s)

    def take_times(self, timed: Timed) -> None:
        """Give the layers their times."""
        self.timed, self.layers = timed, with_times(self.layers, timed.times, timed.runs)

    def save(self, path: str | Path) -> int:
        """Write the plan to a file, whole or not at all, and return its size in bytes."""
        return int(self.companion.ask("save", path=str(Path(path).absolute())).fields["bytes"])

    def origin(self) -> Built:
        """Return whether the engine was there, and which timing cache."""
        return self.plans.origin(int(self.about["bytes"]), self.about["seconds"].get("build"))

    def keep(self, seconds: float, *, more: bool = False) -> None:  # noqa: ARG002  # a run builds nothing more
        """Publish the plan in the workbench's cache."""
        if not self.kept:
            self.kept = True
            self.plans.keep(seconds)
            findings = self.plans.findings()
            if findings:
                self.reporter.part("findings", findings)

    def close(self) -> None:
        """Let go of the engine and of the cache; the companion stays for the next job, unless something went wrong in it."""
        self.plans.close()
        companion, self.companion.on_message = self.companion, print_message
        with contextlib.suppress(JobError):
            if companion.sound:
                companion.ask("forget", limit_s=FORGET_LIMIT_S)
                companion.lines.clear()
                self.reporter.companion = companion
                return
        companion.close()

    def heard(self, message: dict[str, Any]) -> None:
        """Pass on what the companion says: stages, and lines for the log."""
        if "stage" in message:
            self.on_stage(message["stage"])
        else:
            print_message(message)


def prepare_native(job: Job, model: Model, reporter: Reporter) -> Native:
    """Make an engine of a model through TensorRT's own interface, or take it from the workbench's cache.

    Parameters
    ----------
    job : Job
        Its settings say what to build; its plan, on which arrays it runs: dynamic inputs without a range are built for their
        shapes.
    model : Model
        The model.
    reporter : Reporter
        Takes findings and stages; its log's neighbour is the folder for temporary files.

    Raises
    ------
    Unavailable
        When TensorRT, CUDA or a GPU is missing.
    JobError
        When TensorRT refuses; its kind says what.
    """
    feeds = _feeds(job, model)
    settings = settings_at(job.settings, model, feeds)
    now = Effective(settings)
    with contextlib.ExitStack() as stack:
        companion = stack.enter_context(_companion(reporter))
        reporter.tensorrt = companion.installed.tensorrt
        device = int(now.value("device_id") or 0)
        about = companion.ask("device", device=device, verbose=now.on("trt_detailed_build_log")).fields
        plans = open_plans(
            job,
            model,
            settings,
            tensorrt=companion.installed.tensorrt,
            compute_capability=about["compute_capability"],
            say=_waiting(model, reporter),
        )
        stack.callback(plans.close)
        native = Native(companion, model, reporter, plans, settings)
        notes = _load(native, settings) or _build(native, settings, feeds, scratch_of(reporter.log))
        described = companion.ask("describe").fields
        native.layers = layers_of(companion.ask("inspect").blobs[0], [node.name for node in model.nodes])
        shares = delivered(native.layers, native.asked)
        notes += [*_conversions(model, described), *_assumed(job.settings, model, feeds)]
        if shares.told:
            notes.append(f"Precision: {shares.sentence()}.")
        if not (job.plan.runs and layers_wanted(job, native.origin())):  # then they are told at the end, with times
            reporter.part("findings", shares.warnings)
        native.placement = placement_of_layers(model, native.layers, companion.installed.tensorrt, notes)
        stack.pop_all()
    return native


def _companion(reporter: Reporter) -> Companion:
    """Return the companion that a job before this one left, or a new one."""
    left, reporter.companion = reporter.companion, None
    if left is not None and left.alive():
        return left
    if left is not None:
        left.close()
    return Companion(on_message=print_message)


def _load(native: Native, settings: Settings) -> list[str]:
    """Load the plan that is in the cache; nothing is returned where there is none, or TensorRT does not take it."""
    path = native.plans.cached()
    if path is None or native.plans.opened is None:
        return []
    try:
        native.about = native.companion.ask("load", path=str(path), plugins=plugins_of(settings)).fields
    except NativeError as error:
        if error.kind != "load":
            raise
        native.plans.opened.discard(f"{path.name} of {native.model.path.name}: {error.message}")
        return []
    native.plans.loaded = True
    return ["The engine came from the workbench's cache."]


def _build(native: Native, settings: Settings, feeds: Feeds, scratch: Path) -> list[str]:
    """Build the engine in the companion; what is worth knowing of it."""
    timing = native.plans.timing()
    with _named(native.model, scratch) as onnx, readable(native.model):
        request = build_request(settings, native.model, onnx, feeds)
        reply = native.companion.ask("build", [] if timing is None else [timing], request=request)
    native.about = reply.fields
    notes = [*map(str, reply.fields["notes"]), *_kept(native, reply.blobs)]
    if reply.fields["strongly_typed"]:
        notes.append("The network is strongly typed: every tensor has the type that the model gives it.")
    return notes


def _kept(native: Native, timing: list[bytes]) -> Iterator[str]:
    """Write what a later build or job can use; what cannot be written is told, and stops nothing."""
    place = native.plans.place()
    try:
        if timing:
            native.plans.keep_timing(timing[0])
        if place is not None:
            native.save(place)
    except (OSError, NativeError) as error:
        yield f"What was built could not be kept: {error}"


def _waiting(model: Model, reporter: Reporter) -> Callable[[str], None]:
    """Return what says, once as a stage and each time in the log, which process is waited for."""
    heard: list[str] = []

    def say(holder: str) -> None:
        if not heard:
            reporter.stage("waiting")
        heard.append(holder)
        print_message({"log": f"[workbench] waiting for the engine of {model.path.name}: {holder}"})

    return say


def print_message(message: dict[str, Any]) -> None:
    """Write what the companion says into this process's log."""
    progress = message.get("progress")
    line = message.get("log")
    if progress is not None:
        inside = f" ({progress['parent']})" if progress.get("parent") else ""
        line = f"[TensorRT] {progress['phase']}{inside}: step {progress['step']} of {progress['steps']}"
    if line:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def _feeds(job: Job, model: Model) -> Feeds:
    """Return the arrays that the job will run first."""
    if job.plan.inputs is not None:
        inputs = read_inputs(job.plan.inputs, model)
    elif job.plan.data is not None:
        inputs = first_samples(job.plan, model, job.settings.profile)
    else:
        inputs = random_inputs(model, job.settings.profile, job.plan.seed)
    return {i.name: i.array for i in inputs}


@contextlib.contextmanager
def _named(model: Model, scratch: Path) -> Iterator[str]:
    """Give the path of the model, or of a copy whose nodes all have a name of their own, so that layers can tell theirs."""
    if all(node.name == node.proto.name for node in model.nodes):
        yield str(Path(model.path).absolute())
        return
    import onnx
    from google.protobuf.message import EncodeError

    whole = onnx.load(str(model.path))
    for node in nodes_of(whole.graph):
        node.proto.name = node.name
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    copy = scratch / "named.onnx"
    try:
        onnx.save(whole, str(copy))
    except (ValueError, EncodeError):  # more than 2 GB do not fit into one message: then names stay as they are
        yield str(Path(model.path).absolute())
    else:
        yield str(copy)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _as_declared(array: np.ndarray, dtype: str) -> np.ndarray:
    """Return an output in the type that the model declares, where NumPy has it."""
    with contextlib.suppress(TypeError):
        return array.astype(np.dtype(dtype), copy=False)
    return array


def _conversions(model: Model, described: dict[str, Any]) -> list[str]:
    """Say which inputs and outputs TensorRT has in another type than the model."""
    declared = {spec.name: spec.dtype for spec in (*model.inputs, *model.outputs)}
    found = []
    for which in ("inputs", "outputs"):
        for row in described[which]:
            own = declared.get(row["name"], row["dtype"])
            if own != row["dtype"]:
                found.append(
                    f"{which.removesuffix('s').capitalize()} {row['name']!r} is {own}, and {row['dtype']} in TensorRT: converted."
                )
    return found


def _assumed(settings: Settings, model: Model, feeds: Feeds) -> list[str]:
    shapes = implied(settings, model, feeds)
    return [f"No shape profile is given: the engine takes these shapes only: {', '.join(shapes)}."] if shapes else []
