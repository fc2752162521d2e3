import pytest

from workbench.figures.layers import layers_data, layers_figure
from workbench.measure.delivered import EngineDelivered, delivered
from workbench.measure.layers import EngineLayer

LAYERS = (
    EngineLayer(name="conv<1>", type="Conv", nodes=("conv1", "relu1"), precision="fp16", ms=2.0),
    EngineLayer(name="softmax", type="SoftMax", nodes=("softmax",), precision="fp32", ms=1.0),
    EngineLayer(name="copy", type="Reformat", moving=True, precision="fp16", ms=0.5),
    EngineLayer(name="conv2", type="Conv", nodes=("conv2",), precision="fp16", ms=0.5),
    EngineLayer(name="conv2 [profile 1]", type="Conv", precision="fp16", profile=1),
)


def engine(layers=LAYERS, *, runs=20, file="a.engine"):
    found = delivered(layers, ["fp16"])
    return EngineDelivered(file=file, bytes=1, found=found, layers=tuple(layers), runs=runs, inputs="the job's inputs")


def test_time_is_summed_by_precision_and_the_slowest_come_first():
    data = layers_data([engine()], most=2)
    assert data.timed
    assert [(t.kind, t.layers, t.value) for t in data.kinds] == [("fp16", 2, 2.5), ("fp32", 1, 1.0), ("moves data", 1, 0.5)]
    assert [(bar.key, bar.name) for bar in data.top] == [("0:0", "conv<1>"), ("0:1", "softmax")]
    assert (data.layers, data.asked) == (4, ("fp16",))


def test_bars_carry_their_layers_and_say_what_they_are():
    figure = layers_figure(layers_data([engine()]))
    whole, layers = (trace for trace in figure.data if trace.name == "fp16")
    assert (list(whole.x), list(whole.customdata), whole.yaxis) == ([2.5], [""], "y2")
    assert "2.50 ms (62%)" in whole.hovertext[0]
    assert (list(layers.x), list(layers.y), list(layers.customdata)) == ([2.0, 0.5], [0, 3], ["0:0", "0:3"])
    assert "conv&lt;1&gt;" in layers.hovertext[0]
    assert "of conv1, relu1" in layers.hovertext[0]
    assert figure.layout.yaxis.ticktext[0] == "conv&lt;1&gt;"
    assert "asked for fp16" in figure.layout.title.subtitle.text


def test_layers_that_were_not_timed_are_counted():
    names = [EngineLayer(name="a"), EngineLayer(name="b"), EngineLayer(name="c", moving=True)]
    data = layers_data([engine(names, runs=0)])
    assert (data.timed, data.top) == (False, ())
    assert [(t.kind, t.value) for t in data.kinds] == [("not told", 2.0), ("moves data", 1.0)]
    figure = layers_figure(data)
    assert figure.layout.xaxis2.title.text == "layers"
    assert "not timed" in figure.layout.title.subtitle.text


def test_of_several_engines_all_layers_count():
    data = layers_data([engine(), engine(file="b.engine")])
    assert data.layers == 8
    assert {bar.engine for bar in data.top} == {"a.engine", "b.engine"}
    assert len({bar.key for bar in data.top}) == len(data.top)


@pytest.mark.parametrize("engines", [[], [engine([], runs=0)]])
def test_nothing_to_show_is_said(engines):
    assert "No engine was looked into." in layers_figure(layers_data(engines)).layout.annotations[0].text
