"""The name of a file that is made from a model: beside it, and never over another file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import SettingsError

if TYPE_CHECKING:
    from workbench.model.model import Model


def new_file(model: Model, ending: str, out: Path | str | None) -> Path:
    """Return the path of a file that does not exist yet.

    Parameters
    ----------
    model : Model
        What it is made from.
    ending : str
        What is put behind the model's name, with a number where that is taken, such as ``fp16``.
    out : path-like or None
        The name that the user wants; beside the model by default.

    Raises
    ------
    SettingsError
        When the named file exists, or its folder does not.
    """
    if out is None:
        path, number = model.path.with_name(f"{model.name}.{ending}.onnx"), 2
        while path.exists():
            path, number = model.path.with_name(f"{model.name}.{ending}-{number}.onnx"), number + 1
        return path
    path = Path(out).expanduser().absolute()
    if path.exists():
        raise SettingsError(f"{path} exists already, and nothing is overwritten.", remedy="Name another file.")
    if not path.parent.is_dir():
        raise SettingsError(f"{path}: the folder does not exist.", remedy="Make it first.")
    return path
