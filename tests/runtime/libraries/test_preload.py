import sys
from types import SimpleNamespace

import pytest

from workbench.runtime.libraries import preload as module
from workbench.runtime.libraries.needs import needs_of
from workbench.runtime.libraries.preload import dotted, load_library, preload


@pytest.fixture
def loader(monkeypatch):
    """Return a list of what ctypes was asked to load; only files that exist can be."""
    asked = []

    def load(name, mode=0):
        if mode:
            raise OSError("not loaded yet")
        asked.append(str(name))
        if "/" not in str(name):
            raise OSError(f"{name}: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(module.ctypes, "CDLL", load)
    return asked


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a function that puts libraries into a package of a fake site-packages folder."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(folder, *names, init=""):
        place = tmp_path / folder
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            (place / name).write_bytes(b"")
        if not folder.startswith("nvidia"):
            (place / "__init__.py").write_text(init)

    yield install
    for name in [name for name in sys.modules if name.partition(".")[0] in ("nvidia", "tensorrt_libs")]:
        del sys.modules[name]


def names(asked):
    return [path.rpartition("/")[2] for path in asked if "/" in path]


def test_cuda_11_packages_are_loaded_in_the_order_of_their_needs(loader, site):
    site("nvidia/cublas/lib", "libcublas.so.11", "libcublasLt.so.11")
    site("nvidia/cudnn/lib", "libcudnn.so.8")
    site("nvidia/cuda_runtime/lib", "libcudart.so.11.0")

    preload(SimpleNamespace(__version__="1.17.1"), needs_of("1.17.1"), "cuda")

    assert names(loader) == ["libcudart.so.11.0", "libcublasLt.so.11", "libcublas.so.11", "libcudnn.so.8"]


def test_cuda_13_s_common_folder_is_found(loader, site):
    site("nvidia/cu13/lib", "libcudart.so.13", "libcublas.so.13", "libnvJitLink.so.13")

    preload(SimpleNamespace(__version__="1.27.0"), needs_of("1.27.0"), "cuda")

    assert names(loader) == ["libnvJitLink.so.13", "libcudart.so.13", "libcublas.so.13"]


def test_onnxruntime_s_own_preloading_comes_first_where_it_has_one(loader, site):
    site("nvidia/cu13/lib", "libcudart.so.13")
    called = []

    preload(SimpleNamespace(__version__="1.31.1", preload_dlls=lambda: called.append(len(loader))), needs_of("1.31.1"), "cuda")

    assert called == [0]


def test_tensorrt_of_the_right_major_release_is_loaded(loader, site):
    site("tensorrt_libs", "libnvinfer.so.10", "libnvonnxparser.so.10", init="import sys; sys.imported_tensorrt_libs = True")

    preload(SimpleNamespace(__version__="1.31.1"), needs_of("1.31.1"), "tensorrt")

    assert names(loader) == ["libnvinfer.so.10", "libnvonnxparser.so.10"]
    assert sys.__dict__.pop("imported_tensorrt_libs")


def test_tensorrt_of_another_major_release_is_not_even_imported(loader, site):
    site("tensorrt_libs", "libnvinfer.so.11", "libnvonnxparser.so.11", init="raise AssertionError")

    preload(SimpleNamespace(__version__="1.31.1"), needs_of("1.31.1"), "tensorrt")

    assert names(loader) == []
    assert "tensorrt_libs" not in sys.modules


def test_nothing_is_loaded_for_the_cpu(loader, site):
    site("nvidia/cu13/lib", "libcudart.so.13")
    preload(SimpleNamespace(__version__="1.31.1"), needs_of("1.31.1"), "cpu")
    assert loader == []


def test_a_library_that_is_not_there_is_told_in_a_word():
    assert load_library("libcublas.so.99").error == "not found"


def test_a_library_that_lacks_one_of_its_own_is_told(monkeypatch):
    def load(name, mode=0):
        raise OSError("libnvrtc.so.12: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(module.ctypes, "CDLL", load)
    assert load_library("libcudnn.so.9").error == "it needs libnvrtc.so.12, which is not found"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ELF libraries are Linux's")
def test_a_library_that_is_there_is_told_with_its_file():
    found = load_library("libm.so.6")
    assert found.error == ""
    assert found.path.rpartition("/")[2].startswith("libm")
    assert found.package is None


@pytest.mark.parametrize(
    ("number", "text"), [(8907, "8.9.7"), (92800, "9.28.0"), (8601, "8.6.1"), (101401, "10.14.1"), (90801, "9.8.1")]
)
def test_version_numbers_become_text(number, text):
    assert dotted(number) == text
