import numpy as np
import onnx
import pytest

from tests.placement.build import FLOAT, INT64, STRING, by_name, engines, graph, node, short, value, weight
from workbench.errors import InputError
from workbench.placement.oracle import ParserOracle, RecordedOracle, Remembered
from workbench.placement.predict import predict
from workbench.placement.prepare import prepare
from workbench.placement.recorded import RecordedAnswer, Recording, signature
from workbench.placement.support import SupportTable
from workbench.placement.what_if import Question, WhatIf

SQUARES = [value("x", shape=(3, 2, 2))]
SPLIT = [node("Relu", ["x"], ["a"]), node("Det", ["a"], ["d"]), node("Add", ["d", "d"], ["y"])]


class Parser:
    """Answers as TensorRT's parser does: what lies around the first node that it refuses."""

    def __init__(self, refuses):
        self.refuses, self.models = refuses, []

    def __call__(self, data):
        model = onnx.load_from_string(data)
        self.check(model)
        self.models.append(model)
        kinds = [n.op_type for n in model.graph.node]
        bad = next((i for i, kind in enumerate(kinds) if kind in self.refuses), None)
        if bad is None:
            return [(list(range(len(kinds))), True)]
        parts = [list(range(bad)), list(range(bad + 1, len(kinds)))]
        return [(part, False) for part in parts if part]

    def check(self, model):
        onnx.checker.check_model(model)


class Unchecked(Parser):
    """A Parser that also takes operators which ONNX has removed."""

    def check(self, model):
        pass


def test_the_parser_is_asked_until_it_takes_what_is_left(model):
    m = model(SPLIT, inputs=SQUARES)
    parser = Parser({"Det"})
    p = predict(m, oracle=ParserOracle(m, parser, "10.16"))
    assert engines(p) == [{"a"}, {"y"}]
    assert [[n.op_type for n in part.graph.node] for part in parser.models] == [["Relu", "Det", "Add"], ["Add"], ["Relu"]]
    assert any("was asked 3 times" in note for note in p.notes)
    assert p == predict(m, oracle=ParserOracle(m, Parser({"Det"}), "10.16"))


def test_the_parser_overrules_the_table(model):
    m = model(SPLIT, inputs=SQUARES)
    p = predict(m, oracle=ParserOracle(m, Parser({"Relu"}), "10.16"))
    assert short(p) == {"a": "cuda", "d": "trt", "y": "trt"}
    assert by_name(p)["a"].reason.startswith("The parser of TensorRT 10.16 refuses this Relu")
    assert by_name(p)["a"].cause == "attribute"


def test_a_part_has_its_weights_and_its_shapes(model):
    weights = [weight("w", np.full((4, 4), 2, np.float32)), weight("large", np.ones((100, 100), np.float32))]
    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("Identity", ["a"], ["i"]),
        node("Add", ["i", "i"], ["b"]),
        node("Concat", ["b", "b"], ["c"], axis=1),
        node("Pad", ["c", "pads"], ["p"]),
        node("MatMul", ["p", "large"], ["y"]),
    ]
    m = model(nodes, weights=[*weights, weight("pads", [0, 0, 0, 92])])
    parser = Parser(set())
    predict(m, oracle=ParserOracle(m, parser, "10.16"))
    part = parser.models[0].graph
    assert [i.name for i in part.input] == ["x"]
    assert part.input[0].type.tensor_type.shape.dim[0].dim_param == "n"
    assert [o.name for o in part.output] == ["y"]
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in part.initializer}
    assert (tensors["w"] == 2).all()
    assert tensors["large"].shape == (100, 100)
    assert not any(n.op_type == "Identity" for n in part.node)


def test_the_parser_gets_the_values_of_what_onnx_runtime_folds(model):
    # As exporters write expand(batch, -1): ones, times -1, compared with a shape.
    nodes = [
        node("ConstantOfShape", ["two"], ["ones"], value=weight("", np.array([1]))),
        node("Mul", ["ones", "minus"], ["unknown"]),
        node("Shape", ["x"], ["s"]),
        node("Equal", ["s", "unknown"], ["same"]),
        node("Where", ["same", "ones", "s"], ["size"]),
        node("Expand", ["x", "size"], ["y"]),
    ]
    parser = Parser(set())
    m = model(nodes, weights=[weight("two", np.array([2])), weight("minus", np.int64(-1))])
    predict(m, oracle=ParserOracle(m, parser, "10.16"))
    given = {t.name: onnx.numpy_helper.to_array(t).tolist() for t in parser.models[0].graph.initializer}
    assert given == {"ones": [1, 1], "unknown": [-1, -1]}


def test_bodies_are_given_to_the_parser_as_onnx_runtime_sees_them(model):
    branches = {
        "then_branch": graph([node("Identity", ["h"], ["i"]), node("Relu", ["i"], ["t"])], ["t"]),
        "else_branch": graph(
            [node("Constant", [], ["k"], value=weight("", np.float32(2))), node("Mul", ["h", "k"], ["e"])], ["e"]
        ),
    }
    m = model([node("Relu", ["x"], ["h"]), node("If", ["c"], ["y"], **branches)], inputs=[value("x"), value("c", 9, ())])
    parser = Parser(set())
    assert len(engines(predict(m, oracle=ParserOracle(m, parser, "10.16")))) == 1
    whole = next(p.graph for p in parser.models if any(n.op_type == "If" for n in p.graph.node))
    bodies = {a.name: a.g for n in whole.node for a in n.attribute}
    assert [n.op_type for n in bodies["then_branch"].node] == ["Relu"]
    assert [t.name for t in bodies["else_branch"].initializer] == ["k"]


def test_a_parser_that_takes_nothing_and_says_nothing_is_not_asked_forever(model):
    m = model(SPLIT, inputs=SQUARES)
    for answer in ([], [([0, 1, 2], False)]):
        p = predict(m, oracle=ParserOracle(m, lambda _, answer=answer: answer, "10.16"))
        assert p.engines() == 0


def test_a_question_may_ask_the_parser(model):
    m = model(SPLIT, inputs=SQUARES)
    what_if = WhatIf(m, oracle=ParserOracle(m, Parser({"Relu"}), "8.6"))
    assert what_if.base.tensorrt == "8.6"
    assert short(what_if.ask(what_if.base))["d"] == "trt"
    assert short(what_if.ask(Question(tensorrt="10.16")))["d"] == "cpu"


def recording_of(m, oracle, tensorrt="10.16"):
    return Recording(tensorrt=tensorrt).with_graph(oracle, prepare(m).graph)


def test_recorded_answers_serve_for_operations_that_look_alike(model, tmp_path):
    m = model(SPLIT, inputs=SQUARES)
    recorded = recording_of(m, ParserOracle(m, Parser({"Relu"}), "10.16"))
    recorded.write(tmp_path / "answers.json")
    other = model([node("Relu", ["x"], ["r"], "other"), node("Det", ["r"], ["z"])], ["z"], [value("x", shape=("a", 5, 5))])
    p = predict(other, oracle=RecordedOracle(Recording.read(tmp_path / "answers.json")))
    assert short(p) == {"other": "cuda", "z": "trt"}
    assert any(note.startswith("2 nodes judged as TensorRT 10.16's parser answered") for note in p.notes)


def test_what_was_not_seen_is_judged_by_the_table_and_said_so(model):
    m = model(SPLIT, inputs=SQUARES)
    p = predict(m, oracle=RecordedOracle(Recording(tensorrt="8.6")))
    assert short(p) == short(predict(m, tensorrt="8.6"))
    assert "(not seen in the recorded answers)" in by_name(p)["d"].reason
    assert any("3 nodes not seen there" in note for note in p.notes)


def test_answers_that_contradict_each_other_are_not_kept(model):
    graph_ = prepare(model([node("Relu", ["x"], ["a"]), node("Relu", ["a"], ["y"])])).graph

    class Torn(Remembered):
        def verdict(self, op, graph):
            return SupportTable.load("10.16").verdict(op, graph) if op.name == "a" else REFUSAL

    from workbench.placement.refusal import Refusal

    REFUSAL = Refusal("attribute", "no")  # noqa: N806
    assert Recording(tensorrt="10.16").with_graph(Torn(SupportTable.load("10.16")), graph_).answers == ()


def test_a_signature_knows_types_ranks_constants_and_attributes(model):
    def of(nodes, inputs, weights=()):
        home = prepare(model(nodes, inputs=inputs, weights=weights)).graph
        return signature(home.ops[-1], home)

    base = of([node("Add", ["x", "z"], ["y"])], [value("x"), value("z")])
    assert base == of([node("Add", ["x", "z"], ["y"], "named")], [value("x", shape=(9, 9)), value("z")])
    assert base != of([node("Add", ["x", "z"], ["y"])], [value("x", INT64), value("z", INT64)])
    assert base != of([node("Add", ["x", "z"], ["y"])], [value("x", FLOAT, (1, 2, 3)), value("z")])
    assert base != of([node("Add", ["x", "z"], ["y"])], [value("x")], [weight("z", np.ones(4, np.float32))])
    assert of([node("Elu", ["x"], ["y"], alpha=1.0)], [value("x")]) != of([node("Elu", ["x"], ["y"], alpha=2.0)], [value("x")])


def test_a_file_that_is_no_recording_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(InputError, match="tensorrt"):
        Recording.read(tmp_path / "a.json")
    with pytest.raises(InputError, match="cannot be read"):
        Recording.read(tmp_path / "absent.json")
    assert RecordedAnswer(signature="s", refused=False).text == ""


LABELLED = [
    node("Relu", ["x"], ["a"]),
    node("Neg", ["a"], ["y"]),
    node("ArgMax", ["a"], ["i"], axis=1, keepdims=0),
    node("ArrayFeatureExtractor", ["labels", "i"], ["word"], domain="ai.onnx.ml"),
]


def labelled(model, *more):
    outputs = [value("y"), value("word", STRING, None), *(value(n.output[0], STRING, None) for n in more)]
    labels = weight("labels", np.array(["cat", "dog"], dtype=object))
    return model([*LABELLED, *more], outputs, weights=[labels], imports=[("ai.onnx.ml", 3)])


def asked(parser):
    return [[n.op_type for n in part.graph.node] for part in parser.models]


def test_labels_that_are_strings_do_not_keep_the_parser_from_the_rest(model):
    m, parser = labelled(model), Parser(set())
    found = predict(m, oracle=ParserOracle(m, parser, "8.6"))
    assert asked(parser) == [["Relu", "Neg", "ArgMax"]]
    assert parser.models[0].graph.initializer == []
    assert engines(found) == [{"a", "y", "i"}]
    assert short(found)["word"] == "cpu"


def test_the_parser_is_not_asked_about_any_string(model):
    m, parser = labelled(model, node("Gather", ["labels", "i"], ["again"])), Parser(set())
    predict(m, oracle=ParserOracle(m, parser, "10.16"))
    assert asked(parser) == [["Relu", "Neg", "ArgMax"]]


def test_a_tensor_of_unknown_type_is_a_float_in_the_question(model):
    # ImageScaler was removed from ONNX: onnx infers no type of its result, and ONNX Runtime still has it.
    nodes = [node("ImageScaler", ["x"], ["s"], scale=1.0), node("Det", ["s"], ["d"]), node("Relu", ["s"], ["y"])]
    m = model(nodes, inputs=[value("x", shape=(1, 3, 2, 2))], outputs=["y", "d"])
    parser = Unchecked({"Det"})
    predict(m, oracle=ParserOracle(m, parser, "8.6"))
    parts = [part.graph for part in parser.models if [n.op_type for n in part.graph.node] == ["Relu"]]
    assert parts[0].input[0].name == "s"
    assert parts[0].input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert not parts[0].input[0].type.tensor_type.HasField("shape")
