"""The SQLite file behind the store: opened with care, and its errors told in the user's terms."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from workbench.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APPLICATION_ID = 0x54525742  # "TRWB": tells our files from other programs' (https://sqlite.org/pragma.html#pragma_application_id)
VERSION = 1
BUSY_SECONDS = 10.0
MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 72  # up to and with the application id, at byte 68 (https://sqlite.org/fileformat.html)

SCHEMA = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY NOT NULL,
    created TEXT NOT NULL,
    model TEXT NOT NULL,
    content_hash TEXT,
    provider TEXT NOT NULL,
    precision TEXT NOT NULL,
    status TEXT NOT NULL,
    median_ms REAL,
    label TEXT NOT NULL,
    settings TEXT NOT NULL,
    run TEXT NOT NULL
);
CREATE INDEX runs_by_time ON runs (created, id);
CREATE TABLE changes (counter INTEGER NOT NULL);
INSERT INTO changes VALUES (0);
"""

MOVE_ASIDE = (
    "It was left as it is. Move it aside, with the -wal and -shm files beside it, and a new one is made; "
    "`sqlite3 FILE .recover` saves what can be saved."
)
# SQLite's primary result codes (https://sqlite.org/rescode.html): what they mean for the file, and what to do
CAUSES = {
    sqlite3.SQLITE_FULL: ("the disk is full", "Free some space; nothing was written."),
    sqlite3.SQLITE_READONLY: ("it cannot be written", "Check its permissions, or name another file (--store)."),
    sqlite3.SQLITE_PERM: ("access is denied", "Check its permissions, or name another file (--store)."),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "Check the path and its permissions, or name another file (--store)."),
    sqlite3.SQLITE_BUSY: (f"another process has held it for {BUSY_SECONDS:.0f} s", "Try again when that is done."),
    sqlite3.SQLITE_IOERR: ("the disk reports an error", "Check the disk; on a network drive, name a local file (--store)."),
    sqlite3.SQLITE_PROTOCOL: ("its locks do not work", "Name a file on a local disk (--store)."),
    sqlite3.SQLITE_NOTADB: ("it is damaged or no SQLite database", MOVE_ASIDE),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", MOVE_ASIDE),
}

STATE = (
    "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_application_id, pragma_user_version"
)


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """Open the file to read it; ``None`` where there is none yet.

    Raises
    ------
    StoreError
        When the file is not ours, of another version, damaged, or cannot be read.
    """
    with _told(path):
        if not path.exists():
            yield None
            return
        _check_header(path)
        with closing(_connect(path, "ro" if _unwritable(path) else "rw")) as connection:
            yield connection if _is_set_up(connection, path) else None


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file for one write transaction, and make it first where there is none.

    The transaction is committed at the end, or rolled back when something is raised.

    Raises
    ------
    StoreError
        As :func:`reading`, and when the file cannot be written.
    """
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_header(path)
        with closing(_connect(path, "rwc")) as connection:
            _is_set_up(connection, path)  # before anything is changed
            _use_wal(connection)
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                if not _is_set_up(connection, path):
                    _set_up(connection)
                yield connection
                connection.execute("UPDATE changes SET counter = counter + 1")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # Where nobody can write, SQLite cannot make the files that WAL needs; `immutable` does without them.
    options = "mode=ro&immutable=1" if mode == "ro" else f"mode={mode}"
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{options}", timeout=BUSY_SECONDS, isolation_level=None, uri=True)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _unwritable(path: Path) -> bool:
    """Return whether neither file nor folder can be written, and no writer has left a log behind."""
    writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    return not writable and not path.with_name(f"{path.name}-wal").exists()


def _check_header(path: Path) -> None:
    """Refuse what is no SQLite file before SQLite may touch it."""
    if not path.exists():
        return
    if not path.is_file():
        msg = f"{path}: the store of Runs must be a file; this is a folder or a device."
        raise StoreError(msg, remedy="Name a file (--store).")
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if head and not head.startswith(MAGIC):
        msg = f"{path}: this is no SQLite database, so no store of Runs."
        raise StoreError(msg, remedy="It was left as it is. Name another file (--store), or move this one aside.")
    # 0 may be ours: what was written last may still be in the log beside the file
    if int.from_bytes(head[68:72], "big") not in (0, APPLICATION_ID):
        raise _foreign(path)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Let readers and a writer work at once; the mode stays with the file.

    SQLite does not wait for others here, so we do. On file systems without shared memory the file keeps its mode.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _is_set_up(connection: sqlite3.Connection, path: Path) -> bool:
    """Return whether the file has our tables; ``False`` for an empty one, and StoreError for anything else."""
    # One statement sees one state of the file, also while another process sets it up.
    application, version, tables = connection.execute(STATE).fetchone()
    if application == APPLICATION_ID and version == VERSION:
        return True
    if application == APPLICATION_ID:
        newer = version > VERSION
        msg = (
            f"{path}: this store of Runs has format {version}; this version of the workbench reads format {VERSION}. "
            "It was left as it is."
        )
        remedy = "Update the workbench" if newer else "Export its Runs with the workbench that wrote it, and import them here"
        raise StoreError(msg, remedy=f"{remedy}, or name another file (--store).")
    if application or version or tables:
        raise _foreign(path)
    return False


def _foreign(path: Path) -> StoreError:
    msg = f"{path}: this SQLite database belongs to another program."
    return StoreError(msg, remedy="It was left as it is. Name another file (--store).")


def _set_up(connection: sqlite3.Connection) -> None:
    for statement in filter(str.strip, SCHEMA.split(";")):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system raise into a StoreError that says which file and what to do."""
    try:
        yield
    except sqlite3.Error as error:
        cause, remedy = CAUSES.get(_code(error), ("SQLite refuses", MOVE_ASIDE))
        msg = f"{path}: the store of Runs cannot be used: {cause} ({error})."
        raise StoreError(msg, remedy=remedy) from error
    except OSError as error:
        msg = f"{path}: the store of Runs cannot be used: {error.strerror or error}."
        raise StoreError(msg, remedy="Check the path and its permissions, or name another file (--store).") from error


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code; 0 where the error does not come from SQLite itself."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
