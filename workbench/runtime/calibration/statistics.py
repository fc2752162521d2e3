"""What is kept of each tensor while samples go through: extremes, a histogram, and how the range grew.

The histograms are those of onnxruntime.quantization's own collector, fed batch by batch: its calibrators hold the raw
outputs of all samples in memory instead, and cannot be resumed. All that later steps use can be written to a file and
read again without a difference, so that a resumed calibration ends with the same numbers.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.measure.calibration import coarsened, marks

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1
BINS = 2048  # of a tensor's first histogram, as in the library's percentile calibrator
MOST_BINS = 8192  # a histogram that would grow beyond is made coarser: a first sample near zero would give millions

# counts, edges, least, greatest, and where the edges end: the library's tuple
Histogram = tuple[np.ndarray, np.ndarray, Any, Any, Any]


@dataclass(slots=True)
class Seen:
    """What was seen of one tensor so far."""

    low: float = np.inf
    high: float = -np.inf
    elements: int = 0
    not_finite: int = 0
    growth: list[float] = field(default_factory=list)

    @property
    def amax(self) -> float:
        """The largest magnitude; 0 where nothing was seen."""
        return max(abs(self.low), abs(self.high)) if self.elements else 0.0


class Statistics:
    """What was seen of all tensors so far.

    Parameters
    ----------
    collector : onnxruntime.quantization.calibrate.HistogramCollector
        Whose histograms are used.
    """

    def __init__(self, collector: Any) -> None:  # noqa: ANN401
        self.collector = collector
        self.samples = 0
        self.feeds = 0
        self.marks: list[int] = []
        self.seen: dict[str, Seen] = {}

    def add(self, arrays: Mapping[str, np.ndarray], samples: int) -> None:
        """Take in what the tensors hold for one feed."""
        for name, array in arrays.items():
            self._add(name, array)
        self.samples += samples
        self.feeds += 1
        if not self.marks or self.samples >= marks(self.marks[-1]):
            self.mark()

    def mark(self) -> None:
        """Note how wide the ranges are now."""
        if self.marks and self.marks[-1] == self.samples:
            return
        for seen in self.seen.values():
            seen.growth += [0.0] * (len(self.marks) - len(seen.growth)) + [seen.amax]
        self.marks.append(self.samples)

    def _add(self, name: str, array: np.ndarray) -> None:
        seen = self.seen.setdefault(name, Seen())
        values = np.asarray(array, dtype=np.float32).ravel()
        finite = values[np.isfinite(values)]
        seen.not_finite += values.size - finite.size
        if not finite.size:
            return
        seen.elements += finite.size
        seen.low, seen.high = min(seen.low, float(finite.min())), max(seen.high, float(finite.max()))
        self._make_room(name, seen.amax)
        # float32 cannot divide a range that ends near its largest number, as of a mask, or near its smallest
        self.collector.collect_value({name: finite.astype(np.float64)})

    def _make_room(self, name: str, amax: float) -> None:
        """Make a histogram coarser until it can grow to a magnitude without too many bins."""
        held = self.collector.histogram_dict.get(name)
        if held is None or not held[4]:
            return
        counts, limit, kind = held[0], float(held[4]), held[1].dtype
        if amax > limit * MOST_BINS / 2:  # all so far is next to zero
            half = counts.size // 2
            middle = [counts[:half].sum(), counts[half:].sum()]
            counts, limit = np.pad(np.array(middle, dtype=np.int64), BINS // 2 - 1), amax
        while counts.size * (max(amax, limit) / limit) > MOST_BINS and counts.size > 2:
            counts, limit = coarsened(counts, limit, counts.size - 1)
        if counts is not held[0]:
            edges = np.linspace(-limit, limit, counts.size + 1).astype(kind)
            self.collector.histogram_dict[name] = (counts, edges, held[2], held[3], kind.type(limit))

    def save(self, path: Path) -> None:
        """Write everything to a file, at once or not at all."""
        names = list(self.seen)
        seen = [self.seen[name] for name in names]
        held: list[Histogram | None] = [self.collector.histogram_dict.get(name) for name in names]
        parts = [h for h in held if h is not None]
        arrays: dict[str, Any] = {
            "format": np.array(FORMAT),
            "progress": np.array([self.samples, self.feeds]),
            "marks": np.array(self.marks, dtype=np.int64),
            "names": np.array(names, dtype=np.str_),
            "extremes": np.array([[s.low, s.high] for s in seen], dtype=np.float64).reshape(-1, 2),
            "numbers": np.array([[s.elements, s.not_finite, len(s.growth)] for s in seen], dtype=np.int64).reshape(-1, 3),
            "growth": np.array([value for s in seen for value in s.growth], dtype=np.float64),
            "bins": np.array([0 if h is None else h[0].size for h in held], dtype=np.int64),
            "counts": np.concatenate([np.zeros(0, np.int64), *(np.asarray(h[0], dtype=np.int64) for h in parts)]),
            "edges": np.concatenate([np.zeros(0), *(h[1].astype(np.float64) for h in parts)]),
            "ends": np.array([[float(v) for v in h[2:]] for h in parts], dtype=np.float64).reshape(-1, 3),
            "types": np.array([[np.asarray(v).dtype.str for v in h[1:]] for h in parts], dtype=np.str_).reshape(-1, 4),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **arrays)
            Path(part).replace(path)
        finally:
            Path(part).unlink(missing_ok=True)

    def load(self, path: Path) -> bool:
        """Read what an earlier run wrote; return whether there was something that can be read."""
        try:
            with np.load(path, allow_pickle=False) as file:
                data = {key: file[key] for key in file.files}
            if int(data["format"]) != FORMAT:
                return False
            self._restore(data)
        except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile):
            return False
        return True

    def _restore(self, data: Mapping[str, np.ndarray]) -> None:
        self.samples, self.feeds = (int(value) for value in data["progress"])
        self.marks = [int(value) for value in data["marks"]]
        growth, counts, edges = iter(data["growth"].tolist()), data["counts"], data["edges"]
        ends, types = iter(data["ends"]), iter(data["types"])
        at = edge = 0
        for name, (low, high), (elements, odd, points), size in zip(
            data["names"].tolist(), data["extremes"].tolist(), data["numbers"].tolist(), data["bins"].tolist(), strict=True
        ):
            self.seen[name] = Seen(low, high, elements, odd, [next(growth) for _ in range(points)])
            if size:
                kinds = [np.dtype(kind) for kind in next(types)]
                scalars = [kind.type(value) for kind, value in zip(kinds[1:], next(ends), strict=True)]
                held = (counts[at : at + size].copy(), edges[edge : edge + size + 1].astype(kinds[0]), *scalars)
                self.collector.histogram_dict[name] = held
                at, edge = at + size, edge + size + 1
