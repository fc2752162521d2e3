"""What all records share: their base class, the evidence behind a statement, and the failure of a job."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Evidence = Literal["predicted", "measured", "recorded"]
FailureKind = Literal[
    "shape",
    "opset",
    "custom-op",
    "load",
    "build",
    "crash",
    "provider",
    "inputs",
    "run",
    "memory",
    "timeout",
    "cancelled",
]


class Record(BaseModel):
    """A frozen record that refuses fields it does not know, and values that JSON cannot carry."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Failure(Record):
    """Why a job has no result.

    Attributes
    ----------
    kind : str
        One of ``FailureKind``.
    message : str
        What failed, on what.
    remedy : str
        What to do about it; empty when nothing is known to help.
    log : tuple of str
        The last lines that the runtime logged.
    """

    kind: FailureKind
    message: str
    remedy: str = ""
    log: tuple[str, ...] = ()


class Finding(Record):
    """One piece of advice.

    Attributes
    ----------
    level : str
        ``error`` stops a job, ``warning`` is worth a look, ``info`` explains.
    where : str
        The option, input, node or figure it speaks of.
    seen, meaning, action : str
        What was seen, what it means, and what to do.
    """

    level: Literal["error", "warning", "info"]
    where: str
    seen: str
    meaning: str = ""
    action: str = ""

    def __str__(self) -> str:
        parts = (f"{self.where}: {self.seen}", self.meaning, self.action)
        return " ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in parts if part)
