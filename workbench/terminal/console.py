"""Where the command line prints for people."""

from __future__ import annotations

import os
import sys

from rich.console import Console

UNBROKEN = 100_000  # characters: longer than any line


def standard_output() -> Console:
    """Return a console as wide as the terminal; into a file or a pipe, lines are not broken unless ``COLUMNS`` is set."""
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=UNBROKEN if piped else None)
