import sys

from workbench.runtime.native.doctor_check import check_native


def test_what_is_there_is_told(tensorrt, cudart):
    tensorrt("8.6.1")
    found = check_native()
    assert found.works
    assert not found.remedy
    assert f"TensorRT 8.6.1 under {sys.executable}" in found.found
    assert "CUDA runtime 12.2 (libcudart.so.13), 1 GPU, the first of compute capability 9.0" in found.found


def test_what_is_missing_is_told_with_a_remedy(tensorrt, monkeypatch):
    tensorrt("8.6.1")
    monkeypatch.setenv("FAKE_CUDA_GPUS", "0")
    found = check_native()
    assert not found.works
    assert "no CUDA-capable device" in found.found
    assert found.remedy


def test_the_interpreter_is_the_one_that_is_named(tmp_path):
    found = check_native(str(tmp_path / "python"))
    assert not found.works
    assert f"{tmp_path / 'python'} cannot be started" in found.found
