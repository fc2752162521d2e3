import subprocess

import pytest

from workbench.runtime import doctor
from workbench.runtime.doctor import diagnose
from workbench.runtime.libraries import needs_of


def checks(diagnosis, name):
    return [check for check in diagnosis.checks if check.name == name]


def test_a_machine_with_the_cpu_package_can_run_on_the_cpu_only():
    diagnosis = diagnose()

    assert diagnosis.can["cpu"]
    assert checks(diagnosis, "onnxruntime")[0].state == "ok"
    assert diagnosis.environment.onnxruntime


def test_without_onnxruntime_the_doctor_gives_the_install_line(monkeypatch):
    monkeypatch.setattr(doctor, "installed_packages", dict)
    monkeypatch.setattr(doctor, "_probe", lambda: ({}, ""))

    diagnosis = diagnose()

    assert checks(diagnosis, "onnxruntime")[0].remedy.startswith("pip install 'trt-workbench[cpu]'")
    assert diagnosis.can == {"cpu": False, "cuda": False, "tensorrt": False}


def test_tensorrt_11_beside_an_onnxruntime_that_wants_10_is_called_out(monkeypatch):
    monkeypatch.setattr(doctor, "installed_packages", lambda: {"onnxruntime-gpu": "1.31.1", "tensorrt": "11.4.0.106"})
    missing = "libnvinfer.so.10: cannot open shared object file"
    monkeypatch.setattr(doctor, "_probe", lambda: ({"libraries": {"libnvinfer.so.10": missing}}, ""))

    diagnosis = diagnose()

    (package,) = checks(diagnosis, "tensorrt")
    assert package.state == "missing"
    assert "tensorrt-cu13>=10.14,<11" in package.remedy
    (library,) = checks(diagnosis, "libnvinfer.so.10")
    assert library.found == missing


def test_both_runtime_packages_at_once_are_called_out(monkeypatch):
    monkeypatch.setattr(doctor, "installed_packages", lambda: {"onnxruntime-gpu": "1.31.1", "onnxruntime": "1.31.1"})
    monkeypatch.setattr(doctor, "_probe", lambda: ({}, ""))
    monkeypatch.setattr(doctor, "_folder", lambda _: "the same")

    assert checks(diagnose(), "two packages")[0].state == "warning"


def test_a_probe_that_dies_is_a_finding(monkeypatch):
    dead = subprocess.CompletedProcess([], -11, b"", b"Segmentation fault\n")
    monkeypatch.setattr(doctor.subprocess, "run", lambda *_, **__: dead)

    assert "status -11" in checks(diagnose(), "loading")[0].found


@pytest.mark.parametrize(
    ("release", "cuda", "tensorrt"),
    [("1.17.1", 11, 8), ("1.18.0", 11, 10), ("1.20.1", 12, 10), ("1.26.0", 12, 10), ("1.31.1", 13, 10)],
)
def test_each_release_needs_its_own_libraries(release, cuda, tensorrt):
    needs = needs_of(release)

    assert needs.cuda_libraries()[1] == f"libcublas.so.{cuda}"
    assert needs.tensorrt_libraries()[0] == f"libnvinfer.so.{tensorrt}"
