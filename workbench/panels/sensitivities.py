"""The search for what breaks lower precision, as the panels show it. It knows no widget."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import traitlets

from workbench.errors import InputError, WorkbenchError
from workbench.measure.task import TaskMetric
from workbench.runtime.job import Event
from workbench.study.family import base_name
from workbench.study.sensitivity_records import Sensitivity, Trial
from workbench.study.target import Target

if TYPE_CHECKING:
    from workbench.options.settings import Settings
    from workbench.panels.state import WorkbenchState
    from workbench.runtime.lowering.trials import Lowering

TOLD_S = 0.25  # how often trials are told at most
SAMPLES, LABELLED = 16, 1000  # inputs that a set is run on, without and with labels


class Sensitivities(traitlets.HasTraits):
    """The search on the state's model.

    Parameters
    ----------
    state : WorkbenchState
        Whose model and jobs.

    Attributes
    ----------
    to : str
        ``fp16``, ``bf16`` or ``int8``.
    provider : str
        Who runs the candidates; on the CPU half precision is emulated.
    target : str
        What must hold, as :meth:`workbench.study.target.Target.parse` reads it; empty for the precision's usual one.
    samples : int
        Inputs that each set is run on, at most; 0 for what is usual.
    limit_s : float
        Seconds after which the best set so far is given.
    clip : bool
        Whether weights beyond the precision's range are clipped.
    trial : Trial or None
        The set that was tried last.
    found : Sensitivity or None
        What was found.
    """

    to = traitlets.Enum(["fp16", "bf16", "int8"], default_value="fp16")
    provider = traitlets.Enum(["cpu", "cuda", "tensorrt"], default_value="cpu")
    target = traitlets.Unicode("")
    samples = traitlets.Int(0)
    limit_s = traitlets.Float(600.0)
    clip = traitlets.Bool(default_value=False)
    trial = traitlets.Instance(Trial, allow_none=True)
    found = traitlets.Instance(Sensitivity, allow_none=True)

    def __init__(self, state: WorkbenchState) -> None:
        super().__init__()
        self.state = state

    def __repr__(self) -> str:
        return f"Sensitivities({self.found.status if self.found else 'nothing'})"

    def usual_target(self) -> Target:
        """Return what must hold where nothing else is said."""
        from workbench.study.sensitivity import DEFAULT_TARGETS

        return DEFAULT_TARGETS[self.to]

    def start(self) -> None:
        """Search; sets arrive in `trial`, the result in `found`. The same search goes on where it was stopped.

        Raises
        ------
        WorkbenchError
            When there is no model, the target is not understood, or another job is going on.
        """
        from workbench.study.sensitivity import find_sensitive

        state = self.state
        if state.model is None:
            raise WorkbenchError("There is no model to search in.", remedy="Open one in the Model tab.")
        model, cancelled, limit_s = state.model, threading.Event(), self.limit_s
        target = Target.parse(self.target) if self.target.strip() else self.usual_target()
        lowering = self._lowering(target)
        folder = state.store.path.parent / "sensitivity"
        told = _Told(self)

        def work() -> Sensitivity:
            state.tell(Event(stage="making ready", elapsed_s=0.0))
            found = find_sensitive(
                model, lowering, target, limit_s=limit_s, folder=folder, cancelled=cancelled, on_trial=told.show
            )
            told.end()
            return found

        def done(found: Sensitivity) -> None:
            if state.model is model:
                self.found = found

        self.trial = None
        state.perform("searching", model.path.name, "sensitivity", work, done, cancelled=cancelled)

    def _lowering(self, target: Target) -> Lowering:
        from workbench.runtime.lowering.trials import Lowering

        data = self.state.lowering.data
        source, task = data.source(), None
        if target.task_drop is not None:
            if source is None:
                raise InputError(
                    "A target of task accuracy needs labelled data, and there are none.", remedy="Name them under Data."
                )
            task = data.task() or TaskMetric()
        count = self.samples or (SAMPLES if task is None else LABELLED)
        path, settings = str(self._need_path()), self._settings()
        return Lowering(
            model=path, to=self.to, settings=settings, data=source, samples=count, task=task, clip=self.clip and self.to != "int8"
        )

    def _need_path(self) -> object:
        assert self.state.model is not None
        return self.state.model.path

    def _settings(self) -> Settings:
        """Return what runs the candidates: the graph says their precision, so no flag does."""
        from workbench.options.precision_advice import TABLE_OPTIONS

        given = self.state.settings
        left = (*TABLE_OPTIONS, "trt_fp16_enable", "trt_bf16_enable", "trt_int8_enable")
        options = {key: value for key, value in given.provider_options.items() if key not in left}
        return given.replace(provider=self.provider, precision="fp32", provider_options=options)

    def new_model(self) -> None:
        """Forget what is known where a model of another family was opened."""
        model = self.state.model
        if self.found is not None and (model is None or base_name(model.name) != base_name(self.found.model)):
            self.found = self.trial = None

    def pick(self) -> None:
        """Select the nodes found in the Placement tab: in its table and on its graph."""
        if self.found is not None and self.found.keep:
            self.state.picked = ()  # the same nodes may be wanted once more
            self.state.picked = self.found.keep
            self.state.wanted = "placement"


class _Told:
    """Tells of sets that were tried: those that make the best smaller, and a few a second; called on the job's thread."""

    def __init__(self, search: Sensitivities) -> None:
        self.search = search
        self.best: int | None = None
        self.began = self.at = time.monotonic()

    def show(self, trial: Trial) -> None:
        now = time.monotonic()
        if trial.best == self.best and now - self.at < TOLD_S:
            return
        self.best, self.at = trial.best, now
        state = self.search.state
        state.background.main.call(lambda: setattr(self.search, "trial", trial))
        state.tell(Event(stage="trying sets", elapsed_s=now - self.began))

    def end(self) -> None:
        """Tell that it is over, and how long it took."""
        self.search.state.tell(Event(stage="done", elapsed_s=time.monotonic() - self.began))
