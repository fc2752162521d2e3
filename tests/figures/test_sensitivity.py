import pytest

from workbench.figures.sensitivity import sensitivity_data, sensitivity_figure
from workbench.runtime.lowering.trials import Lowering, NodeEvidence
from workbench.study.sensitivity_records import RankedNode, Sensitivity, SetError
from workbench.study.target import Target


def found(nodes, keep, to="fp16", status="found"):
    ok = SetError(ok=True, why="", rel_l2=1e-3, cosine=1.0, sqnr_db=60.0, not_finite=0)
    return Sensitivity(
        model="m",
        content_hash="h",
        lowering=Lowering(model="m.onnx", to=to),
        target=Target(rel_l2=0.01),
        status=status,
        keep=tuple(keep),
        ranking=tuple(RankedNode(node=node, keep=node.name in keep) for node in nodes),
        lowered=ok,
        repaired=ok if status == "found" else None,
        verified=None,
        tried=3,
        recalled=0,
        seconds=1.0,
        evidence="measured",
    )


NODES = [
    NodeEvidence(name="/a<b>/Mul", op_type="Mul", causes=("overflow: output 'x' reaches 1e+05",), hard=True, largest=1e5),
    NodeEvidence(name="/c/MatMul", op_type="MatMul", largest=3.0, error=2e-3, growth=1e-3),
    NodeEvidence(name="/d/Reshape", op_type="Reshape", largest=3.0),
]


def test_nodes_to_keep_stand_out_and_say_why():
    figure = sensitivity_figure(sensitivity_data(found(NODES, ["/a<b>/Mul"])))
    kept = next(trace for trace in figure.data if trace.name == "stays in float32")
    assert (list(kept.x), list(kept.customdata)) == ([1e5], ["/a<b>/Mul"])
    assert kept.marker.symbol == ("diamond",)
    assert "reaches 1e+05" in kept.hovertext[0]
    assert "a&lt;b&gt;" in figure.layout.yaxis.ticktext[0]
    assert figure.layout.shapes[0].x0 == 65504


def test_nodes_without_added_error_have_no_dot_in_its_column():
    figure = sensitivity_figure(sensitivity_data(found(NODES, [])))
    assert [list(trace.x) for trace in figure.data if trace.xaxis == "x2"] == [[1e-3]]


def test_bfloat16_has_no_limit_to_draw():
    assert sensitivity_data(found(NODES, [], to="bf16")).limit is None


def test_many_nodes_are_cut_and_counted():
    many = [NodeEvidence(name=f"n{i}", op_type="Add", largest=1.0) for i in range(100)]
    data = sensitivity_data(found(many, []))
    assert (len(data.rows), data.hidden) == (24, 76)
    assert "76 further nodes" in sensitivity_figure(data).layout.title.subtitle.text


def test_a_search_that_found_nothing_says_so():
    figure = sensitivity_figure(sensitivity_data(found([], [], status="stopped")))
    assert "stopped before a set was found" in figure.layout.annotations[0].text


@pytest.mark.parametrize("largest", [None, 0.0])
def test_nodes_without_numbers_can_be_drawn(largest):
    sensitivity_figure(sensitivity_data(found([NodeEvidence(name="n", op_type="Add", largest=largest)], [])))
