import pytest

from tests.placement.build import BOOL, by_name, engines, graph, node, short, value, weight
from workbench.placement.observed import EngineDump, placement_of_assignment, placement_of_log
from workbench.placement.records import CPU, CUDA, TENSORRT, RuntimeVersions


def assigned(*parts):
    return [(provider, [(name, "", op) for name, op in nodes]) for provider, nodes in parts]


@pytest.fixture
def nodes(model):
    """MatMul + Add, which ONNX Runtime fuses, then an Identity, a Relu, and an If with a node in each branch."""
    branch = {
        "then_branch": graph([node("Neg", ["r"], ["t"])], ["t"]),
        "else_branch": graph([node("Exp", ["r"], ["e"])], ["e"]),
    }
    graph_nodes = [
        node("MatMul", ["x", "w"], ["m"], "mm"),
        node("Add", ["m", "b"], ["s"], "add"),
        node("Identity", ["s"], ["i"], "id"),
        node("Relu", ["i"], ["r"], "relu"),
        node("If", ["c"], ["y"], "if", **branch),
    ]
    weights = [weight("w", [[1.0] * 4] * 4), weight("b", [1.0] * 4)]
    return model(graph_nodes, inputs=[value("x"), value("c", BOOL, ())], weights=weights).nodes


SESSION = assigned(
    (CPU, [("e", "Exp")]),
    (CPU, [("t", "Neg")]),
    (CUDA, [("relu", "Relu")]),
    (CUDA, [("if", "If")]),
    (CUDA, [("mm/MatMulAddFusion", "Gemm")]),
)


def test_nodes_of_the_file_get_the_provider_that_the_session_gave_them(nodes):
    p = placement_of_assignment(nodes, SESSION, model="m", runtime=RuntimeVersions(onnxruntime="1.31.1"))
    assert short(p) == {"mm": None, "add": None, "id": None, "relu": "cuda", "if": "cuda", "t": "cpu", "e": "cpu"}
    assert (p.evidence, p.model, p.runtime.onnxruntime) == ("measured", "m", "1.31.1")


def test_nodes_that_went_into_a_fusion_name_it(nodes):
    found = by_name(placement_of_assignment(nodes, SESSION))
    for name in ("mm", "add"):
        assert "mm/MatMulAddFusion" in found[name].reason
    assert "MatMulAddFusion" not in found["id"].reason
    assert "removed by ONNX Runtime" in found["id"].reason.lower().replace("onnx runtime", "ONNX Runtime")


def test_an_activation_that_went_into_the_node_before_it_names_it(nodes):
    log = LOG.replace("Gemm (mm/MatMulAddFusion)", "FusedGemm (fused mm)")
    for name in ("mm", "add"):
        assert "'fused mm' (FusedGemm)" in by_name(placement_of_log(nodes, log))[name].reason


def test_groups_and_coverage_count_what_the_session_made(nodes):
    p = placement_of_assignment(nodes, SESSION)
    assert p.coverage == {CPU: 2 / 5, CUDA: 3 / 5}
    assert ("mm/MatMulAddFusion",) in [g.nodes for g in p.groups]
    for placed in p.nodes:
        assert placed.group is None or placed.name in p.groups[placed.group].nodes


def test_an_engine_is_one_group(nodes):
    p = placement_of_assignment(
        nodes, assigned((TENSORRT, [("mm", "MatMul"), ("add", "Add"), ("relu", "Relu")]), (CUDA, [("if", "If")]))
    )
    assert engines(p) == [{"mm", "add", "relu"}]
    assert p.engines() == 1


def test_bodies_inside_an_engine_belong_to_it_and_count_once(nodes):
    parts = [(TENSORRT, [("t", "Neg")]), (TENSORRT, [("e", "Exp")]), (TENSORRT, [("relu", "Relu"), ("if", "If"), ("t", "Neg")])]
    p = placement_of_assignment(nodes, assigned(*parts))
    assert engines(p) == [{"relu", "if", "t", "e"}]
    assert p.coverage == {TENSORRT: 1.0}
    assert sum(len(g.nodes) for g in p.groups) == 4


def test_unnamed_nodes_are_matched_by_operator_and_order(model):
    unnamed = [node("Relu", ["x"], ["a"]), node("Exp", ["a"], ["b"]), node("Relu", ["b"], ["y"])]
    for n in unnamed:
        n.name = ""
    p = placement_of_assignment(
        model(unnamed).nodes, assigned((CUDA, [("", "Relu")]), (CPU, [("", "Exp")]), (CUDA, [("", "Relu")]))
    )
    assert list(short(p).values()) == ["cuda", "cpu", "cuda"]


def test_a_node_reported_twice_counts_once(nodes):
    p = placement_of_assignment(nodes, assigned((CPU, [("relu", "Relu")]), (CPU, [("relu", "Relu")])))
    assert len(p.groups) == 1


def test_an_empty_report_places_nothing(nodes):
    p = placement_of_assignment(nodes, [])
    assert p.groups == ()
    assert p.coverage == {}
    assert all(n.provider is None for n in p.nodes)


PREFIX = "2026-11-20 09:01:34.506737700 [V:onnxruntime:, session_state.cc:1146 VerifyEachNodeIsAssignedToAnEp]"
LOG = f"""\
{PREFIX} Node placements
\x1b[0;93m{PREFIX}  Node(s) placed on [CUDAExecutionProvider]. Number of nodes: 3\x1b[m
{PREFIX}   Gemm (mm/MatMulAddFusion)
{PREFIX}   If (if)
{PREFIX}   MemcpyToHost (Memcpy_token_3)
{PREFIX}  Node(s) placed on [CPUExecutionProvider]. Number of nodes: 3
{PREFIX}   Relu (relu)
{PREFIX}   Neg (t)
{PREFIX}   Exp (e)
2026-11-20 [V:onnxruntime:, session_state.cc:126 CreateGraphInfo] SaveMLValueNameIndexMapping
{PREFIX}   Add (add)
"""


def test_the_log_of_an_older_release_gives_the_same_placement(nodes):
    p = placement_of_log(nodes, LOG)
    assert short(p) == {"mm": None, "add": None, "id": None, "relu": "cpu", "if": "cuda", "t": "cpu", "e": "cpu"}
    assert p.coverage == {CUDA: 2 / 5, CPU: 3 / 5}


def test_a_log_that_names_one_provider_for_all(nodes):
    p = placement_of_log(nodes, "[V] All nodes placed on [CPUExecutionProvider]. Number of nodes: 6\n")
    assert set(short(p).values()) == {"cpu"}
    assert "folded or fused" in p.notes[0]
    old = placement_of_log(nodes, "All nodes have been placed on [CPUExecutionProvider].")
    assert set(short(old).values()) == {"cpu"}


def test_a_log_does_not_list_the_nodes_of_an_engine(nodes):
    one = placement_of_log(nodes, "All nodes placed on [TensorrtExecutionProvider]. Number of nodes: 1")
    assert one.engines() == 1
    assert one.nodes[0].group == 0
    lines = LOG.replace(
        "Gemm (mm/MatMulAddFusion)", "TRTKernel_graph_main_1_0 (TensorrtExecutionProvider_TRTKernel_graph_main_1_0_0)"
    )
    lines = lines.replace("If (if)", "TRTKernel_graph_main_1_1 (TensorrtExecutionProvider_TRTKernel_graph_main_1_1_1)")
    two = placement_of_log(nodes, lines)
    assert two.engines() == 2
    assert by_name(two)["mm"].provider == TENSORRT
    assert by_name(two)["mm"].group is None
    assert by_name(two)["relu"].provider == CPU
    assert any("does not list" in note for note in two.notes)


def test_a_log_without_placements_says_how_to_get_them(nodes):
    p = placement_of_log(nodes, "nothing here\n")
    assert p.groups == ()
    assert "severity 0" in p.notes[0]


def dump(engine, *nodes):
    return EngineDump(f"TensorrtExecutionProvider_TRTKernel_{engine}", nodes)


def engine_line(name):
    return f"{PREFIX}   TRTKernel_{name} (TensorrtExecutionProvider_TRTKernel_{name}_0)"


def test_dumps_make_a_log_exact(nodes):
    log = LOG.replace(f"{PREFIX}   Gemm (mm/MatMulAddFusion)", engine_line("graph_a_1_0"))
    held = dump("graph_a_1_0_0", ("mm/MatMulAddFusion", "Gemm"))
    exact = placement_of_log(nodes, log, dumps=[held])
    assert engines(exact) == [{"mm/MatMulAddFusion"}]
    assert short(exact) == {"mm": None, "add": None, "id": None, "relu": "cpu", "if": "cuda", "t": "cpu", "e": "cpu"}
    assert "which TensorrtExecutionProvider runs" in by_name(exact)["mm"].reason
    assert exact.notes == ()
    assert exact.memcpy == 1


def test_a_whole_model_on_tensorrt_is_exact_with_its_dump(nodes):
    log = "[V] All nodes placed on [TensorrtExecutionProvider]. Number of nodes: 1"
    held = dump("graph_a_1_0_0", ("mm/MatMulAddFusion", "Gemm"), ("relu", "Relu"), ("if", "If"), ("t", "Neg"), ("e", "Exp"))
    p = placement_of_log(nodes, log, dumps=[held])
    assert engines(p) == [{"mm/MatMulAddFusion", "relu", "if", "t", "e"}]
    assert by_name(p)["id"].provider is None
    assert "body of 'if'" in by_name(p)["t"].reason
    assert (p.memcpy, p.notes) == (0, ())


def test_an_engine_without_a_dump_gets_what_is_left_and_a_note(nodes):
    log = LOG.replace(f"{PREFIX}   Gemm (mm/MatMulAddFusion)", engine_line("graph_a_1_0"))
    log = log.replace(f"{PREFIX}   If (if)", engine_line("graph_a_1_1"))
    p = placement_of_log(nodes, log, dumps=[dump("graph_a_1_1_0", ("if", "If"))])
    assert engines(p) == [{"if"}, {"mm", "add", "id"}]
    assert any("does not list" in note for note in p.notes)


def test_graph_names_with_spaces_and_brackets_do_not_end_the_list(nodes):
    log = LOG.replace(f"{PREFIX}   Gemm (mm/MatMulAddFusion)", engine_line("graph_main graph (1)_1_0"))
    held = dump("graph_main graph (1)_1_0_0", ("mm", "MatMul"), ("add", "Add"))
    p = placement_of_log(nodes, log, dumps=[held])
    assert engines(p) == [{"mm", "add"}]
    assert by_name(p)["e"].provider == CPU


def test_the_log_with_dumps_and_the_recorded_assignment_agree(nodes):
    parts = [(TENSORRT, [("mm/MatMulAddFusion", "Gemm"), ("relu", "Relu")]), (CUDA, [("if", "If")])]
    parts += [(CPU, [("t", "Neg")]), (CPU, [("e", "Exp")])]
    listed = {"graph_a_1_0": engine_line("graph_a_1_0"), "if": f"{PREFIX}   If (if)"}
    log = f"{PREFIX}  Node(s) placed on [TensorrtExecutionProvider]. Number of nodes: 1\n{listed['graph_a_1_0']}\n"
    log += f"{PREFIX}  Node(s) placed on [CUDAExecutionProvider]. Number of nodes: 1\n{listed['if']}\n"
    log += f"{PREFIX}  Node(s) placed on [CPUExecutionProvider]. Number of nodes: 2\n{PREFIX}   Neg (t)\n{PREFIX}   Exp (e)\n"
    old = placement_of_log(nodes, log, dumps=[dump("graph_a_1_0_0", ("mm/MatMulAddFusion", "Gemm"), ("relu", "Relu"))])
    new = placement_of_assignment(nodes, assigned(*parts))
    assert {(g.provider, g.nodes) for g in old.groups} == {(g.provider, g.nodes) for g in new.groups}
    assert [(n.name, n.provider, n.reason) for n in old.nodes] == [(n.name, n.provider, n.reason) for n in new.nodes]
    assert old.coverage == new.coverage


def test_nodes_of_a_branch_that_took_its_ifs_place_are_found_again(nodes):
    p = placement_of_assignment(nodes, assigned((TENSORRT, [("mm", "MatMul"), ("add", "Add"), ("_if_then_branch_Neg", "Neg")])))
    assert engines(p) == [{"mm", "add", "t"}]
    assert short(p)["if"] is None
    assert short(p)["t"] == "trt"
    assert short(p)["e"] is None


def test_a_branch_that_may_be_one_of_two_stays_unnamed(nodes):
    p = placement_of_assignment(
        nodes, assigned((CUDA, [("_if_then_branch_Neg", "Neg")]), (CUDA, [("_if_then_branch_Neg_token_4", "Neg")]))
    )
    assert short(p)["t"] is None
    assert p.coverage == {CUDA: 1.0}


def test_copies_are_counted_and_in_no_group(nodes):
    p = placement_of_assignment(nodes, SESSION, memcpy=4)
    assert p.memcpy == 4
    assert placement_of_assignment(nodes, SESSION).memcpy is None
    assert placement_of_log(nodes, LOG).memcpy == 1
    assert placement_of_log(nodes, "nothing").memcpy is None
    assert not any("Memcpy" in name for g in placement_of_log(nodes, LOG).groups for name in g.nodes)
