"""Where the command line prints for people."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from rich.console import Console

UNBROKEN = 100_000  # characters: longer than any line


def standard_output() -> Console:
    """Return a console as wide as the terminal; into a file or a pipe, lines are not broken unless ``COLUMNS`` is set."""
    return Console(width=_width(sys.stdout))


def standard_error() -> Console:
    """Return the same for standard error."""
    return Console(stderr=True, width=_width(sys.stderr))


def _width(stream: TextIO) -> int | None:
    return None if stream.isatty() or "COLUMNS" in os.environ else UNBROKEN
