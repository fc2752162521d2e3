import json

import pytest

from workbench.options.settings import Settings
from workbench.runtime.job import Plan
from workbench.study.compare import Comparison, compare


def test_a_faster_run_is_named_with_its_interval(run):
    found = compare(run(10.0), run(9.39))
    assert (found.faster, found.trusted) == ("B", True)
    assert found.verdict.startswith("B is faster by 6.")
    assert "(95 % interval 5." in found.verdict
    assert found.latency.low < found.latency.ratio < found.latency.high < 1
    assert "Künsch 1989" in found.method
    assert found.caveats == ()


def test_a_slower_run_is_named(run):
    found = compare(run(10.0), run(11.0))
    assert found.faster == "A"
    assert found.verdict.startswith("B is slower by 10.") or found.verdict.startswith("B is slower by 9.")


@pytest.mark.parametrize(("median", "words"), [(2.0, "B is 5.0 times as fast as A"), (50.0, "B takes 5.0 times as long as A")])
def test_large_differences_are_factors(run, median, words):
    assert compare(run(10.0), run(median)).verdict.startswith(words)


def test_no_difference_is_said_so(run):
    found = compare(run(10.0), run(10.0))
    assert (found.faster, found.trusted) == (None, False)
    assert found.verdict.startswith("no difference that can be trusted (B takes 0.")


def test_a_difference_smaller_than_runs_differ_by_is_not_trusted(run):
    found = compare(run(10.0, count=3000), run(10.05, count=3000))
    assert found.latency.excludes_equality
    assert found.faster is None
    assert "two runs of the same may differ by 1 %" in found.verdict


def test_too_few_samples_give_no_claim(run):
    found = compare(run(10.0, count=5), run(1.0, count=5))
    assert found.faster is None
    assert "too few samples" in found.verdict
    assert found.method == ""


def test_the_same_runs_give_the_same_comparison(run):
    a, b = run(10.0), run(9.5)
    assert compare(a, b) == compare(a.recorded(), b.recorded())


def test_a_comparison_survives_json(run):
    found = compare(run(10.0), run(None, error="no", settings=Settings()))
    assert Comparison.model_validate(json.loads(found.model_dump_json())) == found


@pytest.mark.parametrize("status", ["failed", "crashed", "cancelled", "timeout"])
def test_a_run_that_did_not_end_well_is_not_compared(run, status):
    bad = run(9.0, error="the reason").model_copy(update={"status": status})
    for found in (compare(run(10.0), bad), compare(bad, run(10.0))):
        assert (found.faster, found.trusted) == (None, False)
        assert found.verdict.startswith("no claim: ")
        assert "the reason" in found.verdict


def test_a_run_without_latency_is_not_compared(run):
    found = compare(run(10.0), run(None))
    assert found.verdict == "no claim: the latency of B was not measured"
    assert (found.latency, found.b_median_ms) == (None, None)


def test_wrong_outputs_do_not_count(run, accuracy):
    wrong = accuracy([1.0, float("nan")], name="scores")
    found = compare(run(10.0), run(5.0, accuracy=[accuracy(), wrong]))
    assert found.faster is None
    assert found.verdict.startswith("no claim: B's outputs are wrong: its latency does not count (output 'scores'")
    assert "A's outputs are wrong" in compare(run(10.0, accuracy=[wrong]), run(5.0)).verdict
    assert "relative L2" in compare(run(10.0), run(5.0, accuracy=[accuracy([9.0, 0.0])])).verdict


def test_labels_and_data_dependent_shapes_are_caveats_only(run, accuracy):
    labels = accuracy([3, 1], [3, 2], name="labels")
    boxes = accuracy([1.0], [1.0, 2.0], name="boxes")
    found = compare(run(10.0), run(5.0, accuracy=[labels, boxes]))
    assert found.faster == "B"
    assert "B's output 'labels' differs from the reference in 1 elements" in found.caveats
    assert "B's output 'boxes' has the shape [1], the reference's [2]" in found.caveats


def test_different_models_are_not_compared(run):
    found = compare(run(10.0), run(5.0, content_hash="bb", model="other"))
    assert found.verdict == "no claim: A and B ran different models: net and other"
    assert "contents differ" in compare(run(10.0), run(5.0, content_hash="bb")).verdict
    assert "not known" in compare(run(10.0), run(5.0, content_hash=None)).verdict


def test_a_converted_model_is_compared_where_its_outputs_were_held_against_the_original(run):
    base = run(10.0)
    half = run(5.0, content_hash="bb", model="net.fp16")
    held = half.model_copy(update={"plan": half.plan.model_copy(update={"reference": base.model.path})})

    found = compare(base, held)
    assert found.faster == "B"
    assert "held against the same reference: net and net.fp16" in " ".join(found.caveats)
    by_id = half.model_copy(update={"plan": half.plan.model_copy(update={"reference": f"run:{base.id}"})})
    assert compare(base, by_id).faster == "B"
    assert compare(base, held.model_copy(update={"accuracy": ()})).verdict.startswith("no claim: A and B ran different models")
    other = half.model_copy(update={"plan": half.plan.model_copy(update={"reference": "elsewhere.onnx"})})
    assert compare(base, other).verdict.startswith("no claim: A and B ran different models")


def test_the_same_model_under_another_name_is_compared(run):
    assert compare(run(10.0), run(5.0, model="copy")).faster == "B"


def test_inputs_of_different_shapes_are_not_compared(run):
    b = run(5.0)
    b = b.model_copy(update={"inputs": (b.inputs[0].model_copy(update={"shape": (4, 8)}),)})
    found = compare(run(10.0), b)
    assert found.faster is None
    assert "x float32 [1, 8] against x float32 [4, 8]" in found.verdict


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cpu": "d"}, "processor c against d"),
        ({"onnxruntime": "1.17.0"}, "ONNX Runtime 1.31.0 against 1.17.0"),
        ({"cores": 2}, "cores"),
    ],
)
def test_different_environments_are_not_compared(run, environment, changes, words):
    found = compare(run(10.0), run(5.0, environment=environment(**changes)))
    assert found.faster is None
    assert words in found.verdict


def test_what_plays_no_part_in_a_run_makes_no_other_environment(run, environment):
    tensorrt = environment(tensorrt="10.14", host="another", gpu="G", driver="1")
    assert compare(run(10.0), run(5.0, environment=tensorrt, settings=Settings())).faster == "B"
    other_gpu = environment(gpu="H", driver="2")
    assert compare(run(10.0, environment=environment(gpu="G", driver="1")), run(5.0, environment=other_gpu)).faster == "B"
    gpu = [run(m, environment=environment(gpu=g), settings=Settings()) for m, g in ((10.0, "G"), (5.0, "H"))]
    assert "GPU G against H" in compare(*gpu).verdict


def test_what_is_not_known_weakens_the_claim(run):
    b = run(5.0).model_copy(update={"accuracy": (), "environment": None, "inputs": ()})
    found = compare(run(10.0), b)
    assert found.faster == "B"
    assert len(found.caveats) == 3
    assert any("nobody knows whether B's outputs are right" in c for c in found.caveats)


def test_warnings_of_the_latencies_and_other_inputs_are_caveats(run):
    b = run(5.0, count=50)
    found = compare(run(10.0), b.model_copy(update={"plan": b.plan.model_copy(update={"seed": 7})}))
    assert found.faster == "B"
    assert any(c.startswith("B: only 50 samples") for c in found.caveats)
    assert any("different values" in c for c in found.caveats)


def test_a_run_is_not_compared_with_itself(run):
    a = run(10.0)
    assert compare(a, a.recorded()).verdict == "no claim: A and B are the same Run"


def test_settings_that_differ_are_listed(run):
    a = Settings(provider="cpu", session_options={"intra_op_num_threads": 2})
    b = Settings(precision="fp16", provider_options={"trt_builder_optimization_level": 5}, profile=["x=1x8:2x8:4x8"])
    found = [str(d) for d in compare(run(settings=a), run(settings=b)).differences]
    assert found == [
        "provider: cpu against tensorrt",
        "precision: fp32 against fp16",
        "trt_builder_optimization_level: the default against 5",
        "intra_op_num_threads: 2 against the default",
        "profile of x: the default against x=1x8:2x8:4x8",
    ]


def test_latencies_with_and_without_copies_are_told_apart(run):
    host, device = run(10.0, settings=Settings()), run(9.0, settings=Settings(), plan=Plan(buffers="device"))
    (caveat,) = [text for text in compare(host, device).caveats if "different things" in text]
    assert caveat.index("A with NumPy arrays") < caveat.index("B with buffers that stay on the GPU")
    assert not any("different things" in text for text in compare(host, host.model_copy(update={"id": "other"})).caveats)
