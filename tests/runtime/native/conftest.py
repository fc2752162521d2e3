"""A TensorRT and a CUDA runtime that run on the CPU, put where the companion finds them."""

import os
import shutil
import subprocess
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from workbench.model.model import Model

FAKE = Path(__file__).parent / "fake"
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


@pytest.fixture(scope="session")
def cudart(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to make the CUDA runtime with")
    folder = tmp_path_factory.mktemp("cudart")
    library = folder / "libcudart.so.13"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(FAKE / "cudart.c")], check=True)
    return library


@pytest.fixture
def tensorrt(cudart, monkeypatch):
    """Return a function that installs a version of TensorRT, and what is to happen."""

    def install(version="10.14.1.48", *happens):
        path = os.pathsep.join(filter(None, (str(FAKE), os.environ.get("PYTHONPATH"))))
        monkeypatch.setenv("PYTHONPATH", path)
        monkeypatch.setenv("LD_LIBRARY_PATH", str(cudart.parent))
        monkeypatch.setenv("FAKE_TRT_VERSION", version)
        monkeypatch.setenv("FAKE_TRT", " ".join(happens))
        monkeypatch.delenv("WORKBENCH_TENSORRT_PYTHON", raising=False)

    return install


def save(path, nodes, inputs, outputs, weights=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(weights))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return Model.load(path)


def tensor(name, shape, dtype=FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


@pytest.fixture
def chain(tmp_path):
    """x + 1, then ReLU, of a dynamic batch."""
    one = helper.make_tensor("one", FLOAT, [1], [1.0])
    nodes = [helper.make_node("Add", ["x", "one"], ["a"], name="add"), helper.make_node("Relu", ["a"], ["y"], name="relu")]
    return save(tmp_path / "chain.onnx", nodes, [tensor("x", ["batch", 4])], [tensor("y", ["batch", 4])], [one])


@pytest.fixture
def integers(tmp_path):
    nodes = [helper.make_node("Add", ["ids", "ids"], ["twice"], name="add")]
    return save(tmp_path / "integers.onnx", nodes, [tensor("ids", [3], INT64)], [tensor("twice", [3], INT64)])


@pytest.fixture
def reshaping(tmp_path):
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"], name="reshape")]
    inputs = [tensor("x", [2, 6]), tensor("shape", [2], INT64)]
    return save(tmp_path / "reshaping.onnx", nodes, inputs, [tensor("y", ["a", "b"])])


@pytest.fixture
def nonzero(tmp_path):
    nodes = [helper.make_node("NonZero", ["x"], ["where"], name="nonzero")]
    return save(tmp_path / "nonzero.onnx", nodes, [tensor("x", [8])], [tensor("where", [1, "count"], INT64)])


@pytest.fixture
def unsupported(tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["r"], name="relu"), helper.make_node("Sin", ["r"], ["y"], name="wave")]
    return save(tmp_path / "unsupported.onnx", nodes, [tensor("x", [2])], [tensor("y", [2])])
