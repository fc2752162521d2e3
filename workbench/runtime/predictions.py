"""Predictions gathered feed by feed, and judged by their labels in the end."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import InputError, nearest
from workbench.measure.task import TOP, TaskAccuracy, TaskMetric, check_labels, scored, shares, top_hits

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from workbench.model.model import Model


class Predictions:
    """What a model and its reference predict for labelled samples.

    Parameters
    ----------
    metric : TaskMetric
        How they are judged.
    model : Model
        Whose outputs they are.
    labels : ndarray, shape (n_samples, ...)
        What is right.

    Raises
    ------
    InputError
        When the metric or the output does not exist.
    """

    def __init__(self, metric: TaskMetric, model: Model, labels: np.ndarray) -> None:
        self.metric, self.labels = metric, labels
        names = [spec.name for spec in model.outputs]
        if metric.output is not None and metric.output not in names:
            hint = f"It has {', '.join(names)}. {nearest(metric.output, names)}".strip()
            raise InputError(f"The model has no output {metric.output!r} to predict with.", remedy=hint)
        self.names = names
        self.output = names.index(metric.output) if metric.output is not None else None
        self.function = None if metric.metric in TOP else load_metric(metric.metric)
        self.rows = 0
        self._found: list[np.ndarray] = []
        self._reference: list[np.ndarray] = []

    def add(self, actual: list[Any], expected: list[Any]) -> None:
        """Take what one feed gave.

        Raises
        ------
        InputError
            When the output has no scores for the metric, or a label is no class of it.
        """
        if self.output is None:
            rows = [at for at, a in enumerate(actual) if isinstance(a, np.ndarray) and a.ndim == 2 and a.shape[1] > 1]
            self.output = rows[0] if rows else 0
        output, reference = actual[self.output], expected[self.output]
        if not isinstance(output, np.ndarray) or not output.ndim:
            raise InputError(f"Output {self.names[self.output]!r} has no row for each sample: it predicts nothing.")
        first, self.rows = self.rows, self.rows + len(output)
        labels = self._labels(output)[first : self.rows]
        if len(labels) < len(output):
            raise InputError(
                f"There are {len(self.labels)} labels; output {self.names[self.output]!r} has more rows than that.",
                remedy="One label for each row of the output is needed.",
            )
        self._found.append(self._judged(output, labels))
        if isinstance(reference, np.ndarray) and reference.shape == output.shape:
            self._reference.append(self._judged(reference, labels))

    def result(self, reference: str) -> TaskAccuracy | None:
        """Return how often the model is right; ``None`` where nothing was fed.

        Parameters
        ----------
        reference : str
            What the reference is, for the reader.

        Raises
        ------
        InputError
            When there are more labels than rows, or the metric fails.
        """
        if not self.rows or self.output is None:
            return None
        found = np.concatenate(self._found)
        whole = len(self._reference) == len(self._found)
        before = np.concatenate(self._reference) if whole else None
        name = self.names[self.output]
        if self.function is None:
            return shares(self.metric.metric, name, found, before, reference)
        labels = self.labels[: self.rows]
        return scored(self.metric, self.function, name, labels, found, before, reference=reference)

    def _labels(self, output: np.ndarray) -> np.ndarray:
        """Return all labels, checked; those of a feed with several samples become one row each."""
        if self.metric.metric in TOP:
            k = TOP[self.metric.metric]
            if output.ndim != 2 or output.shape[1] <= k:
                assert self.output is not None
                raise InputError(
                    f"{self.metric.metric} needs a row of more than {k} scores for each sample; output "
                    f"{self.names[self.output]!r} has shape {output.shape}.",
                    remedy="Name another output, or give a metric function.",
                )
            if self.labels.ndim != 1 or self.labels.dtype != np.int64:
                self.labels = check_labels(self.labels, len(self.labels), output.shape[1])
            if self.rows == len(output):
                check_labels(self.labels, len(self.labels), output.shape[1])
        return self.labels

    def _judged(self, output: np.ndarray, labels: np.ndarray) -> np.ndarray:
        if self.function is None:
            return top_hits(output.astype(np.float64), labels, TOP[self.metric.metric])
        whole = self.labels.dtype.kind in "biu" and output.ndim == self.labels.ndim + 1 and output.shape[-1] > 1
        if self.metric.on == "classes" or (self.metric.on is None and whole):
            classes: np.ndarray = np.argmax(output, axis=-1)
            return classes
        return output


def check_metric(name: str) -> None:
    """Look at a metric's name; nothing is imported.

    Raises
    ------
    InputError
        When it is none of those known, and does not name a function.
    """
    where, _, attribute = name.rpartition(":")
    if name not in TOP and not (where and attribute):
        known = ", ".join(TOP)
        raise InputError(f"There is no metric {name!r}.", remedy=f"Known are {known}, or give package.module:function.")


def load_metric(name: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """Import a metric function.

    Parameters
    ----------
    name : str
        ``package.module:function``, or ``path/to/file.py:function``.

    Raises
    ------
    InputError
        When there is no such function.
    """
    check_metric(name)
    where, _, attribute = name.rpartition(":")
    try:
        module = _file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
    except (ImportError, OSError, SyntaxError, ValueError) as error:
        raise InputError(f"The metric {name!r} cannot be imported: {error}.") from error
    function = getattr(module, attribute, None)
    if not callable(function):
        hint = nearest(attribute, [each for each in dir(module) if not each.startswith("_")])
        raise InputError(f"{where} has no function {attribute!r}.", remedy=hint)
    found: Callable[[np.ndarray, np.ndarray], float] = function
    return found


def _file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path.expanduser().absolute())
    if spec is None or spec.loader is None:
        msg = f"{path} is no Python file"
        raise ImportError(msg)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
