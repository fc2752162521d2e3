"""The notebooks are committed executed, small, and speak of no machine."""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def cells(path, kind="code"):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == kind]


def test_the_app_and_six_tutorials_are_there():
    tutorials = ["01_first_look.ipynb", "02_options_and_shapes.ipynb", "03_placement.ipynb"]
    tutorials += ["04_engines.ipynb", "05_precision.ipynb", "06_broken_fp16.ipynb"]
    assert [path.name for path in NOTEBOOKS] == [*tutorials, "workbench.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_executed_in_order_and_without_an_error(path):
    numbers = [cell.execution_count for cell in cells(path)]

    assert numbers == list(range(1, len(numbers) + 1))
    assert not [output for cell in cells(path) for output in cell.outputs if output.output_type == "error"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_small_and_names_no_machine(path):
    text = path.read_text(encoding="utf-8")

    assert path.stat().st_size < 1_000_000
    assert "widget-state" not in text
    assert not re.search(r"/(home|root|work|Users|tmp)/", text)


@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if p.stem != "workbench"], ids=lambda p: p.stem)
def test_a_tutorial_checks_what_it_measures(path):
    assert any(isinstance(node, ast.Assert) for cell in cells(path) for node in ast.walk(ast.parse(cell.source)))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_figure_is_drawn_without_a_request(path):
    figures = [o for cell in cells(path) for o in cell.outputs if "application/vnd.plotly.v1+json" in o.get("data", {})]

    assert figures or path.stem == "workbench"
    assert not [figure for figure in figures if "http" in json.dumps(figure.data["application/vnd.plotly.v1+json"]["data"])]
