"""The command line: the same jobs as in the panels, from a shell.

With ``--json`` a command prints one JSON document on standard output and nothing else; progress and warnings go to
standard error. Exit status: 0 done, 1 the job failed (the document says how), 2 wrong use.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

# imported for their commands
from workbench.cli import context, converting, engines, looking, measuring, placing, sensitivity, shaping, surveying  # noqa: F401
from workbench.cli.application import app

__all__ = ["app", "main"]


@app.callback(invoke_without_command=True)
def _main(*, version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        from workbench import __version__

        sys.stdout.write(f"workbench {__version__}\n")
        raise typer.Exit


def main() -> None:
    """Run the command line."""
    app()
