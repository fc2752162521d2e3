"""Calibration as the panels show it: going on, cancelled, done; and what is made of its ranges. It knows no widget."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import traitlets

from workbench.errors import JobError, SettingsError, WorkbenchError
from workbench.measure.calibration import METHODS, TensorCalibration, outliers_first
from workbench.runtime.calibration.records import Calibration, Progress
from workbench.runtime.job import Event
from workbench.study.family import base_name

if TYPE_CHECKING:
    from workbench.panels.state import WorkbenchState
    from workbench.record import Finding

TOLD_S = 0.25  # how often progress is told at most
TABLE_OPTION = "trt_int8_calibration_table_name"


class Calibrations(traitlets.HasTraits):
    """The calibration of the state's model.

    Parameters
    ----------
    state : WorkbenchState
        Whose model and jobs.

    Attributes
    ----------
    method : str
        Whose thresholds are meant.
    samples, batch : int
        How many samples to use at most (0: all), and how many to feed in one go.
    provider : str
        ``cpu`` or ``cuda``: who runs the model.
    restart : bool
        Whether to begin anew instead of going on where an earlier calibration of the same data stopped.
    progress : Progress or None
        How far it is.
    found : Calibration or None
        What came of it; it stays while models of the same family are opened.
    tensor : str
        The one that is looked at.
    said : str
        What happened last, where it is no error.
    table : Path or None
        The table that was written last.
    """

    method = traitlets.Enum(METHODS, default_value="entropy")
    samples = traitlets.Int(0)
    batch = traitlets.Int(8)
    provider = traitlets.Enum(["cpu", "cuda"], default_value="cpu")
    restart = traitlets.Bool(default_value=False)
    progress = traitlets.Instance(Progress, allow_none=True)
    found = traitlets.Instance(Calibration, allow_none=True)
    tensor = traitlets.Unicode("")
    said = traitlets.Unicode("")
    table = traitlets.Instance(Path, allow_none=True)

    def __init__(self, state: WorkbenchState) -> None:
        super().__init__()
        self.state = state

    def __repr__(self) -> str:
        return f"Calibrations({len(self.found.tensors)} tensors)" if self.found else "Calibrations(none)"

    @property
    def seen(self) -> TensorCalibration | None:
        """What was seen of the tensor that is looked at."""
        tensors = self.found.tensors if self.found else ()
        return next((tensor for tensor in tensors if tensor.name == self.tensor), None)

    def listed(self) -> list[TensorCalibration]:
        """Return the tensors, those with outliers first, those without a range last."""
        tensors = self.found.tensors if self.found else ()
        rated = outliers_first(tensors)
        names = {tensor.name for tensor in rated}
        return rated + [tensor for tensor in tensors if tensor.name not in names]

    def start(self) -> None:
        """Calibrate; what was found arrives in `found`.

        Raises
        ------
        WorkbenchError
            When there is no model, there are no data, or another job is going on.
        """
        from workbench.runtime.calibration.calibrate import calibrate

        state = self.state
        if state.model is None:
            raise WorkbenchError("There is no model to calibrate.", remedy="Open one in the Model tab.")
        model, cancelled = state.model, threading.Event()
        source = state.lowering.data.calibration_source(self.samples or None)
        method, batch, provider, resume = self.method, self.batch, self.provider, not self.restart
        told = _Told(self)

        def work() -> Calibration | JobError:
            try:
                return calibrate(
                    model,
                    source,
                    method=method,
                    batch=batch,
                    provider=provider,
                    resume=resume,
                    cancelled=cancelled,
                    on_progress=told.show,
                )
            except JobError as error:
                if error.kind != "cancelled":
                    raise
                return error

        self.said, self.progress = "", Progress()
        state.perform("calibrating", model.path.name, "calibration", work, self._ended, cancelled=cancelled)

    def _ended(self, found: Calibration | JobError) -> None:
        if isinstance(found, JobError):
            self.said = str(found)
            return
        model = self.state.model
        if model is None or base_name(model.name) != base_name(found.model):
            return
        with self.hold_trait_notifications():
            self.found, self.table, self.restart = found, None, False
            names = [tensor.name for tensor in self.listed()]
            self.tensor = self.tensor if self.tensor in names else next(iter(names), "")

    def new_model(self) -> None:
        """Forget what is known where another model was opened."""
        model = self.state.model
        if self.found is not None and (model is None or base_name(model.name) != base_name(self.found.model)):
            with self.hold_trait_notifications():
                self.found, self.table, self.tensor, self.progress, self.said = None, None, "", None, ""

    def ranges(self) -> dict[str, float]:
        """Return the largest magnitude of each tensor by the chosen method.

        Raises
        ------
        SettingsError
            When there is no calibration.
        """
        if self.found is None:
            raise SettingsError("INT8 needs the ranges of the activations, and there are none.", remedy="Calibrate first.")
        return self.found.ranges(self.method)

    def write(self, path: str) -> tuple[list[Path], list[Finding]]:
        """Write the table, and check what was written.

        Parameters
        ----------
        path : str
            ``FILE.flatbuffers`` for ONNX Runtime, ``FILE.json``, or another ending for TensorRT's own form; a folder for all.

        Returns
        -------
        list of Path, list of Finding
            The files, and what is odd about them.

        Raises
        ------
        SettingsError
            When there is no calibration, or the file cannot be written.
        """
        from workbench.runtime.calibration.check import check_table
        from workbench.runtime.calibration.table import read_table, write_table, write_tables

        ranges, target = self.ranges(), Path(path.strip()).expanduser().absolute()
        if not path.strip():
            raise SettingsError("Where to write the table is not said.", remedy="Name a file or a folder.")
        if target.is_dir() or not target.suffix:
            files = write_tables(ranges, target)
        elif target.parent.is_dir():
            files = [write_table(ranges, target)]
        else:
            raise SettingsError(f"{target}: the folder does not exist.", remedy="Make it first.")
        self.table = files[0]
        model = self.state.model
        return files, check_table(read_table(files[0]), model) if model is not None else []

    def use_table(self) -> None:
        """Put the written table into the Settings, with INT8 by its flag.

        Raises
        ------
        SettingsError
            When none was written.
        """
        if self.table is None:
            raise SettingsError("There is no table yet.", remedy="Write it first.")
        options = dict(self.state.settings.provider_options) | {TABLE_OPTION: str(self.table)}
        native = self.table.suffix not in (".flatbuffers", ".json")
        options.pop("trt_int8_use_native_calibration_table", None)
        if native:
            options["trt_int8_use_native_calibration_table"] = True
        self.state.settings = self.state.settings.replace(precision="int8", provider_options=options)


class _Told:
    """Tells of progress, a few times a second; called on the job's thread."""

    def __init__(self, calibrations: Calibrations) -> None:
        self.calibrations = calibrations
        self.at, self.stage = -TOLD_S, ""

    def show(self, progress: Progress) -> None:
        if progress.stage == self.stage and progress.elapsed_s - self.at < TOLD_S:
            return
        self.at, self.stage = progress.elapsed_s, progress.stage
        state = self.calibrations.state
        state.background.main.call(lambda: setattr(self.calibrations, "progress", progress))
        state.tell(Event(stage=progress.stage, elapsed_s=progress.elapsed_s))
