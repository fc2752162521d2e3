"""Everything the workbench raises on purpose.

::

    WorkbenchError
    ├── ModelError          the file cannot be read, or is not a valid ONNX model
    ├── SettingsError       an option, shape profile or precision that cannot work
    ├── InputError          the arrays given as model inputs do not fit the model
    ├── Unavailable         a package, library or device is missing; says how to get it
    ├── JobError            a job ended without the result asked for; carries the Failure's kind
    ├── EngineError         an engine's file, or the folder of engines, cannot be read or written
    └── StoreError          the file of kept Runs cannot be read or written

Programming mistakes stay ``TypeError`` and ``ValueError``.
"""

from __future__ import annotations

__all__ = [
    "EngineError",
    "InputError",
    "JobError",
    "ModelError",
    "SettingsError",
    "StoreError",
    "Unavailable",
    "WorkbenchError",
    "nearest",
]


class WorkbenchError(Exception):
    """Base of all errors that a user can act on.

    Parameters
    ----------
    message : str
        What failed, on what, and what was expected.
    remedy : str
        What to do about it; empty when there is nothing to do.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".rstrip()


class ModelError(WorkbenchError):
    """The file cannot be read, or is not a valid ONNX model."""


class SettingsError(WorkbenchError):
    """An option, shape profile or precision cannot work as given."""


class InputError(WorkbenchError):
    """The arrays given as inputs do not fit the model."""


class Unavailable(WorkbenchError):
    """A package, library or device is missing."""


class JobError(WorkbenchError):
    """A job ended without the result that was asked for.

    Parameters
    ----------
    kind : str
        The failure's kind, as in ``workbench.placement.records.FailureKind``.
    """

    def __init__(self, message: str, *, kind: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.kind = kind


class EngineError(WorkbenchError):
    """An engine's file, or the folder of engines, cannot be read or written."""


class StoreError(WorkbenchError):
    """The file of kept Runs cannot be read or written."""


def nearest(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Say which known names a misspelt one may have meant.

    Parameters
    ----------
    name : str
        What the user wrote.
    known : list of str
        The names that would have been right.

    Returns
    -------
    str
        ``"Did you mean 'a' or 'b'?"``, or an empty string when nothing is near.
    """
    import difflib

    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
