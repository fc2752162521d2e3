import pytest

from tests.study.conftest import output
from workbench.errors import InputError, SettingsError
from workbench.options.settings import Settings
from workbench.runtime.doctor.checks import Diagnosis
from workbench.runtime.job import Build, Plan, Stage
from workbench.study.store import Store
from workbench.study.survey import survey
from workbench.study.survey_rows import About, survey_of

EVERYTHING = Diagnosis(
    checks=(), can=dict.fromkeys(("cpu", "cuda", "tensorrt", "native", "torch"), True), why_not={}, environment=None
)
QUICK = Plan(warmup=1, iterations=20, seconds=0.2)
RIGHT = output()
WRONG = output((1.0, 2.2), (1.0, 2.0))  # relative L2 0.09: within the workbench's own limit, beyond a survey's


@pytest.fixture
def fake(run):
    """Return what runs a configuration: a median by configuration, and what else its Run holds."""

    def make(**by_provider):
        asked = []

        def one(model, settings, plan=None, *, store=None, worker=None, on_event=None, label="", cache=None):
            key = f"{settings.provider}_{settings.precision}" if settings.provider == "tensorrt" else settings.provider
            found = dict(by_provider[key])
            if isinstance(found.get("raises"), Exception):
                raise found["raises"]
            asked.append((settings, plan, label))
            return run(found.pop("ms", None), settings=settings, label=label, model=model.name, **found)

        one.asked = asked
        return one

    return make


def rows_of(found):
    return {row.configuration: row for row in found.rows}


def test_each_configuration_is_a_run_and_a_row(digits, tmp_path):
    store = Store(tmp_path / "runs.sqlite3")
    done = []

    found = survey(digits, ["cpu", "cpu intra_op_num_threads=1"], QUICK, batches=[1, 4], store=store, on_entry=done.append)

    assert [(row.configuration, row.batch) for row in found.rows] == [
        ("cpu", 1),
        ("cpu intra_op_num_threads=1", 1),
        ("cpu", 4),
        ("cpu intra_op_num_threads=1", 4),
    ]
    assert all(row.status == "ok" and row.right and row.median_ms > 0 and row.build_s > 0 for row in found.rows)
    kept = store.runs()
    assert {run.id for run in kept} == {row.run for row in found.rows}
    assert {run.label for run in kept} >= {"cpu · batch 1", "cpu · batch 4"}
    assert {run.inputs[0].shape[0] for run in kept} == {1, 4}
    assert found.baseline == "cpu"
    assert [row.speedup for row in found.rows if row.configuration == "cpu"] == [1.0, 1.0]
    assert all(row.throughput_per_s > 0 for row in found.rows)
    assert sum(row.fastest for row in found.rows) == 2
    assert len(done) == 4


def test_what_cannot_run_here_is_a_row_that_says_why(digits):
    here = EVERYTHING.model_copy(update={"can": {"cpu": True, "cuda": False}, "why_not": {"cuda": "no NVIDIA GPU"}})

    rows = rows_of(survey(digits, ["cpu", "cuda", "torch eager"], QUICK, diagnosis=here))

    assert rows["cpu"].status == "ok"
    assert (rows["cuda"].status, rows["cuda"].why, rows["cuda"].run) == ("not possible", "no NVIDIA GPU", None)
    assert rows["torch eager"].status == "not possible"


def test_a_run_whose_provider_is_missing_was_not_possible_either(digits):
    found = survey(digits, ["cuda"], QUICK, diagnosis=EVERYTHING)

    assert found.rows[0].status in ("ok", "not possible")
    assert found.rows[0].run is not None


def test_fast_but_wrong_is_marked_and_never_the_fastest(digits, fake):
    one = fake(
        cpu={"ms": 10.0, "accuracy": [RIGHT]},
        tensorrt_fp32={"ms": 2.0, "accuracy": [RIGHT]},
        tensorrt_fp16={"ms": 1.0, "accuracy": [WRONG]},
    )

    found = survey(digits, ["cpu", "tensorrt fp32", "tensorrt fp16"], QUICK, diagnosis=EVERYTHING, run_one=one)
    rows = rows_of(found)

    assert (rows["tensorrt fp16"].right, rows["tensorrt fp16"].fastest, rows["tensorrt fp16"].trusted) == (False, False, False)
    assert "relative L2" in rows["tensorrt fp16"].wrong
    assert rows["tensorrt fp32"].fastest
    assert rows["tensorrt fp32"].trusted
    assert rows["tensorrt fp32"].speedup == pytest.approx(5, rel=0.05)
    loose = survey(digits, ["cpu", "tensorrt fp16"], QUICK, diagnosis=EVERYTHING, run_one=one, tolerance=0.2)
    assert rows_of(loose)["tensorrt fp16"].fastest


def test_what_nobody_compared_is_not_the_fastest(digits, fake):
    empty = output((), ())
    one = fake(cpu={"ms": 10.0, "accuracy": [RIGHT]}, cuda={"ms": 1.0, "accuracy": [empty]})

    rows = rows_of(survey(digits, ["cpu", "cuda"], QUICK, diagnosis=EVERYTHING, run_one=one))

    assert (rows["cuda"].right, rows["cuda"].rel_l2, rows["cuda"].fastest) == (None, None, False)
    assert rows["cpu"].fastest


def test_a_failure_is_a_row_and_the_others_go_on(digits, fake):
    one = fake(
        cpu={"error": "It failed."},
        cuda={"status": "crashed", "ms": None, "error": "It crashed."},
        tensorrt_fp32={"raises": SettingsError("It cannot be.", remedy="Do this.")},
        native={"ms": 3.0},
    )

    found = survey(digits, ["cpu", "cuda", "tensorrt", "native"], QUICK, diagnosis=EVERYTHING, run_one=one)

    assert [(row.status, row.why) for row in found.rows] == [
        ("failed", "It failed."),
        ("failed", "It crashed."),
        ("failed", "It cannot be. Do this."),
        ("ok", ""),
    ]
    assert found.baseline == "native fp32"
    assert found.rows[3].fastest


def test_speed_ups_are_over_the_baseline_that_was_named(digits, fake):
    one = fake(cpu={"ms": 10.0}, cuda={"ms": 5.0})

    rows = rows_of(survey(digits, ["cpu", "cuda"], QUICK, baseline="cuda", diagnosis=EVERYTHING, run_one=one))

    assert rows["cpu"].speedup == pytest.approx(0.5, rel=0.05)
    with pytest.raises(SettingsError, match="the baseline 'cdua' is not among"):
        survey(digits, ["cpu", "cuda"], QUICK, baseline="cdua", run_one=one)


def test_nothing_is_begun_once_the_time_is_over(digits, fake):
    one = fake(cpu={"ms": 1.0})

    found = survey(digits, ["cpu"], QUICK, limit_s=-1, diagnosis=EVERYTHING, run_one=one)

    assert (found.rows[0].status, one.asked) == ("not run", [])


def test_what_runs_when_the_time_is_over_is_ended(digits, fake):
    one = fake(cpu={"ms": 1.0})
    limit = 30.0

    survey(digits, ["cpu"], Plan(timeout_s=600.0), limit_s=limit, diagnosis=EVERYTHING, run_one=one)

    ((_, plan, _),) = one.asked
    assert plan.timeout_s <= limit


def test_a_configuration_that_was_ended_for_the_time_was_not_run(digits):
    slow = Plan(iterations=1_000_000, seconds=60.0, accuracy=False)

    found = survey(digits, ["cpu"], slow, limit_s=1.0)

    assert (found.rows[0].status, found.rows[0].why) == ("not run", "the time was over: it was ended")


def test_the_cpu_has_no_device_buffers(digits, fake):
    one = fake(cpu={"ms": 1.0}, cuda={"ms": 1.0})

    survey(digits, ["cpu", "cuda"], Plan(buffers="device"), diagnosis=EVERYTHING, run_one=one)

    assert [plan.buffers for _, plan, _ in one.asked] == ["host", "device"]


def test_a_batch_that_the_model_cannot_have_is_told_before_anything_runs(detector, fake):
    one = fake(cpu={"ms": 1.0})

    with pytest.raises(InputError, match="is fixed to"):
        survey(detector, ["cpu"], QUICK, batches=[7], diagnosis=EVERYTHING, run_one=one)
    assert one.asked == []


def test_the_build_is_what_the_session_and_the_first_run_took(digits, fake):
    stages = (Stage(name="session", seconds=70.0), Stage(name="first run", seconds=2.0))
    one = fake(tensorrt_fp32={"ms": 1.0, "build": Build(seconds=70.0, cache="timing", stages=stages)})

    (row,) = survey(digits, ["tensorrt"], QUICK, diagnosis=EVERYTHING, run_one=one).rows

    assert (row.build_s, row.cache) == (72.0, "timing")


def test_outputs_that_rounding_changes_are_not_judged(digits, fake):
    boxes, scores = output((1.0, 9.0), (9.0, 1.0), name="boxes"), output(name="scores")
    one = fake(cpu={"ms": 9.0, "accuracy": [boxes, scores]}, cuda={"ms": 1.0, "accuracy": [boxes]})

    found = survey(digits, ["cpu", "cuda"], QUICK, diagnosis=EVERYTHING, run_one=one, about=About(unsteady=("boxes",)))

    assert [(row.right, row.fastest) for row in found.rows] == [(True, True), (None, False)]
    assert found.unsteady == ("boxes",)
    strict = survey(digits, ["cpu", "cuda"], QUICK, diagnosis=EVERYTHING, run_one=one)
    assert [row.right for row in strict.rows] == [False, False]


def test_kept_runs_make_the_same_survey(run):
    runs = [
        run(10.0, settings=Settings(provider="torch"), label="torch eager · batch 8"),
        run(1.0, settings=Settings(precision="fp16"), label="tensorrt fp16 · batch 8").recorded(),
        run(2.0, settings=Settings(precision="fp16"), label="my own"),
    ]

    found = survey_of(runs)

    assert [(row.configuration, row.batch) for row in found.rows] == [
        ("torch eager", 8),
        ("tensorrt fp16", 8),
        ("tensorrt fp16", None),
    ]
    assert found.rows[1].evidence == "recorded"
    assert found.rows[1].speedup == pytest.approx(10, rel=0.05)
    assert found.rows[2].speedup is None
    assert survey_of([]).rows == ()
