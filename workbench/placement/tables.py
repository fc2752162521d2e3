"""The tables that prediction rests on, read from the package's data folder when they are first needed."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def table(name: str) -> dict[str, Any]:
    """Return the content of one data file.

    Parameters
    ----------
    name : str
        The file's name without its ending; ``data/README.md`` says what each holds and where it comes from.
    """
    text = files("workbench.placement").joinpath("data", f"{name}.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content
