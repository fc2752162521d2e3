"""Models that nothing can run, or that are very large: an answer or a clear error each."""

import onnx
import pytest

from tests.placement.build import node, proto, saved, value
from workbench.errors import ModelError
from workbench.model.model import Model
from workbench.placement.cost import cost_of
from workbench.placement.predict import predict
from workbench.placement.smallest import smallest_change
from workbench.placement.what_if import Question, WhatIf


def every_answer(model):
    """Everything that can be asked about a model."""
    what_if = WhatIf(model)
    placement = what_if.ask(Question())
    what_if.difference(placement, what_if.ask(Question(tensorrt="8.6")))
    return placement, smallest_change(what_if), cost_of(placement, model)


def test_a_graph_without_nodes(model):
    placement, proposal, cost = every_answer(model([], [value("x")]))
    assert (placement.outcome, placement.groups) == ("ok", ())
    assert proposal.question is None
    assert cost.copies == 0


def test_a_graph_that_is_one_compiled_node(model):
    nodes = [node("EPContext", ["x"], ["y"], domain="com.microsoft", source="TensorrtExecutionProvider", embed_mode=1)]
    placement, proposal, cost = every_answer(model(nodes, imports=[("com.microsoft", 1)]))
    assert placement.engines() == cost.engines == 1
    assert "nothing has to change" in proposal.sentence


def test_a_model_with_an_unknown_domain(model):
    placement, proposal, cost = every_answer(model([node("Mine", ["x"], ["y"], domain="my.own")], imports=[("my.own", 1)]))
    assert placement.error.kind == "custom-op"
    assert "my.own:Mine" in placement.error.message
    assert placement.error.message in proposal.sentence
    assert cost.boundaries == ()


def test_a_cycle_is_refused_with_its_nodes(tmp_path):
    broken = proto([node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Exp", ["b"], ["y"])])
    onnx.save(broken, tmp_path / "cycle.onnx")
    with pytest.raises(ModelError, match="cycle"):
        Model.load(tmp_path / "cycle.onnx")


def test_twenty_thousand_nodes(tmp_path):
    nodes, last = [], "x"
    for i in range(20_000):
        refused = i % 40 == 39
        nodes.append(node("Hardmax" if refused else ("Relu", "Exp", "Neg")[i % 3], [last], [f"v{i}"]))
        last = f"v{i}"
    large = saved(tmp_path, proto(nodes, [last]))
    placement = predict(large, exclude=["Neg"])
    assert placement.outcome == "ok"
    assert len(placement.nodes) == 20_000
    what_if = WhatIf(large)
    assert what_if.ask(Question(tensorrt="8.6")).outcome == "ok"
    assert what_if.difference(placement, placement).moves == ()
    assert smallest_change(what_if, limit_s=1).asked
