"""A table that stays quick with ten thousand rows: it draws only those in sight.

Rows have keys, and a selection is a list of keys, so that it survives sorting, filtering and new data.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anywidget
import traitlets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

STATIC = Path(__file__).parent / "static"
FORMAT = re.compile(r",?(\.\d+)?[fdeg%]?")

Cell = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    title : str
        Its heading.
    kind : str
        ``number`` is right-aligned and sorted by value; ``chip`` is text with a coloured square before it.
    format : str
        For numbers, the part ``[,][.N](f|d|e|g|%)`` of Python's format specification.
    width : int or None
        In pixels; follows the content where it is ``None``.
    colours : mapping of str to str
        For chips: colour of each value.
    filter : bool
        Whether the user can pick one of the column's values to see only its rows.
    grow : bool
        Whether it takes the room that is left; where no column does, the last one of text has it.
    ellipsis : str
        Which end of a long text is cut off; the ``start`` of names that differ in their last part.
    help : str
        Shown when the pointer rests on the heading.
    """

    title: str
    kind: Literal["text", "number", "chip"] = "text"
    format: str = ""
    width: int | None = None
    colours: Mapping[str, str] = field(default_factory=dict)
    filter: bool = False
    grow: bool = False
    ellipsis: Literal["start", "end"] = "end"
    help: str = ""

    def __post_init__(self) -> None:
        if not FORMAT.fullmatch(self.format):
            msg = f"column {self.title!r}: expected a format like ',.2f', got {self.format!r}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its key, unique in the table, and one cell for each column; ``None`` and nan are shown as “–”."""

    key: str
    cells: tuple[Cell, ...]


class Table(anywidget.AnyWidget):
    """A table to sort, filter and select in.

    Parameters
    ----------
    columns : sequence of Column
        From left to right.
    height : int
        Greatest height in pixels.
    multiple : bool
        Whether more than one row can be selected, with Ctrl or Shift.
    filterable : bool
        Whether there is a filter line above the table.
    placeholder : str
        Shown where there are no rows.

    Attributes
    ----------
    selected : list of str
        Keys of the selected rows. Set it to select from Python; the table scrolls to the first.
    """

    _esm = STATIC / "table.js"
    _css = STATIC / "table.css"

    _columns: traitlets.List[dict[str, object]] = traitlets.List().tag(sync=True)
    _data = traitlets.Unicode('{"ids": [], "cells": []}').tag(sync=True)
    selected = traitlets.List(traitlets.Unicode()).tag(sync=True)
    height = traitlets.Int(360).tag(sync=True)
    multiple = traitlets.Bool(default_value=True).tag(sync=True)
    filterable = traitlets.Bool(default_value=True).tag(sync=True)
    placeholder = traitlets.Unicode("No rows.").tag(sync=True)

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        height: int = 360,
        multiple: bool = True,
        filterable: bool = True,
        placeholder: str = "No rows.",
    ) -> None:
        self._column_count = len(columns)
        self._rows: tuple[Row, ...] = ()
        super().__init__(
            _columns=[_plain(column) for column in columns],
            height=height,
            multiple=multiple,
            filterable=filterable,
            placeholder=placeholder,
        )
        self.rows = ()

    def __repr__(self) -> str:
        return f"Table({len(self._rows)} rows, {len(self.selected)} selected)"

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows, in this order until the user sorts them. Setting them keeps of the selection what is still there."""
        return self._rows

    @rows.setter
    def rows(self, rows: Iterable[Row]) -> None:
        given = tuple(rows)
        _check(given, self._column_count)
        self._rows = given
        columns = zip(*(row.cells for row in given), strict=True) if given else [() for _ in range(self._column_count)]
        cells = [[_json_cell(cell) for cell in column] for column in columns]
        with self.hold_sync():
            self._data = json.dumps({"ids": [row.key for row in given], "cells": cells}, separators=(",", ":"))
            kept = {row.key for row in given}
            self.selected = [key for key in self.selected if key in kept]


def _plain(column: Column) -> dict[str, object]:
    """Return a column as the browser reads it."""
    return {
        "title": column.title,
        "kind": column.kind,
        "format": column.format,
        "width": column.width,
        "colours": dict(column.colours),
        "filter": column.filter,
        "grow": column.grow,
        "ellipsis": column.ellipsis,
        "help": column.help,
    }


def _check(rows: tuple[Row, ...], columns: int) -> None:
    for row in rows:
        if len(row.cells) != columns:
            msg = f"row {row.key!r}: expected {columns} cells, got {len(row.cells)}"
            raise ValueError(msg)
    if len({row.key for row in rows}) != len(rows):
        key, times = Counter(row.key for row in rows).most_common(1)[0]
        msg = f"expected each row's key once, got {key!r} {times} times"
        raise ValueError(msg)


def _json_cell(cell: Cell) -> Cell:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell
