import json

from benchmarks.gpu_placement import compare, main, outcome_of
from workbench.placement.records import CPU, CUDA, TENSORRT, Group, Placement, RuntimeVersions
from workbench.record import Failure

RECORD = {"outcome": "ok", "trt_groups": [["a", "a/Fusion"], ["y"]], "cuda": ["d"], "cpu": [], "error": ""}


def placement(*groups, error=None):
    made = tuple(Group(provider=provider, nodes=nodes) for provider, nodes in groups)
    outcome = "error" if error else "ok"
    return Placement(model="m", evidence="measured", runtime=RuntimeVersions(), groups=made, outcome=outcome, error=error)


RIGHT = ((TENSORRT, ("a", "a/Fusion", "Relu_7")), (TENSORRT, ("y",)), (CUDA, ("d",)))


def test_equal_placements_agree_and_made_up_names_are_only_counted():
    found = compare(RECORD, placement(*RIGHT))
    assert found.same
    assert (found.groups, found.agreeing, found.common, found.missing, found.extra) == (True, 4, 4, 0, 1)
    assert found.sizes == ((2, 1), (3, 1))


def test_other_engines_other_providers_and_missing_nodes_are_told():
    merged = compare(RECORD, placement((TENSORRT, ("a", "a/Fusion", "y")), (CUDA, ("d",))))
    assert (merged.groups, merged.wrong, merged.same) == (False, (), False)
    moved = compare(RECORD, placement(*RIGHT[:2], (CPU, ("d",))))
    assert moved.wrong == (f"d: {CUDA}, found {CPU}",)
    assert not compare(RECORD, placement(*RIGHT[:2])).same


def test_engines_of_unnamed_nodes_are_compared_by_their_size():
    unnamed = {**RECORD, "trt_groups": [["", ""]], "cuda": []}
    assert compare(unnamed, placement((TENSORRT, ("Relu_0", "Relu_1")))).groups
    assert not compare(unnamed, placement((TENSORRT, ("Relu_0",)))).groups


def test_failures_are_compared_by_their_kind():
    failed = placement(error=Failure(kind="shape", message="no shape"))
    assert outcome_of(failed) == "error:shape"
    assert outcome_of(placement(error=Failure(kind="crash", message="died"))) == "crash"
    assert compare({**RECORD, "outcome": "error:shape"}, failed).same
    assert not compare(RECORD, failed).same


def test_the_script_measures_compares_and_goes_on_where_it_ended(digits, tmp_path, monkeypatch, capsys):
    out, truth = tmp_path / "found.json", tmp_path / "truth.json"
    nodes = [{"name": node.name, "op_type": node.op_type} for node in digits.nodes if node.op_type != "Constant"]
    truth.write_text(json.dumps({"digits": {"assigned": [{"ep": CPU, "nodes": nodes}], "error": ""}}))
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    files = [str(digits.path), str(tmp_path / "broken.onnx")]
    arguments = ["gpu_placement.py", *files, "--out", str(out), "--expected", str(truth), "--provider", "cpu"]
    monkeypatch.setattr("sys.argv", arguments)
    main()
    text = capsys.readouterr().out
    assert "outcome    1 of 1 models" in text
    found = json.loads(out.read_text())
    assert found["digits"]["coverage"] == {CPU: 1.0}
    assert found["digits"]["agreement"]["wrong"] == []
    assert found["broken"]["error"]["kind"] == "load"
    main()
    assert " s  engines" not in capsys.readouterr().out
