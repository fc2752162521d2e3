import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.external_data_helper import load_external_data_for_tensor

from workbench.errors import ModelError
from workbench.model.external import model_tensors
from workbench.model.model import Model
from workbench.model.skim import DEPTH, KEEP_BYTES, skim

BIG = KEEP_BYTES // 2 + 8  # elements: more bytes than are kept, whatever the type


def read_back(path):
    """Return every constant of a loaded model, its payload read by ONNX's own code."""
    found = []
    for tensor in model_tensors(Model.load(path).proto):
        copy = TensorProto()
        copy.CopyFrom(tensor)
        if copy.data_location == copy.EXTERNAL:
            load_external_data_for_tensor(copy, str(path.parent))
            copy.data_location = copy.DEFAULT
        found.append(onnx.numpy_helper.to_array(copy))
    return found


def original(path):
    return [onnx.numpy_helper.to_array(t) for t in model_tensors(onnx.load(path))]


def assert_same_numbers(path):
    for ours, theirs in zip(read_back(path), original(path), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def embedded(path):
    return [t.data_location == t.EXTERNAL for t in model_tensors(Model.load(path).proto)]


def test_large_weights_become_references_to_the_same_bytes(matmul):
    assert embedded(matmul) == [True]
    assert len(skim(matmul)) < 1000
    assert_same_numbers(matmul)


def test_small_constants_stay_in_place(saved, tensor):
    path = saved([helper.make_node("Reshape", ["x", "s"], ["y"])], weights=[tensor(np.array([1, -1]), "s")])
    assert embedded(path) == [False]
    assert_same_numbers(path)
    assert skim(path) == path.read_bytes()


@pytest.mark.parametrize(
    ("kind", "dtype", "refers"),
    [
        (TensorProto.FLOAT, np.float32, True),
        (TensorProto.DOUBLE, np.float64, True),
        (TensorProto.INT64, np.int64, False),
        (TensorProto.INT32, np.int32, False),
        (TensorProto.UINT64, np.uint64, False),
        (TensorProto.FLOAT16, np.float16, False),
        (TensorProto.COMPLEX64, np.complex64, False),
        (TensorProto.BOOL, np.bool_, False),
    ],
)
def test_typed_payloads_are_referred_to_where_their_bytes_are_those_of_raw_data(saved, kind, dtype, refers):
    numbers = np.arange(BIG).astype(dtype)
    path = saved([helper.make_node("Identity", ["x"], ["y"])], weights=[helper.make_tensor("w", kind, [BIG], numbers)])
    assert embedded(path) == [refers]
    assert_same_numbers(path)


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.uint8, np.int64, np.float64, np.complex64, np.bool_])
def test_raw_payloads_of_any_type_are_referred_to(saved, tensor, dtype):
    path = saved([helper.make_node("Identity", ["x"], ["y"])], weights=[tensor(np.ones(4 * BIG, dtype), "w")])
    assert embedded(path) == [True]
    assert_same_numbers(path)


def test_strings_stay_in_place(saved):
    words = helper.make_tensor("w", TensorProto.STRING, [BIG], [b"word"] * BIG)
    path = saved([helper.make_node("Identity", ["x"], ["y"])], weights=[words])
    assert embedded(path) == [False]
    assert_same_numbers(path)


def test_constant_nodes_bodies_and_functions_are_skimmed(saved, graph, weights, tensor):
    def constant(name):
        return helper.make_node("Constant", [], [name], value=tensor(weights, name))

    body = graph([constant("b")], inputs=(), outputs=("b",))
    call = helper.make_function("local", "F", ["a"], ["f"], [constant("f")], [helper.make_opsetid("", 17)])
    nodes = [
        constant("c"),
        helper.make_node("If", ["cond"], ["i"], then_branch=body, else_branch=body),
        helper.make_node("F", ["x"], ["y"], domain="local"),
    ]
    path = saved(nodes, inputs=("x", "cond"), functions=[call])
    assert embedded(path) == [True] * 4
    assert len(skim(path)) < 2000
    assert_same_numbers(path)


def test_long_lists_of_numbers_in_attributes_stay_in_place(saved):
    node = helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", target_weights=[0.5] * 100_000)
    path = saved([node])
    assert list(Model.load(path).nodes[0].proto.attribute[0].floats) == [0.5] * 100_000


def test_a_payload_written_in_two_parts_is_kept(saved, weights):
    path = saved([helper.make_node("Identity", ["x"], ["y"])])
    half = helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.ravel()).SerializeToString()
    more = TensorProto(float_data=[1.0] * BIG).SerializeToString()
    # protobuf would join the two when it writes them; it joins a second `graph` field with the first when it reads them
    initializer = b"\x2a" + varint(len(half + more)) + half + more
    path.write_bytes(path.read_bytes() + b"\x3a" + varint(len(initializer)) + initializer)
    loaded = Model.load(path).proto.graph.initializer[0]
    assert loaded.data_location == TensorProto.DEFAULT
    assert len(loaded.float_data) == weights.size + BIG


def varint(value):
    return bytes([value & 0x7F | 0x80]) + varint(value >> 7) if value > 0x7F else bytes([value])


def test_messages_nested_too_deep_are_refused_without_recursing_on(tmp_path):
    inner = b"\x0a" + varint(KEEP_BYTES + 1) + b"n" * (KEEP_BYTES + 1)
    for _ in range(DEPTH):  # a graph in an attribute in a node in a graph
        for tag in (b"\x32", b"\x2a", b"\x0a"):
            inner = tag + varint(len(inner)) + inner
    path = tmp_path / "deep.onnx"
    path.write_bytes(b"\x08\x09\x3a" + varint(len(inner)) + inner)
    with pytest.raises(ModelError, match="nested"):
        Model.load(path)


@pytest.mark.parametrize("large", [False, True])
def test_a_truncated_file_is_refused_at_every_offset(matmul, saved, large):
    path = matmul if large else saved([helper.make_node("Relu", ["x"], ["y"], "r")], file="small.onnx")
    whole = path.read_bytes()
    step = max(1, len(whole) // 400)
    for length in sorted({*range(1, len(whole), step), *range(len(whole) - 60, len(whole))}):
        path.write_bytes(whole[:length])
        try:
            nodes = Model.load(path).nodes
        except ModelError:
            continue
        assert [n.op_type for n in nodes] == ["MatMul" if large else "Relu"]  # only what stands behind the graph is missing


def test_a_truncated_file_says_so(matmul):
    matmul.write_bytes(matmul.read_bytes()[:20_000])
    with pytest.raises(ModelError, match=r"truncated: its graph at byte .* after the file's end at 20,000") as caught:
        Model.load(matmul)
    assert "again" in caught.value.remedy


def test_random_bytes_are_never_anything_but_a_model_error(tmp_path):
    rng = np.random.default_rng(1)
    path = tmp_path / "random.onnx"
    for size in (1, 2, 3, 10, 100, 1000, 100_000):
        for _ in range(40):
            path.write_bytes(rng.bytes(size))
            with pytest.raises(ModelError):
                Model.load(path)


def test_a_damaged_file_is_a_model_error_or_a_model_that_can_be_shown(matmul, saved, graph):
    body = graph([helper.make_node("Relu", ["x"], ["b"])], inputs=(), outputs=("b",))
    branch = helper.make_node("If", ["cond"], ["y"], "if", then_branch=body, else_branch=body)
    rng = np.random.default_rng(2)
    for path in (matmul, saved([branch], inputs=("x", "cond"), file="branch.onnx")):
        whole = path.read_bytes()
        structure = np.array([i for i in range(len(whole)) if i < 150 or i > len(whole) - 150])
        for _ in range(400):
            damaged = bytearray(whole)
            for at in rng.choice(structure, rng.integers(1, 4)):
                damaged[at] = rng.integers(256)
            path.write_bytes(damaged)
            try:
                model = Model.load(path)
            except ModelError:
                continue
            show(model)


def show(model):
    """Ask for everything that a page about the model shows."""
    for value in (*model.inputs, *model.outputs, *model.operators, *model.findings()):
        str(value)
    for name in ("nodes", "opset", "producer", "ir_version", "dynamic_dimensions", "parameters", "size_bytes", "name"):
        repr(getattr(model, name))
    assert repr(model)
    assert model.content_hash()


def test_a_file_that_becomes_shorter_while_it_is_read_is_a_model_error(matmul, monkeypatch):
    import os

    class Longer:
        st_size = matmul.stat().st_size + 100

    monkeypatch.setattr(os, "fstat", lambda _: Longer)
    with pytest.raises(ModelError):
        skim(matmul)
