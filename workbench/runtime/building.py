"""How long a model took to be made ready, stage by stage, and what a Run keeps of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.runtime.job import Build, Stage

if TYPE_CHECKING:
    from workbench.runtime.prepared import Prepared


class Building:
    """The making of one model.

    Parameters
    ----------
    prepared : Prepared
        What was made.
    seconds : float
        How long that took, the wait for another process included.

    Attributes
    ----------
    seconds : float
        How long building took: the session, and the first run where engines were built in it.
    """

    def __init__(self, prepared: Prepared, seconds: float) -> None:
        self._prepared = prepared
        waited = prepared.origin().waited_s
        self.seconds = max(seconds - waited, 0.0)
        self._stages = [Stage(name="waiting", seconds=waited)] if waited else []
        self._stages.append(Stage(name="session", seconds=self.seconds))
        self._engines = prepared.origin().engines

    def first_run(self, seconds: float) -> None:
        """Add the first run."""
        self._stages.append(Stage(name="first run", seconds=seconds))
        if self._prepared.origin().engines != self._engines:
            self.seconds += seconds

    def build(self) -> Build:
        """Return what is known now."""
        built = self._prepared.origin()
        return Build(
            seconds=self.seconds,
            cache=built.cache,
            stages=tuple(self._stages),
            engines=built.engines,
            key=built.key,
            waited_s=built.waited_s,
            timing_cache=built.timing_cache,
        )
