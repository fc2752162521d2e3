"""Task accuracy: how often a model is right on labelled data, and whether it lost some of that."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from workbench.errors import InputError
from workbench.measure.interval import Interval, matched_difference, mcnemar, resampled, wilson
from workbench.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable

TOP = {"top1": 1, "top5": 5}
LOWER_IS_BETTER = ("_error", "_loss", "_deviance")  # scikit-learn's convention for names of metrics
RESAMPLES = 300
WRONG_KEPT = 20


class TaskMetric(Record):
    """What is meant by being right.

    Attributes
    ----------
    metric : str
        ``top1``, ``top5``, or a function ``package.module:function`` that takes ``(y_true, y_pred)`` and returns a
        number, as the functions of ``sklearn.metrics`` do.
    output : str or None
        The output that predicts; ``None``: the first with a row of at least two scores for each sample, or the first.
    on : str or None
        What a function gets: ``classes`` (the place of the largest score) or ``scores``. ``None``: classes where labels
        are whole numbers and the output has one dimension more than they.
    """

    metric: str = "top1"
    output: str | None = None
    on: Literal["classes", "scores"] | None = None


class TaskAccuracy(Record):
    """How often a model is right, against the reference on the same data.

    Attributes
    ----------
    metric, output : str
        What was measured, and on which output.
    value : float
        The metric; top-1 and top-5 are shares from 0 to 1.
    interval : Interval or None
        Of the value: Wilson's for shares, a bootstrap over inputs for functions.
    samples : int
        How many labelled samples.
    reference : str
        What the reference is; empty without one.
    reference_value : float or None
        Its metric on the same samples.
    difference : float or None
        Value minus the reference's.
    difference_interval : Interval or None
        Of the difference, sample by sample.
    p_value : float or None
        Of McNemar's exact test that both are right equally often; shares only.
    only_here, only_reference : int or None
        Samples that are right here alone, and in the reference alone; shares only.
    wrong : tuple of int
        Samples that are wrong here, first those that the reference has right; shares only, the first 20.
    """

    metric: str
    output: str
    value: float
    interval: Interval | None
    samples: int
    reference: str = ""
    reference_value: float | None = None
    difference: float | None = None
    difference_interval: Interval | None = None
    p_value: float | None = None
    only_here: int | None = None
    only_reference: int | None = None
    wrong: tuple[int, ...] = ()

    @property
    def drop(self) -> float | None:
        """Points (hundredths) lost against the reference; negative where some were won, ``None`` without a reference."""
        if self.difference is None:
            return None
        return 100 * (self.difference if self.metric.endswith(LOWER_IS_BETTER) else -self.difference)


def check_labels(labels: np.ndarray, samples: int, classes: int | None = None) -> np.ndarray:
    """Return labels that fit, as they are needed.

    Parameters
    ----------
    labels : ndarray, shape (n_samples,) or (n_samples, 1)
        What is right.
    samples : int
        How many samples there are.
    classes : int, optional
        How many classes the model tells apart; labels are then class numbers from 0.

    Raises
    ------
    InputError
        When there are more or fewer labels than samples, or one is no class of the model.
    """
    if labels.shape[:1] != (samples,):
        raise InputError(
            f"There are {labels.shape[0] if labels.ndim else 'no'} labels for {samples:,} samples.",
            remedy="One label for each sample is needed, in the samples' order.",
        )
    if classes is None:
        return labels
    if labels.ndim > 1 and labels.shape[1:] == (1,) * (labels.ndim - 1):
        labels = labels.reshape(samples)
    whole = labels.dtype.kind in "biu" or (labels.dtype.kind == "f" and bool(np.all(labels == np.floor(labels))))
    if labels.ndim != 1 or not whole:
        raise InputError(
            f"Labels of shape {labels.shape} and type {labels.dtype} are no class numbers.",
            remedy=f"Give one whole number from 0 to {classes - 1} for each sample.",
        )
    odd = np.flatnonzero((labels < 0) | (labels >= classes))
    if odd.size:
        raise InputError(
            f"Label {labels[odd[0]]:g} of sample {odd[0]} is no class of the model, which has {classes} (0 to {classes - 1}); "
            f"{odd.size:,} of {samples:,} labels are not.",
            remedy="Count classes from 0, as the model's output does.",
        )
    return labels.astype(np.int64)


def top_hits(scores: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Return for each sample whether its class is among the `k` largest scores, shape (n_samples,).

    A class shares its place with all that score the same: it counts as found only where fewer than `k` scores are as
    large, so that a constant output finds nothing. NaN is never right.
    """
    own = scores[np.arange(len(labels)), labels][:, None]
    larger = (scores > own).sum(axis=1) + ((scores == own).sum(axis=1) - 1)
    found: np.ndarray = (larger < k) & np.isfinite(own[:, 0]) & ~np.isnan(scores).any(axis=1)
    return found


def shares(metric: str, output: str, hits: np.ndarray, reference_hits: np.ndarray | None, reference: str) -> TaskAccuracy:
    """Return the share of samples that are right, with Wilson's interval and the paired difference.

    Parameters
    ----------
    metric, output, reference : str
        As in :class:`TaskAccuracy`.
    hits, reference_hits : ndarray of bool, shape (n_samples,)
        Which samples are right, here and in the reference.
    """
    samples = len(hits)
    found = TaskAccuracy(
        metric=metric,
        output=output,
        value=float(hits.mean()),
        interval=wilson(int(hits.sum()), samples),
        samples=samples,
        wrong=_first_wrong(hits, reference_hits),
    )
    if reference_hits is None:
        return found
    here, there = int((hits & ~reference_hits).sum()), int((reference_hits & ~hits).sum())
    return found.model_copy(
        update={
            "reference": reference,
            "reference_value": float(reference_hits.mean()),
            "difference": (here - there) / samples,
            "difference_interval": matched_difference(there, here, samples),
            "p_value": mcnemar(here, there),
            "only_here": here,
            "only_reference": there,
        }
    )


def _first_wrong(hits: np.ndarray, reference_hits: np.ndarray | None) -> tuple[int, ...]:
    wrong = np.flatnonzero(~hits)
    if reference_hits is not None:
        wrong = wrong[np.argsort(~reference_hits[wrong], kind="stable")]
    return tuple(wrong[:WRONG_KEPT].tolist())


def scored(  # noqa: PLR0913, PLR0917
    metric: TaskMetric,
    function: Callable[[np.ndarray, np.ndarray], float],
    output: str,
    labels: np.ndarray,
    predicted: np.ndarray,
    reference_predicted: np.ndarray | None,
    reference: str,
) -> TaskAccuracy:
    """Return what a metric function says, with bootstrap intervals of the value and of the paired difference.

    Raises
    ------
    InputError
        When the function fails on the data, or returns no finite number.
    """
    value = _call(metric.metric, function, labels, predicted)
    samples = len(labels)

    def one(rows: np.ndarray) -> float:
        return _or_nan(function, labels[rows], predicted[rows])

    found = TaskAccuracy(
        metric=metric.metric,
        output=output,
        value=value,
        interval=resampled(one, samples, resamples=RESAMPLES),
        samples=samples,
    )
    if reference_predicted is None:
        return found

    def pair(rows: np.ndarray) -> float:
        return one(rows) - _or_nan(function, labels[rows], reference_predicted[rows])

    before = _call(metric.metric, function, labels, reference_predicted)
    return found.model_copy(
        update={
            "reference": reference,
            "reference_value": before,
            "difference": value - before,
            "difference_interval": resampled(pair, samples, resamples=RESAMPLES),
        }
    )


# What a user's metric may reasonably raise on data that do not suit it
RAISED = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RuntimeError, AssertionError)


def _call(name: str, function: Callable[[np.ndarray, np.ndarray], float], labels: np.ndarray, predicted: np.ndarray) -> float:
    try:
        value = float(function(labels, predicted))
    except RAISED as error:
        raise InputError(
            f"The metric {name} failed on labels {labels.dtype} {labels.shape} and predictions {predicted.dtype} "
            f"{predicted.shape}: {error}.",
            remedy="It is called as metric(y_true, y_pred); say whether y_pred are classes or scores.",
        ) from error
    if not math.isfinite(value):
        raise InputError(f"The metric {name} returned {value}; expected a finite number.")
    return value


def _or_nan(function: Callable[[np.ndarray, np.ndarray], float], labels: np.ndarray, predicted: np.ndarray) -> float:
    try:
        return float(function(labels, predicted))
    except RAISED:
        return math.nan
