"""The state of the workbench: what the panels show and change. It knows no widget.

Assign a trait or call a method from a cell and the panels follow; what a panel does is a call of the same methods. Jobs
run on threads, through the one way that runs them (:func:`workbench.study.execute.execute`); their results are assigned
in the main thread.
"""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import traitlets

from workbench.errors import WorkbenchError
from workbench.model.model import Model
from workbench.options.profile import ShapeProfile
from workbench.options.releases import installed_release
from workbench.options.settings import Settings
from workbench.panels.activity import Place
from workbench.panels.background import Background
from workbench.panels.dimensions import profile_of_sizes
from workbench.panels.engines import Engines
from workbench.panels.jobs import LOG_LINES, Jobs
from workbench.panels.lowering import LowerPrecision
from workbench.panels.opening import default_settings, fitting_profile, loaded_model, sample_inputs
from workbench.panels.questions import Questions
from workbench.placement.records import Placement
from workbench.runtime.job import Plan
from workbench.runtime.worker import Worker
from workbench.study.run import Run
from workbench.study.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.options.effect import Change
    from workbench.options.mapping import OptionValue
    from workbench.record import Finding
    from workbench.runtime.doctor.checks import Diagnosis
    from workbench.study.compare import Comparison
    from workbench.study.ready_records import Readied

PARTITIONING = ("trt_op_types_to_exclude", "trt_min_subgraph_size", "trt_max_partition_iterations")


class WorkbenchState(Jobs):
    """What the workbench knows.

    Parameters
    ----------
    settings : Settings or None
        To begin with; plain ones on the best provider that is installed where it is ``None``.
    store : Store or None
        Where Runs are kept; the user's own store where it is ``None``.
    worker : Worker or None
        What runs jobs; this kernel's own where it is ``None``.
    background : Background or None
        Where jobs wait for it.

    Attributes
    ----------
    model, settings, plan : Model, Settings, Plan
        What a run would take.
    label : str
        The name that the next Run gets.
    tensorrt : str
        The release of TensorRT that a prediction is for.
    predicted, measured : Placement or None
        Of this model. Measured is what the last session of this state, or a Run opened from the store, said.
    supposed : Placement or None
        What would be predicted if the Settings were as the last of the `questions` supposes.
    evidence : str
        Which of them is shown: ``predicted``, ``measured`` or ``what-if``.
    readied : Readied or None
        What came of making this model ready, or the one that it was made of.
    wanted : str
        The panel that another one sends the user to; empty again when the app has opened it.
    node : str
        The selected node.
    picked : tuple of str
        Names of several nodes that a panel wants selected.
    rows : tuple of Row
        The kept Runs, the newest first.
    chosen : tuple of str
        Ids of the Runs that are looked at.
    last : Run or None
        The Run of this model that was made or opened last.
    built : Run or None
        The last of them that came to a result: what a change of the Settings does is told against it.
    diagnosis : Diagnosis or None
        What can run here; ``None`` until :meth:`diagnose` has ended.
    made : dict of str to Run
        The Runs made here, by their ids.
    """

    model = traitlets.Instance(Model, allow_none=True)
    settings = traitlets.Instance(Settings)
    plan = traitlets.Instance(Plan, ())
    label = traitlets.Unicode("")
    tensorrt = traitlets.Unicode("10.16")
    predicted = traitlets.Instance(Placement, allow_none=True)
    measured = traitlets.Instance(Placement, allow_none=True)
    supposed = traitlets.Instance(Placement, allow_none=True)
    evidence = traitlets.Enum(["predicted", "measured", "what-if"], default_value="predicted")
    readied = traitlets.Any(None, allow_none=True)
    wanted = traitlets.Enum(["", *get_args(Place)], default_value="")
    node = traitlets.Unicode("")
    picked = traitlets.Tuple(())
    rows = traitlets.Tuple(())
    chosen = traitlets.Tuple(())
    last = traitlets.Instance(Run, allow_none=True)
    built = traitlets.Instance(Run, allow_none=True)
    diagnosis = traitlets.Any(None, allow_none=True)

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        store: Store | None = None,
        worker: Worker | None = None,
        background: Background | None = None,
    ) -> None:
        super().__init__(worker or kernel_worker(), background or Background(), settings=settings or default_settings())
        self.store = store or Store()
        self.release = installed_release()
        self._diagnosing = False
        self.made: dict[str, Run] = {}
        self.questions = Questions(self)
        self.engines = Engines(self)
        self.lowering = LowerPrecision(self)

    def __repr__(self) -> str:
        return f"WorkbenchState({self.summary()})"

    def summary(self) -> str:
        """Return in a few words what is open."""
        name = self.model.path.name if self.model else "no model"
        if self.activity is not None and self.activity.task == "loading":
            name = f"opening {self.activity.subject}"
        return f"{name}, {self.settings.summary()}"

    @property
    def placement(self) -> Placement | None:
        """The placement that is shown."""
        known = {"predicted": self.predicted, "measured": self.measured, "what-if": self.supposed}
        return known[self.evidence]

    # The model

    def load_model(self, path: str | Path) -> None:
        """Open a model and predict its placement; the result arrives in `model`, an error in `trouble`."""
        self._soon(lambda: self.perform("loading", Path(path).name, "model", lambda: loaded_model(path), self.set_model))

    def set_model(self, model: Model) -> None:
        """Take a model that is loaded already. Settings stay, but for a shape profile that does not fit it."""
        with self.hold_trait_notifications():
            self.predicted = self.measured = self.supposed = None
            self.evidence, self.node, self.picked, self.log = "predicted", "", (), ()
            self.last = self.built = None
            if self.readied is not None and self.readied.path != str(model.path):
                self.readied = None
            self.model = model
            self.settings = self.settings.replace(profile=fitting_profile(model, self.settings.profile))
            self.plan = self.plan.model_copy(update={"inputs": sample_inputs(model)})
        self.predict()

    # Settings

    def set_option(self, key: str, value: OptionValue | None, *, session: bool = False) -> None:
        """Give an option a value; ``None`` takes it back to ONNX Runtime's default.

        Raises
        ------
        SettingsError
            For an unknown key or a wrong value; the Settings stay as they were.
        """
        name = "session_options" if session else "provider_options"
        options = {k: v for k, v in getattr(self.settings, name).items() if k != key}
        if value is not None:
            options[key] = value
        self._change(**{name: options})

    def set_provider(self, provider: str) -> None:
        """Choose the provider: ``tensorrt``, ``cuda`` or ``cpu``."""
        self._change(provider=provider)

    def set_precision(self, precision: str) -> None:
        """Choose the precision: ``fp32``, ``fp16``, ``bf16`` or ``int8``."""
        self._change(precision=precision)

    def set_profile(self, profile: ShapeProfile) -> None:
        """Choose the shape profile.

        Raises
        ------
        SettingsError
            When it does not fit the model.
        """
        if self.model is not None:
            profile.check(self.model)
        self._change(profile=profile)

    def set_sizes(self, sizes: dict[str, tuple[int, int, int]]) -> None:
        """Choose the shape profile by the (min, opt, max) of each dynamic dimension; empty for no profile."""
        self.set_profile(profile_of_sizes(self._need_model(), sizes))

    def reset_options(self) -> None:
        """Take all options back to ONNX Runtime's defaults; provider, precision and profile stay."""
        self._change(provider_options={}, session_options={})

    def _change(self, **changes: Any) -> None:  # noqa: ANN401  # the fields' own types
        before = self.settings
        self.settings = before.replace(**changes)
        cut = [key for key in PARTITIONING if before.provider_options.get(key) != self.settings.provider_options.get(key)]
        if cut and self.predicted is not None and not self.busy:
            self.predict()

    def findings(self) -> list[Finding]:
        """Return what is useless or dangerous in the Settings.

        Raises
        ------
        SettingsError
            For what cannot work.
        """
        return self.settings.check(self.release, self.model)

    def change(self) -> Change | None:
        """Return what the change since the last Run with a result does; ``None`` while there is none of this model."""
        from workbench.options.effect import effect_of_change

        if self.built is None:
            return None
        return effect_of_change(self.built.settings, self.settings, self.model, self.release)

    # Placement

    def predict(self) -> None:
        """Predict who would run each node with TensorRT; the result arrives in `predicted`."""
        model, settings, release = self._need_model(), self.settings.replace(provider="tensorrt"), self.tensorrt
        self._begin("predicting", model.path.name)

        def task() -> Placement:
            from workbench.placement.predict import predict

            return predict(model, settings, tensorrt=release)

        def done(placement: Placement) -> None:
            if self.model is model:
                self.predicted = placement
                self.evidence = "predicted"

        self._run("placement", task, done)

    def measure_placement(self) -> None:
        """Make a session and read who runs each node; the result arrives in `measured`."""
        from workbench.study.execute import measure_placement

        model, settings = self._need_model(), self.settings
        self._begin("placing", model.path.name)

        def done(placement: Placement) -> None:
            if self.model is model:
                self.measured = placement
                self.evidence = "measured"

        worker, cache = self.worker, self.cache
        self._run("placement", lambda: measure_placement(model, settings, worker=worker, on_event=self.tell, cache=cache), done)

    def make_ready(self) -> None:
        """Make the model ready for TensorRT; what came of it arrives in `readied`, and a new file is opened."""
        from workbench.study.ready import make_ready

        model, settings, release = self._need_model(), self.settings.replace(provider="tensorrt"), self.tensorrt
        inputs, cancelled = self.plan.inputs, threading.Event()
        self._begin("readying", model.path.name, cancelled)

        def task() -> Readied:
            return make_ready(model, settings, tensorrt=release, inputs=inputs, on_event=self.tell, cancelled=cancelled)

        def done(readied: Readied) -> None:
            if self.model is model:
                self.readied = readied
                if readied.path is not None:
                    self.load_model(readied.path)

        self._run("placement", task, done)

    # Runs

    def start_run(self) -> None:
        """Run the model with the Settings and the Plan, and keep the Run; it arrives in `last` and `rows`.

        Raises
        ------
        WorkbenchError
            When there is no model, another job is going on, or the Settings cannot work.
        """
        from workbench.study.execute import execute

        model, settings, plan, label = self._need_model(), self.settings, self.plan, self.label
        settings.check(self.release, model)
        self._begin("running", f"{model.path.name} on {settings.summary()}")
        self.log = ()

        def task() -> Run:
            store, worker, cache = self.store, self.worker, self.cache
            return execute(model, settings, plan, store=store, worker=worker, cache=cache, on_event=self.tell, label=label)

        self._run("build", task, lambda run: self._ended(run, model))

    def _ended(self, run: Run, model: Model) -> None:
        self.made[run.id] = run
        self.refresh_rows()
        if self.model is not model:
            return
        self.log = run.log[-LOG_LINES:] or self.log
        if run.placement is not None and run.placement.outcome == "ok":
            self.measured = run.placement
            self.evidence = "predicted" if run.settings.provider == "cpu" else "measured"
        self._take(run)
        self.chosen = (run.id,)
        self.label = ""

    def _take(self, run: Run) -> None:
        if run.status == "ok":
            self.built = run
        self.last = run

    def refresh_rows(self) -> None:
        """Read the list of Runs again.

        Raises
        ------
        StoreError
            When the store cannot be read.
        """
        self.rows = tuple(self.store.rows())

    def get_runs(self, ids: Sequence[str]) -> list[Run]:
        """Return Runs by their ids: those made here as measured, the others as recorded."""
        return [self.made[id_] if id_ in self.made else self.store.get(id_) for id_ in ids]

    def set_run_label(self, id_: str, label: str) -> None:
        """Give a kept Run another name."""
        self.store.set_label(id_, label)
        if id_ in self.made:
            self.made[id_] = self.made[id_].model_copy(update={"label": label})
        self.refresh_rows()

    def open_run(self, run: Run) -> None:
        """Take over the Settings and the Plan of a Run, and its placement where it speaks of this model's nodes."""
        self.settings, self.plan = run.settings, run.plan
        if self.model is None or self.model.name != run.model.name:
            return
        self._take(run)
        placed = run.placement.nodes if run.placement is not None else ()
        if placed and {node.name for node in placed} == {node.name for node in self.model.nodes}:
            self.measured = run.placement

    def compare(self, first: str, second: str) -> Comparison:
        """Compare two Runs by their ids."""
        from workbench.study.compare import compare

        return compare(*self.get_runs([first, second]))

    # What can run here

    def diagnose(self) -> None:
        """Find out, once, which providers can run here; the result arrives in `diagnosis`."""
        from workbench.runtime.doctor.diagnosis import diagnose

        if self._diagnosing:
            return
        self._diagnosing = True

        def done(found: Diagnosis) -> None:
            self.diagnosis = found

        self.background.run(diagnose, done, lambda error: self._fail("build", error))

    def _need_model(self) -> Model:
        if self.model is None:
            raise WorkbenchError("There is no model yet.", remedy="Open one in the Model tab.")
        model: Model = self.model
        return model


@cache
def kernel_worker() -> Worker:
    """Return the worker that all states of this kernel share: a cell that is run again shall not leave one behind."""
    return Worker()
