"""What outputs are compared with: a session on the CPU, of the model itself or of another, or outputs kept in a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import InputError, nearest
from workbench.model.model import Model
from workbench.runtime.data.arrays import INPUTS, read_arrays
from workbench.runtime.failures import told
from workbench.runtime.session import exceptions_of, load_onnxruntime, reference_session

if TYPE_CHECKING:
    from workbench.runtime.data.dataset import Feeds

CPU_REFERENCE = "CPU provider without graph optimisation"


class Reference(ABC):
    """What outputs are compared with.

    Attributes
    ----------
    words : str
        What it is, for the reader.
    """

    words: str

    @abstractmethod
    def run(self, feeds: Feeds, actual: list[Any]) -> list[Any]:
        """Return the outputs for one feed, in the model's order; ``None`` for one that it does not have.

        Parameters
        ----------
        feeds : dict of str to ndarray
            What was fed.
        actual : list
            What came of it: stored outputs are counted off by its rows.
        """

    def finish(self, fingerprint: np.ndarray) -> None:  # noqa: B027  # a session needs no check
        """Check, after the last feed, that it was right to compare with these outputs.

        Parameters
        ----------
        fingerprint : ndarray of uint8
            Of all that was fed.
        """


def open_reference(which: str | None, model: Model) -> Reference:
    """Return a reference for a model's outputs.

    Parameters
    ----------
    which : str or None
        As in :class:`~workbench.runtime.job.Plan`, a Run's id apart, which only the store knows.
    model : Model
        What is compared with it.

    Raises
    ------
    JobError
        When the session cannot be made.
    InputError
        When the file cannot be read, or has none of the outputs.
    """
    if which is None:
        return _Session(model, model, CPU_REFERENCE)
    if which.endswith(".onnx"):
        other = Model.load(which)
        return _Session(other, model, f"{other.path.name} on the {CPU_REFERENCE}")
    return _Stored(Path(which), model)


class _Session(Reference):
    def __init__(self, source: Model, model: Model, words: str) -> None:
        self.words = words
        ort = load_onnxruntime("cpu")
        self.errors = exceptions_of(ort)
        with told(self.errors, "load"):
            self.session = reference_session(ort, source)
        self.inputs = {spec.name for spec in source.inputs}
        names = [spec.name for spec in source.outputs]
        wanted = [spec.name for spec in model.outputs]
        if source is not model and (missing := self.inputs - {spec.name for spec in model.inputs}):
            raise InputError(f"{source.path.name}: its input {min(missing)!r} is none of {model.path.name}'s.")
        self.names = [name if name in names else None for name in wanted]
        if not any(self.names):
            raise InputError(
                f"{source.path.name}: has none of the outputs {', '.join(wanted)}.", remedy=f"It has {', '.join(names)}."
            )

    def run(self, feeds: Feeds, actual: list[Any]) -> list[Any]:  # noqa: ARG002
        known = [name for name in self.names if name is not None]
        with told(self.errors, "run"):
            found = iter(self.session.run(known, {name: array for name, array in feeds.items() if name in self.inputs}))
        return [None if name is None else next(found) for name in self.names]


class _Stored(Reference):
    """Outputs in a file; each feed gets the next rows, as many as it has samples."""

    def __init__(self, path: Path, model: Model) -> None:
        self.words = f"stored outputs of {path.name}"
        self.path = path
        self.arrays = read_arrays(path)
        self.fingerprint = self.arrays.pop(INPUTS, None)
        self.names = [spec.name for spec in model.outputs]
        if not any(name in self.arrays for name in self.names):
            hint = nearest(self.names[0], list(self.arrays))
            raise InputError(
                f"{path}: has none of the outputs {', '.join(self.names)}.",
                remedy=f"It holds {sorted(self.arrays)}. {hint}".strip(),
            )
        self.at: dict[str, int] = dict.fromkeys(self.names, 0)

    def _rows(self, name: str, actual: Any) -> np.ndarray | None:  # noqa: ANN401
        """Return the next rows of an output, as many as there are in what it is compared with."""
        array = self.arrays.get(name)
        if array is None or not isinstance(actual, np.ndarray):
            return None
        if not actual.ndim or not array.ndim or array.shape == actual.shape:
            return array
        start = self.at[name]
        self.at[name] += len(actual)
        return array[start : start + len(actual)]

    def run(self, feeds: Feeds, actual: list[Any]) -> list[Any]:  # noqa: ARG002
        return [self._rows(name, array) for name, array in zip(self.names, actual, strict=True)]

    def finish(self, fingerprint: np.ndarray) -> None:
        if self.fingerprint is not None and not np.array_equal(self.fingerprint, fingerprint):
            raise InputError(
                f"{self.path}: these outputs were computed from other inputs.",
                remedy="Compare Runs of the same inputs, data and number of samples.",
            )
