from workbench.placement.records import CPU, CUDA, TENSORRT, Group, PlacedNode, Placement, RuntimeVersions, coverage
from workbench.placement.verdict import verdict_of
from workbench.record import Failure

BOTH = RuntimeVersions(onnxruntime="1.31.1", tensorrt="10.16")


def placement(*providers, engines=None, reason="TensorRT 10.16 has no importer for Op; CUDA has a kernel.", **fields):
    """A placement of one node for each provider; TensorRT's are in one engine unless `engines` lists their sizes."""
    sizes = list(engines or [sum(p == TENSORRT for p in providers)])
    groups = [Group(provider=TENSORRT, nodes=tuple(f"e{i}_{k}" for k in range(size))) for i, size in enumerate(sizes) if size]
    nodes = [PlacedNode(name=f"n{i}", op_type="Op", provider=p, group=None, reason=reason) for i, p in enumerate(providers)]
    fields = {"model": "m", "evidence": "predicted", "runtime": BOTH} | fields
    return Placement(groups=tuple(groups), nodes=tuple(nodes), coverage=coverage(nodes), **fields)


def test_one_engine_for_all_is_yes():
    v = verdict_of(placement(TENSORRT, TENSORRT, None))
    assert v.answer == "YES"
    assert v.sentence == "TensorRT would run the whole model (2 nodes) as one engine."
    assert "workbench run m.onnx --provider tensorrt" in v.action


def test_a_measured_placement_speaks_of_what_runs():
    assert verdict_of(placement(TENSORRT, evidence="measured")).sentence.startswith("TensorRT runs ")


def test_some_nodes_elsewhere_is_maybe_and_names_why():
    v = verdict_of(placement(TENSORRT, TENSORRT, TENSORRT, CUDA))
    assert v.answer == "MAYBE"
    assert "3 of 4 nodes (75.0%) as 1 engine, 1 node on CUDA" in v.sentence
    assert "no importer for Op" in v.action
    assert "kernel" not in v.action


def test_many_tiny_engines_ask_for_a_comparison():
    v = verdict_of(placement(*[TENSORRT] * 6, *[CUDA] * 6, engines=[2, 2, 2]))
    assert v.answer == "MAYBE"
    assert "3 engines" in v.sentence
    assert "--provider cuda" in v.action


def test_no_node_on_tensorrt_is_no():
    v = verdict_of(placement(CUDA, CUDA, CPU))
    assert v.answer == "NO"
    assert v.sentence == "TensorRT would run no node: 2 nodes on CUDA and 1 node on CPU."
    assert "no importer for Op" in v.action


def test_an_error_is_no_with_its_remedy():
    failure = Failure(kind="shape", message="TensorRT input: a has no shape specified.", remedy="Infer shapes.")
    v = verdict_of(placement(outcome="error", error=failure))
    assert (v.answer, v.step) == ("NO", "ready")
    assert v.action == "Infer shapes. Or make the model ready: workbench ready m.onnx --trt 10.16"
    assert "a has no shape" in v.sentence


def test_the_command_that_makes_a_model_ready_names_a_release_that_it_knows():
    def command(tensorrt):
        runtime = RuntimeVersions(onnxruntime="1.23.0", tensorrt=tensorrt)
        failure = Failure(kind="shape", message="a has no shape specified.")
        return verdict_of(placement(outcome="error", error=failure, evidence="measured", runtime=runtime)).action

    assert command("10.9.0.34") == "Make the model ready: workbench ready m.onnx --trt 10.1"
    assert command("8.5") == "Make the model ready: workbench ready m.onnx --trt 8.6"
    assert command(None) == "Make the model ready: workbench ready m.onnx"


def test_an_error_that_no_command_mends_has_its_remedy_only():
    v = verdict_of(placement(outcome="error", error=Failure(kind="memory", message="Out of memory.", remedy="Use less.")))
    assert (v.action, v.command, v.step) == ("Use less.", "", "")


def test_a_session_without_tensorrt_is_told_as_it_is():
    plain = RuntimeVersions(onnxruntime="1.31.1")
    v = verdict_of(placement(CPU, CPU, runtime=plain, evidence="measured"))
    assert (v.answer, v.sentence) == ("YES", "The session runs 2 nodes on CPU.")
    both = verdict_of(placement(CUDA, CUDA, CPU, runtime=plain))
    assert "2 nodes on CUDA and 1 node on CPU" in both.sentence
    assert "--provider cuda" in both.action


def test_nothing_to_run_is_said():
    assert "no nodes" in verdict_of(placement()).sentence
    assert "when the session is made" in verdict_of(placement(None, None)).sentence


def test_a_model_name_with_blanks_can_be_pasted():
    assert "'my model.onnx'" in verdict_of(placement(TENSORRT, model="my model")).action
