"""Arrays under names of any kind in an ``.npz`` file, and a fingerprint of arrays."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

INPUTS = "sha256 of the inputs"  # beside outputs: what they were computed from


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an ``.npz`` file; unlike ``numpy.savez`` a name may be that of one of its parameters. Appears whole or not at all.

    Raises
    ------
    OSError
        When it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with zipfile.ZipFile(part, "w", allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
    part.replace(path)


def unreadable(path: Path, error: Exception) -> InputError:
    """Return the error for a file that is no ``.npz``; NumPy's own words propose to unpickle it, which runs what is in it."""
    reason = "it is another kind of file, or holds Python objects" if "pickle" in str(error) else str(error).rstrip(".")
    return InputError(f"{path}: cannot be read as .npz: {reason}.", remedy="Write it with numpy.savez.")


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an ``.npz`` file.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise unreadable(path, error) from error


class Fingerprint:
    """A SHA-256 over the feeds of a model, in their order."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, feeds: Mapping[str, np.ndarray]) -> None:
        """Take one more feed."""
        for name in sorted(feeds):
            array = np.ascontiguousarray(feeds[name])
            self._digest.update(f"{name} {array.dtype} {array.shape[1:]}".encode())
            self._digest.update(array.tobytes() if array.dtype != object else repr(array.tolist()).encode())

    def array(self) -> np.ndarray:
        """Return it as 32 bytes."""
        return np.frombuffer(self._digest.digest(), dtype=np.uint8)
