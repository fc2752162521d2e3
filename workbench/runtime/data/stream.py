"""A Python iterator as a data set, and any data set written to a file that a worker can open."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from workbench.errors import InputError
from workbench.record import Finding
from workbench.runtime.data.dataset import Dataset, DataSource, Feeds, batch_dimension, counts_steps
from workbench.runtime.data.inputs import check_inputs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.model.model import Model


class StreamDataset(Dataset):
    """What a Python iterator yields; `labels` are those of the samples read so far.

    Parameters
    ----------
    items : iterable
        Of feeds (see :func:`~workbench.runtime.data.dataset.open_dataset`). An iterator can be read only once; a list, or an
        object whose ``__iter__`` begins anew, as often as needed.
    model : Model
        What they must fit.
    limit : int, optional
        Read this many feeds at most.
    """

    def __init__(self, items: Iterable[object], model: Model, limit: int | None) -> None:
        self.items, self.model, self.limit = items, model, limit
        self.origin = "the iterator"
        self.names = tuple(spec.name for spec in model.inputs)
        self.size = None
        self.labels = None
        self._spent = False

    def batches(self, batch: int = 1) -> Iterator[Feeds]:  # noqa: ARG002
        """Yield the feeds as the iterator gives them, whatever their batch.

        Raises
        ------
        InputError
            When an item does not fit the model, or an iterator that can be read once is read again.
        """
        if self._spent:
            raise InputError("The iterator has been read already.", remedy="Give a list, or write its data to an .npz file.")
        self._spent = isinstance(self.items, Iterator)
        labels: list[np.ndarray] = []
        count = 0
        for item in itertools.islice(self.items, self.limit):
            feeds, label = self._feeds(item, count)
            if label is not None:
                labels.append(label)
            count += 1
            yield feeds
        if labels and len(labels) != count:
            raise InputError(f"The iterator gave labels with {len(labels)} of {count} items.", remedy="Give all, or none.")
        self.labels = np.concatenate(labels) if labels else None

    def findings(self) -> list[Finding]:
        """Return nothing for an iterator that can be read only once."""
        return [] if isinstance(self.items, Iterator) else super().findings()

    def _feeds(self, item: Any, index: int) -> tuple[Feeds, np.ndarray | None]:  # noqa: ANN401
        origin = f"item {index} of the iterator"
        label = None
        if isinstance(item, tuple):
            if len(item) != 2:
                raise InputError(f"{origin} is a tuple of {len(item)}; expected inputs, or inputs and labels.")
            item, label = item[0], np.atleast_1d(np.asarray(item[1]))
        if not isinstance(item, Mapping):
            if len(self.names) != 1:
                raise InputError(f"{origin} is no dict; the model has the inputs {', '.join(self.names)}.")
            item = {self.names[0]: item}
        ranks = {spec.name: spec.shape for spec in self.model.inputs}
        arrays = {str(name): _batched(np.asarray(array), ranks.get(str(name))) for name, array in item.items()}
        return {i.name: i.array for i in check_inputs(arrays, self.model, origin)}, label


def _batched(array: np.ndarray, shape: tuple[object, ...] | None) -> np.ndarray:
    return array[None] if shape is not None and array.ndim == len(shape) - 1 else array


def write_dataset(dataset: Dataset, model: Model, path: Path) -> DataSource:
    """Write a data set to an ``.npz`` file, sample after sample, so that a worker can open what only Python can make.

    Parameters
    ----------
    dataset : Dataset
        Read once, from the start; never held in memory as a whole.
    model : Model
        What it feeds.
    path : Path
        The file to write; replaced where there is one.

    Returns
    -------
    DataSource
        The file, with the labels in it.

    Raises
    ------
    InputError
        When the data set is empty, or its feeds differ in more than their first dimension.
    """
    leading = batch_dimension(model)
    stack = counts_steps(leading) or any((spec.shape or (None,))[0] != leading for spec in model.inputs)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        columns = {name: _Column(Path(folder) / str(at)) for at, name in enumerate(dataset.names)}
        for feeds in dataset.batches(1):
            for name, array in feeds.items():
                columns[name].add(name, array[None] if stack else array)
        if not all(column.rows for column in columns.values()):
            raise InputError(f"{dataset.origin}: it holds no sample.")
        part = Path(folder) / "data.npz"
        with zipfile.ZipFile(part, "w", allowZip64=True) as archive:
            for name, column in columns.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    column.write(file)
            if dataset.labels is not None:
                with archive.open("labels.npy", "w") as file:
                    np.lib.format.write_array(file, dataset.labels, allow_pickle=False)
        part.replace(path)
    return DataSource(path=str(path), labels="labels" if dataset.labels is not None else None)


class _Column:
    """The bytes of one input, gathered in a file of their own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self.shape: tuple[int, ...] = ()
        self.dtype = np.dtype(np.float32)

    def add(self, name: str, array: np.ndarray) -> None:
        if self.rows and (array.shape[1:] != self.shape or array.dtype != self.dtype):
            raise InputError(
                f"Input {name!r} is {array.dtype} {list(array.shape[1:])} in one feed and {self.dtype} {list(self.shape)} "
                "in another.",
                remedy="One file needs samples of one shape: pad or resize them.",
            )
        self.shape, self.dtype = array.shape[1:], array.dtype
        self.rows += array.shape[0]
        with self.path.open("ab") as file:
            file.write(np.ascontiguousarray(array).tobytes())

    def write(self, file: IO[bytes]) -> None:
        header = {
            "descr": np.lib.format.dtype_to_descr(self.dtype),
            "fortran_order": False,
            "shape": (self.rows, *self.shape),
        }
        np.lib.format.write_array_header_2_0(file, header)
        with self.path.open("rb") as source:
            shutil.copyfileobj(source, file)
