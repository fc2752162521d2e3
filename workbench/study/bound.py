"""What a Run's node times say could be won at most by moving the rest to TensorRT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.measure.profile import BIAS
from workbench.placement.cost import Bound, bound_of
from workbench.record import Record

if TYPE_CHECKING:
    from workbench.study.run import Run

TOO_LOW = "The bound may therefore be too low."


class RunBound(Record):
    """The bound, and what a reader must know to believe it.

    Attributes
    ----------
    note : str
        How the measurement is biased; empty where it is not known to be.
    """

    bound: Bound
    note: str = ""


def bound_of_run(run: Run) -> RunBound | None:
    """Return what could be won at most by moving to TensorRT what runs elsewhere.

    Returns
    -------
    RunBound or None
        ``None`` where no node was timed, or TensorRT had no part in the session.
    """
    profile, placement = run.profile, run.placement
    if profile is None or placement is None or placement.evidence == "predicted":
        return None
    if run.settings.provider != "tensorrt" or placement.runtime.tensorrt is None:
        return None
    bound = bound_of(profile.times())
    if bound.outside is None:
        return None
    return RunBound(bound=bound, note=f"{BIAS} {TOO_LOW}" if BIAS in profile.notes else "")
