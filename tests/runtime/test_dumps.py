import os
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest
from onnx import TensorProto, helper

from workbench.errors import JobError
from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.placement.records import CUDA, TENSORRT
from workbench.runtime import dumps as dumps_module
from workbench.runtime.dumps import absolute_options, dumped_engines
from workbench.runtime.session import logged_copies, make_session

TRT = Settings()
LINE = "2026-11-20 09:16:27.922619 [V:onnxruntime:, session_state.cc:1154 VerifyEachNodeIsAssignedToAnEp] "


def graph_of(nodes, name):
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])]
    return helper.make_graph(nodes, name, inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])


def model_of(nodes, name):
    return helper.make_model(graph_of(nodes, name), opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def unnamed(op, given, made):
    return helper.make_node(op, [given], [made])


@pytest.fixture
def model(tmp_path):
    nodes = [unnamed("Relu", "x", "a"), unnamed("NonZero", "a", "b"), unnamed("Relu", "b", "c"), unnamed("Identity", "c", "y")]
    onnx.save(model_of(nodes, "g/1"), tmp_path / "m.onnx")
    return Model.load(tmp_path / "m.onnx")


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


class FakeSession:
    """Splits the model at its NonZero, dumps as ONNX Runtime 1.17 does, and logs the placement."""

    log: Path
    fail = damage = False

    def __init__(self, source, options, providers, enable_fallback):  # noqa: ARG002  # ONNX Runtime's
        whole = onnx.load_from_string(source)
        self.options = dict(providers[0][1])
        self.folder = Path.cwd()
        type(self).made = self
        kept = [n for n in whole.graph.node if n.op_type == "Relu"]
        if self.options.get("trt_dump_subgraphs") == "True":
            onnx.save(whole, "TensorrtExecutionProvider_TRT_Subgraph.onnx")
            for i, node in enumerate(kept):
                name = f"TensorrtExecutionProvider_TRTKernel_graph_{whole.graph.name}_77_{i}_{i}.onnx"
                data = model_of([node], whole.graph.name).SerializeToString()
                Path(name).write_bytes(data[:20] if self.damage and i else data)
        if self.fail:
            raise RuntimeError("could not build the engine")
        lines = [" Node(s) placed on [TensorrtExecutionProvider]. Number of nodes: 2"]
        lines += [f"  TRTKernel_graph_g/1_77_{i} (TensorrtExecutionProvider_TRTKernel_graph_g/1_77_{i}_{i})" for i in (0, 1)]
        lines += [" Node(s) placed on [CUDAExecutionProvider]. Number of nodes: 2"]
        lines += [f"  NonZero ({whole.graph.node[1].name})", "  MemcpyToHost (Memcpy)"]
        with self.log.open("a") as file:
            file.writelines(LINE + line + "\n" for line in lines)

    def get_providers(self):
        return [TENSORRT, CUDA]


@pytest.fixture
def ort(tmp_path):
    log = tmp_path / "worker.log"
    log.write_text("")
    session = type("Session", (FakeSession,), {"log": log})
    options = type("SessionOptions", (), {})
    state = SimpleNamespace(onnxruntime_pybind11_state=SimpleNamespace())
    return SimpleNamespace(InferenceSession=session, SessionOptions=options, capi=state, __version__="1.17.1")


def made(ort, model, settings=TRT):
    return make_session(ort, model, settings, ort.InferenceSession.log).placement


def groups(placement):
    return [set(g.nodes) for g in placement.groups if g.provider == TENSORRT]


def test_an_old_release_gives_exact_engines_from_its_dumps(ort, model, home, tmp_path):
    found = made(ort, model)

    assert groups(found) == [{"Relu_0"}, {"Relu_2"}]
    assert {n.name: n.provider for n in found.nodes} == {
        "Relu_0": TENSORRT,
        "NonZero_1": CUDA,
        "Relu_2": TENSORRT,
        "Identity_3": None,
    }
    assert found.coverage == {TENSORRT: 2 / 3, CUDA: 1 / 3}
    assert found.memcpy == 1
    assert found.notes == ()
    assert ort.InferenceSession.made.folder != home
    assert Path.cwd() == home
    assert list(home.iterdir()) == []
    assert not (tmp_path / "worker.files").exists()


def test_the_settings_do_not_change(ort, model, home):
    before = TRT.fingerprint()
    made(ort, model)
    assert TRT.fingerprint() == before
    assert "trt_dump_subgraphs" not in TRT.provider_options


def test_a_session_that_fails_leaves_the_folder_and_the_disk_as_they_were(ort, model, home, tmp_path):
    ort.InferenceSession.fail = True
    with pytest.raises(JobError, match="could not build"):
        made(ort, model)
    assert Path.cwd() == home
    assert not (tmp_path / "worker.files").exists()


def test_a_torn_dump_is_a_note_and_the_rest_stays_exact(ort, model, home):
    ort.InferenceSession.damage = True
    found = made(ort, model)
    assert groups(found) == [{"Relu_0"}, {"Relu_2", "Identity_3"}]
    assert any("cannot be read" in note and "disk may be full" in note for note in found.notes)


def test_what_must_stay_in_the_folder_is_not_dumped_elsewhere(ort, model, home):
    context = TRT.replace(provider_options={"trt_dump_ep_context_model": True, "trt_engine_cache_path": "cache"})
    found = made(ort, model, context)
    assert ort.InferenceSession.made.folder == home
    assert ort.InferenceSession.made.options["trt_engine_cache_path"] == "cache"
    assert groups(found) == [set(), set()]
    assert any("trt_dump_ep_context_model" in note for note in found.notes)


def test_an_ep_context_model_is_not_dumped(tmp_path, home):
    node = helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft")
    proto = model_of([node], "g")
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(proto, tmp_path / "ctx.onnx")
    with dumped_engines(Model.load(tmp_path / "ctx.onnx"), TRT, tmp_path / "files") as found:
        assert Path.cwd() == home
    assert "built before" in found.notes[0]


def test_dumping_can_be_forbidden_and_its_files_can_be_kept(ort, model, home):
    found = made(ort, model, TRT.replace(provider_options={"trt_dump_subgraphs": False}))
    assert "False" in found.notes[-1]
    assert ort.InferenceSession.made.options["trt_dump_subgraphs"] == "False"
    made(ort, model, TRT.replace(provider_options={"trt_dump_subgraphs": True}))
    assert len(list(home.rglob("*TRTKernel*.onnx")) + list(home.rglob("*_graph_g/*.onnx"))) == 2
    assert (home / "TensorrtExecutionProvider_TRT_Subgraph.onnx").is_file()


def test_a_large_model_and_a_full_disk_are_not_dumped(ort, model, home, monkeypatch):
    monkeypatch.setattr(dumps_module, "LARGEST_MODEL", 10)
    assert any("hold the weights" in note for note in made(ort, model).notes)
    monkeypatch.setattr(dumps_module, "LARGEST_MODEL", 10**9)
    monkeypatch.setattr(dumps_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    found = made(ort, model)
    assert any("0 MB left" in note for note in found.notes)
    assert found.engines() == 2


def test_a_folder_that_cannot_be_made_or_is_gone_is_a_note(model, tmp_path, home):
    with dumped_engines(model, TRT, tmp_path / "absent" / "dumps") as found:
        assert Path.cwd() == home
    assert "absent" in found.notes[0]
    home.rmdir()
    with dumped_engines(model, TRT, tmp_path / "dumps") as found:
        pass
    assert "No such file" in found.notes[0]
    os.chdir(tmp_path)


def test_relative_paths_keep_meaning_the_users_folder():
    home = Path("/home/user")
    given = {
        "trt_engine_cache_path": "cache",
        "trt_timing_cache_path": "/abs",
        "trt_int8_calibration_table_name": "table",
        "trt_extra_plugin_lib_paths": "libs/a.so;b.so",
        "trt_fp16_enable": "True",
    }
    assert absolute_options(given, home) == given | {
        "trt_engine_cache_path": "/home/user/cache",
        "trt_extra_plugin_lib_paths": "/home/user/libs/a.so;b.so",
    }


@pytest.mark.parametrize("key", ["trt_engine_cache_enable", "trt_timing_cache_enable", "trt_int8_enable"])
def test_a_cache_without_a_folder_stays_in_the_users(key):
    assert absolute_options({key: "True"}, Path("/home/user"))["trt_engine_cache_path"] == "/home/user"
    assert "trt_engine_cache_path" not in absolute_options({key: "False"}, Path("/home/user"))


def test_copies_are_read_where_the_log_tells_them():
    log = "[W:onnxruntime:, x.cc:1 Apply] 3 Memcpy nodes are added to the graph main_graph for CUDAExecutionProvider. It might"
    assert logged_copies(log, Settings(provider="cuda")) == 3
    assert logged_copies("", Settings(provider="cuda")) == 0
    assert logged_copies(log, Settings(provider="cuda", session_options={"log_severity_level": 3})) is None
    assert logged_copies(log, TRT) is None
    assert logged_copies("", Settings(provider="cpu")) == 0
