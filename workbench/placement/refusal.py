"""Why TensorRT does not take an operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.placement.records import Cause


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why TensorRT does not take an operation.

    Attributes
    ----------
    cause : str
        One of ``workbench.placement.records.Cause``.
    text : str
        The reason as one clause, in the user's terms.
    """

    cause: Cause
    text: str

    def __str__(self) -> str:
        return self.text
