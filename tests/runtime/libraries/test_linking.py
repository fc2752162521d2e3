import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.runtime.libraries.linking import needed_by, undefined_in

COMPILER = shutil.which("gcc") or shutil.which("cc")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ELF libraries are Linux's")


def extension():
    """Return a library that is surely here: one of NumPy's."""
    import numpy.linalg._umath_linalg as module

    return Path(module.__file__)


@linux
def test_the_names_that_a_library_asks_for_are_read_from_its_file():
    assert any(name.startswith("libc.so") for name in needed_by(extension()))


@linux
def test_a_library_whose_symbols_are_all_there_has_no_undefined_ones():
    folder = Path(sys.executable).resolve().parents[1] / "lib"
    found = undefined_in(extension(), [str(folder)])
    assert not [symbol for symbol in found if not symbol.startswith("Py") and not symbol.startswith("_Py")]


def test_a_file_that_is_no_library_needs_nothing(tmp_path):
    (tmp_path / "text.so").write_text("no library")
    assert needed_by(tmp_path / "text.so") == ()
    assert needed_by(tmp_path / "absent.so") == ()


def test_without_the_systems_loader_nothing_is_judged(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert undefined_in("any.so", []) == ()


@linux
@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
def test_symbols_that_are_in_no_library_are_found_and_onnxruntimes_own_is_left_out(tmp_path):
    source = "extern int createInferBuilder_INTERNAL(void), Provider_GetHost(void);"
    source += "int f(void) { return createInferBuilder_INTERNAL() + Provider_GetHost(); }"
    library = tmp_path / "libprovider.so"
    subprocess.run([COMPILER, "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=source.encode(), check=True)
    assert undefined_in(library, []) == ("createInferBuilder_INTERNAL",)


@linux
@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
def test_nothing_is_judged_where_the_loader_misses_a_library_that_this_process_has(tmp_path):
    def compiled(name, source, *more):
        command = [COMPILER, "-shared", "-fPIC", "-x", "c", "-", "-o", tmp_path / name, *more]
        subprocess.run(command, input=source.encode(), check=True)
        return tmp_path / name

    compiled("libinner.so", "int g(void) { return 1; }")
    outer = compiled(
        "libouter.so", "extern int g(void); int f(void) { return g(); }", f"-L{tmp_path}", "-Wl,--no-as-needed", "-linner"
    )
    assert undefined_in(outer, [str(tmp_path)]) == ()
    (tmp_path / "libinner.so").unlink()
    assert undefined_in(outer, [str(tmp_path)]) == ()
