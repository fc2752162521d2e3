import os
import subprocess
import sys

import onnx
import pytest
from onnx import helper
from onnx.external_data_helper import load_external_data_for_model

from workbench.errors import ModelError
from workbench.model.model import Model


def test_external_data_beside_the_model_is_accepted_and_untouched(external, weights):
    model = Model.load(external)
    assert model.size_bytes == external.stat().st_size + (external.parent / "weights.bin").stat().st_size
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    load_external_data_for_model(proto, str(external.parent))
    assert proto.graph.initializer[0].raw_data == weights.tobytes()


def test_missing_external_data_names_the_tensor_and_the_file(external):
    (external.parent / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"tensor 'w' is missing: .*weights.bin"):
        Model.load(external)


def test_truncated_external_data_says_how_much_is_missing(external):
    with (external.parent / "weights.bin").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(ModelError, match=r"truncated: .* has 1,000 bytes, 32,784 are needed"):
        Model.load(external)


def test_truncation_is_seen_without_a_length_too(relocate):
    path = relocate(location="weights.bin", offset=32)
    with pytest.raises(ModelError, match="truncated"):
        Model.load(path)


@pytest.mark.parametrize("location", ["../weights.bin", "sub/../../weights.bin", "{folder}/../weights.bin"])
def test_a_path_out_of_the_folder_is_refused(relocate, location, tmp_path):
    (tmp_path.parent / "weights.bin").write_bytes(b"\0" * 40_000)
    (tmp_path / "sub").mkdir()
    with pytest.raises(ModelError, match=r"outside the model's folder|absolute path"):
        Model.load(relocate(location=location.format(folder=tmp_path), length=16))


def test_an_absolute_path_into_the_folder_is_refused_as_onnx_runtime_does(relocate, tmp_path):
    with pytest.raises(ModelError, match="absolute path"):
        Model.load(relocate(location=tmp_path / "weights.bin", length=16))


def test_a_link_out_of_the_folder_is_refused(external, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "weights.bin"
    (external.parent / "weights.bin").rename(elsewhere)
    (external.parent / "weights.bin").symlink_to(elsewhere)
    with pytest.raises(ModelError, match="outside the model's folder"):
        Model.load(external)


def test_a_cache_that_links_model_and_weights_into_one_folder_is_accepted(external, tmp_path_factory):
    snapshot = tmp_path_factory.mktemp("snapshot")
    for name, blob in (("model.onnx", "0a"), ("weights.bin", "1b")):
        (external.parent / name).rename(external.parent / blob)
        (snapshot / name).symlink_to(external.parent / blob)
    assert Model.load(snapshot / "model.onnx").parameters == 64 * 128


def test_a_subfolder_is_accepted(relocate, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "weights.bin").rename(tmp_path / "sub" / "w.bin")
    assert Model.load(relocate(location="sub/w.bin", offset=16)).parameters == 64 * 128


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": ""}, "names no file"),
        ({"offset": 0}, "names no file"),
        ({"location": "."}, "names no file"),
        ({"location": "weights.bin", "offset": "ten"}, "is no number"),
        ({"location": "weights.bin", "offset": -5}, "negative"),
        ({"location": "weights.bin", "length": -5}, "negative"),
        ({"location": "a\0b"}, "cannot be read|missing"),
        ({"location": "n" * 5000}, "cannot be read|missing"),
        ({"location": "loop"}, "cannot be read|missing|outside"),
    ],
)
def test_a_wrong_entry_is_a_model_error(relocate, tmp_path, entries, message):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ModelError, match=message):
        Model.load(relocate(**entries))


def test_a_folder_in_place_of_the_file_is_refused(relocate, tmp_path):
    (tmp_path / "sub").mkdir()
    with pytest.raises(ModelError, match="missing"):
        Model.load(relocate(location="sub"))


def test_a_reference_into_the_own_file_is_checked_too(relocate, external):
    with pytest.raises(ModelError, match="truncated"):
        Model.load(relocate(location="model.onnx", offset=10**9, length=10))


def test_external_data_of_constants_in_bodies_is_checked(saved, graph, tensor, weights):
    constant = helper.make_node("Constant", [], ["b"], value=tensor(weights, "b"))
    held = constant.attribute[0].t
    held.ClearField("raw_data")
    held.data_location = held.EXTERNAL
    held.external_data.add(key="location", value="gone.bin")
    body = graph([constant], inputs=(), outputs=("b",))
    path = saved([helper.make_node("If", ["cond"], ["y"], then_branch=body, else_branch=body)], inputs=("cond",))
    with pytest.raises(ModelError, match=r"'b' is missing: .*gone.bin"):
        Model.load(path)


OPEN = """
import resource, sys
from workbench.model.model import Model
import onnx
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model = Model.load(sys.argv[1])
model.inputs, model.operators, model.parameters, model.size_bytes, model.findings()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts kilobytes on Linux")
@pytest.mark.parametrize("inside", [False, True], ids=["external", "embedded"])
def test_two_gigabytes_of_weights_open_at_once_and_in_little_memory(model, tmp_path, inside):
    size = 2_000_000_000
    proto = model([helper.make_node("Gather", ["w", "i"], ["y"])], inputs=("i",))
    weight = proto.graph.initializer.add(name="w", data_type=onnx.TensorProto.INT8, dims=[1000, size // 1000])
    path = tmp_path / "large.onnx"
    if inside:
        path.write_bytes(b"")
        write_embedded(path, proto, weight, size)
    else:
        weight.data_location = weight.EXTERNAL
        weight.external_data.add(key="location", value="large.bin")
        path.write_bytes(proto.SerializeToString())
        (tmp_path / "large.bin").touch()
        os.truncate(tmp_path / "large.bin", size)
    command = [sys.executable, "-c", OPEN, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert float(done.stdout) < 50_000, "kilobytes"


def write_embedded(path, proto, weight, size):
    """Write a model whose weight's bytes are a hole in a sparse file."""
    head = weight.SerializeToString() + b"\x4a" + varint(size)
    del proto.graph.initializer[:]
    graph = proto.graph.SerializeToString()
    proto.ClearField("graph")
    tensor = b"\x2a" + varint(len(head) + size) + head
    with path.open("wb") as file:
        file.write(proto.SerializeToString() + b"\x3a" + varint(len(graph) + len(tensor) + size) + graph + tensor)
        file.truncate(file.tell() + size)


def varint(value):
    return bytes([value & 0x7F | 0x80]) + varint(value >> 7) if value > 0x7F else bytes([value])


def test_ten_thousand_external_tensors_open(model, tmp_path):
    proto = model([helper.make_node("Relu", ["x"], ["y"])])
    for index in range(10_000):
        weight = proto.graph.initializer.add(name=f"w{index}", data_type=1, dims=[4])
        weight.data_location = weight.EXTERNAL
        for key, value in (("location", "w.bin"), ("offset", 16 * index), ("length", 16)):
            weight.external_data.add(key=key, value=str(value))
    (tmp_path / "w.bin").write_bytes(b"\0" * 160_000)
    path = tmp_path / "many.onnx"
    path.write_bytes(proto.SerializeToString())
    assert Model.load(path).parameters == 40_000
