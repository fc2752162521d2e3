import sys
import textwrap

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.placement.build import STRING, engines, node, proto, saved, value, weight
from workbench.errors import JobError, Unavailable
from workbench.placement.oracle import ParserOracle
from workbench.placement.predict import predict
from workbench.runtime.parser import Parser

COMMON = """
    import enum, os, time
    class Logger:
        ERROR = 1
        def __init__(self, level): assert level == 1
    class NetworkDefinitionCreationFlag(enum.IntEnum):
        EXPLICIT_BATCH = 0
        STRONGLY_TYPED = 1
    class Builder:
        def __init__(self, logger): pass
        def create_network(self, flags):
            return flags
    def init_libnvinfer_plugins(logger, namespace): print("plugins are loaded")
    class Error:
        def node(self): return 1
        def desc(self): return "no importer for NonZero"
    class Base:
        num_errors = 1
        def __init__(self, network, logger): self.network = network
        def get_error(self, index): return Error()
        def obey(self, model):
            if model == b"die":
                print("the last words", flush=True)
                os.abort()
            if model == b"hang": time.sleep(60)
            if model == b"refuse": raise RuntimeError("cannot parse")
"""
OLD = """
    __version__ = "8.6.1"
    class OnnxParser(Base):
        def supports_model(self, model):
            self.obey(model)
            assert self.network == 1
            return False, [([0], True), ([1], False), ([2, 3], len(model) > 2)]
"""
NEW = """
    __version__ = "10.16.0"
    class OnnxParser(Base):
        num_subgraphs = 2
        def supports_model_v2(self, model):
            self.obey(model)
            return False
        def get_subgraph_nodes(self, index): return [[0, 2], [1]][index]
        def is_subgraph_supported(self, index): return (index == 0) == (self.network in (0, 2))
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    def install(body):
        text = textwrap.dedent(COMMON) + textwrap.dedent(body)
        (tmp_path / "tensorrt.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return install


def test_without_tensorrt_the_parser_is_absent_with_a_reason():
    with pytest.raises(Unavailable, match="No module named 'tensorrt'") as caught:
        Parser()
    assert "doctor" in caught.value.remedy


def test_an_interpreter_that_is_not_there_is_told(tmp_path):
    with pytest.raises(Unavailable, match="cannot be started"):
        Parser(python=str(tmp_path / "python"))


def test_a_builder_that_cannot_be_made_is_an_absence(fake):
    fake(OLD + "\n    def Builder(logger): raise TypeError('no CUDA-capable device')")
    with pytest.raises(Unavailable, match="no CUDA-capable device"):
        Parser()


def test_the_older_interface(fake):
    fake(OLD)
    node = helper.make_node("Relu", ["x"], ["y"])
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    model = helper.make_model(helper.make_graph([node], "g", [value], [])).SerializeToString()
    with Parser() as parser:
        assert parser.tensorrt == "8.6.1"
        answer = parser.ask(model)
        assert answer.groups == [((0,), True), ((1,), False), ((2, 3), True)]
        assert answer.errors == ((1, "no importer for NonZero"),)
        assert parser(b"x") == [((0,), True), ((1,), False), ((2, 3), False)]


def test_the_newer_interface_and_its_typing(fake):
    fake(NEW)
    for strongly_typed in (False, True):
        with Parser(strongly_typed=strongly_typed) as parser:
            assert parser(b"model") == [((0, 2), True), ((1,), False)]


def test_a_large_model_passes_both_pipes(fake):
    fake(OLD)
    with Parser(limit_s=20) as parser:
        assert parser(b"x" * 3_000_000)[2] == ((2, 3), True)


def test_a_parser_that_dies_is_told_and_replaced(fake):
    fake(OLD)
    with Parser() as parser:
        with pytest.raises(JobError, match="the last words") as caught:
            parser(b"die")
        assert caught.value.kind == "crash"
        assert len(parser(b"model")) == 3


def test_a_parser_that_hangs_is_ended_and_replaced(fake):
    fake(OLD)
    with Parser(limit_s=0.3) as parser:
        with pytest.raises(JobError, match=r"longer than 0\.3 s") as caught:
            parser(b"hang")
        assert caught.value.kind == "timeout"
        parser.limit_s = 20
        assert len(parser(b"model")) == 3


def test_a_refusal_is_an_error_and_the_process_lives_on(fake):
    fake(OLD)
    with Parser() as parser:
        with pytest.raises(JobError, match="cannot parse"):
            parser(b"refuse")
        assert len(parser(b"model")) == 3


def test_another_interpreter_does_not_see_this_ones_packages(fake, tmp_path):
    fake(OLD)
    other = tmp_path / "other"
    other.symlink_to(sys.executable)
    with pytest.raises(Unavailable, match="No module named 'tensorrt'"):
        Parser(python=str(other))


STRINGS = """
    __version__ = "8.6.1"
    class OnnxParser(Base):
        def supports_model(self, model):
            if b"ArrayFeatureExtractor" in model or b"labels" in model: raise RuntimeError("cannot read a string")
            return True, [([0, 1, 2], True)]
"""


def test_a_model_with_string_labels_is_asked_about_without_them(fake, tmp_path):
    fake(STRINGS)
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Neg", ["a"], ["y"]),
        node("ArgMax", ["a"], ["i"], axis=1, keepdims=0),
        node("ArrayFeatureExtractor", ["labels", "i"], ["word"], domain="ai.onnx.ml"),
    ]
    labels = [weight("labels", np.array(["cat", "dog"], dtype=object))]
    outputs = [value("y"), value("word", STRING, None)]
    model = saved(tmp_path, proto(nodes, outputs, weights=labels, imports=[("ai.onnx.ml", 3)]))
    with Parser() as parser:
        found = predict(model, oracle=ParserOracle(model, parser, "8.6"))
    assert engines(found) == [{"a", "y", "i"}]
