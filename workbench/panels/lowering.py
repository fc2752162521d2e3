"""Lower precision, as the panels show it: which way to take, converted models, and what accuracy costs. It knows no widget."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import traitlets

from workbench.errors import SettingsError, WorkbenchError
from workbench.options.canonical import PRECISE
from workbench.options.precision_advice import Lowered, PrecisionAdvice, advise, graph_settings
from workbench.options.releases import NEWEST
from workbench.panels.activity import Trouble
from workbench.panels.calibrations import Calibrations
from workbench.panels.data_choice import DataChoice
from workbench.panels.sensitivities import Sensitivities
from workbench.runtime.job import Event
from workbench.samples.catalogue import samples
from workbench.study.family import against_base, base_file, base_name, converted_to, family_files, family_rows
from workbench.study.target import DEFAULT_TARGET, Target

if TYPE_CHECKING:
    from collections.abc import Collection

    from workbench.panels.activity import Place
    from workbench.panels.state import WorkbenchState
    from workbench.runtime.job import Environment
    from workbench.study.convert import Converted
    from workbench.study.run import Run

Way = Literal["flags", "graph"]
LOWERED: tuple[Lowered, ...] = ("fp16", "bf16", "int8")
MOST_RUNS = 60  # of a family that are drawn, the newest


class LowerPrecision(traitlets.HasTraits):
    """What is known of lower precision for the state's model.

    Parameters
    ----------
    state : WorkbenchState
        Whose model, Settings, Runs and jobs.

    Attributes
    ----------
    data, calibration, search : DataChoice, Calibrations, Sensitivities
        The inputs, and what is found with them.
    precision : str
        The one that is looked at: ``fp32``, ``fp16``, ``bf16`` or ``int8``.
    way : str
        ``flags`` or ``graph``.
    family : tuple of Path
        The files of the model and of those converted from it, the original first.
    converted : Converted or None
        The last conversion.
    target : Target
        What outputs must meet for a latency to count.
    runs : tuple of Run
        The family's Runs, told against the original.
    """

    precision = traitlets.Enum(["fp32", *LOWERED], default_value="fp16")
    way = traitlets.Enum(["flags", "graph"], default_value="graph")
    family = traitlets.Tuple(())
    converted = traitlets.Any(None, allow_none=True)
    target = traitlets.Instance(Target, allow_none=False, args=())
    runs = traitlets.Tuple(())

    def __init__(self, state: WorkbenchState) -> None:
        super().__init__(target=DEFAULT_TARGET)
        self.state = state
        self.data, self.calibration, self.search = DataChoice(state), Calibrations(state), Sensitivities(state)
        self._asked = 0
        self._of = ""  # the family of the model that was open last
        self.place: Place = "precision"  # where the last conversion was asked for
        self.way = "flags" if state.settings.provider in PRECISE else "graph"
        state.observe(self._new_model, "model")

    def __repr__(self) -> str:
        return f"LowerPrecision({self.precision}, {len(self.family)} models)"

    # Which way

    @property
    def environment(self) -> Environment | None:
        """The machine, as far as the diagnosis has told."""
        diagnosis = self.state.diagnosis
        return diagnosis.environment if diagnosis is not None else None

    def advice(self, precision: Lowered, *, keep: bool = False) -> PrecisionAdvice:
        """Return which way to a precision works with the versions and the GPU here."""
        here = self.environment
        return advise(
            precision,
            onnxruntime=self.state.release or NEWEST,
            tensorrt=here.tensorrt if here else None,
            compute_capability=here.compute_capability if here else None,
            keep=keep,
        )

    def recommended(self, precision: str) -> Way:
        """Return the way to take first: the flags where they are advised and the provider has them."""
        flags = precision in LOWERED and self.advice(precision).backend == "flags"
        return "flags" if flags and not self.obstacle(precision, "flags") else "graph"

    def obstacle(self, precision: str, way: str) -> str:
        """Return why a way to a precision cannot be taken now; empty where it can."""
        if precision == "fp32" or self.state.model is None:
            return "" if self.state.model is not None else "Open a model in the Model tab."
        if way == "graph":
            base = converted_to(self.state.model.name)
            if base is not None:
                return f"This model has been converted to {base} already: open the original."
            return "Calibrate below first: INT8 needs ranges." if precision == "int8" and not self.calibration.found else ""
        if self.state.settings.provider not in PRECISE:
            return f"Flags are TensorRT's: the provider {self.state.settings.provider} has none."
        if precision == "int8" and self.calibration.table is None and not self._has_table():
            return "Calibrate below and write the table first."
        return "" if self.advice(cast("Lowered", precision)).flags else f"These versions have no flag for {precision}."

    def _has_table(self) -> bool:
        return bool(self.state.settings.provider_options.get("trt_int8_calibration_table_name"))

    def take(self) -> None:
        """Do what was chosen: set the flags, or convert the model and open the new one.

        Raises
        ------
        SettingsError
            When that way cannot be taken.
        """
        obstacle = self.obstacle(self.precision, self.way)
        if obstacle:
            raise SettingsError(f"{self.precision} by {self.way}: {obstacle}")
        if self.way == "graph" and self.precision != "fp32":
            self.convert(cast("Lowered", self.precision))
        elif self.precision == "int8" and self.calibration.table is not None:
            self.calibration.use_table()
        else:
            self.state.set_precision(self.precision)

    # Converted models

    @property
    def folder(self) -> Path:
        """Where new models are written: beside the model; beside the store for samples, and where nothing may be written."""
        kept = self.state.store.path.parent / "models"
        model = self.state.model
        if model is None or any(sample.path.parent == model.path.parent for sample in samples()):
            return kept
        return model.path.parent if os.access(model.path.parent, os.W_OK) else kept

    def convert(self, to: Lowered, *, keep: Collection[str] = (), clip: bool = False, place: Place = "precision") -> None:
        """Convert the model in a process of its own, and open the new one; what changed arrives in `converted`.

        Parameters
        ----------
        to, keep, clip
            As for :func:`workbench.study.convert.convert`.
        place : str
            Where trouble is shown.

        Raises
        ------
        WorkbenchError
            When there is no model, INT8 has no ranges, or another job is going on.
        """
        from workbench.study.conversion import ConversionErrand, TensorRange, convert_contained, default_target

        state = self.state
        if state.model is None:
            raise WorkbenchError("There is no model to convert.", remedy="Open one in the Model tab.")
        if converted_to(state.model.name) is not None:
            raise SettingsError(f"{state.model.path.name} has been converted already.", remedy="Open the original first.")
        model, cancelled, folder = state.model, threading.Event(), self.folder
        ranges = self.calibration.ranges() if to == "int8" else {}
        source = self.data.calibration_source() if to == "int8" else self.data.source()
        folder.mkdir(parents=True, exist_ok=True)
        errand = ConversionErrand(
            model=str(model.path),
            to=to,
            keep=tuple(keep),
            ranges=tuple(TensorRange(tensor=name, amax=amax) for name, amax in ranges.items()),
            clip=clip,
            out=str(default_target(model.path, to, folder)),
            data=source,
            profile=state.settings.profile,
        )

        def done(found: Converted | None) -> None:
            self.place, self.converted = place, found
            if found is not None and state.model is model:
                self.open(Path(found.target))

        def work() -> Converted | None:
            state.tell(Event(stage="starting", elapsed_s=0.0))
            return convert_contained(errand, cancelled=cancelled, on_event=state.tell)

        state.perform("converting", f"{model.path.name} to {to}", place, work, done, cancelled=cancelled)

    def open(self, path: Path) -> None:
        """Open another model of the family; flags for its types go with it where the release needs them."""
        state, to = self.state, converted_to(path.stem)
        here = self.environment
        version = here.tensorrt if here else None
        held = (to,) if to is not None and state.settings.provider in PRECISE else ()
        settings = graph_settings(state.settings, held, onnxruntime=state.release or NEWEST, tensorrt=version)
        state.load_model(path)
        state.settings = settings

    def _new_model(self, _: object) -> None:
        """Follow another model: its family and data, and what its outputs are compared with."""
        model = self.state.model
        self.calibration.new_model()
        self.search.new_model()
        if model is None:
            return
        folders = self._folders(model.path)
        self.family = family_files(model.path, folders)
        if self.converted is not None and base_name(Path(self.converted.target).stem) != base_name(model.name):
            self.converted = None
        base = base_file(model.path, folders)
        known = {str(path) for path in self.family}
        plan = self.state.plan
        if base is not None or (plan.reference is not None and plan.reference in known):
            plan = plan.model_copy(update={"reference": str(base) if base is not None else None})
        if self._of and self._of != base_name(model.name):
            plan = plan.model_copy(update={"data": None, "task": None})  # they were for another model
        self.state.plan, self._of = plan, base_name(model.name)
        self.data.suggest()

    def _folders(self, path: Path) -> tuple[Path, ...]:
        """Return where a family's files may lie: a sample's converted models lie beside the store."""
        kept = self.state.store.path.parent / "models"
        homes = [sample.path.parent for sample in samples() if sample.name == base_name(path.stem)]
        ours = path.parent in (kept, *homes)
        return (kept, *homes) if ours and homes else (kept,) if self.folder == kept else ()

    # Accuracy against latency

    def measure(self) -> None:
        """Run the model for latency and accuracy on the chosen data, as the Build & measure tab would.

        Raises
        ------
        WorkbenchError
            As :meth:`workbench.panels.state.WorkbenchState.start_run`.
        """
        given = {"latency": True, "accuracy": True, "data": self.data.source(), "task": self.data.task()}
        self.state.plan = self.state.plan.model_copy(update=given)
        self.state.start_run()

    def read_runs(self) -> None:
        """Read the family's Runs on a thread; they arrive in `runs`."""
        self._asked += 1
        asked, state = self._asked, self.state
        model = state.model
        if model is None:
            self.runs = ()
            return
        rows, store, made = state.rows, state.store, dict(state.made)

        def task() -> list[Run]:
            named = any(row.model == model.name for row in rows)  # a large file is read for no less
            found = family_rows(rows, model.name, model.content_hash() if named else None)[:MOST_RUNS]
            return against_base(made[row.id] if row.id in made else store.get(row.id) for row in found)

        def done(found: list[Run]) -> None:
            if asked == self._asked:
                self.runs = tuple(found)

        state.background.run(task, done, lambda error: setattr(state, "trouble", Trouble("accuracy", error)))
