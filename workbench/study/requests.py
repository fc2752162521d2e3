"""Requests on this machine: what one will do with the engines at hand, and which shapes the kept Runs had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import InputError
from workbench.options.seen import SeenRequest, seen_shapes
from workbench.placement.requests import Answer, KnownRange, answer_request
from workbench.record import Finding
from workbench.runtime.engines.key import key_on
from workbench.study.expect import expectation_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.runtime.engines.cache import EngineCache
    from workbench.runtime.engines.records import EngineFile
    from workbench.runtime.job import Environment
    from workbench.study.store import Store

MOST_RUNS = 1000  # that shapes are taken from, the newest first
MADE_UP = ("random", "ones", "the word", "the profile's")  # how the origin of arrays begins that no user gave


def answer_here(  # noqa: PLR0913 - each is a place that knows a part of the answer
    model: Model,
    settings: Settings,
    request: Mapping[str, tuple[int, ...]],
    *,
    environment: Environment,
    cache: EngineCache | None = None,
    store: Store | None = None,
) -> Answer:
    """Say what a request will do on this machine.

    Parameters
    ----------
    model, settings, request
        As for :func:`workbench.placement.requests.answer_request`.
    environment : Environment
        This machine, with the versions that a session has here.
    cache : EngineCache or None
        Where engines are looked for whose ranges have grown already.
    store : Store or None
        Whose Runs say how long building took here.

    Raises
    ------
    InputError
        As :func:`workbench.placement.requests.answer_request`.
    EngineError, StoreError
        When the cache or the store cannot be read.
    """
    entry = None
    if cache is not None and settings.provider == "tensorrt" and (key := key_on(model, settings, environment)) is not None:
        entry = cache.find(key)
    spread = expectation_of(model, settings, store=store, cache=None, environment=environment).spread
    seen = known_ranges(entry.files) if entry is not None else None
    return answer_request(model, settings, request, seen=seen, expected=str(spread) if spread is not None else "")


def known_ranges(files: Iterable[EngineFile]) -> tuple[KnownRange, ...]:
    """Return the ranges that engines were built for, as far as the files beside them say; first profiles only."""
    found: dict[str, KnownRange] = {}
    for bounds in (bounds for file in files for bounds in file.bounds if bounds.profile == 0):
        axes = bounds.axes or tuple(range(len(bounds.min)))
        # Where two engines read one tensor, the ranges of both are the same: they saw the same requests.
        found[bounds.name] = KnownRange(name=bounds.name, axes=axes, min=bounds.min, opt=bounds.opt, max=bounds.max)
    return tuple(found.values())


def shapes_of_runs(store: Store, model: Model) -> tuple[tuple[SeenRequest, ...], list[Finding]]:
    """Return the shapes of the inputs of kept Runs of a model.

    Parameters
    ----------
    store : Store
        Where the Runs are.
    model : Model
        Runs of models with the same content count, else those with the same name.

    Returns
    -------
    tuple of SeenRequest
        Each Run counts once. Runs on arrays of the user's count alone, where there are any.
    list of Finding
        What to know of them.

    Raises
    ------
    InputError
        When no Run of the model has inputs that fit it.
    StoreError
        When the store cannot be read.
    """
    runs = store.runs(model.content_hash(), limit=MOST_RUNS) or store.runs(model.name, limit=MOST_RUNS)
    with_inputs = [run for run in runs if run.inputs]
    given = [run for run in with_inputs if not all(used.origin.startswith(MADE_UP) for used in run.inputs)]
    chosen = given or with_inputs
    seen, unfit = [], 0
    for run in chosen:
        request = {used.name: used.shape for used in run.inputs if used.shape}
        try:
            seen_shapes(model, [request])
        except InputError:
            unfit += 1
        else:
            seen.append(request)
    if not seen:
        raise InputError(
            f"No kept Run of {model.name} has inputs to learn from.",
            remedy="Run it on real inputs (--inputs FILE.npz), or give the shapes as a CSV file.",
        )
    return seen_shapes(model, seen), _about(len(seen), unfit, made_up=not given, left_out=len(with_inputs) - len(chosen))


def _about(count: int, unfit: int, *, made_up: bool, left_out: int) -> list[Finding]:
    found = []
    if made_up:
        meaning = "Such arrays have the shapes of a profile or defaults, not those of real requests."
        action = "Run the model on real inputs, or give the shapes of real requests as a CSV file."
        found.append(
            Finding(level="warning", where="runs", seen=f"all {count} Runs used made-up arrays", meaning=meaning, action=action)
        )
    if left_out:
        seen = f"{left_out} Runs on made-up arrays were left out"
        found.append(Finding(level="info", where="runs", seen=seen))
    if unfit:
        seen = f"{unfit} Runs were left out, whose inputs do not fit this model"
        found.append(Finding(level="info", where="runs", seen=seen, meaning="They are of another model of the same name."))
    return found
