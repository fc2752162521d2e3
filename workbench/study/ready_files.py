"""The files of making a model ready: which one is written, and how it gets its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import ModelError, SettingsError
from workbench.model.external import external_chunks
from workbench.model.skim import LARGEST_MESSAGE
from workbench.study.new_file import new_file

if TYPE_CHECKING:
    from workbench.model.model import Model


def target_of(model: Model, out: str | Path | None) -> Path:
    """Return the file to write, which does not exist.

    Raises
    ------
    SettingsError
        When the named file exists, or lies where the model's weights would not be found.
    """
    path = new_file(model, "ready", out)
    if out is None:
        return path
    outside = path.parent != model.path.parent
    if outside and next(external_chunks(model.proto, model.path), None) is not None:
        raise SettingsError(
            f"{path} must be in {model.path.parent}: the model's weights lie there, and both files refer to them.",
            remedy="Name a file in that folder, or leave --out away.",
        )
    return path


def check_size(model: Model) -> None:
    """Raise ModelError for a file that protobuf cannot read, or that has gone."""
    try:
        size = model.path.stat().st_size
    except OSError as error:
        raise ModelError(f"{model.path}: cannot be read again: {error.strerror or error}.") from error
    if size > LARGEST_MESSAGE:
        raise ModelError(
            f"{model.path}: the file has {size:,} bytes; protobuf, which all runtimes read models with, ends at 2 GiB.",
            remedy="Save the weights as external data first.",
        )


def publish(draft: Path, target: Path) -> None:
    """Give a draft its name, unless a file has it by now.

    Raises
    ------
    OSError
        When the name is taken, or the folder cannot be written to.
    """
    try:
        os.link(draft, target)  # unlike a rename, it fails where the name is taken by now
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        draft.rename(target)
