import pytest

from tests.figures.records import placement
from workbench.figures.placement import ONE_CELL_A_NODE, placement_data, placement_figure
from workbench.placement.records import CPU, CUDA, TENSORRT, Placement, RuntimeVersions
from workbench.record import Failure


def cells(figure):
    """Return [first, last] of the strip's cells, in order, with the provider each is drawn as."""
    found = [
        (*ends, trace.name.split(":")[0])
        for trace in figure.data
        if trace.type == "bar" and trace.y[0] == 1 and trace.customdata is not None
        for ends in trace.customdata
    ]
    return sorted(found)


def trace(figure, name):
    return next(t for t in figure.data if t.name == name)


def test_a_small_placement_has_one_cell_a_node():
    data = placement_data(placement("TT|TGC-"))
    assert [(s.first, s.last, s.provider, s.engine) for s in data.segments] == [
        (0, 0, TENSORRT, 1),
        (1, 1, TENSORRT, 1),
        (2, 2, TENSORRT, 2),
        (3, 3, CUDA, None),
        (4, 4, CPU, None),
        (5, 5, None, None),
    ]


def test_shares_are_of_the_nodes_that_run_and_removed_ones_are_counted_apart():
    data = placement_data(placement("TTTG--"))
    assert [(s.provider, s.nodes, s.percent) for s in data.shares] == [(TENSORRT, 3, 75), (CUDA, 1, 25), (None, 2, None)]


def test_every_engine_has_its_runs():
    data = placement_data(placement("TT|TGTT"))
    assert data.engines == 3
    assert [(r.first, r.last, r.engine) for r in data.runs] == [(0, 1, 1), (2, 2, 2), (4, 5, 3)]


def test_a_large_placement_merges_equal_neighbours():
    half = ONE_CELL_A_NODE // 2
    data = placement_data(placement("T" * half + "C" * half))
    assert [(s.first, s.last, s.length) for s in data.segments] == [(0, half - 1, half), (half, 2 * half - 1, half)]
    assert "1,000 nodes, 0 to 999" in data.segments[0].hover
    assert "MatMul ×1,000" in data.segments[0].hover


def test_every_node_can_be_found_from_the_cell_that_shows_it():
    figure = placement_figure(placement_data(placement("TT|TGC-")))
    expected = [(i, i, name) for i, name in enumerate(["TensorRT"] * 3 + ["CUDA", "CPU", "Removed"])]
    assert cells(figure) == expected


def test_cells_lie_at_their_nodes():
    figure = placement_figure(placement_data(placement("GGC")))
    bars = trace(figure, "CUDA: 2 nodes, 66.7 %")
    assert (list(bars.base), list(bars.x)) == ([0, 1], [1, 1])
    assert list(figure.layout.xaxis.range) == [0, 3]


def test_hover_says_name_operator_provider_and_reason():
    figure = placement_figure(placement_data(placement("TC")))
    (text,) = trace(figure, "TensorRT: 1 node, 50.0 %").hovertext
    assert text == "<b>/node0/MatMul</b><br>MatMul · TensorRT, engine 1<br>reason of T"


@pytest.mark.parametrize(("evidence", "shape"), [("predicted", "/"), ("measured", ""), ("recorded", "")])
def test_the_title_says_the_evidence_and_a_prediction_is_hatched(evidence, shape):
    figure = placement_figure(placement_data(placement("TC", evidence=evidence)))
    assert figure.layout.title.text == f"{evidence.capitalize()} placement of model.onnx"
    assert "ONNX Runtime 1.31.1, TensorRT 10.16" in figure.layout.title.subtitle.text
    assert ("predicted, not measured" in figure.layout.title.subtitle.text) == (evidence == "predicted")
    assert trace(figure, "CPU: 1 node, 50.0 %").marker.pattern.shape == shape


def test_notes_are_shown():
    figure = placement_figure(placement_data(placement("T", notes=("Shapes were not inferred.",))))
    assert "Shapes were not inferred." in figure.layout.title.subtitle.text


def test_the_selected_node_is_marked_in_its_middle():
    figure = placement_figure(placement_data(placement("TTC")), selected=1)
    assert figure.data[-1].name == "selected"
    assert list(figure.data[-1].x) == [1.5]
    assert list(placement_figure(placement_data(placement("TTC"))).data[-1].x) == []


def test_rare_providers_are_drawn_over_common_ones_and_named_in_their_usual_order():
    figure = placement_figure(placement_data(placement("TGGGGC--")))
    strip = [t for t in figure.data if t.type == "bar" and t.y[0] == 1]
    assert [t.name.split(":")[0] for t in strip] == ["Removed", "CUDA", "TensorRT", "CPU"]
    assert [t.name.split(":")[0] for t in sorted(strip, key=lambda t: t.legendrank)] == ["TensorRT", "CUDA", "CPU", "Removed"]


def test_the_bar_of_shares_is_full():
    figure = placement_figure(placement_data(placement("TTGC-")))
    shares = [t for t in figure.data if (t.name or "").startswith("share of")]
    assert [(t.base[0], t.x[0]) for t in shares] == [(0, 50), (50, 25), (75, 25)]


def test_a_single_node_off_tensorrt_is_never_rounded_to_all():
    data = placement_data(placement("T" * 5000 + "C"))
    figure = placement_figure(data)
    assert trace(figure, "TensorRT: 5,000 nodes, 99.9 %").legendrank < trace(figure, "CPU: 1 node, 0.1 %").legendrank


def test_names_that_look_like_tags_are_escaped():
    placed = placement("T", model="a<b>.onnx")
    assert "a&lt;b&gt;.onnx" in placement_figure(placement_data(placed)).layout.title.text


def test_no_placement_says_why():
    error = Failure(kind="shape", message="X has no shape.", remedy="Infer shapes.")
    failed = Placement(model="m", evidence="measured", runtime=RuntimeVersions(), outcome="error", error=error)
    figure = placement_figure(placement_data(failed))
    assert not figure.data
    assert figure.layout.annotations[0].text == "There is no placement (shape).<br>X has no shape. Infer shapes."


def test_ten_thousand_nodes_stay_light():
    placed = placement(("T" * 40 + "-" * 9 + "C") * 200)
    figure = placement_figure(placement_data(placed))
    assert len(figure.to_json()) < 500_000
