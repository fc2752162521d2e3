"""The inputs that calibration, accuracy and sensitivity use: chosen once, looked into beside the jobs. It knows no widget."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import traitlets

from workbench.errors import InputError
from workbench.measure.task import TaskMetric
from workbench.panels.activity import Trouble
from workbench.runtime.data.dataset import DataSource, Preprocessing, open_dataset
from workbench.samples.catalogue import Sample, samples
from workbench.study.family import base_name

if TYPE_CHECKING:
    from workbench.model.model import Model
    from workbench.panels.state import WorkbenchState
    from workbench.record import Finding

METRICS = ("top1", "top5")
SHOWN_LABELS = 12


@dataclass(frozen=True, slots=True)
class OpenedData:
    """What is in the data.

    Attributes
    ----------
    origin : str
        Where they come from.
    samples : int or None
        How many there are; ``None`` where nobody knows before they are read.
    inputs : tuple of str
        The arrays of one feed, with type and shape.
    labels : str
        What the labels are, in words; empty where there are none.
    findings : tuple of Finding
        What is odd.
    """

    origin: str
    samples: int | None
    inputs: tuple[str, ...]
    labels: str
    findings: tuple[Finding, ...]


class DataChoice(traitlets.HasTraits):
    """Which inputs are used.

    Parameters
    ----------
    state : WorkbenchState
        Whose model they must fit. A sample's own data are taken when it is opened.

    Attributes
    ----------
    path : str
        An ``.npz`` file or a folder of images; empty for none.
    labels : str
        A key of the ``.npz`` or a file; empty for what the data say themselves.
    metric : str
        ``top1``, ``top5`` or a function; empty for none.
    preprocessing : Preprocessing or None
        How images become inputs.
    calibration_path : str
        Other inputs for calibration; empty for the same.
    opened : OpenedData or None
        What is in the data; ``None`` while that is not known.
    """

    path = traitlets.Unicode("")
    labels = traitlets.Unicode("")
    metric = traitlets.Unicode("")
    preprocessing = traitlets.Instance(Preprocessing, allow_none=True)
    calibration_path = traitlets.Unicode("")
    opened = traitlets.Instance(OpenedData, allow_none=True)

    def __init__(self, state: WorkbenchState) -> None:
        super().__init__()
        self.state = state
        self._asked = 0
        self._watched = False

    def __repr__(self) -> str:
        return f"DataChoice({self.path or 'none'!r})"

    @property
    def folder(self) -> bool:
        """Whether the path names a folder, whose images need preprocessing."""
        return bool(self.path) and Path(self.path).expanduser().is_dir()

    def choose(self, path: str, labels: str = "", metric: str | None = None) -> None:
        """Take other data, and look into them; what is in them arrives in `opened`, an error in the state's `trouble`."""
        with self.hold_trait_notifications():
            self.path, self.labels = path.strip(), labels.strip()
            self.metric = self.metric if metric is None else metric.strip()
            if self.folder and self.preprocessing is None and self.state.model is not None:
                self.preprocessing = suggested_preprocessing(self.state.model)
        self.look()

    def suggest(self) -> None:
        """Take the data that come with a sample model, unless the user chose others; called when a model is opened."""
        ours = {"", *(str(path) for sample in samples() for path in _data_of(sample))}
        sample = self._sample()
        test, training = _data_of(sample) if sample is not None else ("", "")
        if self.path in ours:
            self.path, self.labels, self.metric = test, "", "top1" if sample is not None and sample.test_set else ""
        if self.calibration_path in ours:
            self.calibration_path = training if training != self.path else ""
        if self._watched:
            self.look()

    def watch(self) -> None:
        """Look into the data, from now on also whenever others are suggested: before, nobody would see it."""
        self._watched = True
        self.look()

    def _sample(self) -> Sample | None:
        path = self.state.model.path if self.state.model is not None else None
        known = [sample for sample in samples() if path is not None and base_name(path.stem) == sample.name]
        ours = {self.state.lowering.folder, *(sample.path.parent for sample in known)}
        return next((sample for sample in known if path is not None and path.parent in ours), None)

    def source(self, limit: int | None = None) -> DataSource | None:
        """Return the data for accuracy and sensitivity; ``None`` where none are chosen."""
        return self._source(self.path, self.labels, limit) if self.path else None

    def calibration_source(self, limit: int | None = None) -> DataSource:
        """Return the data for calibration.

        Raises
        ------
        InputError
            When none are chosen.
        """
        path = self.calibration_path or self.path
        if not path:
            raise InputError("There are no data to calibrate on.", remedy="Name an .npz file or a folder of images under Data.")
        return self._source(path, "", limit)

    def _source(self, path: str, labels: str, limit: int | None) -> DataSource:
        beside = Path(labels).expanduser() if labels else None
        named = str(beside.absolute()) if beside is not None and beside.is_file() else labels or None
        absolute = str(Path(path).expanduser().absolute())
        return DataSource(path=absolute, labels=named, limit=limit, preprocessing=self.preprocessing)

    def task(self) -> TaskMetric | None:
        """Return how predictions are judged; ``None`` where they are not, or there are no data."""
        return TaskMetric(metric=self.metric) if self.metric and self.path else None

    def look(self) -> None:
        """Open the data on a thread, and say what is in them."""
        self._asked += 1
        asked, source, model, metric = self._asked, self.source(), self.state.model, self.metric
        self.opened = None
        if source is None or model is None:
            return

        def done(found: OpenedData) -> None:
            if asked != self._asked:
                return
            self.opened = found
            if metric and not found.labels:
                message = f"{found.origin}: there are no labels, so {metric} cannot be measured."
                remedy = "Name them: a key of the .npz file, or a file with one label for each sample; or clear the metric."
                self._fail(InputError(message, remedy=remedy))

        def failed(error: BaseException) -> None:
            if asked == self._asked:
                self._fail(error)

        if self.state.trouble is not None and self.state.trouble.place == "data":
            self.state.trouble = None
        self.state.background.run(lambda: opened_data(source, model), done, failed)

    def _fail(self, error: BaseException) -> None:
        self.state.trouble = Trouble("data", error)


def _data_of(sample: Sample) -> tuple[str, str]:
    """Return a sample's data for accuracy, and those for calibration; both may be empty."""
    test = sample.test_set or sample.inputs
    return str(test or ""), str(sample.training_set or "")


def opened_data(source: DataSource, model: Model) -> OpenedData:
    """Open data, and return what is in them.

    Raises
    ------
    InputError, Unavailable
        As :func:`workbench.runtime.data.dataset.open_dataset`.
    """
    import numpy as np

    dataset = open_dataset(source, model)
    first = dataset.sample(0)
    inputs = tuple(f"{name} {array.dtype} {'×'.join(map(str, array.shape))}" for name, array in first.items())
    words = ""
    if dataset.labels is not None:
        kinds = np.unique(dataset.labels)
        named = f"{kinds[0]} to {kinds[-1]}" if len(kinds) > SHOWN_LABELS else ", ".join(map(str, kinds))
        words = f"{len(dataset.labels):,} labels of {len(kinds):,} kinds: {named}"
    return OpenedData(dataset.origin, dataset.size, inputs, words, tuple(dataset.findings()))


def suggested_preprocessing(model: Model) -> Preprocessing | None:
    """Return how images would become the input of a model by its shape alone; ``None`` where that does not tell.

    Pixels are scaled to 0 … 1, which is what most models start from; their own mean and deviation nobody can guess.
    """
    shape = model.inputs[0].shape if len(model.inputs) == 1 else None
    if shape is None or len(shape) != 4:
        return None
    channels_last = shape[3] in (1, 3) and shape[1] not in (1, 3)
    sizes, channels = (shape[1:3], shape[3]) if channels_last else (shape[2:4], shape[1])
    height, width = (size if isinstance(size, int) else 224 for size in sizes)
    return Preprocessing(
        size=(height, width), layout="NHWC" if channels_last else "NCHW", channels="L" if channels == 1 else "RGB"
    )
