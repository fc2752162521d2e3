"""A Run: one job and what came of it, kept for ever and comparable anywhere."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.options.settings import Settings
from workbench.record import Evidence, Record
from workbench.runtime.job import Outcome, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence


class ModelRef(Record):
    """Which model a Run is about.

    Attributes
    ----------
    content_hash : str or None
        SHA-256 over the file and its external data; ``None`` where it could not be read.
    """

    name: str
    path: str
    content_hash: str | None
    size_bytes: int | None


class Run(Outcome):
    """One job and what came of it.

    Attributes
    ----------
    id : str
        Sorts by time of creation.
    created : datetime
        UTC.
    evidence : str
        ``measured`` in the process that ran it; ``recorded`` once it was read back from a store or a file.
    label : str
        The user's own name for it.
    """

    id: str
    created: datetime
    evidence: Evidence
    label: str = ""
    model: ModelRef
    settings: Settings
    plan: Plan

    @property
    def title(self) -> str:
        """The label, or what tells this Run from others: model, provider, precision and changed options."""
        return self.label or f"{self.model.name} · {self.settings.summary()}"

    def recorded(self) -> Run:
        """Return this Run as one measured earlier or elsewhere."""
        placement = self.placement
        if placement is not None and placement.evidence == "measured":
            placement = placement.model_copy(update={"evidence": "recorded"})
        return self.model_copy(update={"evidence": "recorded", "placement": placement})


def run_of(outcome: Outcome, *, model: ModelRef, settings: Settings, plan: Plan, label: str = "") -> Run:
    """Make a Run from a job's outcome."""
    created = datetime.now(UTC)
    return Run(
        **{name: getattr(outcome, name) for name in Outcome.model_fields},
        id=f"{created:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}",
        created=created,
        evidence="measured",
        label=label,
        model=model,
        settings=settings,
        plan=plan,
    )


def titles_of(runs: Sequence[Run]) -> list[str]:
    """Return a title for each Run; where they are of several models, no label stands without the model's name."""
    several = len({run.model.name for run in runs}) > 1
    return [run.title if not several or run.model.name in run.title else f"{run.model.name} · {run.title}" for run in runs]
