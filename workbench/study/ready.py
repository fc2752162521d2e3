"""Make a model ready for TensorRT: a new file beside the old one, of which a session can be made.

TensorRT's provider fails on a graph that it must split where a tensor has no shape. The remedies are tried from the
least intrusive on, each in a process of its own with a time limit, and each is judged by predicting the placement
again. What is kept gives the outputs of the original on the same inputs.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import ModelError, SettingsError
from workbench.model.model import Model
from workbench.options.profile import ShapeProfile
from workbench.options.settings import Settings
from workbench.placement.predict import predict
from workbench.placement.releases import release, release_for
from workbench.placement.result import NOT_RUN
from workbench.runtime.job import Event
from workbench.runtime.ready.steps_apart import Answer, Compared, Errand, Task, perform
from workbench.study.ready_files import check_size, publish, target_of
from workbench.study.ready_records import WORDS, Outcome, Readied, Step, StepOutcome, prediction_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.placement.records import Placement

REMEDIES: tuple[Task, ...] = ("infer", "observe", "symbolic", "freeze")
SPECIAL: tuple[Task, ...] = ("infer", "observe", "freeze")  # once more, after an input was fixed to one value
# The share of the time left that one step may take; the rest is for what comes after it
SHARES: dict[Task, float] = {
    "fix": 0.5,
    "infer": 0.4,
    "observe": 0.5,
    "symbolic": 0.4,
    "freeze": 0.5,
    "specialise": 0.5,
    "compare": 1.0,
}
SAFE_OPSET = 17  # from 18 on LayerNormalization ends the process with TensorRT 8
LONGEST = {"symbolic": 20.0}  # seconds: what it finds it finds soon, on the rest it never ends


def make_ready(  # noqa: PLR0913 - each of them is a question that users ask
    model: Model,
    settings: Settings | None = None,
    *,
    profile: ShapeProfile | None = None,
    out: str | Path | None = None,
    tensorrt: str = "10.16",
    onnxruntime: str | None = None,
    float32: bool = False,
    inputs: str | Path | None = None,
    limit_s: float = 60.0,
    on_event: Callable[[Event], None] | None = None,
    cancelled: threading.Event | None = None,
) -> Readied:
    """Make a model ready for TensorRT.

    Parameters
    ----------
    model : Model
        The model; its file is not changed.
    settings : Settings or None
        With which a session is to be made; TensorRT with its defaults if ``None``.
    profile : ShapeProfile or None
        Shapes to run the model with, and to make it static at where nothing else helps; that of `settings` if ``None``.
    out : str, Path or None
        The new file, which must not exist; by default ``NAME.ready.onnx`` beside the old one.
    tensorrt, onnxruntime : str
        The releases that it is to run with, as for :func:`workbench.placement.predict.predict`.
    float32 : bool
        Whether to compute in float32 what the model computes in float64. Changes numbers.
    inputs : str, Path or None
        An ``.npz`` file with one array for each input, for models that random inputs do not suit.
    limit_s : float
        Seconds that all of it may take.
    on_event : callable, optional
        Called in this thread with each step, and about each second while it lasts.
    cancelled : threading.Event, optional
        Set it, from any thread, to end the work.

    Returns
    -------
    Readied
        Also where nothing helps: it says why.

    Raises
    ------
    SettingsError
        For a file to write that exists, or cannot hold the model.
    ModelError
        For a model that no runtime can read.
    """
    chosen = settings or Settings()
    shapes = profile if profile is not None else chosen.profile
    shapes.check(model)
    check_size(model)
    target = target_of(model, out)
    order = _Order(model, chosen, shapes, target, tensorrt, onnxruntime, float32, str(inputs) if inputs else None, limit_s)
    return _Making(order, on_event or (lambda _: None), cancelled or threading.Event()).result()


@dataclass(frozen=True, slots=True)
class _Order:
    model: Model
    settings: Settings
    profile: ShapeProfile
    target: Path
    tensorrt: str
    onnxruntime: str | None
    float32: bool
    inputs: str | None
    limit_s: float


class _Stopped(Exception):
    """The user cancelled, or there is no time left."""


@dataclass(slots=True)
class _Making:
    """The work on one model; `current` is the best file so far."""

    order: _Order
    on_event: Callable[[Event], None]
    cancelled: threading.Event
    current: Path = Path()
    changes: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    drafts: list[Path] = field(default_factory=list)
    compared: tuple[Compared, ...] = ()
    fixed: tuple[tuple[str, int], ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    began: float = field(default_factory=time.monotonic)
    told: float = 0.0

    def result(self) -> Readied:
        before = self.predicted(self.order.model)
        try:
            return self.made(before)
        except _Stopped as stopped:
            outcome: Outcome = "cancelled" if self.cancelled.is_set() else "failed"
            return self.readied(outcome, str(stopped), before)
        finally:
            for draft in self.drafts:
                draft.unlink(missing_ok=True)

    def made(self, before: Placement) -> Readied:
        self.current = self.order.model.path
        placement = self.mended(before)
        if placement.error is not None and placement.error.kind == "crash":
            placement = self.mended(placement, opset=SAFE_OPSET)
        if placement.error is not None and placement.error.kind == "build":
            placement = self.quantized(placement)
        if placement.error is None:
            return self.finished(before, placement)
        if placement.error.kind != "shape":
            message = f"Shapes are not what is missing: {placement.error.message}"
            return self.readied("failed", f"{message} {placement.error.remedy}".strip(), before)
        found = self.first_of(REMEDIES) or self.tried("specialise")
        if found is None and self.fixed:
            found = self.first_of(SPECIAL)
        return self.excluded(before, placement) if found is None else self.published(before, found)

    def first_of(self, remedies: tuple[Task, ...]) -> Placement | None:
        """Apply remedies until one is enough; return the placement after it."""
        for remedy in remedies:
            found = self.tried(remedy)
            if found is not None:
                return found
        return None

    def finished(self, before: Placement, placement: Placement) -> Readied:
        """Return what came of a model that has no shape missing."""
        if not self.changes and not self.options:
            return self.readied("as it is", "A session can be made of it as it is, as predicted.", before, before)
        if not self.changes:
            return self.readied("settings", f"No new file is needed: set {_text(self.options)}.", before, placement)
        return self.published(before, placement) if self.proven(self.current) else self.readied("failed", self.why(), before)

    def mended(self, before: Placement, opset: int | None = None) -> Placement:
        """Mend names, versions and types; return what is predicted then."""
        draft = self.draft(f"fix{opset or ''}")
        answer = self.step("fix", draft, opset)
        if answer.status != "done":
            if before.error is not None and before.error.kind == "shape":
                raise _Stopped(f"The model could not be prepared: {answer.why}")
            return before
        if not answer.changes:
            self.mark("done", "nothing to mend")
            return before
        placement = self.predicted(Model.load(draft))
        self.accept(draft, answer)
        return placement

    def quantized(self, before: Placement) -> Placement:
        """Allow INT8, where that is what stops the build."""
        settings = self.order.settings.replace(precision="int8")
        current = Model.load(self.current)
        placement = predict(current, settings, tensorrt=self.order.tensorrt, onnxruntime=self.order.onnxruntime)
        if placement.error is not None and placement.error.kind != "shape":
            return before
        self.order = replace(self.order, settings=settings)
        self.options = (("trt_int8_enable", "True"),)
        return placement

    def tried(self, remedy: Task) -> Placement | None:
        """Apply a remedy; return the placement after it where it is enough and proven."""
        draft = self.draft(remedy)
        answer = self.step(remedy, draft)
        if answer.status != "done" or not answer.changes:
            self.tell(WORDS[remedy], f"{WORDS[remedy]}: {answer.why}" if answer.why else "")
            return None
        try:
            placement = self.predicted(Model.load(draft))
        except ModelError as error:
            self.mark("failed", str(error))
            return None
        self.fixed = answer.fixed or self.fixed
        if placement.error is None and self.proven(draft):
            self.accept(draft, answer)
            return placement
        if placement.error is not None:
            self.mark("done", f"{answer.why} Not enough: {placement.error.message}".strip())
            if remedy != "freeze":  # what was found stays found; static inputs are only kept where they help
                self.accept(draft, answer)
        return None

    def proven(self, draft: Path) -> bool:
        """Compare outputs; say whether the draft may be kept."""
        self.mark("enough")
        answer = self.step("compare", draft)
        self.compared = answer.compared
        if answer.status != "done":
            if answer.status == "crashed" and self.step("compare", self.order.model.path).status == "done":
                self.mark("crashed", "The new model ends the process; the original does not.")
                return False
            # Names and inferred shapes change no output; what runs showed must be proven.
            return all(step.remedy in ("fix", "infer", "compare") for step in self.steps)
        rows = [row for each in answer.compared for row in each.outputs]
        if all(each.equal for each in answer.compared) or self.order.float32:
            return True
        worst = next(row.output for each in answer.compared if not each.equal for row in each.outputs if not row.identical)
        self.mark("differs", f"{len(rows)} outputs compared; output {worst!r} is not the original's.")
        return False

    def excluded(self, before: Placement, placement: Placement) -> Readied:
        """Propose to keep the operators from TensorRT that make it split the graph."""
        start = time.monotonic()
        refused = {node.op_type for node in placement.nodes if node.reason != NOT_RUN}
        types = _smallest(sorted(refused), lambda some: self.predicted(self.order.model, tuple(some)).error is None)
        step = Step(remedy="exclude", outcome="enough" if types else "failed", seconds=time.monotonic() - start)
        self.steps.append(step)
        if not types:
            return self.readied("failed", self.why(), before)
        self.options = (*self.options, ("trt_op_types_to_exclude", ",".join(types)))
        after = self.predicted(self.order.model, types)
        self.compared = ()
        message = f"No new file is needed: set {_text(self.options)}; the graph is then split there without asking for shapes."
        return self.readied("settings", message, before, after)

    def step(self, task: Task, draft: Path, opset: int | None = None) -> Answer:
        """Let a process do a step, in the time that it may take."""
        left = self.order.limit_s - (time.monotonic() - self.began)
        if self.cancelled.is_set():
            raise _Stopped("Cancelled by the user.")
        if left < 1:
            raise _Stopped(f"The {self.order.limit_s:g} s were over. {self.why()}")
        limit = min(left * SHARES[task], LONGEST.get(task, left))
        start = time.monotonic()
        self.tell(WORDS[task])
        answer = perform(self.errand(task, draft, limit, opset), limit, self.cancelled, lambda: self.tick(WORDS[task]))
        self.steps.append(Step(remedy=task, outcome=answer.status, seconds=time.monotonic() - start, why=answer.why))
        if answer.status == "cancelled":
            raise _Stopped(answer.why)
        return answer

    def errand(self, task: Task, draft: Path, limit: float, opset: int | None) -> Errand:
        runtime = release(self.order.onnxruntime) if self.order.onnxruntime else release_for(self.order.tensorrt)
        return Errand(
            task=task,
            source=str(self.order.model.path if task == "compare" else self.current),
            target=str(draft),
            profile=self.order.profile,
            inputs=self.order.inputs,
            opset=opset or runtime.opset,
            ml_opset=runtime.ml_opset,
            ir_version=runtime.ir_version,
            float32=self.order.float32,
            fixed=self.fixed,
            stop_after_s=limit * 0.6,
        )

    def predicted(self, model: Model, exclude: tuple[str, ...] = ()) -> Placement:
        order = self.order
        return predict(model, order.settings, tensorrt=order.tensorrt, exclude=exclude, onnxruntime=order.onnxruntime)

    def published(self, before: Placement, after: Placement) -> Readied:
        """Give the draft its name, which no file has."""
        try:
            publish(self.current, self.order.target)
        except OSError as error:
            raise SettingsError(f"{self.order.target} cannot be written: {error.strerror or error}.") from error
        engines = f"{after.engines()} TensorRT engine{'s' * (after.engines() != 1)}"
        message = f"{self.order.target.name} is predicted to run with {engines}."
        static = any(step.remedy == "freeze" and step.outcome == "enough" for step in self.steps)
        message += " Its inputs are static." if static else ""
        message += "".join(f" It is for {name} = {value} only." for name, value in self.fixed)
        message += f" Set {_text(self.options)} too." if self.options else ""
        message += "" if self.compared else f" Its outputs could not be compared: {self.steps[-1].why}"
        return self.readied("ready", message, before, after)

    def readied(self, outcome: Outcome, message: str, before: Placement, after: Placement | None = None) -> Readied:
        kept = outcome == "ready"
        return Readied(
            model=self.order.model.name,
            outcome=outcome,
            message=message,
            path=str(self.order.target) if kept else None,
            options=self.options if after is not None else (),
            changes=tuple(self.changes) if kept else (),
            steps=tuple(self.steps),
            compared=self.compared,
            equal=all(each.equal for each in self.compared) if self.compared else None,
            before=prediction_of(before),
            after=prediction_of(after) if after is not None else None,
            seconds=time.monotonic() - self.began,
        )

    def why(self) -> str:
        """Say in words what was tried, and why it did not help."""
        said = [f"{step.words}: {step.why.rstrip('.')}" for step in self.steps if step.why and step.outcome != "enough"]
        return "No remedy makes it ready. " + "; ".join(said) + "."

    def accept(self, draft: Path, answer: Answer) -> None:
        self.current = draft
        self.changes += answer.changes

    def mark(self, outcome: StepOutcome, why: str = "") -> None:
        """Say of the last step what came of it in the end."""
        if self.steps:
            self.steps[-1] = self.steps[-1].model_copy(update={"outcome": outcome, "why": why or self.steps[-1].why})

    def draft(self, task: str) -> Path:
        # External data is found relative to the model's file, so that drafts stand where the new file will.
        path = self.order.target.with_name(f".{self.order.target.stem}-{secrets.token_hex(4)}-{task}.onnx")
        self.drafts.append(path)
        return path

    def tick(self, stage: str) -> None:
        if time.monotonic() - self.told >= 1:
            self.tell(stage)

    def tell(self, stage: str, message: str = "") -> None:
        self.told = time.monotonic()
        self.on_event(Event(stage=stage, elapsed_s=self.told - self.began, message=message))


def _text(options: tuple[tuple[str, str], ...]) -> str:
    return " and ".join(f"{key}={value}" for key, value in options)


def _smallest(types: list[str], enough: Callable[[list[str]], bool]) -> tuple[str, ...]:
    """Return few of the operator types that are enough: one alone, else all but those that can be left out."""
    for one in types:
        if enough([one]):
            return (one,)
    if not types or not enough(types):
        return ()
    kept = list(types)
    for one in types:
        fewer = [each for each in kept if each != one]
        if enough(fewer):
            kept = fewer
    return tuple(kept)
