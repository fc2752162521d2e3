"""What the samples of a data set are: read from a file, and checked."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np

from workbench.errors import InputError, nearest

LABEL_KEYS = ("label", "labels", "target", "targets", "y")


def read_labels(labels: str, keys: list[str], beside: Path) -> np.ndarray:
    """Read labels from a file of their own.

    Parameters
    ----------
    labels : str
        The path: ``.npy``, ``.npz`` with one array or one called as in ``LABEL_KEYS``, or text with one label a line.
    keys : list of str
        The arrays that the data's own file has, one of which may have been meant.
    beside : Path
        The data, for messages.

    Returns
    -------
    ndarray, shape (n_samples, ...)

    Raises
    ------
    InputError
        When there is no such key or file, or the file cannot be read.
    """
    path = Path(labels).expanduser()
    if not path.is_file():
        hint = f"It holds {sorted(keys)}. {nearest(labels, keys)}".rstrip() if keys else "Check the path."
        raise InputError(f"{beside}: {labels!r} is neither an array in it nor a file with labels.", remedy=hint)
    try:
        return _read(path)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, csv.Error) as error:
        remedy = "Give an .npy or .npz file, or a text file with one label a line."
        raise InputError(f"{path}: labels cannot be read from it: {error}.", remedy=remedy) from error


def _read(path: Path) -> np.ndarray:
    if path.suffix not in (".npy", ".npz"):
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return as_numbers(lines)
    with path.open("rb") as opened:
        loaded = np.load(opened, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded as file:
            key = next((k for k in LABEL_KEYS if k in file.files), None)
            if key is None and len(file.files) != 1:
                msg = f"it holds {sorted(file.files)}, none of which is called {', '.join(LABEL_KEYS)}"
                raise ValueError(msg)
            array: np.ndarray = file[key or file.files[0]]
            return array


def as_numbers(texts: list[str]) -> np.ndarray:
    """Return labels as whole numbers, as other numbers, or as the texts that they are."""
    for kind in (np.int64, np.float64):
        try:
            return np.array([kind(text) for text in texts])
        except ValueError:
            continue
    return np.array(texts)


def read_named_labels(path: Path, names: list[str]) -> np.ndarray:
    """Read labels of files: ``name,label`` a line, in any order, or one label a line in the order of the names.

    Raises
    ------
    InputError
        When a file has no label, or the file of labels cannot be read.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: labels cannot be read from it: {error}.") from error
    if not all(len(row) == 2 for row in rows):
        return read_labels(str(path), [], path)
    given = {row[0].strip(): row[1].strip() for row in rows}
    missing = [name for name in names if name not in given]
    if missing:
        raise InputError(f"{path}: there is no label for {missing[0]!r}, and {len(missing) - 1} more files.")
    return as_numbers([given[name] for name in names])
