from workbench.figures.shape_histogram import ShapeHistogram, shape_histogram_data, shape_histogram_figure
from workbench.model.model import Model
from workbench.options.propose import propose_profile
from workbench.options.seen import seen_shapes
from workbench.samples.catalogue import sample_path


def proposal(*shapes):
    model = Model.load(sample_path("detector"))
    return propose_profile(model, seen_shapes(model, [{"image": (1, 3, *shape)} for shape in shapes]))


def test_each_dimension_has_its_sizes_and_the_proposal():
    data = shape_histogram_data(proposal((64, 64), (64, 64), (96, 64)))
    height, width = data.dimensions
    assert (height.name, height.low, height.counts) == ("height: image[2]", (64, 96), (2, 1))
    assert (height.min, height.opt, height.max, height.percentile_99) == (64, 64, 96, None)
    assert width.counts == (3,)
    assert data.requests == 3


def test_many_sizes_are_put_together():
    (height, _) = shape_histogram_data(proposal(*[(64 + n, 64) for n in range(200)])).dimensions
    assert len(height.counts) <= 60
    assert sum(height.counts) == 200
    assert height.low[0] == 64
    assert height.high[-1] == 263


def test_the_figure_marks_the_proposal_and_the_tail():
    figure = shape_histogram_figure(shape_histogram_data(proposal(*[(64, 64)] * 120, (900, 64))))
    texts = [annotation.text for annotation in figure.layout.annotations]
    assert "min = opt 64" in texts
    assert "max 900" in texts
    assert "min = opt = max 64" in texts
    assert "dashed: 99 %" in figure.layout.title.subtitle.text
    assert [trace.type for trace in figure.data].count("bar") == 2


def test_labels_of_neighbours_stand_over_each_other():
    figure = shape_histogram_figure(shape_histogram_data(proposal((100, 64), *[(102, 64)] * 9, (400, 64))))
    shifts = {annotation.text: annotation.yshift for annotation in figure.layout.annotations}
    assert shifts["min 100"] < shifts["opt 102"]
    assert shifts["max 400"] == 0


def test_no_requests_are_told():
    assert shape_histogram_figure(ShapeHistogram((), 0)).layout.annotations[0].text == "No requests were seen."
