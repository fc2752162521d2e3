import math

import pytest

from workbench.figures.calibration import (
    histogram_data,
    histogram_figure,
    outlier_data,
    outlier_figure,
    settling_data,
    settling_figure,
)
from workbench.measure.calibration import SettlingPoint, TensorCalibration, Threshold


def tensor(name="x", *, low=-1.0, high=4.0, counts=(0, 0, 3, 20, 9, 1, 0, 1), p999=0.4, growth=(1.0, 3.0, 4.0)):
    return TensorCalibration(
        name=name,
        low=low,
        high=high,
        elements=sum(counts),
        limit=4.0,
        counts=counts,
        p999=p999,
        thresholds=(Threshold(method="minmax", amax=4.0, clipped=0.0), Threshold(method="entropy", amax=2.0, clipped=0.03)),
        settling=tuple(SettlingPoint(samples=10**i, amax=amax) for i, amax in enumerate(growth)),
    )


def test_the_histogram_leaves_empty_ends_out():
    data = histogram_data(tensor())
    assert data.counts == (3, 20, 9, 1, 0, 1)
    assert data.centres[0] == pytest.approx(-1.5)
    assert data.width == 1


def test_the_figure_has_a_line_for_each_threshold_and_says_what_it_clips():
    figure = histogram_figure(histogram_data(tensor()))
    names = [trace.name for trace in figure.data]
    assert names == ["elements", "minmax: ±4, 0.000% clipped", "entropy: ±2, 3.000% clipped"]
    assert [v for v in figure.data[2].x if v is not None] == [-2, -2, 2, 2]
    assert figure.layout.yaxis.type == "log"


def test_a_positive_tensor_has_lines_on_the_positive_side_only():
    figure = histogram_figure(histogram_data(tensor(low=0.0, counts=(0, 0, 0, 0, 9, 1, 0, 1))))
    assert [v for v in figure.data[1].x if v is not None] == [4, 4]


def test_a_tensor_never_seen_says_so():
    data = histogram_data(TensorCalibration(name="<gone>"))
    assert math.isnan(data.low)
    figure = histogram_figure(data)
    assert "No finite number" in figure.layout.annotations[0].text
    assert "&lt;gone&gt;" in figure.layout.title.text


def test_outliers_come_first():
    data = outlier_data([tensor("a", p999=2.0), tensor("b", p999=0.4), TensorCalibration(name="c")])
    assert [(bar.tensor, bar.ratio) for bar in data] == [("b", 10), ("a", 2)]
    figure = outlier_figure(data)
    assert list(figure.data[0].x) == [10, 2]
    assert len(set(figure.data[0].marker.color)) == 2


def test_settling_shows_what_settled_last():
    data = settling_data([tensor("quick", growth=(4.0, 4.0, 4.0)), tensor("slow"), TensorCalibration(name="c")])
    assert [(curve.tensor, curve.settled_after) for curve in data] == [("slow", 100), ("quick", 1)]
    assert data[0].shares == (0.25, 0.75, 1)
    figure = settling_figure(data)
    assert "after 100 samples" in figure.layout.title.subtitle.text
    assert len(figure.data) == 2


def test_nothing_to_draw_says_so():
    assert "No tensor" in outlier_figure(()).layout.annotations[0].text
    assert "No tensor" in settling_figure(()).layout.annotations[0].text
