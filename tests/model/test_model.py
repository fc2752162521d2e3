import os
import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from workbench.errors import ModelError
from workbench.model import model as module
from workbench.model.model import Model

node = helper.make_node


@pytest.mark.parametrize("path", ["absent.onnx", "", "a\0b.onnx", "~no-such-user-here/m.onnx", "n" * 5000, b"caf\xe9.onnx"])
def test_a_path_that_cannot_be_read_is_a_model_error(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError):
        Model.load(os.fsdecode(path))


def test_a_folder_a_pipe_and_an_empty_file_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty.onnx").touch()
    for path, message in ((tmp_path, "directory"), (tmp_path / "pipe", "device or a pipe"), (tmp_path / "empty.onnx", "empty")):
        with pytest.raises(ModelError, match=message):
            Model.load(path)


@pytest.mark.parametrize(
    ("field", "what"), [("graph", "holds no graph"), ("ir_version", "no IR version"), ("opset_import", "no opset")]
)
def test_a_model_without_a_part_is_refused(saved, field, what):
    path = saved([node("Relu", ["x"], ["y"])])
    proto = onnx.load(path)
    proto.ClearField(field)
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError, match=what):
        Model.load(path)


def test_a_model_from_before_opsets_is_read(saved):
    path = saved([node("Relu", ["x"], ["y"])])
    proto = onnx.load(path)
    proto.ClearField("opset_import")
    proto.ir_version = 2
    path.write_bytes(proto.SerializeToString())
    assert Model.load(path).opset is None


def test_what_is_in_the_file(matmul):
    model = Model.load(matmul)
    assert model.name == "model"
    assert str(model.inputs[0]) == "x: float32 [N × 64]"
    assert [o.name for o in model.outputs] == ["y"]
    assert [(n.name, n.op_type) for n in model.nodes] == [("mm", "MatMul")]
    assert [(o.op_type, o.domain, o.count) for o in model.operators] == [("MatMul", "", 1)]
    assert (model.opset, model.opsets, model.ir_version, model.producer) == (17, {"": 17, "local": 1}, 9, "test")
    assert (model.parameters, model.size_bytes) == (64 * 128, matmul.stat().st_size)
    assert repr(model) == "Model('model.onnx', 1 nodes, opset 17)"


def test_weights_listed_as_inputs_are_no_inputs(saved, tensor, weights):
    path = saved([node("MatMul", ["x", "w"], ["y"])], inputs=("x", "w"), weights=[tensor(weights, "w")])
    assert [i.name for i in Model.load(path).inputs] == ["x"]


@pytest.mark.parametrize(
    ("shape", "seen"),
    [
        ((-1, 3), (None, 3)),
        ((None, 3), (None, 3)),
        (("?", 3), (None, 3)),
        (("N", "N"), ("N", "N")),
        (("what?", 3), ("what?", 3)),
        ((0, 3), (0, 3)),
        ((), ()),
        (None, None),
    ],
)
def test_dimensions_are_numbers_names_or_unknown(saved, shape, seen):
    spec = Model.load(saved([node("Relu", ["x"], ["y"])], shape=shape)).inputs[0]
    assert spec.shape == seen
    assert spec.dynamic == (seen is None or any(not isinstance(d, int) for d in seen))


def test_dynamic_dimensions_are_listed_once_in_order(model, tmp_path):
    proto = model([node("Add", ["a", "b"], ["y"])], inputs=())
    for name, shape in (("a", ("N", 3, "H")), ("b", ("H", None, "N"))):
        proto.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    path = tmp_path / "two.onnx"
    path.write_bytes(proto.SerializeToString())
    assert Model.load(path).dynamic_dimensions == ("N", "H", "?")


def test_inputs_that_are_no_tensors_have_no_shape(model, tmp_path):
    proto = model([node("Identity", ["x"], ["y"])], inputs=())
    proto.graph.input.append(helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None))
    path = tmp_path / "sequence.onnx"
    path.write_bytes(proto.SerializeToString())
    spec = Model.load(path).inputs[0]
    assert (spec.dtype, spec.shape, spec.dynamic) == ("sequence", None, True)


def test_every_element_type_of_onnx_has_a_name():
    known = {number for name, number in TensorProto.DataType.items() if name != "UNDEFINED"}
    assert known <= module.DTYPES.keys()


def test_constants_of_bodies_count_as_parameters(saved, graph, tensor):
    body = graph([node("Constant", [], ["b"], value=tensor(np.zeros(5, np.float32), "b"))], inputs=(), outputs=("b",))
    path = saved([node("If", ["c"], ["y"], then_branch=body, else_branch=body)], inputs=("c",))
    assert Model.load(path).parameters == 10


def test_the_content_hash_is_that_of_the_content_and_not_of_the_name(matmul, tmp_path):
    copy = tmp_path / "another.onnx"
    shutil.copy(matmul, copy)
    assert Model.load(copy).content_hash() == Model.load(matmul).content_hash()


def test_the_content_hash_is_the_same_for_the_same_files_elsewhere(external, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for file in ("model.onnx", "weights.bin"):
        shutil.copy(external.parent / file, elsewhere / file)
    assert Model.load(elsewhere / "model.onnx").content_hash() == Model.load(external).content_hash()


@pytest.mark.parametrize("kind", ["matmul", "external"])
def test_one_changed_weight_byte_changes_the_content_hash(request, kind):
    path = request.getfixturevalue(kind)
    file = path if kind == "matmul" else path.parent / "weights.bin"
    model = Model.load(path)
    before = model.content_hash()
    content = bytearray(file.read_bytes())
    content[20_000] ^= 1
    file.write_bytes(content)
    stamp = file.stat().st_mtime_ns + 1_000_000
    os.utime(file, ns=(stamp, stamp))
    assert model.content_hash() != before
    assert Model.load(path).content_hash() == model.content_hash()


def test_the_content_hash_is_taken_when_asked_for_and_once(matmul, monkeypatch):
    taken = []
    real = module.hashlib.file_digest
    monkeypatch.setattr(module.hashlib, "file_digest", lambda *a: taken.append(a) or real(*a))
    model = Model.load(matmul)
    assert len(model.nodes) == len(model.operators) == 1
    assert model.size_bytes > 0
    assert taken == []
    assert model.content_hash() == Model.load(matmul).content_hash() == model.content_hash()
    assert len(taken) == 1


def test_only_the_last_hashes_are_remembered():
    assert module._hash.cache_info().maxsize == 32


@pytest.mark.parametrize("kind", ["model.onnx", "weights.bin"])
def test_a_file_that_has_gone_is_a_model_error(external, kind):
    model = Model.load(external)
    (external.parent / kind).unlink()
    for ask in (model.content_hash, lambda: model.size_bytes):
        with pytest.raises(ModelError, match=kind):
            ask()


def test_ten_thousand_nodes_load(saved, tensor):
    nodes, weights = [], []
    for index in range(10_000):
        weights += [tensor(np.zeros(16, np.float32), f"w{index}")] if index % 4 == 0 else []
        reads = [f"t{index}", f"w{index}"] if index % 4 == 0 else [f"t{index}"]
        nodes.append(node("Add" if index % 4 == 0 else "Relu", reads, [f"t{index + 1}"], f"/layer/{index}"))
    path = saved(nodes, inputs=("t0",), outputs=("t10000",), weights=weights)
    assert len(Model.load(path).nodes) == 10_000
