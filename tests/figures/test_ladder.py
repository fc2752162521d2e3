from datetime import timedelta

import pytest

from tests.figures.records import run
from workbench.figures.ladder import ladder_data, ladder_figure
from workbench.runtime.job import Build, Environment

HERE = Environment(
    host="h",
    platform="p",
    python="3.12",
    cpu="c",
    cores=2,
    memory_bytes=1,
    onnxruntime="1.31.1",
    tensorrt="10.16",
    gpu="NVIDIA X",
)


def made(cache, seconds, *, label="", here=HERE, later=0, precision="fp32", **changes):
    each = run(label or f"{cache}-{seconds}", **({"provider": "tensorrt"} | changes))
    settings = each.settings.replace(precision=precision) if precision != "fp32" else each.settings
    update = {"build": Build(seconds=seconds, cache=cache), "environment": here, "settings": settings}
    return each.model_copy(update={**update, "created": each.created + timedelta(seconds=later)})


LADDER = [made("engine", 0.25), made("cold", 80.0), made("context", 0.04), made("timing", 10.0)]


def said(figure):
    return [note.text for note in figure.layout.annotations]


def test_the_states_of_the_caches_stand_from_nothing_kept_to_an_ep_context_model():
    data = ladder_data(LADDER)

    assert [rung.words for rung in data.rungs] == ["nothing kept", "timing cache", "engine cache", "EP context model"]
    assert [rung.times_less for rung in data.rungs] == [None, pytest.approx(8), pytest.approx(320), pytest.approx(2000)]
    assert said(ladder_figure(data)) == ["80 s", "10 s, 8× less", "0.25 s, 320× less", "40 ms, 2,000× less"]


def test_the_axis_is_logarithmic_and_dots_lead_to_their_runs():
    figure = ladder_figure(ladder_data(LADDER))

    assert figure.layout.xaxis.type == "log"
    assert list(figure.data[0].customdata[1]) == ["id-timing-10.0"]
    assert "TensorRT fp32, NVIDIA X, TensorRT 10.16, ONNX Runtime 1.31.1" in figure.layout.title.subtitle.text


def test_several_runs_of_one_state_give_the_median_and_a_line():
    data = ladder_data([made("cold", 10.0), made("cold", 30.0), made("cold", 11.0), made("engine", 0.5)])
    figure = ladder_figure(data)

    assert data.rungs[0].median_s == 11.0
    assert list(figure.data[0].x) == [10.0, 30.0, None]


@pytest.mark.parametrize(
    "runs",
    [
        [],
        [run("no session", error="build", provider="tensorrt")],
        [made("cold", 1.0, provider="cpu")],
    ],
)
def test_without_a_session_of_tensorrt_there_is_only_a_sentence(runs):
    figure = ladder_figure(ladder_data(runs))

    assert not figure.data
    assert said(figure) == ["There is no Run that made a session with TensorRT."]


def test_with_one_state_there_is_only_a_sentence_that_names_the_others():
    figure = ladder_figure(ladder_data([made("cold", 12.0), made("cold", 14.0)]))

    assert not figure.data
    told = said(figure)[0].replace("<br>", " ")
    assert "all 2 Runs made their sessions with nothing kept (13 s)" in told
    assert told.endswith("none from a timing cache, from the engine cache or from an EP context model.")


@pytest.mark.parametrize(
    "other",
    [
        made("engine", 9.0, precision="fp16", later=9),
        made("engine", 9.0, here=HERE.model_copy(update={"gpu": "NVIDIA Y"}), later=9),
        made("engine", 9.0, here=HERE.model_copy(update={"tensorrt": "8.6.0"}), later=9),
        made("engine", 9.0, here=None, later=9),
    ],
)
def test_runs_that_cannot_be_compared_are_left_out_and_counted(other):
    data = ladder_data([*LADDER, other])

    assert [rung.seconds for rung in data.rungs] == [(80.0,), (10.0,), (0.25,), (0.04,)]
    assert data.left_out == 1
    assert "1 Run left out: another provider, precision, GPU or version" in ladder_figure(data).layout.title.subtitle.text


def test_of_equal_ladders_the_newest_is_drawn():
    old = [made("cold", 80.0), made("engine", 0.25)]
    new = [made("cold", 90.0, precision="fp16", later=5), made("engine", 0.3, precision="fp16", later=6)]

    assert ladder_data([*new, *old]).rungs[0].seconds == (90.0,)


def test_recorded_rungs_are_hollow():
    data = ladder_data([made("cold", 80.0, evidence="recorded"), made("engine", 0.25)])
    figure = ladder_figure(data)

    assert figure.data[0].marker.color[0] != figure.data[0].marker.color[1]
    assert "hollow: recorded" in figure.layout.title.subtitle.text
