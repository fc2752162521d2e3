from tests.placement.test_verdict import placement
from workbench.placement.reasons import shared_reasons
from workbench.placement.records import CPU, CUDA, TENSORRT, RuntimeVersions


def test_nodes_are_grouped_by_the_first_clause_of_their_reason():
    (reason,) = shared_reasons(placement(TENSORRT, CUDA, CPU))
    assert str(reason) == "2 nodes: TensorRT 10.16 has no importer for Op"
    assert reason.nodes == ("n1", "n2")


def test_one_node_is_singular():
    assert str(shared_reasons(placement(TENSORRT, CUDA))[0]).startswith("1 node: ")


def test_commonest_reason_is_first():
    made = placement(CUDA, CUDA, CUDA)
    nodes = [node.model_copy(update={"reason": f"{'often' if i else 'once'}; so"}) for i, node in enumerate(made.nodes)]
    texts = [reason.text for reason in shared_reasons(made.model_copy(update={"nodes": tuple(nodes)}))]
    assert texts == ["often", "once"]


def test_removed_nodes_need_no_reason():
    assert shared_reasons(placement(TENSORRT, None)) == ()


def test_nodes_of_a_session_that_cannot_be_made_have_the_known_reasons():
    made = placement(None, None)
    known = made.nodes[0].model_copy(update={"cause": "type"})
    (reason,) = shared_reasons(made.model_copy(update={"nodes": (known, made.nodes[1])}))
    assert reason.nodes == ("n0",)


def test_without_tensorrt_the_gpu_is_first():
    plain = RuntimeVersions(onnxruntime="1.31.1")
    assert [r.nodes for r in shared_reasons(placement(CUDA, CPU, runtime=plain))] == [("n1",)]
    assert shared_reasons(placement(CPU, CPU, runtime=plain)) == ()
