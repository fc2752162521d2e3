import sys
import types

import numpy as np
import pytest

from workbench.errors import ModelError, SettingsError, Unavailable
from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.runtime.job import Job, Plan
from workbench.runtime.torch_module import prepare_torch
from workbench.runtime.worker import Worker

QUICK = Plan(warmup=1, iterations=12, seconds=0.3)
NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)

    def forward(self, image):
        hidden = self.conv(image)
        return hidden.relu(), hidden.flatten(1).argmax(1)
"""


class Listener:
    """Takes what is reported."""

    def __init__(self):
        self.findings = []

    def part(self, name, value):
        assert name == "findings"
        self.findings += value


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def net(torch, tmp_path, monkeypatch):
    """Return a model with a module whose class is in a file that only this process knows."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a_net_of_the_user.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path / "code")
    import a_net_of_the_user

    torch.manual_seed(0)
    yield Model.from_torch(a_net_of_the_user.Net(), torch.rand(1, 3, 8, 8), dynamic="batch", path=tmp_path / "net.onnx")
    del sys.modules["a_net_of_the_user"]


def prepared(model, **settings):
    listener = Listener()
    made = prepare_torch(Job(model=str(model.path), settings=Settings(provider="torch", **settings)), model, listener)
    return made, listener.findings


def test_a_module_is_a_run_like_any_other(net):
    with Worker() as worker:
        outcome = worker.run(Job(model=str(net.path), settings=Settings(provider="torch"), plan=QUICK))

    assert outcome.status == "ok", outcome.error
    assert outcome.latency.samples == 12
    assert outcome.placement is None
    assert [row.output for row in outcome.accuracy] == ["output_0", "output_1"]
    assert outcome.accuracy[0].rel_l2 < 1e-5
    seen = " ".join(map(str, outcome.findings))
    assert "runs the module on" in seen
    assert "no placement" in seen


def test_pytorch_and_onnxruntime_get_processes_of_their_own(net):
    with Worker() as worker:
        pids = []
        for provider in ("cpu", "torch", "torch", "cpu"):
            assert worker.run(Job(model=str(net.path), settings=Settings(provider=provider), plan=QUICK)).status == "ok"
            pids.append(worker.pid)

    assert pids[1] == pids[2]
    assert len(set(pids)) == 3


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_precisions_convert_inside_and_give_the_models_types(net, precision):
    made, _ = prepared(net, precision=precision, provider_options={"torch_device": "cpu", "torch_channels_last": True})
    image = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)

    hidden, best = made.run({"image": image})

    assert (hidden.dtype, best.dtype) == (np.float32, np.int64)
    exact, _ = prepared(net)[0].run({"image": image})
    error = np.linalg.norm(hidden - exact) / np.linalg.norm(exact)
    assert error < {"fp32": 1e-6, "fp16": 2e-3, "bf16": 2e-2}[precision]
    assert bool(error == 0) is (precision == "fp32")


def test_results_are_not_overwritten_by_the_next_run(net):
    made, _ = prepared(net)
    first = made.run({"image": np.ones((1, 3, 8, 8), np.float32)})[0]
    before = first.copy()
    made.run({"image": np.zeros((1, 3, 8, 8), np.float32)})

    assert np.array_equal(first, before)


def test_device_buffers_are_timed_without_copies(net):
    made, _ = prepared(net)
    stages = []

    samples = made.time(
        {"image": np.ones((1, 3, 8, 8), np.float32)}, QUICK.model_copy(update={"buffers": "device"}), stages.append
    )

    assert stages == ["warm-up", "measuring"]
    assert len(samples) == 12


def test_compiling_is_asked_of_pytorch_with_its_mode(torch, net, monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "compile", lambda module, mode: asked.append(mode) or module)

    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: asked.append("step"))
    made, _ = prepared(net, provider_options={"torch_compile": "reduce-overhead"})
    made.run({"image": np.ones((1, 3, 8, 8), np.float32)})

    assert asked == ["reduce-overhead", "step"]


def test_tf32_is_set_as_asked_and_back_to_pytorchs_defaults(torch, net):
    found = []
    for options in ({"torch_tf32": True}, {"torch_tf32": False}, {}):
        prepared(net, provider_options=options)
        found.append((torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32))

    assert found == [("high", True), ("highest", False), ("highest", True)]


def test_cuda_that_is_not_there_is_refused(torch, net, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with pytest.raises(Unavailable, match="torch_device is cuda"):
        prepared(net, provider_options={"torch_device": "cuda"})


def test_another_version_of_pytorch_is_told(torch, net, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "9.9")

    _, findings = prepared(net)

    assert any("and is run by 9.9" in finding.seen for finding in findings)


def test_a_model_made_ready_keeps_the_module_of_the_original(net):
    ready = net.path.with_name("net.ready.onnx")
    ready.write_bytes(net.path.read_bytes())

    prepared(Model.load(ready))


def test_a_module_of_another_model_is_refused(net, digits, tmp_path):
    other = tmp_path / "digits.onnx"
    other.write_bytes(digits.path.read_bytes())
    (tmp_path / "digits.torch.pt").write_bytes((tmp_path / "net.torch.pt").read_bytes())

    with pytest.raises(ModelError, match=r"it has the outputs output_0, output_1; digits\.onnx has"):
        prepared(Model.load(other))


def test_a_damaged_module_is_one_clear_message(net):
    net.path.with_name("net.torch.pt").write_bytes(b"PK\x03\x04 nonsense")

    with pytest.raises(ModelError, match=r"net.torch.pt: not a module kept by the workbench, or damaged"):
        prepared(net)


def test_a_class_that_has_gone_is_told(net, tmp_path):
    (tmp_path / "code" / "a_net_of_the_user.py").unlink()

    with Worker() as worker:
        outcome = worker.run(Job(model=str(net.path), settings=Settings(provider="torch"), plan=QUICK))

    assert (outcome.status, outcome.error.kind) == ("failed", "load")
    assert "Net that PyTorch" in outcome.error.message
    assert "a_net_of_the_user" in outcome.error.message


def test_without_pytorch_a_job_says_how_to_install_it(digits, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)

    with pytest.raises(Unavailable, match="The provider 'torch' needs PyTorch") as told:
        prepared(digits)
    assert "'torch>=" in told.value.remedy


def test_a_model_that_did_not_come_from_pytorch_says_what_is_missing(digits, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))

    with pytest.raises(ModelError, match="there is no PyTorch module beside it") as told:
        prepared(digits)
    assert "from_torch" in told.value.remedy


def test_int8_is_refused_before_anything_runs(digits):
    settings = Settings(provider="torch", precision="int8")

    with pytest.raises(SettingsError, match="int8"):
        settings.check()
    with pytest.raises(SettingsError, match="int8"):
        prepare_torch(Job(model=str(digits.path), settings=settings), digits, Listener())


def test_pytorch_may_have_a_library_path_of_its_own(monkeypatch):
    from workbench.runtime.process import library_environment

    monkeypatch.setenv("LD_LIBRARY_PATH", "/of/onnxruntime")
    assert library_environment("torch")["LD_LIBRARY_PATH"] == "/of/onnxruntime"
    monkeypatch.setenv("WORKBENCH_TORCH_LIBRARY_PATH", "/of/torch")
    assert library_environment("torch")["LD_LIBRARY_PATH"] == "/of/torch"
    assert library_environment("onnxruntime")["LD_LIBRARY_PATH"] == "/of/onnxruntime"
