"""The time limits of a job's stages, as they are written on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import SettingsError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.runtime.job import StageTimeout

DEFAULT_S = 1800.0


def read_limits(texts: Sequence[str]) -> tuple[float, tuple[StageTimeout, ...]]:
    """Return the limit of all stages, and those of single ones, in seconds.

    Parameters
    ----------
    texts : sequence of str
        Each ``SECONDS`` for all stages, or ``STAGE=SECONDS``, such as ``session=1200``; of two for the same, the last counts.

    Raises
    ------
    SettingsError
        For an unknown stage, or a limit that is not a positive number.
    """
    from workbench.runtime.job import STAGES, StageTimeout

    limit, stages = DEFAULT_S, []
    for text in texts:
        stage, equals, seconds = text.rpartition("=")
        stage = stage.strip()
        if equals and stage not in STAGES:
            known = [name for name in STAGES if name != "done"]
            remedy = nearest(stage, known) or f"The stages are {', '.join(known)}."
            raise SettingsError(f"--timeout {text!r}: there is no stage {stage!r}.", remedy=remedy)
        if equals:
            stages.append(StageTimeout(stage=stage, seconds=_seconds(text, seconds)))
        else:
            limit = _seconds(text, seconds)
    return limit, tuple(stages)


def _seconds(text: str, number: str) -> float:
    try:
        seconds = float(number)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise SettingsError(
            f"--timeout {text!r}: {number!r} is no positive number of seconds.",
            remedy="Write for instance --timeout 600, or --timeout session=1200.",
        )
    return seconds
