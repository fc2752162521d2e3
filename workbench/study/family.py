"""A model and those that were converted from it: known by their names, ``NAME.TO.onnx`` beside ``NAME.onnx``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workbench.measure.task import TaskAccuracy
    from workbench.study.run import Run
    from workbench.study.store import Row

CONVERTED = re.compile(r"(?P<base>.+)\.(?P<to>fp16|bf16|int8)(-\d+)?")  # as workbench.study.convert names new files


def base_name(name: str) -> str:
    """Return the name of the model that one was converted from; its own where it was not converted."""
    found = CONVERTED.fullmatch(name)
    return found["base"] if found else name


def converted_to(name: str) -> str | None:
    """Return the precision that a model was converted to, by its name; ``None`` where it was not converted."""
    found = CONVERTED.fullmatch(name)
    return found["to"] if found else None


def family_files(path: Path, folders: Iterable[Path] = ()) -> tuple[Path, ...]:
    """Return the files of a model's family, the original first.

    Parameters
    ----------
    path : Path
        Any of them.
    folders : iterable of Path
        Where converted models may lie besides the model's own folder.
    """
    base = base_name(path.stem)
    found = [path]
    for folder in dict.fromkeys((path.parent, *folders)):
        if folder.is_dir():
            found += [each for each in folder.glob("*.onnx") if base_name(each.stem) == base]
    return tuple(sorted(dict.fromkeys(found), key=lambda each: (each.stem != base, each.name)))


def base_file(path: Path, folders: Iterable[Path] = ()) -> Path | None:
    """Return the model that one was converted from; ``None`` where it was not, or the file is gone."""
    base = base_name(path.stem)
    if base == path.stem:
        return None
    return next((each for each in family_files(path, folders) if each.stem == base and each.is_file()), None)


def family_rows(rows: Iterable[Row], name: str, content_hash: str | None) -> list[Row]:
    """Return the Runs of a model's family.

    Parameters
    ----------
    rows : iterable of Row
        Of the store.
    name, content_hash : str
        Of the model. A Run of the same name and another content is of another model, and left out.
    """
    base = base_name(name)
    found = [row for row in rows if base_name(row.model) == base]
    return [row for row in found if row.model != name or content_hash is None or row.content_hash in (None, content_hash)]


def against_base(runs: Iterable[Run]) -> list[Run]:
    """Return Runs of a family, with what they say of accuracy only where they say it of the original.

    A converted model is compared with itself, computed precisely, unless its plan names another reference: that says
    nothing of the conversion. Its task accuracy is then told against the original's, which another Run of the family may
    know for the same metric and as many samples; its distances are left out.

    Parameters
    ----------
    runs : iterable of Run
        Of one family, in any state.
    """
    given = list(runs)
    known = [run.task for run in given if run.task is not None and not _of_itself(run)]
    return [_rebased(run, known) if _of_itself(run) else run for run in given]


def _of_itself(run: Run) -> bool:
    return converted_to(run.model.name) is not None and run.plan.reference is None


def _rebased(run: Run, known: Sequence[TaskAccuracy]) -> Run:
    """Return a Run without distances, and with its task accuracy against the original's where that is known."""
    task = run.task
    if task is None:
        return run.model_copy(update={"accuracy": ()})
    same = (each for each in known if (each.metric, each.samples) == (task.metric, task.samples))
    base = next((each for each in same if each.reference_value is not None), None)
    value = None if base is None else base.reference_value
    changes = {
        "reference": "" if base is None else base.reference,
        "reference_value": value,
        "difference": None if value is None else task.value - value,
        "difference_interval": None,
        "p_value": None,
        "only_here": None,
        "only_reference": None,
    }
    return run.model_copy(update={"accuracy": (), "task": task.model_copy(update=changes)})
