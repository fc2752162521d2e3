import shutil
import threading

import numpy as np
import pytest

from tests.figures.records import output, run, samples
from tests.panels.fakes import make_state
from tests.panels.models import chain_model
from workbench.errors import JobError, ModelError
from workbench.measure.calibration import SettlingPoint, TensorCalibration, Threshold
from workbench.measure.task import TaskAccuracy
from workbench.options.precision_advice import advise
from workbench.options.settings import Settings
from workbench.panels.background import Background
from workbench.panels.figure_view import Click
from workbench.panels.placement_panel import PlacementPanel
from workbench.panels.precision_panel import PrecisionPanel
from workbench.record import Finding
from workbench.runtime.calibration.records import Calibration, Progress
from workbench.runtime.doctor.checks import Diagnosis
from workbench.runtime.environment import environment
from workbench.runtime.lowering.trials import NodeEvidence
from workbench.samples.catalogue import sample_path
from workbench.samples.catalogue import samples as sample_models
from workbench.study.convert import Converted
from workbench.study.run import ModelRef
from workbench.study.sensitivity_records import RankedNode, Sensitivity, SetError, Trial
from workbench.study.target import Target

DIGITS = sample_models()[0]
NAMES = ("image", "/stage1/activation/Relu_output_0", "/head/flatten/Flatten_output_0", "/head/activation/Relu_output_0")
KEPT = "/stage2/conv/Conv"


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """A machine that the diagnosis knows at once; no process is asked."""
    known = environment().model_copy(update={"tensorrt": "10.14", "gpu": "NVIDIA L4", "compute_capability": "8.9"})
    found = Diagnosis(checks=(), can={"cpu": True}, environment=known)
    monkeypatch.setattr("workbench.runtime.doctor.diagnosis.diagnose", lambda: found)


@pytest.fixture
def calibrated(monkeypatch):
    """A calibration that is done at once; returns what it was asked."""
    asked = []

    def calibrate(model, data, **given):
        given["on_progress"](Progress(stage="collecting", done=5, total=20, elapsed_s=1.0))
        asked.append((data, given))
        return calibration(model.name)

    monkeypatch.setattr("workbench.runtime.calibration.calibrate.calibrate", calibrate)
    return asked


@pytest.fixture
def converting(monkeypatch):
    """A conversion that copies the file; returns the errands."""
    errands = []

    def convert(errand, *, cancelled, on_event):
        errands.append(errand)
        shutil.copy(errand.model, errand.out)
        return Converted(
            model="digits",
            target=errand.out,
            to=errand.to,
            keep=errand.keep,
            changes=("Some.",),
            advice=advise(errand.to),
            seconds=1,
        )

    monkeypatch.setattr("workbench.study.conversion.convert_contained", convert)
    return errands


@pytest.fixture
def searched(monkeypatch):
    """A search that finds one node at once; returns what it was asked."""
    asked = []

    def find(model, lowering, target, **given):
        asked.append((lowering, target, given))
        given["on_trial"](Trial(number=1, kept=0, error=error(ok=False), best=None, seconds=0.5, fresh=True))
        return sensitivity(model, lowering, target)

    monkeypatch.setattr("workbench.study.sensitivity.find_sensitive", find)
    return asked


@pytest.fixture
def panel(tmp_path):
    state = make_state(tmp_path, settings=Settings(provider="cpu"))
    made = PrecisionPanel(state)
    state.load_model(sample_path("digits"))
    yield made
    assert made.failure is None


def tensor(name, amax, p999, clipped=0.01):
    thresholds = (Threshold(method="entropy", amax=amax / 2, clipped=clipped), Threshold(method="minmax", amax=amax, clipped=0.0))
    growth = (SettlingPoint(samples=1, amax=amax / 2), SettlingPoint(samples=20, amax=amax))
    return TensorCalibration(
        name=name,
        low=-amax,
        high=amax,
        elements=7,
        limit=amax,
        counts=(1, 2, 3, 1),
        p999=p999,
        thresholds=thresholds,
        settling=growth,
    )


def calibration(model):
    tensors = (*(tensor(name, 4.0, 3.9 - at) for at, name in enumerate(NAMES)), TensorCalibration(name="unseen"))
    finding = Finding(level="warning", where="unseen", seen="the tensor is never seen in 20 samples")
    return Calibration(
        model=model,
        content_hash="h",
        data="digits_train.npz",
        samples=20,
        batch=8,
        method="entropy",
        onnxruntime="1.31.1",
        seconds=1.5,
        tensors=tensors,
        findings=(finding,),
    )


def error(*, ok=True):
    return SetError(ok=ok, why="" if ok else "NaN in y", rel_l2=1e-3, cosine=1.0, sqnr_db=60.0, not_finite=0 if ok else 9)


def sensitivity(model, lowering, target):
    nodes = [
        NodeEvidence(
            name=node.name, op_type=node.op_type, largest=1e5, hard=node.name == KEPT, causes=("overflow: reaches 1e+05",)
        )
        for node in model.nodes
    ]
    return Sensitivity(
        model=model.name,
        content_hash="h",
        lowering=lowering,
        target=target,
        status="found",
        keep=(KEPT,),
        ranking=tuple(RankedNode(node=node, keep=node.name == KEPT) for node in nodes),
        lowered=error(ok=False),
        repaired=error(),
        verified=None,
        tried=3,
        recalled=0,
        seconds=1.0,
        samples=16,
        origin="digits_test.npz",
        emulated=True,
        evidence="measured",
    )


def failures(panel):
    return [section.title for section in panel.sections if section.failure is not None]


# Which precision, and how


def test_without_a_model_it_says_what_to_do(tmp_path):
    made = PrecisionPanel(make_state(tmp_path))
    assert "Open a model" in made.body.children[0].value


def test_it_tells_what_this_gpu_and_these_versions_support(panel):
    assert "NVIDIA L4, compute capability 8.9" in panel.choice.versions.value
    assert "TensorRT 10.14" in panel.choice.versions.value
    rows = panel.choice.table.value.split("<tr>")
    assert [sum(name in row for row in rows) for name in ("FP32", "FP16", "BF16", "INT8")] == [1, 1, 1, 1]
    assert "Q/DQ says which nodes are quantised" in panel.choice.table.value


def test_flags_go_into_the_settings(panel, browser_clicks):
    panel.state.set_provider("tensorrt")
    panel.choice.precision.value = "fp16"
    panel.choice.way.value = "flags"
    assert panel.choice.act.description == "Set the flag for FP16"
    browser_clicks(panel.choice.act)
    assert panel.state.settings.precision == "fp16"
    assert failures(panel) == []


def test_what_cannot_be_done_says_why(panel):
    panel.choice.way.value = "flags"
    assert "the provider cpu has none" in panel.choice.obstacle.value
    assert panel.choice.act.disabled
    panel.choice.precision.value = "int8"
    panel.choice.way.value = "graph"
    assert "Calibrate below first" in panel.choice.obstacle.value


def test_the_graphs_way_writes_a_new_model_and_opens_it(panel, converting, browser_clicks):
    panel.choice.precision.value = "fp16"
    browser_clicks(panel.choice.act)
    state = panel.state
    assert state.model.path == state.store.path.parent / "models" / "digits.fp16.onnx"  # a sample's own folder is left alone
    assert converting[0].data.path == str(DIGITS.test_set)
    assert "Some." in panel.choice.outcome.value
    assert [path.name for path in state.lowering.family] == ["digits.onnx", "digits.fp16.onnx"]
    assert state.plan.reference == str(DIGITS.path)
    assert "converted to fp16 already" in panel.choice.obstacle.value


def test_the_original_can_be_opened_again(panel, converting, browser_clicks):
    panel.choice.precision.value = "fp16"
    browser_clicks(panel.choice.act)
    panel.choice.family.value = DIGITS.path
    assert panel.state.model.name == "digits"
    assert panel.state.plan.reference is None


def test_a_users_model_is_written_beside_the_old_one_and_never_over_it(tmp_path, converting):
    state = make_state(tmp_path / "store", settings=Settings(provider="cpu"))
    made = PrecisionPanel(state)
    chain_model(tmp_path / "chain.onnx")
    (tmp_path / "chain.fp16.onnx").write_bytes(b"the user's own")
    state.load_model(tmp_path / "chain.onnx")
    made.choice.lowering.take()
    assert state.model.path == tmp_path / "chain.fp16-2.onnx"
    assert (tmp_path / "chain.fp16.onnx").read_bytes() == b"the user's own"


def test_a_conversion_that_fails_is_told_where_it_was_asked_for(panel, monkeypatch, browser_clicks):
    def fail(*_, **__):
        raise ModelError("It cannot be converted.", remedy="Try another.")

    monkeypatch.setattr("workbench.study.conversion.convert_contained", fail)
    browser_clicks(panel.choice.act)
    assert failures(panel) == ["Which precision, and how"]
    assert "It cannot be converted." in panel.choice.status.value


# Data


def test_a_samples_own_data_are_chosen(panel):
    assert panel.data.path.value == str(DIGITS.test_set)
    assert panel.data.metric.value == "top1"
    assert "450 labels of 10 kinds" in panel.data.about.value
    assert panel.calibration.path.value == str(DIGITS.training_set)
    panel.state.load_model(sample_path("encoder"))
    assert (panel.data.path.value, panel.calibration.path.value) == ("", "")


def test_data_the_user_chose_stay_when_another_model_is_opened(panel, tmp_path, browser_clicks):
    np.savez(tmp_path / "mine.npz", image=np.zeros((3, 1, 8, 8), np.float32))
    panel.data.path.value, panel.data.metric.value = str(tmp_path / "mine.npz"), ""
    browser_clicks(panel.data.use)
    assert "all elements of" in panel.data.about.value  # a constant input is told
    panel.state.load_model(sample_path("digits"))
    assert panel.data.path.value == str(tmp_path / "mine.npz")


@pytest.mark.parametrize(
    ("arrays", "labels", "told"),
    [
        ({"image": np.zeros((3, 1, 8, 8), np.float32), "label": np.zeros(2)}, "", "2 labels for 3 samples"),
        ({"picture": np.zeros((3, 1, 8, 8), np.float32)}, "", "no array for input"),
        ({"image": np.zeros((3, 1, 8, 8), np.float32)}, "", "there are no labels, so top1 cannot be measured"),
        ({"image": np.zeros((3, 1, 8, 8), np.float32)}, "lable", "neither an array in it nor a file"),
        (None, "", "cannot be read"),
    ],
)
def test_wrong_data_are_one_message_beside_them(panel, tmp_path, browser_clicks, *, arrays, labels, told):
    if arrays is not None:
        np.savez(tmp_path / "data.npz", **arrays)
    panel.data.path.value = str(tmp_path / "data.npz")
    panel.data.labels.value = labels
    browser_clicks(panel.data.use)
    assert told in panel.data.status.value
    assert failures(panel) == ["Data"]


def test_a_folder_of_images_shows_its_preprocessing_and_takes_another(panel, tmp_path, browser_clicks):
    image = pytest.importorskip("PIL.Image")
    for at in range(2):
        image.new("L", (8, 8), at * 100).save(tmp_path / f"{at}.png")
    assert panel.data.images.layout.display == "none"
    panel.data.path.value, panel.data.metric.value = str(tmp_path), ""
    browser_clicks(panel.data.use)
    assert failures(panel) == []
    assert panel.data.images.layout.display == ""
    fields = panel.data.images
    assert (fields.size.value, fields.channels.value, fields.scale.value) == ("8×8", "L", "1/255")
    fields.mean.value = "0.5"
    assert panel.data.data.source().preprocessing.mean == (0.5,)
    fields.std.value = "0.2, 0.3"
    assert "std has 2 numbers for 1 channels" in panel.data.status.value
    fields.size.value = "eight"
    assert "&#x27;eight&#x27; is not understood" in panel.data.status.value


# Calibration


def test_calibration_ends_in_an_explorer_with_outliers_first(panel, calibrated, browser_clicks, browser_says):
    panel.calibration.samples.value = 20
    browser_clicks(panel.calibration.start)
    source, given = calibrated[0]
    assert (source.path, source.limit, given["method"]) == (str(DIGITS.training_set), 20, "entropy")
    assert panel.calibration.progress.text == "Calibrated"
    assert [row.key for row in panel.calibration.table.rows] == [*reversed(NAMES), "unseen"]
    assert "never seen in 20 samples" in panel.calibration.facts.value
    assert "Flatten" not in panel.calibration.histogram.figure.layout.title.text
    browser_says(panel.calibration.table, selected=[NAMES[2]])
    assert "Flatten" in panel.calibration.histogram.figure.layout.title.text
    assert "1.000% clipped" in str(panel.calibration.histogram.figure.data)
    assert panel.calibration.settling.figure.layout.title.subtitle.text.endswith("after 20 samples")
    browser_says(panel.calibration.table, selected=["unseen"])
    assert failures(panel) == []


def test_other_method_shows_what_it_clips(panel, calibrated, browser_clicks):
    browser_clicks(panel.calibration.start)
    assert panel.calibration.table.rows[0].cells[4] == pytest.approx(0.01)
    panel.calibration.method.value = "minmax"
    assert panel.calibration.table.rows[0].cells[4] == 0.0
    assert panel.state.lowering.calibration.ranges()["image"] == 4.0


def test_a_calibration_shows_how_far_it_is_and_can_be_cancelled(tmp_path, monkeypatch, browser_clicks):
    began = threading.Event()

    def calibrate(*_, cancelled, on_progress, **__):
        on_progress(Progress(stage="collecting", done=40, total=100, resumed=30, elapsed_s=2.0))
        began.set()
        assert cancelled.wait(10)
        raise JobError("The calibration was cancelled.", kind="cancelled", remedy="What was done is kept.")

    monkeypatch.setattr("workbench.runtime.calibration.calibrate.calibrate", calibrate)
    state = make_state(tmp_path, settings=Settings(provider="cpu"), background=Background())
    made = PrecisionPanel(state)
    state.load_model(sample_path("digits"))
    assert state.wait(20)
    browser_clicks(made.calibration.start)
    assert began.wait(10)
    assert state.background.main.wait(lambda: "sample 40 of 100" in made.calibration.progress.text, 5)
    assert made.calibration.cancel.layout.display == ""
    assert made.sensitivity.start.disabled
    browser_clicks(made.calibration.cancel)
    assert state.wait(10)
    assert "What was done is kept." in made.calibration.said.value
    assert failures(made) == []
    assert made.calibration.start.disabled is False


def test_without_data_there_is_nothing_to_calibrate_on(panel, browser_clicks):
    panel.state.load_model(sample_path("encoder"))
    browser_clicks(panel.calibration.start)
    assert "There are no data to calibrate on." in panel.calibration.status.value


def test_a_table_is_written_read_back_and_used_by_flags(panel, calibrated, browser_clicks):
    browser_clicks(panel.calibration.start)
    browser_clicks(panel.calibration.write)
    table = panel.state.store.path.parent / "models" / "digits.flatbuffers"
    assert table.is_file()
    assert "of the model&#x27;s 11 tensors have no range" in panel.calibration.status.value  # the fake saw four of them
    panel.state.set_provider("tensorrt")
    browser_clicks(panel.calibration.flags)
    settings = panel.state.settings
    assert (settings.precision, settings.provider_options["trt_int8_calibration_table_name"]) == ("int8", str(table))
    panel.choice.precision.value, panel.choice.way.value = "int8", "flags"
    assert panel.choice.obstacle.value == ""


def test_a_folder_that_is_not_there_is_one_message(panel, calibrated, browser_clicks, tmp_path):
    browser_clicks(panel.calibration.start)
    panel.calibration.file.value = str(tmp_path / "none" / "x.json")
    browser_clicks(panel.calibration.write)
    assert "the folder does not exist" in panel.calibration.status.value


def test_the_quantised_model_gets_the_chosen_ranges(panel, calibrated, converting, browser_clicks):
    browser_clicks(panel.calibration.start)
    panel.calibration.method.value = "minmax"
    browser_clicks(panel.calibration.quantise)
    assert converting[0].to == "int8"
    assert {each.tensor: each.amax for each in converting[0].ranges} == dict.fromkeys(NAMES, 4.0)
    assert panel.state.model.name == "digits.int8"
    assert panel.calibration.table.rows  # the calibration of the original stays
    assert "Written and opened" in panel.calibration.status.value
    browser_clicks(panel.calibration.quantise)
    assert "has been converted already" in panel.calibration.status.value
    panel.state.load_model(sample_path("encoder"))
    assert panel.calibration.table.rows == ()


# Accuracy against latency


def kept(state, label, median, value, *, model="digits", reference=None):
    task = TaskAccuracy(
        metric="top1",
        output="y",
        value=value,
        interval=None,
        samples=450,
        reference="r",
        reference_value=0.99,
        difference=value - 0.99,
    )
    made = run(label, samples(median), accuracy=[output("y")])
    about = ModelRef(name=model, path="x", content_hash=state.model.content_hash() if model == "digits" else "c", size_bytes=1)
    plan = made.plan.model_copy(update={"reference": reference})
    state.store.add(made.model_copy(update={"task": task, "model": about, "plan": plan}))


@pytest.fixture
def family(panel):
    kept(panel.state, "plain", 2.0, 0.99)
    kept(panel.state, "quantised", 1.0, 0.95, model="digits.int8", reference="digits.onnx")
    kept(panel.state, "stranger", 1.0, 0.95, model="other")
    panel.state.refresh_rows()
    return panel.tradeoff


def test_the_familys_runs_are_drawn_with_the_target(family):
    titles = [text for trace in family.figure.figure.data if trace.customdata is not None for text in trace.customdata]
    assert sorted(titles) == ["id-plain", "id-quantised"]
    grey = next(trace for trace in family.figure.figure.data if "misses" in trace.name)
    assert list(grey.customdata) == ["id-quantised"]
    assert "quantised: top1 drops by 4.00 points, over 1" in family.missed.value


def test_another_target_changes_what_counts(family):
    family.target.value = "task_drop=5"
    assert family.lowering.target == Target(task_drop=5)
    assert family.missed.value == ""
    family.target.value = "speed=3"
    assert "there is no measure" in family.status.value


def test_without_task_accuracy_the_outputs_are_drawn(family):
    family.measure.value = "rel_l2"
    assert family.figure.figure.layout.yaxis.type == "log"


def test_a_click_on_a_point_chooses_its_run(family):
    family.figure.clicked = Click(curve=0, point=0, customdata="id-plain")
    assert family.state.chosen == ("id-plain",)
    assert "plain" in family.chosen.value


def test_measuring_uses_the_data_and_adds_a_point(panel, browser_clicks):
    browser_clicks(panel.tradeoff.run)
    job = panel.state.worker.jobs[-1]
    assert (job.plan.data.path, job.plan.task.metric) == (str(DIGITS.test_set), "top1")
    assert panel.state.last.status == "ok"
    assert len(panel.state.lowering.runs) == 1
    assert failures(panel) == []
    panel.state.load_model(sample_path("encoder"))
    assert (panel.state.plan.data, panel.state.plan.task) == (None, None)  # which would not fit


# What breaks it


def test_the_set_found_is_told_with_its_causes(panel, searched, browser_clicks):
    browser_clicks(panel.sensitivity.start)
    lowering, target, given = searched[0]
    assert (lowering.to, lowering.settings.provider, lowering.samples, lowering.task) == ("fp16", "cpu", 16, None)
    assert target == Target(rel_l2=1e-2)
    assert given["folder"] == panel.state.store.path.parent / "sensitivity"
    assert f"1 of 10 nodes must stay in float32 for fp16 to meet the target (relative L2 ≤ 0.01): {KEPT}" in (
        panel.sensitivity.answer.value
    )
    assert "overflow: reaches 1e+05" in panel.sensitivity.answer.value
    assert KEPT in str(panel.sensitivity.figure.figure.data)
    assert panel.sensitivity.graph.netron.selected == KEPT
    assert f"--layer-precisions {KEPT}:float32" in panel.sensitivity.code.text


def test_a_target_of_task_accuracy_uses_the_labels(panel, searched, browser_clicks):
    panel.sensitivity.target.value = "top1-drop=0.5"
    browser_clicks(panel.sensitivity.start)
    lowering, target, _ = searched[0]
    assert (lowering.task.metric, lowering.samples, target.task_drop) == ("top1", 1000, 0.5)
    panel.sensitivity.target.value = "nonsense"
    browser_clicks(panel.sensitivity.start)
    assert "there is no measure &#x27;nonsense&#x27;" in panel.sensitivity.status.value


def test_the_set_is_selected_on_the_graph_of_the_placement_tab(panel, searched, browser_clicks):
    placement = PlacementPanel(panel.state)
    browser_clicks(panel.sensitivity.start)
    browser_clicks(panel.sensitivity.pick)
    assert placement.table.selected == [KEPT]
    assert placement.graph.selected == KEPT
    assert panel.state.wanted == "placement"
    assert PlacementPanel(panel.state).table.selected == [KEPT]  # also where the tab is opened only then


def test_a_click_on_a_nodes_dot_selects_it(panel, searched, browser_clicks):
    browser_clicks(panel.sensitivity.start)
    panel.sensitivity.figure.clicked = Click(curve=0, point=0, customdata="/head/Softmax")
    assert panel.state.node == "/head/Softmax"


def test_the_model_is_made_with_the_set_in_float32(panel, searched, converting, browser_clicks):
    browser_clicks(panel.sensitivity.start)
    browser_clicks(panel.sensitivity.make)
    assert (converting[0].to, converting[0].keep) == ("fp16", (KEPT,))
    assert panel.state.model.name == "digits.fp16"
    assert "Written and opened" in panel.sensitivity.status.value
    assert "must stay in float32" in panel.sensitivity.answer.value  # still told
    assert panel.sensitivity.make.layout.display == "none"  # but not done to the model that was made


def test_the_set_for_int8_needs_a_calibration(panel, searched, browser_clicks):
    panel.sensitivity.to.value = "int8"
    browser_clicks(panel.sensitivity.start)
    browser_clicks(panel.sensitivity.make)
    assert "Calibrate first." in panel.sensitivity.status.value


def test_only_one_job_at_a_time(panel, browser_clicks):
    panel.state._begin("running", "digits.onnx")
    assert panel.choice.act.disabled
    assert panel.calibration.start.disabled
    assert panel.tradeoff.run.disabled
    assert panel.sensitivity.start.disabled
    browser_clicks(panel.sensitivity.start)
    assert "is running digits.onnx just now" in panel.sensitivity.status.value
