import json

import pytest

from benchmarks.placement import main, release_in, score, truth_of
from tests.placement.build import node, proto, saved, value
from workbench.placement.predict import predict
from workbench.placement.records import CPU, CUDA, TENSORRT

TRT_RECORD = {"outcome": "ok", "trt_groups": [["a"], ["y", "made"]], "cuda": [], "cpu": ["d"], "error": ""}


@pytest.fixture
def split(tmp_path):
    nodes = [node("Relu", ["x"], ["a"]), node("Det", ["a"], ["d"]), node("Add", ["d", "d"], ["y"])]
    return saved(tmp_path, proto(nodes, inputs=[value("x", shape=(3, 2, 2))]), "split")


def test_both_kinds_of_record_are_read():
    assert truth_of(TRT_RECORD).provider == {"a": TENSORRT, "y": TENSORRT, "made": TENSORRT, "d": CPU}
    cuda = {"assigned": [{"ep": CUDA, "nodes": [{"name": "a"}, {"name": ""}]}], "error": ""}
    assert truth_of(cuda).provider == {"a": CUDA}
    assert truth_of({"assigned": [], "error": "X(-1) is not a registered function/op"}).outcome == "error:custom-op"


def test_nodes_and_groups_are_compared_by_the_names_that_both_have(split):
    right = score("split", truth_of(TRT_RECORD), predict(split), 0.1)
    assert (right.outcome, right.nodes, right.agreeing, right.groups) == (True, 3, 3, True)
    other = TRT_RECORD | {"trt_groups": [["a", "y"]], "cuda": ["d"], "cpu": []}
    wrong = score("split", truth_of(other), predict(split), 0.1)
    assert (wrong.agreeing, wrong.groups, wrong.wrong) == (2, False, ("d: cuda, not cpu",))


def test_the_script_prints_the_sums(split, tmp_path, monkeypatch, capsys):
    truth = tmp_path / "truth.json"
    truth.write_text(json.dumps({"split": TRT_RECORD, "absent": TRT_RECORD}))
    monkeypatch.setattr("sys.argv", ["placement.py", str(split.path.parent), "--tensorrt", str(truth)])
    main()
    out = capsys.readouterr().out
    assert "outcome    1 of 1 models" in out
    assert "nodes      3 of 3 (100.00%)" in out
    assert "groups     exact on 1 of 1 models" in out


def test_the_recorded_release_is_read_off_the_files_name():
    assert release_in("placements_trt86.json") == "8.6"
    assert release_in("trt_10.16.json") == "10.16"
    assert release_in("recorded.json") is None
    assert release_in("trt99.json") is None
