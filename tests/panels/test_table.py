import json

import pytest

from workbench.panels.table import Column, Row, Table

COLUMNS = [Column(title="Name"), Column(title="Time", kind="number", format=".2f")]


def table(*keys, **options):
    made = Table(COLUMNS, **options)
    made.rows = [Row(key, (key, float(at))) for at, key in enumerate(keys)]
    return made


def test_cells_are_sent_by_column():
    assert json.loads(table("a", "b")._data) == {"ids": ["a", "b"], "cells": [["a", "b"], [0.0, 1.0]]}


def test_not_a_number_is_missing():
    made = Table(COLUMNS)
    made.rows = [Row("a", (None, float("nan"))), Row("b", ("x", float("inf")))]
    assert json.loads(made._data)["cells"] == [[None, "x"], [None, None]]


def test_selection_in_the_browser_reaches_python(browser_says):
    made = table("a", "b", "c")
    browser_says(made, selected=["b", "c"])
    assert made.selected == ["b", "c"]


def test_new_rows_keep_the_selection_that_is_still_there():
    made = table("a", "b", "c")
    made.selected = ["a", "c"]
    made.rows = [Row("c", ("c", 1.0)), Row("d", ("d", 2.0))]
    assert made.selected == ["c"]


def test_a_key_may_stand_once_only():
    with pytest.raises(ValueError, match="got 'a' 2 times"):
        table("a", "b", "a")


def test_row_needs_a_cell_for_each_column():
    with pytest.raises(ValueError, match="expected 2 cells, got 1"):
        Table(COLUMNS).rows = [Row("a", ("a",))]


def test_unknown_format_is_refused():
    with pytest.raises(ValueError, match="expected a format like"):
        Column(title="Time", kind="number", format="%.2f")


def test_no_rows_can_be_shown():
    made = table("a")
    made.rows = []
    assert json.loads(made._data) == {"ids": [], "cells": [[], []]}


def test_ten_thousand_rows_can_be_shown():
    made = table(*(f"node_{at}" for at in range(10_000)))
    assert len(made.rows) == 10_000


def test_repr_is_short():
    made = table("a", "b")
    made.selected = ["a"]
    assert repr(made) == "Table(2 rows, 1 selected)"
