import json

import pytest

from workbench.measure.profile import BIAS, CUT, LAUNCH, profile_of

TRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"


def run(start, duration=100):
    return {"cat": "Session", "name": "model_run", "ts": start, "dur": duration, "tid": 1}


def kernel(name, op, provider, start, duration, *, tid=1):
    args = {"op_name": op, "provider": provider}
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": start, "dur": duration, "tid": tid, "args": args}


def trace(*events):
    return json.dumps([{"cat": "Session", "name": "session_initialization", "ts": 0, "dur": 9}, *events])


def test_calls_and_times_are_summed_over_the_runs():
    p = profile_of(
        trace(
            run(0), kernel("a", "Relu", CPU, 10, 30), kernel("b", "Add", CPU, 40, 10),
            run(200, 50), kernel("a", "Relu", CPU, 210, 20), kernel("b", "Add", CPU, 230, 5),
        )
    )  # fmt: skip
    assert (p.runs, p.run_ms) == (2, 0.15)
    assert [(n.name, n.calls, n.total_ms) for n in p.nodes] == [("a", 2, 0.05), ("b", 2, 0.015)]
    assert p.times() == {CPU: pytest.approx(0.065)}
    assert [(q.provider, q.nodes, q.calls, q.total_ms, q.share) for q in p.providers] == [(CPU, 2, 4, pytest.approx(0.065), 1.0)]


def test_warm_up_is_left_out_though_events_are_written_as_they_end():
    p = profile_of(trace(kernel("a", "Relu", CPU, 10, 90), run(0), kernel("a", "Relu", CPU, 210, 2), run(200, 5)), warmup=1)
    assert (p.runs, p.nodes[0].calls, p.nodes[0].total_ms) == (1, 1, 0.002)


def test_a_control_flow_node_does_not_count_the_nodes_in_its_bodies_again():
    p = profile_of(
        trace(
            run(0, 200), kernel("relu", "Relu", CUDA, 1, 5),
            kernel("inner", "Neg", CPU, 25, 10), kernel("deep", "Exp", CPU, 41, 4), kernel("if", "If", CPU, 40, 10),
            kernel("inner", "Neg", CPU, 55, 10), kernel("loop", "Loop", CPU, 20, 100), kernel("after", "Neg", CPU, 120, 7),
        )
    )  # fmt: skip
    own = {n.name: n.total_ms for n in p.nodes}
    assert own == pytest.approx({"relu": 0.005, "inner": 0.02, "deep": 0.004, "if": 0.006, "loop": 0.07, "after": 0.007})
    assert sum(q.total_ms for q in p.providers) == pytest.approx(0.112)


def test_threads_of_a_parallel_session_are_kept_apart():
    p = profile_of(trace(run(0), kernel("loop", "Loop", CPU, 0, 50, tid=1), kernel("x", "Neg", CPU, 10, 20, tid=2)))
    assert {n.name: n.total_ms for n in p.nodes} == {"loop": 0.05, "x": 0.02}


def test_engines_and_copies_are_told_with_their_bias():
    engine = "TensorrtExecutionProvider_TRTKernel_graph_g_1_0_0"
    events = [
        run(0),
        kernel(engine, "TRTKernel_graph_g_1_0", TRT, 0, 60),
        kernel("nz", "NonZero", CUDA, 60, 20),
        kernel("Memcpy", "MemcpyToHost", TRT, 80, 10),
    ]
    p = profile_of(trace(*events))
    assert p.nodes[0].name == engine
    assert [(q.provider, q.share) for q in p.providers] == [(TRT, pytest.approx(7 / 9)), (CUDA, pytest.approx(2 / 9))]
    assert BIAS in p.notes
    assert any("copy tensors" in note for note in p.notes)
    assert LAUNCH in profile_of(trace(run(0), events[2])).notes


def test_times_too_short_to_see_have_no_share():
    p = profile_of(trace(run(0), kernel("a", "Relu", CPU, 10, 0)))
    assert p.providers[0].share is None


def test_a_trace_at_the_limit_says_so(monkeypatch):
    monkeypatch.setattr("workbench.measure.profile.MOST_EVENTS", 3)
    assert CUT in profile_of(trace(run(0), kernel("a", "Relu", CPU, 10, 1))).notes


@pytest.mark.parametrize("text", ["", "[{", "{}", "[1]", "[]", trace()])
def test_what_is_no_complete_trace_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011  # json's own message varies
        profile_of(text)


def test_warm_up_longer_than_the_trace_is_refused():
    with pytest.raises(ValueError, match="no inference after 3"):
        profile_of(trace(run(0)), warmup=3)
