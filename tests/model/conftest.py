import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper


@pytest.fixture
def tensor():
    return numpy_helper.from_array


@pytest.fixture
def graph():
    def make(nodes, *, inputs=("x",), outputs=("y",), weights=(), shape=("N", 8), name="g"):
        specs = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in names] for names in (inputs, outputs)]
        return helper.make_graph(nodes, name, *specs, initializer=list(weights))

    return make


@pytest.fixture
def model(graph):
    def make(nodes, *, opset=17, functions=(), **parts):
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1)]
        return helper.make_model(
            graph(nodes, **parts), opset_imports=opsets, functions=list(functions), ir_version=9, producer_name="test"
        )

    return make


@pytest.fixture
def saved(model, tmp_path):
    """Build a model, save it, and return its path."""

    def make(nodes, *, file="model.onnx", **parts):
        path = tmp_path / file
        path.write_bytes(model(nodes, **parts).SerializeToString())
        return path

    return make


@pytest.fixture
def weights():
    return np.random.default_rng(0).standard_normal((64, 128), dtype=np.float32)  # 32 KiB: above what is kept in place


@pytest.fixture
def matmul(saved, weights, tensor):
    """Return the path of a model with one embedded weight of 32 KiB."""
    return saved([helper.make_node("MatMul", ["x", "w"], ["y"], "mm")], weights=[tensor(weights, "w")], shape=("N", 64))


@pytest.fixture
def external(model, weights, tensor, tmp_path):
    """Return the path of a model whose weight lies in ``weights.bin``, at an offset."""
    proto = model([helper.make_node("MatMul", ["x", "w"], ["y"], "mm")], weights=[tensor(weights, "w")], shape=("N", 64))
    refer(proto.graph.initializer[0], location="weights.bin", offset=16, length=weights.nbytes)
    (tmp_path / "weights.bin").write_bytes(b"\xff" * 16 + weights.tobytes())
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.fixture
def relocate(external):
    """Change the external data entries of the model of ``external``."""

    def change(**entries):
        proto = onnx.load(external, load_external_data=False)
        refer(proto.graph.initializer[0], **entries)
        external.write_bytes(proto.SerializeToString())
        return external

    return change


def refer(tensor, **entries):
    tensor.ClearField("raw_data")
    del tensor.external_data[:]
    tensor.data_location = tensor.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=str(value))
