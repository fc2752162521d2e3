from workbench.placement.asked import idle_findings
from workbench.placement.records import CPU, CUDA, TENSORRT, Group, PlacedNode, Placement, RuntimeVersions, coverage


def placement(*providers):
    nodes = tuple(
        PlacedNode(
            name=f"n{i}", op_type="NonZero", provider=provider, group=i, reason="TensorRT has no NonZero", cause="operator"
        )
        for i, provider in enumerate(providers)
    )
    groups = tuple(Group(provider=provider, nodes=(f"n{i}",)) for i, provider in enumerate(providers))
    versions = RuntimeVersions(onnxruntime="1.31.1", tensorrt="10.14.1")
    return Placement(model="m", evidence="measured", runtime=versions, nodes=nodes, groups=groups, coverage=coverage(nodes))


def test_a_session_whose_tensorrt_runs_nothing_is_warned_of_with_the_cause():
    (finding,) = idle_findings(placement(CUDA, CPU), "tensorrt")

    assert finding.level == "warning"
    assert finding.seen == "the session has TensorRT, and nothing runs on it"
    assert "What is measured is CUDA and CPU." in finding.meaning
    assert "The commonest reason: TensorRT has no NonZero (2 nodes)." in finding.meaning


def test_a_session_that_runs_some_of_it_is_not():
    assert idle_findings(placement(TENSORRT, CPU), "tensorrt") == ()
    assert idle_findings(placement(CPU), "cpu") == ()


def test_a_cuda_provider_without_nodes_is_warned_of_too():
    (finding,) = idle_findings(placement(CPU), "cuda")
    assert "the CUDA provider" in finding.seen


def test_a_graph_that_was_folded_away_is_no_reason_to_warn():
    empty = placement().model_copy(update={"nodes": ()})
    assert idle_findings(empty, "tensorrt") == ()
