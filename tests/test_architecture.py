"""The import rules: which part may know which, and which library is allowed where."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "workbench"

# A part may import itself and what stands to its right in the chain panels → figures → study → runtime → ... → errors.
ALLOWED = {
    "errors": set(),
    "record": set(),
    "installing": set(),
    "model": {"errors", "record", "installing"},
    "samples": {"errors", "record", "installing", "model"},
    "measure": {"errors", "record", "installing"},
    "options": {"errors", "record", "installing", "model"},
    "placement": {"errors", "record", "installing", "model", "options"},
    "runtime": {"errors", "record", "installing", "model", "options", "placement", "measure"},
    "study": {"errors", "record", "installing", "model", "options", "placement", "measure", "runtime"},
    "figures": {"errors", "record", "installing", "model", "options", "placement", "measure", "runtime", "study"},
}
EVERYTHING = {*ALLOWED, "handover", "terminal", "panels", "cli", "__init__"}
ALLOWED |= {
    "handover": EVERYTHING - {"panels", "cli", "terminal", "figures"},
    "terminal": EVERYTHING - {"panels", "cli", "figures"},
    "panels": EVERYTHING - {"cli", "terminal"},
    "cli": EVERYTHING - {"panels", "figures"},
    "__main__": EVERYTHING,
    "__init__": EVERYTHING,
}

LIBRARIES = {
    "ipywidgets": {"panels"},
    "traitlets": {"panels"},
    "anywidget": {"panels"},
    "IPython": {"panels"},
    "plotly": {"figures", "panels"},
    "netron": {"panels"},
    "onnxruntime": {"runtime"},
    "tensorrt": {"runtime"},
    "torch": {"runtime", "model"},
    "pynvml": {"runtime"},
    "elftools": {"runtime"},
    "flatbuffers": {"runtime"},
    "filelock": {"runtime"},
    "sqlite3": {"study"},
    "typer": {"cli"},
    "rich": {
        "cli",
        "terminal",
    },
    "sklearn": {"samples"},
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(path):
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "workbench")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_part_may_know(path):
    part = part_of(path)
    for name in imports_of(path):
        top, *rest = name.split(".")
        if top == "workbench" and rest and (PACKAGE / rest[0]).with_suffix(".py").exists() | (PACKAGE / rest[0]).is_dir():
            assert rest[0] == part or rest[0] in ALLOWED[part], f"{part} must not import {name}"
        if top in LIBRARIES:
            assert part in LIBRARIES[top], f"{part} must not import {name}"


def test_functions_and_modules_stay_small():
    for path in MODULES:
        text = path.read_text()
        assert text.count("\n") <= 400, f"{path} has more than 400 lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.end_lineno - node.lineno < 60, f"{path}:{node.lineno} {node.name} has more than 60 lines"


def catches_everything(node):
    return isinstance(node, ast.ExceptHandler) and (
        node.type is None or getattr(node.type, "id", "") in ("Exception", "BaseException")
    )


def test_only_the_panel_boundary_catches_everything():
    broad = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if catches_everything(node)
    }
    assert broad <= {"panels/panel.py"}


def test_importing_the_package_loads_nothing_heavy():
    heavy = {"onnx", "onnxruntime", "tensorrt", "plotly", "ipywidgets", "numpy", "pydantic"}
    code = f"import sys, workbench; print(sorted({heavy} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
