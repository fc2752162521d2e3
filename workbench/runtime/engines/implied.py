"""Shapes that a native engine was built for because a job's inputs had them, and no shape profile was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.options.profile import InputRange, ShapeProfile

if TYPE_CHECKING:
    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.runtime.engines.records import EngineEntry


def implied_ranges(entry: EngineEntry, model: Model, settings: Settings) -> tuple[InputRange, ...]:
    """Return the ranges of an entry that a job with these Settings has, too, if its inputs have those shapes.

    TensorRT's own interface needs a range for each dynamic input; one that is given none is built for the shapes at hand, and so
    the entry's Settings hold more than the job's.

    Parameters
    ----------
    entry : EngineEntry
        Of the provider ``native``; no other has such ranges.
    model : Model
        The model.
    settings : Settings
        Those of a job.
    """
    if entry.provider != "native" or settings.provider != "native":
        return ()
    inputs = {spec.name for spec in model.inputs}
    return tuple(
        given
        for given in entry.settings.profile.ranges
        if given.name in inputs and not settings.profile.of(given.name) and given.min == given.opt == given.max
    )


def with_implied(entry: EngineEntry, model: Model, settings: Settings) -> Settings:
    """Return the Settings with the entry's implied ranges: as a job has them whose inputs are of those shapes."""
    ranges = implied_ranges(entry, model, settings)
    return settings.replace(profile=ShapeProfile(ranges=(*settings.profile.ranges, *ranges))) if ranges else settings


def implied_text(ranges: tuple[InputRange, ...]) -> str:
    """Return what to know of an engine with implied ranges; empty for none."""
    if not ranges:
        return ""
    shapes = ", ".join(f"{given.name} {'×'.join(map(str, given.opt)) or 'scalar'}" for given in ranges)
    return f"It was built for inputs of these shapes: {shapes}. A run on other shapes, without a shape profile, builds anew."
