"""The outputs that are kept beside the store, one file a Run, so that other Runs can be compared with them."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.runtime.job import Plan
    from workbench.study.run import Run
    from workbench.study.store import Store

RUN = "run:"


def outputs_path(store: Store, run_id: str) -> Path:
    """Return where the outputs of a Run are kept, whether or not they are."""
    return store.path.parent / "outputs" / f"{run_id}.npz"


def resolved(plan: Plan, store: Store | None) -> Plan:
    """Return a plan whose reference is a file, in place of a Run's id.

    Raises
    ------
    InputError
        When the Run kept no outputs, or a file is not there.
    """
    named = plan.reference
    if named is None:
        return plan
    if named.startswith(RUN):
        if store is None:
            raise InputError(
                f"Reference {named!r}: there is no store to look the Run up in.", remedy="Give the file of its outputs."
            )
        run = store.get(named.removeprefix(RUN))
        path = outputs_path(store, run.id)
        if not path.is_file():
            remedy = "Run it again and keep its outputs (--keep-outputs)."
            raise InputError(f"Run {run.id} ({run.title}) kept no outputs to compare with.", remedy=remedy)
    else:
        path = Path(named).expanduser().absolute()
        if not path.is_file():
            raise InputError(f"Reference {named!r}: there is no such file.", remedy="Give an .npz of outputs, or an .onnx model.")
        if path.suffix not in (".npz", ".onnx"):
            raise InputError(f"Reference {named!r}: expected an .npz file of outputs, an .onnx model or run:ID.")
    return plan.model_copy(update={"reference": str(path)})


@contextmanager
def spool(plan: Plan, store: Store | None) -> Iterator[Path | None]:
    """Give a file for a job's outputs, which :func:`keep` moves to its place; ``None`` where none are kept."""
    if store is None or not plan.keep_outputs:
        yield None
        return
    folder = store.path.parent / "outputs"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="new-", dir=folder) as place:
        yield Path(place) / "outputs.npz"


def keep(path: Path | None, run: Run, store: Store | None) -> None:
    """Move the outputs that a job wrote to where those of its Run are kept."""
    if path is not None and store is not None and path.is_file():
        path.replace(outputs_path(store, run.id))
