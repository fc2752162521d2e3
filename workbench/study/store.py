"""The store: every Run in one SQLite file, for all notebooks and shells of a user."""

from __future__ import annotations

import json
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import platformdirs

from workbench.errors import StoreError, WorkbenchError, nearest
from workbench.record import Finding, Record
from workbench.runtime.engines.prune import ModelFile
from workbench.runtime.job import Cache, Status
from workbench.study.database import reading, writing
from workbench.study.run import Run
from workbench.study.transfer import read_runs, reason_of, write_runs

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")

HIGHEST = "\U0010ffff"  # sorts behind every other character: the end of the ids with a prefix
NEAR = 5


class Row(Record):
    """What a list shows of a Run.

    Attributes
    ----------
    created : datetime
        UTC.
    model, content_hash : str
        The model's name and, where it could be read, the hash of its content.
    median_ms : float or None
        Median latency in milliseconds; ``None`` where none was measured.
    settings : str
        Fingerprint of the Settings: equal for equal Settings.
    """

    id: str
    created: datetime
    model: str
    content_hash: str | None
    provider: str
    precision: str
    status: str
    median_ms: float | None
    label: str
    settings: str


class SessionTime(Record):
    """How long making the session of a Run took, in seconds, from which state of the cache, and where.

    `settings` is the fingerprint of the Run's Settings; the others are as in its Environment and its Build.
    """

    settings: str
    host: str | None
    gpu: str | None
    onnxruntime: str | None
    tensorrt: str | None
    seconds: float
    cache: Cache


COLUMNS = ", ".join(Row.model_fields)
PLACES = (
    "environment.host",
    "environment.gpu",
    "environment.onnxruntime",
    "environment.tensorrt",
    "build.seconds",
    "build.cache",
)


class Store:
    """Every Run in one SQLite file.

    Several processes may use one file at the same time. A connection lives as long as one call, so that a Store may be
    shared between threads. The file is made at the first write. What cannot be read is never overwritten.

    Parameters
    ----------
    path : Path or str, optional
        The file; ``runs.sqlite3`` in the user's data folder by default. Best on a local disk: the locks of network drives
        hold between processes of one machine only.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        default = platformdirs.user_data_path("trt-workbench") / "runs.sqlite3"
        self.path = (Path(path).expanduser() if path is not None else default).absolute()

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def __len__(self) -> int:
        with reading(self.path) as connection:
            return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0]) if connection else 0

    def __bool__(self) -> bool:
        return True  # an empty store is still one

    def add(self, run: Run) -> None:
        """Keep a Run.

        Raises
        ------
        StoreError
            When one with its id is kept already, or the file cannot be written.
        """
        with writing(self.path) as connection:
            if not _insert(connection, run):
                msg = f"{self.path}: a Run with the id {run.id!r} is kept already."
                raise StoreError(msg)

    def get(self, id: str) -> Run:  # noqa: A002  # what it is called everywhere
        """Return a Run, as recorded.

        Parameters
        ----------
        id : str
            Its id, or a beginning that no other id has.

        Raises
        ------
        StoreError
            When there is no such Run, several begin so, or it cannot be read. The message names the nearest ids.
        """
        with reading(self.path) as connection:
            known = self._resolve(connection, id)
            text = _text(connection, known)
        try:
            return _read(text)
        except (ValueError, WorkbenchError) as error:
            raise self._not_read(known, error) from error

    def runs(
        self,
        model: str | None = None,
        *,
        provider: str | None = None,
        status: Status | None = None,
        settings: str | None = None,
        limit: int | None = None,
    ) -> list[Run]:
        """Return Runs, the newest first, as recorded.

        Those that cannot be read are left out with a warning; see :meth:`unreadable`.

        Parameters
        ----------
        model : str, optional
            Name or content hash of their model.
        provider, status : str, optional
            As in their Settings, and how they ended.
        settings : str, optional
            Fingerprint of their Settings.
        limit : int, optional
            How many to return at most.
        """
        found, failed = _sorted_out(self._select("id, run", model, provider, status, settings, limit), _run)
        self._warn(failed)
        return found

    def rows(
        self,
        model: str | None = None,
        *,
        provider: str | None = None,
        status: Status | None = None,
        settings: str | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """Return what a list shows of each Run, the newest first, without reading the Runs themselves.

        Parameters are those of :meth:`runs`.
        """
        found, failed = _sorted_out(self._select(COLUMNS, model, provider, status, settings, limit), _row)
        self._warn(failed)
        return found

    def session_times(self, model: str, *, provider: str, limit: int | None = None) -> list[SessionTime]:
        """Return how long sessions took, the newest first, without reading the Runs themselves; parameters as in :meth:`runs`."""
        found = ", ".join(f"CASE WHEN json_valid(run) THEN json_extract(run, '$.{place}') END" for place in PLACES)
        rows = self._select(f"settings, {found}", model, provider, None, None, limit)
        fields = tuple(SessionTime.model_fields)
        return [SessionTime.model_validate(dict(zip(fields, row, strict=True))) for row in rows if row[-2] is not None]

    def model_files(self) -> list[ModelFile]:
        """Return where the models of all Runs were, and what was in them; each once."""
        path = "CASE WHEN json_valid(run) THEN json_extract(run, '$.model.path') END"
        pairs = dict.fromkeys(self._select(f"content_hash, {path}"))
        return [ModelFile(path=path, content_hash=content) for content, path in pairs if content and path]

    def unreadable(self) -> list[Finding]:
        """Return a finding for each Run that this version cannot read; reads all of them."""
        return _sorted_out(self._select("id, run"), _run)[1]

    def set_label(self, id: str, label: str) -> None:  # noqa: A002  # as in get
        """Give a Run the user's own name.

        Raises
        ------
        StoreError
            As :meth:`get`.
        """
        if not self.path.exists():
            raise self._unknown(id, [])
        with writing(self.path) as connection:
            known = self._resolve(connection, id)
            try:
                document = {**json.loads(_text(connection, known)), "label": label}
            except (TypeError, ValueError) as error:
                raise self._not_read(known, error) from error
            changed = (label, json.dumps(document, ensure_ascii=False), known)
            connection.execute("UPDATE runs SET label = ?, run = ? WHERE id = ?", changed)

    def changed(self) -> int:
        """Return a number that grows with every change of the store, by whichever process; 0 without a file."""
        with reading(self.path) as connection:
            return int(connection.execute("SELECT counter FROM changes").fetchone()[0]) if connection else 0

    def export(self, ids: Sequence[str], path: Path | str) -> Path:
        """Write Runs to a JSON file that :meth:`import_file` reads.

        Parameters
        ----------
        ids : sequence of str
            Ids or unique beginnings.
        path : Path or str
            The file to make; it must not exist.

        Returns
        -------
        Path
            The file, absolute.

        Raises
        ------
        StoreError
            When a Run cannot be read, or the file exists or cannot be written.
        """
        return write_runs([self.get(id_) for id_ in ids], path)

    def import_file(self, path: Path | str) -> list[str]:
        """Keep the Runs of a JSON file: all of them, or none where one cannot be read.

        Parameters
        ----------
        path : Path or str
            What :meth:`export` wrote, one Run, or a list of Runs.

        Returns
        -------
        list of str
            The ids that were not kept already.

        Raises
        ------
        StoreError
            Naming the file, which Run, and what is wrong with it.
        """
        runs = read_runs(path)
        with writing(self.path) as connection:
            return [run.id for run in runs if _insert(connection, run)]

    def _select(  # noqa: PLR0913, PLR0917  # the filters of runs() and rows(), in their order
        self,
        columns: str,
        model: str | None = None,
        provider: str | None = None,
        status: str | None = None,
        settings: str | None = None,
        limit: int | None = None,
    ) -> list[Any]:
        conditions = {
            "provider = :provider": provider,
            "status = :status": status,
            "settings = :settings": settings,
            "(model = :model OR content_hash = :model)": model,
        }
        where = " AND ".join(condition for condition, value in conditions.items() if value is not None) or "true"
        query = f"SELECT {columns} FROM runs WHERE {where} ORDER BY created DESC, id DESC LIMIT :limit"  # noqa: S608  # our own names
        values = {"model": model, "provider": provider, "status": status, "settings": settings}
        with reading(self.path) as connection:
            rows = connection.execute(query, {**values, "limit": -1 if limit is None else limit}) if connection else None
            return rows.fetchall() if rows else []

    def _resolve(self, connection: sqlite3.Connection | None, prefix: str) -> str:
        """Return the one id that a prefix stands for."""
        if connection is None:
            raise self._unknown(prefix, [])
        exact = connection.execute("SELECT id FROM runs WHERE id = ?", (prefix,)).fetchone()
        if exact:
            return str(exact[0])
        query = "SELECT id FROM runs WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT ?"
        found = [str(row[0]) for row in connection.execute(query, (prefix, prefix + HIGHEST, NEAR + 1))] if prefix else []
        if not found:
            newest = connection.execute("SELECT id FROM runs ORDER BY created DESC, id DESC LIMIT 1000").fetchall()
            raise self._unknown(prefix, [str(row[0]) for row in newest])
        if len(found) > 1:
            shown = ", ".join(found[:NEAR]) + (", ..." if len(found) > NEAR else "")
            msg = f"{self.path}: several Runs have an id that begins with {prefix!r}: {shown}."
            raise StoreError(msg, remedy="Give more of the id.")
        return found[0]

    def _unknown(self, prefix: str, newest: list[str]) -> StoreError:
        msg = f"{self.path}: no Run has an id that begins with {prefix!r}."
        shown = f"The newest are {', '.join(newest[:NEAR])}." if newest else "No Run is kept there yet."
        return StoreError(msg, remedy=nearest(prefix, newest) or shown)

    def _not_read(self, known: str, error: Exception) -> StoreError:
        msg = f"{self.path}: the Run {known} cannot be read: {reason_of(error)}."
        return StoreError(msg, remedy="A newer version of the workbench may have written it: update this one.")

    def _warn(self, failed: list[Finding]) -> None:
        if failed:
            warnings.warn(f"{self.path}: {len(failed)} of the Runs cannot be read, and were left out. {failed[0]}", stacklevel=3)


def _insert(connection: sqlite3.Connection, run: Run) -> bool:
    """Insert a Run; return whether its id was new."""
    row = Row(
        id=run.id,
        created=_utc(run.created),
        model=run.model.name,
        content_hash=run.model.content_hash,
        provider=run.settings.provider,
        precision=run.settings.precision,
        status=run.status,
        median_ms=run.latency.median_ms if run.latency else None,
        label=run.label,
        settings=run.settings.fingerprint(),
    )
    try:
        text = run.model_dump_json()
    except ValueError as error:  # a path whose name is no text
        msg = f"the Run {run.id} cannot be written as JSON: {error}."
        raise StoreError(msg, remedy="Give the model's folders names that are valid text.") from error
    values = {**dict(row), "created": row.created.isoformat(timespec="microseconds"), "run": text}
    places = ", ".join(f":{name}" for name in values)
    cursor = connection.execute(f"INSERT OR IGNORE INTO runs ({', '.join(values)}) VALUES ({places})", values)  # noqa: S608  # our own names
    return cursor.rowcount > 0


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _text(connection: sqlite3.Connection | None, known: str) -> str:
    row = connection.execute("SELECT run FROM runs WHERE id = ?", (known,)).fetchone() if connection else None
    return str(row[0]) if row else ""


def _read(text: str) -> Run:
    return Run.model_validate_json(text).recorded()


def _run(values: tuple[Any, ...]) -> Run:
    return _read(values[1])


def _row(values: tuple[Any, ...]) -> Row:
    return Row.model_validate(dict(zip(Row.model_fields, values, strict=True)))


def _sorted_out(rows: Iterable[tuple[Any, ...]], read: Callable[[tuple[Any, ...]], T]) -> tuple[list[T], list[Finding]]:
    """Return what could be read of rows that begin with an id, and a finding for each of the others."""
    found: list[T] = []
    failed: list[Finding] = []
    for values in rows:
        try:
            found.append(read(values))
        except (ValueError, WorkbenchError) as error:
            failed.append(_unreadable(values[0], error))
    return found, failed


def _unreadable(id_: str, error: Exception) -> Finding:
    return Finding(
        level="warning",
        where=f"Run {id_}",
        seen=f"cannot be read: {reason_of(error)}.",
        meaning="A newer version of the workbench may have written it, or the file is damaged.",
        action="Update the workbench.",
    )
