from workbench.figures.shapes import shapes_data, shapes_figure
from workbench.model.model import Model
from workbench.options.profile import InputRange, ShapeProfile
from workbench.samples.catalogue import sample_path


def profile(*ranges):
    return ShapeProfile(ranges=tuple(InputRange(name=n, min=a, opt=b, max=c) for n, a, b, c in ranges))


IMAGE = ("image", (1, 3, 64, 64), (1, 3, 320, 480), (1, 3, 640, 960))


def test_axes_that_vary_are_listed_and_the_others_counted():
    data = shapes_data(profile(IMAGE))
    assert [(a.label, a.min, a.opt, a.max) for a in data.axes] == [
        ("image, axis 2", 64, 320, 640),
        ("image, axis 3", 64, 480, 960),
    ]
    assert data.fixed == 2


def test_the_model_gives_axes_their_names():
    data = shapes_data(profile(IMAGE), Model.load(sample_path("detector")))
    assert [axis.label for axis in data.axes] == ["image, height", "image, width"]


def test_two_profiles_of_one_input_are_told_apart():
    data = shapes_data(profile(("x", (1,), (2,), (4,)), ("x", (4,), (8,), (16,))))
    assert [axis.label for axis in data.axes] == ["x, axis 0 (profile 1)", "x, axis 0 (profile 2)"]


def test_the_figure_draws_bars_and_dots_on_a_scale_of_powers_of_two():
    figure = shapes_figure(shapes_data(profile(IMAGE)))
    bars, dots = next(t for t in figure.data if t.name == "min to max"), next(t for t in figure.data if t.name == "opt")
    assert list(bars.x) == [64, 640, None, 64, 960, None]
    assert list(dots.x) == [320, 480]
    assert figure.layout.xaxis.type == "log"
    assert list(figure.layout.xaxis.tickvals) == [64, 128, 256, 512, 1024]
    assert list(figure.layout.yaxis.ticktext) == ["image, axis 2", "image, axis 3"]


def test_nothing_to_draw_says_so():
    fixed = shapes_figure(shapes_data(profile(("x", (1, 3), (1, 3), (1, 3)))))
    assert fixed.layout.annotations[0].text == "All axes are fixed."
    assert shapes_figure(shapes_data(ShapeProfile())).layout.annotations[0].text == "No shape profile is set."
