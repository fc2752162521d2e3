"""What the doctor looked at, and what it means together."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workbench.record import Record
from workbench.runtime.job import Environment

State = Literal["ok", "warning", "missing"]


class Check(Record):
    """One thing that was looked at.

    Attributes
    ----------
    state : str
        ``ok``, ``warning`` (works, but not all of it, or not as expected) or ``missing``.
    found : str
        What is there.
    remedy : str
        The line that mends it; empty when all is well.
    """

    area: str
    name: str
    state: State
    found: str
    remedy: str = ""


class Diagnosis(Record):
    """All checks, and what they mean together.

    Attributes
    ----------
    can : dict of str to bool
        For ``cpu``, ``cuda``, ``tensorrt``, ``native`` and ``torch``, whether a job can be done here.
    why_not : dict of str to str
        For those that cannot, the reason in one line.
    """

    checks: tuple[Check, ...]
    can: dict[str, bool]
    why_not: dict[str, str] = Field(default_factory=dict)
    environment: Environment | None
