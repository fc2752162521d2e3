"""Runs as JSON files: how they go from one machine to another."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from workbench.errors import StoreError, WorkbenchError
from workbench.study.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMAT = "trt-workbench runs"
VERSION = 1
GZIP = b"\x1f\x8b"  # what every gzip file begins with (RFC 1952)
WRITERS = "Give a file that the store's `export` or `workbench run --json` wrote."


def write_runs(runs: Sequence[Run], path: Path | str) -> Path:
    """Write Runs to a JSON file that :func:`read_runs` reads.

    Parameters
    ----------
    runs : sequence of Run
        What to write.
    path : Path or str
        The file to make; it must not exist. One that ends in ``.gz`` is compressed.

    Returns
    -------
    Path
        The file, absolute.

    Raises
    ------
    StoreError
        When the file exists or cannot be written.
    """
    path = Path(path).expanduser().absolute()
    document = {"format": FORMAT, "version": VERSION, "runs": [run.model_dump(mode="json") for run in runs]}
    data = json.dumps(document, ensure_ascii=False, indent=1).encode()
    data = gzip.compress(data, mtime=0) if path.suffix == ".gz" else data
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError as error:
        msg = f"{path}: exists already; nothing was written."
        raise StoreError(msg, remedy="Name another file.") from error
    except OSError as error:
        path.unlink(missing_ok=True)  # half a document, where the disk is full
        msg = f"{path}: the Runs cannot be written: {error.strerror or error}."
        raise StoreError(msg, remedy="Check the path, or name another file.") from error
    return path


def read_runs(path: Path | str) -> list[Run]:
    """Read the Runs of a JSON file, compressed or not, as recorded.

    Parameters
    ----------
    path : Path or str
        What :func:`write_runs` wrote, one Run, or a list of Runs.

    Raises
    ------
    StoreError
        Naming the file, which Run, and what is wrong with it.
    """
    path = Path(path).expanduser().absolute()
    return [_run(document, f"{path}: Run {index}") for index, document in enumerate(_documents(path), start=1)]


def reason_of(error: Exception) -> str:
    """Return the first fault that an error tells of, in one line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the document'}: {first['msg']}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _documents(path: Path) -> list[Any]:
    try:
        data = path.read_bytes()
        document = json.loads(gzip.decompress(data) if data.startswith(GZIP) else data)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        msg = f"{path}: this compressed file is damaged: {error}."
        raise StoreError(msg, remedy=WRITERS) from error
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}."
        raise StoreError(msg, remedy="Check the path.") from error
    except (ValueError, RecursionError) as error:
        msg = f"{path}: this is no JSON document: {error}."
        raise StoreError(msg, remedy=WRITERS) from error
    if not isinstance(document, dict):
        return document if isinstance(document, list) else [document]
    if document.get("format") != FORMAT:
        return [document]
    if document.get("version") != VERSION or not isinstance(document.get("runs"), list):
        msg = f"{path}: this file of Runs has version {document.get('version')!r}; this workbench reads version {VERSION}."
        raise StoreError(msg, remedy="Update the workbench.")
    return list(document["runs"])


def _run(document: object, where: str) -> Run:
    try:
        return Run.model_validate_json(json.dumps(document)).recorded()
    except (ValueError, WorkbenchError) as error:
        msg = f"{where} cannot be read: {reason_of(error)}. Nothing was imported."
        raise StoreError(msg, remedy=f"{WRITERS} One that a newer workbench wrote needs a newer workbench.") from error
