"""Runs that were made on other machines, taken into the state's store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.panels.state import WorkbenchState


def keep_file(state: WorkbenchState, path: str) -> int:
    """Keep the Runs of a JSON file, choose them, and return how many were not kept already.

    Parameters
    ----------
    state : WorkbenchState
        Whose store and choice.
    path : str
        What `workbench runs --export` or `workbench run --json` wrote.

    Raises
    ------
    StoreError
        When the file or one of its Runs cannot be read; nothing is kept then.
    """
    return _keep(state, [Path(path).expanduser()])


def keep_recorded(state: WorkbenchState) -> int:
    """Keep the Runs that were recorded on a GPU, as :func:`keep_file` does; those of the samples are chosen."""
    from workbench.study.recorded import recorded_files

    samples = recorded_files("samples")
    others = [id_ for file in recorded_files() if file not in samples for id_ in state.store.import_file(file)]
    return _keep(state, samples) + len(others)


def _keep(state: WorkbenchState, files: Sequence[Path]) -> int:
    from workbench.study.transfer import read_runs

    ids = [run.id for file in files for run in read_runs(file)]
    new = [id_ for file in files for id_ in state.store.import_file(file)]
    state.refresh_rows()
    state.chosen = tuple(new or ids)
    return len(new)
