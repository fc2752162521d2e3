import pytest

from workbench.figures.survey import survey_data, survey_figure
from workbench.study.survey_rows import Survey, SurveyRow


def row(configuration="cpu", median=2.0, **changes):
    values = {"configuration": configuration, "batch": None, "status": "ok", "evidence": "measured", "run": f"id-{configuration}"}
    values |= {"median_ms": median, "p99_ms": median * 1.5, "right": True, "speedup": 1.0}
    return SurveyRow(**(values | changes))


def survey(*rows):
    return Survey(source="net.onnx", model="net", baseline="cpu", tolerance=0.01, rows=rows)


FAILED = SurveyRow(configuration="cuda", batch=None, status="not possible", why="no NVIDIA GPU")


def notes(figure):
    return [note.text for note in figure.layout.annotations]


def test_a_bar_has_the_median_and_a_whisker_to_p99():
    figure = survey_figure(survey_data(survey(row(median=2.0), row("tensorrt fp16", 1.0, speedup=2.0, fastest=True))))

    (cpu, tensorrt) = figure.data
    assert (list(cpu.x), list(cpu.error_x.array)) == ([2.0], pytest.approx([1.0]))
    assert list(tensorrt.customdata) == ["id-tensorrt fp16"]
    assert notes(figure) == ["2.00 ms, 1.00×", "1.00 ms, 2.00×, fastest"]


def test_wrong_ones_are_grey_and_recorded_ones_hatched():
    rows = (row(), row("tensorrt fp16", 1.0, right=False, wrong="NaN in y"), row("native fp16", 1.0, evidence="recorded"))
    figure = survey_figure(survey_data(survey(*rows)))

    looks = {trace.name: trace.marker for trace in figure.data}
    assert looks["outputs wrong"].color == "#BBBBBB"
    assert looks["TensorRT itself, recorded"].pattern.shape == "/"
    assert looks["CPU, measured"].pattern.shape is None
    assert notes(figure)[1].endswith("wrong: NaN in y")


def test_rows_without_a_latency_say_why():
    bars = survey_data(survey(row(), FAILED)).bars

    assert (bars[1].median_ms, bars[1].note, bars[1].alarming) == (None, "not possible: no NVIDIA GPU", False)
    assert notes(survey_figure(survey_data(survey(FAILED)))) == ["not possible: no NVIDIA GPU"]


def test_differences_that_cannot_be_trusted_are_marked():
    assert survey_data(survey(row(trusted=False))).bars[0].note == "2.00 ms, ≈ 1.00×"


def test_batches_are_told_apart_where_there_are_several():
    assert [bar.title for bar in survey_data(survey(row(batch=1), row(batch=8))).bars] == ["cpu · batch 1", "cpu · batch 8"]
    assert [bar.title for bar in survey_data(survey(row(batch=1))).bars] == ["cpu"]


def test_large_ratios_make_dots_on_a_logarithmic_axis():
    data = survey_data(survey(row(median=100.0), row("tensorrt fp16", 0.5, evidence="recorded")))
    figure = survey_figure(data)

    assert figure.layout.xaxis.type == "log"
    assert {trace.type for trace in figure.data} == {"scatter"}
    assert figure.data[1].marker.symbol == "circle-open"
    assert {trace.type for trace in survey_figure(data, log=False).data} == {"bar"}


def test_an_empty_survey_can_be_drawn():
    assert notes(survey_figure(survey_data(survey()))) == ["Nothing was surveyed."]
