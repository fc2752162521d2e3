"""Many inputs for one model, with or without labels: for calibration, for accuracy, and for what a user wants to look at.

One notion for all three. A :class:`DataSource` says where the inputs are and crosses to the worker; a :class:`Dataset` is
the source opened against a model. NumPy only, so that the kernel may open one too.
"""

from __future__ import annotations

import itertools
import zipfile
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import Field, PositiveInt, model_validator

from workbench.errors import InputError, nearest
from workbench.record import Finding, Record
from workbench.runtime.data.arrays import unreadable
from workbench.runtime.data.inputs import check_inputs
from workbench.runtime.data.labels import LABEL_KEYS, read_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from workbench.model.model import Model, TensorSpec

Feeds = dict[str, np.ndarray]

LOOKED_AT = 64  # samples that are looked at for constant inputs where not all are in memory
UNBATCHED = ("seq", "time", "len")  # a first dimension of such a name counts steps, not samples


class Preprocessing(Record):
    """How an image file becomes a model's input: ``(pixel * scale - mean) / std``, pixels from 0 to 255.

    Attributes
    ----------
    size : tuple of int
        Height and width of the input in pixels.
    resize : int or None
        Length in pixels that the shorter side gets first; `size` is then cut from the centre. ``None``: the whole image
        is stretched to `size`.
    mean, std : tuple of float
        For each channel, in the order of `channels`; one number serves all.
    layout : str
        ``NCHW`` or ``NHWC``.
    channels : str
        ``RGB``, ``BGR`` or ``L`` (grey).
    scale : float
        What pixels are multiplied by.
    """

    size: tuple[PositiveInt, PositiveInt]
    resize: PositiveInt | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    channels: Literal["RGB", "BGR", "L"] = "RGB"
    scale: float = 1 / 255

    @model_validator(mode="after")
    def _fits(self) -> Self:
        channels = 1 if self.channels == "L" else 3
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, channels):
                msg = f"{name} has {len(values)} numbers for {channels} channels"
                raise ValueError(msg)
        if 0 in self.std:
            msg = "std must not be 0"
            raise ValueError(msg)
        return self


class DataSource(Record):
    """Where inputs are; it can be sent to a worker and kept with a Run.

    Attributes
    ----------
    path : str
        An ``.npz`` file, or a folder of images.
    labels : str or None
        A key of the ``.npz``, or a file (``.npy``, ``.npz``, ``.csv``, ``.txt``). ``None``: what the source itself says
        (see :func:`open_dataset`).
    limit : int or None
        Use this many samples at most, from the first on.
    preprocessing : Preprocessing or None
        Images need it.
    """

    path: str
    labels: str | None = None
    limit: int | None = Field(default=None, ge=1)
    preprocessing: Preprocessing | None = None


class Dataset(ABC):
    """Inputs for one model, sample by sample.

    Attributes
    ----------
    origin : str
        Where they come from, for the reader.
    names : tuple of str
        The model's inputs, in its order.
    size : int or None
        How many samples there are; ``None`` while nobody knows.
    labels : ndarray or None
        One row a sample.
    """

    origin: str
    names: tuple[str, ...]
    size: int | None
    labels: np.ndarray | None

    def __len__(self) -> int:
        if self.size is None:
            msg = f"{self.origin}: how many samples there are is not known before they are read"
            raise TypeError(msg)
        return self.size

    @abstractmethod
    def batches(self, batch: int = 1) -> Iterator[Feeds]:
        """Yield what to feed, in the samples' order.

        Parameters
        ----------
        batch : int
            Samples in one go, where the model's first dimension is free. The last batch may be smaller. A model of fixed
            batch gets what it takes, and samples that do not fill a last batch are left out.
        """

    def samples_in(self, feeds: Feeds) -> int:
        """Return how many samples a feed of :meth:`batches` holds."""
        array = feeds[self.names[0]]
        return len(array) if array.ndim else 1

    def sample(self, index: int) -> Feeds:
        """Return one feed alone, as :meth:`batches` yields it for a batch of one.

        Raises
        ------
        InputError
            When there is no such sample.
        """
        found = next(itertools.islice(self.batches(1), index, None), None)
        if found is None:
            raise InputError(f"{self.origin}: there is no sample {index}.", remedy="Samples count from 0.")
        return found

    def findings(self) -> list[Finding]:
        """Return what is odd about the inputs: such as one that never changes."""
        low: Feeds = {}
        high: Feeds = {}
        seen = 0
        for feeds in itertools.islice(self.batches(1), LOOKED_AT):
            seen += 1
            for name, array in feeds.items():
                if array.size and array.dtype.kind in "biuf":
                    low[name] = np.minimum(low.get(name, array.min()), array.min())
                    high[name] = np.maximum(high.get(name, array.max()), array.max())
        constant = [name for name in low if low[name] == high[name]]
        return [_constant(self.origin, name, low[name], seen) for name in constant]


def _constant(origin: str, name: str, value: np.ndarray, samples: int) -> Finding:
    return Finding(
        level="warning",
        where=f"input {name}",
        seen=f"{origin}: all elements of {name!r} are {value.item():g} in {samples} sample{'s' * (samples != 1)}",
        meaning="A constant input says nothing of the ranges and errors that real data have, unless it is a mask.",
        action="Check that the file holds the data meant.",
    )


@dataclass(frozen=True)
class ArrayDataset(Dataset):
    """Samples along the first axis of arrays in memory.

    Attributes
    ----------
    arrays : dict of str to ndarray
        One for each input.
    shared : frozenset of str
        Inputs that are fed whole every time: they have no axis of samples.
    fixed : int or None
        The batch that the model insists on; ``None`` where it is free.
    stacked : bool
        Whether the first axis lies before the model's own: each entry is then fed alone, as it is.
    """

    origin: str
    names: tuple[str, ...]
    size: int | None
    labels: np.ndarray | None
    arrays: Feeds
    shared: frozenset[str] = frozenset()
    fixed: int | None = None
    stacked: bool = False

    def batches(self, batch: int = 1) -> Iterator[Feeds]:
        """Yield slices; no copies."""
        assert self.size is not None
        step = 1 if self.stacked else self.fixed or batch
        for start in range(0, self.size, step):
            if self.fixed is None or start + step <= self.size:
                yield {name: self._part(name, start, step) for name in self.names}

    def samples_in(self, feeds: Feeds) -> int:
        """Return how many samples a feed of :meth:`batches` holds."""
        return 1 if self.stacked else len(next(feeds[name] for name in self.names if name not in self.shared))

    def sample(self, index: int) -> Feeds:
        """Return one feed: for a model of fixed batch, the one that starts with the sample."""
        assert self.size is not None
        step = 1 if self.stacked else self.fixed or 1
        if not 0 <= index <= self.size - step:
            raise InputError(f"{self.origin}: there is no sample {index}.", remedy=f"There are {self.size:,}, from 0 on.")
        return {name: self._part(name, index, step) for name in self.names}

    def _part(self, name: str, start: int, step: int) -> np.ndarray:
        array = self.arrays[name]
        if name in self.shared:
            return array
        part: np.ndarray = array[start] if self.stacked else array[start : start + step]
        return part

    def findings(self) -> list[Finding]:
        """Return inputs that never change, over all samples, and samples that fill no batch."""
        found = []
        for name, array in self.arrays.items():
            if array.size and name not in self.shared and array.dtype.kind in "biuf" and array.min() == array.max():
                found.append(_constant(self.origin, name, array.min(), len(self)))
        if self.fixed and not self.stacked and (left := len(self) % self.fixed):
            seen = f"{self.origin}: the last {left} of {len(self):,} samples fill no batch of {self.fixed} and are left out"
            found.append(Finding(level="info", where="data", seen=seen))
        return found


def open_dataset(
    source: DataSource | str | Path | Iterable[object],
    model: Model,
    *,
    labels: str | None = None,
    limit: int | None = None,
    preprocessing: Preprocessing | None = None,
) -> Dataset:
    """Open inputs for a model.

    An ``.npz`` file holds one array for each of the model's inputs, under its name. Either the array's first axis is the
    model's own first axis, and counts samples; or it is one axis more than the model's, and each entry is fed alone. The
    second is for inputs whose first dimension does not count samples: those are otherwise fed whole, each time. Labels
    are looked for under ``label``, ``labels``, ``target``, ``targets`` and ``y``.

    In a folder of images, the files are taken in the order of their names. Where they lie in subfolders, each subfolder
    is a class, counted from 0 in the order of the names.

    A Python iterator yields a dict of arrays for one feed, or ``(dict, labels)``; a model of one input takes an array in
    place of the dict. An array of one dimension less than the model's is one sample.

    Parameters
    ----------
    source : DataSource, path or iterable
        The inputs.
    model : Model
        What they must fit.
    labels, limit, preprocessing
        As in :class:`DataSource`, whose own are used where `source` is one.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        When the source cannot be read, does not fit the model, or has not as many labels as samples.
    Unavailable
        When Pillow is needed for images and is missing.
    """
    if isinstance(source, (str, Path)):
        source = DataSource(path=str(source), labels=labels, limit=limit, preprocessing=preprocessing)
    if not isinstance(source, DataSource):
        from workbench.runtime.data.stream import StreamDataset

        return StreamDataset(source, model, limit)
    path = Path(source.path).expanduser()
    if path.is_dir():
        from workbench.runtime.data.images import open_images

        return open_images(path, source, model)
    return _open_npz(path, source, model)


def _open_npz(path: Path, source: DataSource, model: Model) -> Dataset:
    arrays, labels = _read_npz(path, [spec.name for spec in model.inputs], source.labels)
    return array_dataset(arrays, model, origin=path.name, labels=labels, limit=source.limit)


def _read_npz(path: Path, names: list[str], labels: str | None) -> tuple[Feeds, np.ndarray | None]:
    """Return the arrays of the model's inputs, and the labels; other arrays are not read."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            keys = list(file.files)
            arrays = {name: file[name] for name in names if name in keys}
            key = labels or next((k for k in LABEL_KEYS if k in keys and k not in names), None)
            found = file[key] if key in keys else None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise unreadable(path, error) from error
    for name in names:
        if name not in arrays:
            hint = f"It holds {sorted(keys)}. {nearest(name, keys)}".rstrip()
            raise InputError(f"{path}: no array for input {name!r}.", remedy=hint)
    if labels is not None and found is None:
        found = read_labels(labels, keys, path)
    return arrays, found


def array_dataset(
    arrays: Feeds, model: Model, *, origin: str, labels: np.ndarray | None = None, limit: int | None = None
) -> ArrayDataset:
    """Return arrays in memory as a data set; the rules are those of ``.npz`` files (see :func:`open_dataset`).

    Raises
    ------
    InputError
        When they do not fit the model, or have not as many labels as samples.
    """
    specs = {spec.name: spec for spec in model.inputs}
    stacked = any(_is_stacked(specs[name], array) for name, array in arrays.items())
    leading = None if stacked else batch_dimension(model)
    sampled = [n for n, a in arrays.items() if (_is_stacked(specs[n], a) if stacked else _leads(specs[n], leading) and a.ndim)]
    size = _samples(origin, {name: arrays[name] for name in sampled})
    fixed = leading if isinstance(leading, int) and not stacked else None
    if not stacked and not sampled:
        arrays, sampled, stacked = {name: array[None] for name, array in arrays.items()}, list(arrays), True
    shared = frozenset(set(arrays) - set(sampled))
    if labels is not None and labels.shape[:1] != (size,):
        raise InputError(
            f"{origin}: there are {labels.shape[0] if labels.ndim else 'no'} labels for {size:,} samples.",
            remedy="One label for each sample is needed, in the samples' order.",
        )
    size = min(size, limit or size)
    if size < (fixed or 1):
        need = f"the model takes {fixed} at a time" if fixed else "at least one is needed"
        raise InputError(f"{origin}: there are {size} samples; {need}.")
    arrays = {name: array if name in shared else array[:size] for name, array in arrays.items()}
    labels = None if labels is None else labels[:size]
    found = ArrayDataset(origin, tuple(specs), size, labels, arrays, shared, fixed, stacked)
    check_inputs(found.sample(0), model, origin)
    return found


def _is_stacked(spec: TensorSpec, array: np.ndarray) -> bool:
    return spec.shape is not None and array.ndim == len(spec.shape) + 1


def _leads(spec: TensorSpec, leading: int | str | None) -> bool:
    return bool(spec.shape) and (spec.shape or (None,))[0] == leading and not counts_steps(leading)


def batch_dimension(model: Model) -> int | str | None:
    """Return the first dimension that most inputs share: a symbol's name, the number that the model insists on, or None."""
    leading = Counter(spec.shape[0] for spec in model.inputs if spec.shape)
    return leading.most_common(1)[0][0] if leading else None


def counts_steps(dimension: int | str | None) -> bool:
    """Whether a first dimension is named after steps in time rather than samples."""
    return isinstance(dimension, str) and any(word in dimension.lower() for word in UNBATCHED)


def _samples(origin: str, arrays: Feeds) -> int:
    sizes = {name: array.shape[0] for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name!r} {size:,}" for name, size in sizes.items())
        raise InputError(
            f"{origin}: inputs have different numbers of samples: {shown}.",
            remedy="The first axis counts samples; it must be as long in all.",
        )
    return next(iter(sizes.values()), 1)
