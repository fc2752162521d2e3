import pytest
from pydantic import ValidationError

from tests.placement.build import BOOL, FLOAT, by_name, engines, graph, node, short, value, weight
from workbench.errors import SettingsError
from workbench.options.settings import Settings
from workbench.placement.predict import predict
from workbench.placement.smallest import smallest_change
from workbench.placement.what_if import Question, WhatIf, difference


def refused_between(model, **kwargs):
    """Relu, Det that TensorRT refuses, and what reads both."""
    nodes = [node("Relu", ["x"], ["a"]), node("Det", ["a"], ["d"]), node("Add", ["d", "d"], ["y"])]
    return model(nodes, inputs=[value("x", shape=(3, 2, 2))], **kwargs)


def long_chain(model, count, every):
    nodes, last = [], "x"
    for i in range(count):
        if i % every == every - 1:
            nodes.append(node("Det", [last], [f"d{i}"]))
            nodes.append(node("Add", [last, f"d{i}"], [f"v{i}"]))
        else:
            nodes.append(node(("Relu", "Exp", "Neg")[i % 3], [last], [f"v{i}"]))
        last = f"v{i}"
    return model(nodes, outputs=[last], inputs=[value("x", shape=("n", 4, 4))])


def test_a_question_answers_as_a_prediction_does(model):
    m = refused_between(model)
    what_if = WhatIf(m)
    assert what_if.ask(Question()) == predict(m)
    assert what_if.ask(Question(tensorrt="8.6")) == predict(m, tensorrt="8.6")
    assert what_if.ask(Question(exclude=("Relu",))) == predict(m, exclude=["Relu"])
    assert what_if.ask(Question(min_subgraph=2)) == predict(m, min_subgraph=2)
    assert what_if.ask(Question()) == predict(m)


def test_a_question_starts_from_the_settings_and_overrules_them(model):
    m = refused_between(model)
    settings = Settings(provider_options={"trt_op_types_to_exclude": "Relu", "trt_max_partition_iterations": 7})
    what_if = WhatIf(m, settings)
    assert what_if.base == Question(exclude=("Relu",), iterations=7)
    assert short(what_if.ask(what_if.base))["a"] == "cuda"
    assert short(what_if.ask(what_if.base.replace(exclude=())))["a"] == "trt"


def test_a_dimension_made_static_removes_shape_arithmetic(model):
    nodes = [node("Shape", ["x"], ["s"]), node("Reshape", ["x", "s"], ["y"])]
    what_if = WhatIf(model(nodes, inputs=[value("x", shape=("n", None, 4))]))
    assert short(what_if.ask(Question()))["s"] == "trt"
    assert short(what_if.ask(Question(static=(("n", 3), ("x:1", 2)))))["s"] is None
    with pytest.raises(SettingsError, match=r"no input has a dynamic dimension 'm'"):
        what_if.ask(Question(static=(("m", 3),)))


def test_questions_are_checked():
    for wrong in ({"min_subgraph": 0}, {"iterations": 0}, {"static": (("n", 0),)}):
        with pytest.raises(ValidationError):
            Question(**wrong)
    assert Question(exclude=("B", " A", "B", "")).exclude == ("A", "B")


def test_a_question_says_what_it_changes():
    asked = Question(exclude=("Relu",), min_subgraph=5, iterations=9, tensorrt="8.6", static=(("n", 2),))
    assert asked.changes_from(Question()) == (
        "trt_op_types_to_exclude=Relu",
        "trt_min_subgraph_size=5",
        "trt_max_partition_iterations=9",
        "TensorRT 8.6",
        "n static at 2",
    )
    assert Question().changes_from(asked)[-1] == "n dynamic again"


def test_the_difference_names_the_moves_and_counts_engines_and_boundaries(model):
    what_if = WhatIf(refused_between(model))
    before, after = what_if.ask(Question()), what_if.ask(Question(exclude=("Add",)))
    found = what_if.difference(before, after)
    assert [(m.node, m.op_type) for m in found.moves] == [("y", "Add")]
    assert (found.engines_before, found.engines_after) == (2, 1)
    assert (found.boundaries_before, found.boundaries_after) == (2, 2)
    assert found.sentence == "1 node from TensorRT to CUDA; 2 engines before, 1 after."
    assert difference(before, after).boundaries_after is None
    assert difference(before, before).sentence == "Nothing changes."


def test_the_difference_tells_of_sessions_that_cannot_be_made(model):
    m = model([node("Relu", ["x"], ["a"]), node("Det", ["a"], ["y"])], inputs=[value("x", shape=None)])
    what_if = WhatIf(m)
    broken, made = what_if.ask(Question()), what_if.ask(Question(exclude=("Det",)))
    assert broken.outcome == "error"
    assert difference(broken, made).sentence == "A session can be made: TensorRT runs 1 node of 2 as 1 engine."
    assert difference(made, broken).sentence.startswith("No session: TensorRT input: x has no shape")


def test_questions_about_five_thousand_nodes_are_answered(model):
    what_if = WhatIf(long_chain(model, 4900, 50))
    before = what_if.ask(Question())
    questions = [Question(tensorrt="8.6"), Question(exclude=("Neg",)), Question(min_subgraph=40), Question(iterations=20)]
    for question in questions:
        assert what_if.difference(before, what_if.ask(question)).sentence


def test_no_change_is_proposed_for_one_engine(model):
    proposal = smallest_change(WhatIf(model([node("Relu", ["x"], ["y"])])))
    assert (proposal.question, proposal.changes, proposal.asked) == (Question(), (), 1)


def test_the_smallest_change_drops_a_small_engine(model):
    nodes = [
        *(node("Relu", [a], [b]) for a, b in zip("xabc", "abcd", strict=True)),
        node("Det", ["d"], ["e"]),
        node("Sigmoid", ["e"], ["y"]),
    ]
    proposal = smallest_change(WhatIf(model(nodes, inputs=[value("x", shape=(3, 2, 2))])))
    assert proposal.changes in (("trt_op_types_to_exclude=Sigmoid",), ("trt_min_subgraph_size=2",))
    assert engines(proposal.placement) == [{"a", "b", "c", "d"}]
    assert proposal.sentence.endswith("TensorRT runs 4 nodes as one engine instead of 2, 1 node fewer than now.")
    assert [(r.op_type, r.count) for r in proposal.refused] == [("Det", 1)]


def test_the_smallest_change_keeps_an_operator_off_that_splits_where_shapes_are_missing(model):
    nodes = [node("Relu", ["x"], ["a"]), node("Exp", ["a"], ["b"]), node("Det", ["b"], ["y"])]
    proposal = smallest_change(WhatIf(model(nodes, inputs=[value("x", shape=None)])))
    assert proposal.changes == ("trt_op_types_to_exclude=Det",)
    assert "no session can be made" in proposal.sentence


def test_the_smallest_change_makes_a_dimension_static(model):
    branches = {
        "then_branch": graph([node("Relu", ["h"], ["t"])], ["t"]),
        "else_branch": graph([node("Det", ["h"], ["e"])], ["e"]),
    }
    nodes = [
        node("Relu", ["x"], ["h"]),
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Equal", ["n", "one"], ["c"]),
        node("If", ["c"], ["i"], **branches),
        *(node("Neg", [a], [b]) for a, b in zip("ijklmo", "jklmoy", strict=True)),
    ]
    weights = [weight("zero", 0), weight("one", 1)]
    m = model(nodes, inputs=[value("x", shape=("n", 4, 4))], weights=weights)
    proposal = smallest_change(WhatIf(m))
    assert proposal.changes == ("n static at 1",)
    assert len(engines(proposal.placement)) == 1


def test_a_limit_that_ends_it_is_raised(model):
    m = model(
        [node("Relu", ["x"], ["a"]), node("Det", ["x"], ["d"]), node("Det", ["x"], ["e"]), node("Exp", ["a"], ["y"])],
        outputs=["y", "d", "e"],
        inputs=[value("x", shape=(3, 2, 2))],
    )
    settings = Settings(provider_options={"trt_max_partition_iterations": 2})
    proposal = smallest_change(WhatIf(m, settings))
    assert proposal.changes[0].startswith("trt_max_partition_iterations=")
    assert by_name(proposal.placement)["a"].group == by_name(proposal.placement)["y"].group


def test_it_is_said_when_no_change_helps(model):
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Compress", ["a", "c"], ["b"], axis=0),
        node("Relu", ["b"], ["d"]),
        node("Compress", ["d", "c"], ["e"], axis=0),
        node("Relu", ["e"], ["y"]),
    ]
    m = model(nodes, [value("y", FLOAT, (None, 4))], [value("x", shape=(2, 4)), value("c", BOOL, (2,))])
    proposal = smallest_change(WhatIf(m))
    assert (proposal.question, proposal.changes, proposal.complete) == (None, (), True)
    assert proposal.sentence.startswith("None was found: no option and no static dimension that was tried")
    assert proposal.sentence.endswith("what TensorRT refuses: 2 Compress.")


def test_the_search_ends_with_its_time(model):
    what_if = WhatIf(refused_between(model))
    proposal = smallest_change(what_if, limit_s=-1)
    assert (proposal.question, proposal.complete) == (None, False)
    assert "in the time given" in proposal.sentence
    assert "replace or remove what TensorRT refuses: 1 Det" in proposal.sentence


def test_questions_and_the_search_start_from_the_tensorrt_that_is_given(model):
    what_if = WhatIf(model([node("Relu", ["x"], ["y"])]), Settings(), tensorrt="8.6")
    assert what_if.base.tensorrt == "8.6"
    proposal = smallest_change(what_if)
    assert (proposal.question.tensorrt, proposal.placement.runtime.tensorrt) == ("8.6", "8.6")
    other = smallest_change(what_if, start=Question(tensorrt="10.1"))
    assert (other.changes, other.placement.runtime.tensorrt) == ((), "10.1")
