"""Prove that a changed model gives the outputs of the one it was made of."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from workbench.errors import JobError, WorkbenchError
from workbench.measure.accuracy import compare_output
from workbench.model.model import Model
from workbench.runtime.data.inputs import ModelInput, read_inputs
from workbench.runtime.ready.inputs import Trial, dimensions_of, first_trials, other_scalars, varied
from workbench.runtime.ready.sessions import Runtime
from workbench.runtime.ready.steps_apart import Answer, Compared, Errand, same

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import numpy as np

REFERENCE = "original model"


def compare(errand: Errand) -> Answer:
    """Run both models on the same random inputs of two sizes, where they take two, and compare the outputs."""
    runtime, old, new = Runtime.load(), Model.load(errand.source), Model.load(errand.target)
    try:
        before = runtime.session(errand.source)
    except JobError as error:
        return Answer(status="failed", why=f"The original model cannot be run here, so that nothing can be compared: {error}")
    after = runtime.session(errand.target)
    runtime.session(errand.target, runtime.default())  # what users make: optimisation must not fail on it
    until = time.monotonic() + errand.stop_after_s
    rows: list[Compared] = []
    last = ""
    for inputs in _sets(errand, new, rows):
        try:
            expected = runtime.run(before, inputs)
        except JobError as error:
            last = error.message
            continue
        if not rows and _random(expected, runtime.run(before, inputs)):
            return Answer(status="failed", why="The model draws random numbers: its outputs differ from run to run.")
        rows.append(_compared(old, inputs, runtime.run(after, inputs), expected))
        if time.monotonic() > until:
            break
    if not rows:
        return Answer(status="failed", why=f"The original model runs on no random inputs that were tried: {last}.")
    return Answer(status="done", compared=tuple(rows))


def _sets(errand: Errand, model: Model, rows: list[Compared]) -> Iterator[list[ModelInput]]:
    """Yield inputs to compare on: until one works, then of other sizes and along other ways through the graph."""
    if errand.inputs is not None:
        yield read_inputs(errand.inputs, model)
        return
    base = yield from _until(first_trials(model, errand.profile, errand.fixed), model, errand.seed, rows)
    if base is None:
        return
    dims = dimensions_of(model)
    if dims:
        sizes = [varied(model, base, dims, n) for n in (0, 1)] + [varied(model, base, [d], 0) for d in dims]
        yield from _until(iter(sizes), model, errand.seed + 1, rows)
    for other in () if errand.fixed else other_scalars(model, base):
        again = (Trial(t.shapes, other.scalars) for t in first_trials(model, errand.profile, errand.fixed))
        yield from _until((t for group in ((other,), again) for t in group), model, errand.seed + 2, rows)


def _until(
    trials: Iterator[Trial], model: Model, seed: int, rows: list[Compared]
) -> Generator[list[ModelInput], None, Trial | None]:
    """Yield the inputs of trials until one of them was compared, which the caller adds to `rows`."""
    count = len(rows)
    for trial in trials:
        yield trial.inputs(model, seed)
        if len(rows) > count:
            return trial
    return None


def _random(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return any(not same(compare_output("", a, b, "")) for a, b in zip(one, other, strict=True) if _array(a) and _array(b))


def _compared(model: Model, inputs: list[ModelInput], actual: list[Any], expected: list[Any]) -> Compared:
    shapes = tuple((i.name, tuple(i.array.shape)) for i in inputs)
    rows = tuple(
        compare_output(spec.name, a, e, REFERENCE)
        for spec, a, e in zip(model.outputs, actual, expected, strict=True)
        if _array(a) and _array(e)
    )
    if not rows:
        raise WorkbenchError("No output is a tensor: they cannot be compared.")
    return Compared(shapes=shapes, outputs=rows)


def _array(value: object) -> bool:
    return hasattr(value, "dtype")
