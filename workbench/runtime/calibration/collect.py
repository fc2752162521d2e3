"""Run a model on samples and find the ranges of its activations. Imported by a process of its own only."""

from __future__ import annotations

import contextlib
import importlib
import io
import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import Unavailable
from workbench.measure.calibration import (
    OUTLIER_PERCENTILE,
    SHOWN_BINS,
    Method,
    SettlingPoint,
    TensorCalibration,
    Threshold,
    coarsened,
    magnitudes,
    percentile_of,
    share_beyond,
)
from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.placement.records import CPU, CUDA
from workbench.runtime.calibration.augment import augmented
from workbench.runtime.calibration.judge import findings_of
from workbench.runtime.calibration.records import Answer, Errand, Progress
from workbench.runtime.calibration.statistics import BINS, Histogram, Seen, Statistics
from workbench.runtime.data.dataset import open_dataset
from workbench.runtime.failures import told
from workbench.runtime.libraries.prerequisites import require
from workbench.runtime.session import exceptions_of, load_onnxruntime, refuse_others

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workbench.runtime.data.dataset import Dataset

PERCENTILE = 99.99  # what TensorRT users start from; the library's default of 99.999 clips next to nothing
QUANTISED_BINS = 128
ENTROPY_BINS = 1024  # the library's search takes a time that grows with the square: 0.2 s a tensor at 1,024 bins
SILENT = 4


def collect(errand: Errand, report: Callable[[Progress], None]) -> Answer:
    """Do an errand.

    Parameters
    ----------
    errand : Errand
        What to do.
    report : callable
        Called with each :class:`Progress`.

    Raises
    ------
    WorkbenchError
        When the model cannot be run, or the data do not fit it.
    """
    ort, calibrate = _libraries(errand.provider)
    model = Model.load(errand.model)
    dataset = open_dataset(errand.source, model)
    collector = _collector(calibrate)
    statistics = Statistics(collector)
    state = Path(errand.state)
    resumed = statistics.samples if statistics.load(state) else 0
    if not resumed:
        statistics = Statistics(collector := _collector(calibrate))
    report(Progress(stage="collecting", done=resumed, total=dataset.size, resumed=resumed))
    with tempfile.TemporaryDirectory(prefix="workbench-calibration-") as folder:
        source, names = augmented(model.path, Path(folder))
        _feed(errand, dataset, statistics, _runner(ort, errand, source, names), report)
    statistics.mark()
    statistics.save(state)
    tensors = _tensors(errand, names, statistics, calibrate, report)
    findings = (*dataset.findings(), *findings_of(tensors, model, statistics.samples))
    return Answer(
        data=dataset.origin,
        samples=statistics.samples,
        resumed=resumed,
        onnxruntime=ort.__version__,
        tensors=tensors,
        findings=findings,
    )


def _libraries(provider: str) -> tuple[Any, Any]:
    ort = load_onnxruntime(provider)
    require(ort, Settings.model_validate({"provider": provider}))
    try:
        return ort, importlib.import_module("onnxruntime.quantization.calibrate")
    except ImportError as error:
        raise Unavailable(f"onnxruntime.quantization cannot be imported: {error}.", remedy="Install what it names.") from error


def _collector(calibrate: Any, method: Method = "entropy", *, symmetric: bool = False) -> Any:  # noqa: ANN401
    return calibrate.HistogramCollector(
        method=method,
        symmetric=symmetric,
        num_bins=BINS,
        num_quantized_bins=QUANTISED_BINS,
        percentile=PERCENTILE,
        scenario="same",
    )


def _runner(ort: Any, errand: Errand, source: bytes | str, names: list[str]) -> Callable[..., dict[str, np.ndarray]]:  # noqa: ANN401
    """Return what gives the activations for a feed."""
    errors = exceptions_of(ort)
    options = ort.SessionOptions()
    # Without optimisation all tensors of the file are there, as in the library's calibrators
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = SILENT
    providers = [CPU] if errand.provider == "cpu" else [CUDA, CPU]
    with told(errors, "load"):
        session = ort.InferenceSession(source, options, providers=providers, enable_fallback=0)
    refuse_others(session.get_providers(), providers, "")
    outputs = [output.name for output in session.get_outputs() if output.name in set(names)]

    def run(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        with told(errors, "run"):
            found = dict(zip(outputs, session.run(outputs, dict(feeds)), strict=True))
        arrays = {name: feeds[name] if name in feeds else found.get(name) for name in names}
        return {name: a for name, a in arrays.items() if isinstance(a, np.ndarray) and a.dtype.kind == "f"}

    return run


def _feed(
    errand: Errand,
    dataset: Dataset,
    statistics: Statistics,
    run: Callable[..., dict[str, np.ndarray]],
    report: Callable[[Progress], None],
) -> None:
    """Let the samples that are still to do through the model."""
    resumed = saved = statistics.samples
    for feeds in itertools.islice(dataset.batches(errand.batch), statistics.feeds, None):
        statistics.add(run(feeds), samples_in(feeds, dataset))
        if statistics.samples - saved >= errand.save_every:
            statistics.save(Path(errand.state))
            saved = statistics.samples
        report(Progress(stage="collecting", done=statistics.samples, total=dataset.size, resumed=resumed))


def samples_in(feeds: Mapping[str, np.ndarray], dataset: Dataset) -> int:
    """Return how many samples a feed holds."""
    shared: frozenset[str] = getattr(dataset, "shared", frozenset())
    leading = [array.shape[0] for name, array in feeds.items() if name not in shared and array.ndim]
    return 1 if getattr(dataset, "stacked", False) or not leading else leading[0]


def _tensors(
    errand: Errand, names: list[str], statistics: Statistics, calibrate: Any, report: Callable[[Progress], None]  # noqa: ANN401
) -> tuple[TensorCalibration, ...]:  # fmt: skip
    found = []
    names = [name for name in names if name in statistics.seen]
    known: dict[tuple[object, ...], list[tuple[Method, float]]] = {}  # what only moves a tensor makes another with its numbers
    for done, name in enumerate(names):
        report(Progress(stage="thresholds", done=done, total=len(names)))
        held = statistics.collector.histogram_dict.get(name)
        seen = statistics.seen[name]
        settling = tuple(SettlingPoint(samples=s, amax=a) for s, a in zip(statistics.marks, seen.growth, strict=True))
        if held is None:
            found.append(TensorCalibration(name=name, not_finite=seen.not_finite, settling=settling))
            continue
        same = (np.asarray(held[0]).tobytes(), float(held[1][-1]), seen.low, seen.high)
        if same not in known:
            known[same] = [_threshold(calibrate, method, seen, held) for method in errand.methods]
        found.append(_tensor(name, seen, held, settling, known[same]))
    return tuple(found)


def _tensor(
    name: str, seen: Seen, held: Histogram, settling: tuple[SettlingPoint, ...], thresholds: list[tuple[Method, float]]
) -> TensorCalibration:
    size, limit = magnitudes(held[0]), float(held[1][-1])
    shown, end = coarsened(np.asarray(held[0], dtype=np.int64), limit, SHOWN_BINS)
    percentile = percentile_of(size, limit, OUTLIER_PERCENTILE)
    return TensorCalibration(
        name=name,
        low=seen.low,
        high=seen.high,
        elements=seen.elements,
        not_finite=seen.not_finite,
        limit=end,
        counts=tuple(shown.tolist()),
        p999=None if percentile is None else min(percentile, seen.amax),
        thresholds=tuple(
            Threshold(method=method, amax=amax, clipped=0.0 if amax >= seen.amax else share_beyond(size, limit, amax))
            for method, amax in thresholds
        ),
        settling=settling,
    )


def _threshold(calibrate: Any, method: Method, seen: Seen, held: Histogram) -> tuple[Method, float]:  # noqa: ANN401
    """Return a method's largest magnitude, by the library but for the minimum and maximum."""
    if method == "minmax" or not seen.amax:
        return method, seen.amax
    counts, limit = np.asarray(held[0], dtype=np.int64), float(held[1][-1])
    ends = np.float32(seen.low), np.float32(seen.high)
    collector = _collector(calibrate, method, symmetric=True)
    if method == "percentile":
        # Of the magnitudes: cutting both ends of the numbers alike would clip a tensor that is positive twice as much
        size = magnitudes(counts)
        edges = np.linspace(0, limit, size.size + 1, dtype=np.float32)
        collector.histogram_dict["x"] = (size, edges, np.float32(-seen.amax), np.float32(seen.amax))
    else:
        if method == "entropy":
            counts, limit = coarsened(counts, limit, ENTROPY_BINS)
        edges = np.linspace(-limit, limit, counts.size + 1, dtype=np.float32)
        collector.histogram_dict["x"] = (counts, edges, *ends, np.float32(limit))
    # The library's means and powers leave float32's range for tensors that reach its ends; its thresholds do not
    with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        found = collector.compute_collection_result()["x"]
    low, high = (found.lowest, found.highest) if method == "distribution" else found[:2]
    if method == "percentile":  # the library gives the lower end of the bin that the percentile lies in
        high += edges[1]
    return method, min(max(abs(float(low)), abs(float(high))), seen.amax)
