import pytest

from workbench.measure.profile import BIAS, OVERHEAD, Profile, ProviderTime
from workbench.options.settings import Settings
from workbench.placement.records import CPU, CUDA, TENSORRT, Placement, RuntimeVersions
from workbench.study.bound import bound_of_run


def profile(times, *notes):
    total = sum(times.values())
    of = tuple(
        ProviderTime(provider=name, nodes=1, calls=20, total_ms=ms, share=ms / total if total else None)
        for name, ms in times.items()
    )
    return Profile(runs=20, run_ms=total, nodes=(), providers=of, notes=(OVERHEAD, *notes))


def placement(**changes):
    return Placement(
        **(
            {"model": "net", "evidence": "measured", "runtime": RuntimeVersions(onnxruntime="1.23.0", tensorrt="10.9.0")}
            | changes
        )
    )


@pytest.fixture
def timed(run):
    def make(times, *notes, **changes):
        given = {"settings": Settings(), "placement": placement(), "profile": profile(times, *notes)}
        return run(**(given | changes))

    return make


def test_node_times_bound_what_tensorrt_could_win(timed):
    found = bound_of_run(timed({TENSORRT: 3.0, CPU: 1.0}))
    assert (found.bound.outside, found.bound.speed_up, found.note) == (0.25, pytest.approx(4 / 3), "")


def test_launch_times_of_cuda_nodes_are_told_to_bias_the_bound(timed):
    found = bound_of_run(timed({TENSORRT: 3.0, CUDA: 1.0}, BIAS))
    assert found.note.startswith(BIAS)
    assert found.note.endswith("too low.")


def test_a_recorded_run_is_bounded_like_a_measured_one(timed):
    measured = timed({TENSORRT: 3.0, CPU: 1.0})
    assert bound_of_run(measured.recorded()) == bound_of_run(measured)


@pytest.mark.parametrize(
    "changes",
    [
        {"profile": None},
        {"placement": None},
        {"placement": placement(evidence="predicted")},
        {"placement": placement(runtime=RuntimeVersions(onnxruntime="1.23.0"))},
        {"settings": Settings(provider="cpu")},
        {"profile": profile({TENSORRT: 0.0})},
    ],
)
def test_nothing_is_bounded_without_a_timed_session_of_tensorrt(timed, changes):
    assert bound_of_run(timed({TENSORRT: 3.0, CPU: 1.0}, **changes)) is None


def test_the_terminal_tells_the_bound_below_the_node_times(timed, capsys):
    from workbench.terminal.results import show_run

    show_run(timed({TENSORRT: 3.0, CUDA: 1.0}, BIAS))
    told = " ".join(capsys.readouterr().out.split())
    assert "25% of the time outside TensorRT: moving all of it could win at most 1.33 ×." in told
    assert "The bound may therefore be too low." in told
    show_run(timed({CPU: 1.0}, settings=Settings(provider="cpu")))
    assert "outside TensorRT" not in capsys.readouterr().out
