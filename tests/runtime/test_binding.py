import numpy as np
import onnxruntime
import pytest

from workbench.errors import SettingsError
from workbench.options.settings import Settings
from workbench.runtime.binding import Binding, check_buffers
from workbench.runtime.job import Plan
from workbench.runtime.session import Made

CUDA_GRAPH = Settings(provider_options={"trt_cuda_graph_enable": True})
DEVICE = Plan(buffers="device", warmup=1, iterations=12, seconds=1)


@pytest.fixture
def session(digits):
    return onnxruntime.InferenceSession(str(digits.path), providers=["CPUExecutionProvider"])


@pytest.fixture
def feeds(digits):
    return {digits.inputs[0].name: np.random.default_rng(0).random((2, 1, 8, 8), np.float32)}


def test_bound_outputs_are_those_of_a_plain_run(session, feeds):
    binding = Binding(onnxruntime, session, feeds, device="cpu")
    binding.run()

    for bound, plain in zip(binding.outputs(), session.run(None, feeds), strict=True):
        np.testing.assert_array_equal(bound, plain)


def test_the_addresses_stay_the_same_from_run_to_run(session, feeds):
    binding = Binding(onnxruntime, session, feeds, device="cpu")
    places = []
    for _ in range(3):
        binding.run()
        places.append([value.data_ptr() for value in binding._binding.get_outputs()])
    assert places[0] == places[1] == places[2]


class OnCpu(Binding):
    """A Binding whose device is this machine's."""

    made = 0

    def __init__(self, ort, session, feeds, *, device="cuda", index=0):
        assert (device, index) == ("cuda", 2)
        OnCpu.made += 1
        super().__init__(ort, session, feeds, device="cpu")


def test_a_session_with_device_buffers_runs_and_is_timed_through_one_binding(session, feeds, monkeypatch):
    monkeypatch.setattr("workbench.runtime.session.Binding", OnCpu)
    OnCpu.made = 0
    settings = Settings(provider="cuda", provider_options={"device_id": 2})
    made = Made(onnxruntime, session, "", settings, None, (), "device")

    first = made.run(feeds)
    stages = []
    samples = made.time(feeds, DEVICE, stages.append)

    np.testing.assert_array_equal(first[0], session.run(None, feeds)[0])
    assert len(samples) == 12
    assert stages == ["warm-up", "measuring"]
    assert OnCpu.made == 1


def test_host_buffers_need_no_binding(session, feeds, monkeypatch):
    monkeypatch.setattr("workbench.runtime.session.Binding", None)
    made = Made(onnxruntime, session, "", Settings(provider="cpu"), None, ())

    assert len(made.time(feeds, DEVICE, lambda _: None)) == 12


def test_device_buffers_on_the_cpu_provider_are_refused():
    with pytest.raises(SettingsError, match="the CPU provider has no device"):
        check_buffers(DEVICE, Settings(provider="cpu"))
    assert check_buffers(Plan(), Settings(provider="cpu")) == []


def test_a_cuda_graph_with_numpy_arrays_is_warned_of():
    (finding,) = check_buffers(Plan(), CUDA_GRAPH)
    assert (finding.level, finding.where) == ("warning", "trt_cuda_graph_enable")
    assert "--buffers device" in finding.action
    assert check_buffers(DEVICE, CUDA_GRAPH) == []
    assert check_buffers(Plan(), Settings(provider="cuda", provider_options={"enable_cuda_graph": True}))
    assert check_buffers(Plan(), Settings()) == []
