import subprocess
import sys

import pytest

from tests.runtime.installations import H200, installation
from workbench.installing import install_line
from workbench.runtime.doctor import diagnosis as doctor
from workbench.runtime.doctor import others as doctor_others
from workbench.runtime.doctor.checks import Check
from workbench.runtime.doctor.diagnosis import diagnose
from workbench.runtime.doctor.probe import Found, probe
from workbench.runtime.environment import environment
from workbench.runtime.libraries.driver import Driver, Gpu
from workbench.runtime.libraries.needs import needs_of, needs_of_files

ABSENT = Check(area="TensorRT", name="native", state="missing", found="no module named tensorrt")
GPU_PACKAGES = {"onnxruntime-gpu": "1.31.1"}


@pytest.fixture
def diagnosis_of(monkeypatch):
    """Return the diagnosis of a machine where the probe finds what is given."""

    def make(found=None, crash="", packages=GPU_PACKAGES, providers=("CUDAExecutionProvider", "CPUExecutionProvider")):
        here = environment().model_copy(update={"providers": providers, "driver": "580.65.06"})
        given = Found(environment=here, installation=found) if found is not None or not crash else Found()
        monkeypatch.setattr(doctor, "_probe", lambda: (given, crash))
        monkeypatch.setattr(doctor, "installed_packages", lambda: packages)
        monkeypatch.setattr(doctor, "native_check", lambda: (ABSENT, None))
        return diagnose()

    return make


def checks(diagnosis, name):
    return [check for check in diagnosis.checks if check.name == name]


def test_a_machine_with_the_cpu_package_can_run_on_the_cpu_only():
    diagnosis = diagnose()

    assert diagnosis.can["cpu"]
    assert checks(diagnosis, "onnxruntime")[0].state == "ok"
    assert diagnosis.environment.onnxruntime
    assert set(diagnosis.can) == {"cpu", "cuda", "tensorrt", "native", "torch"}
    assert set(diagnosis.why_not) == {name for name, able in diagnosis.can.items() if not able}


def test_without_onnxruntime_the_doctor_gives_the_install_line(diagnosis_of):
    diagnosis = diagnosis_of(packages={}, providers=())

    assert checks(diagnosis, "onnxruntime")[0].remedy.startswith("pip install 'onnxruntime>=")
    assert diagnosis.why_not["cpu"] == "no onnxruntime is installed"
    assert not any(diagnosis.can.values())


def test_a_whole_installation_can_do_everything_of_onnxruntimes(diagnosis_of):
    diagnosis = diagnosis_of(installation())

    assert {"cpu", "cuda", "tensorrt"} <= {name for name, able in diagnosis.can.items() if able}
    assert checks(diagnosis, "NVIDIA driver")[0].found == "580.65.06, runs CUDA 13.0 and older"
    assert checks(diagnosis, "NVIDIA GPU")[0].found == "NVIDIA H200, compute capability 9.0"
    assert checks(diagnosis, "libcublas.so.13")[0].found == "1.2.3, /cuda/lib"


def test_each_library_is_checked_once_and_a_missing_one_has_its_line(diagnosis_of):
    diagnosis = diagnosis_of(installation(missing=["libcublas.so.13", "libcufft.so.12"]))

    (library,) = checks(diagnosis, "libcublas.so.13")
    assert (library.area, library.state, library.found) == ("CUDA", "missing", "not found")
    assert library.remedy == "pip install 'onnxruntime-gpu[cuda,cudnn]==1.31.1'"
    assert not diagnosis.can["cuda"]
    assert not diagnosis.can["tensorrt"]
    assert diagnosis.why_not["cuda"] == "libcublas.so.13 is not found"


def test_a_library_that_is_loaded_only_when_needed_is_a_warning_and_forbids_nothing(diagnosis_of):
    diagnosis = diagnosis_of(installation(missing=["libcufft.so.12"]))

    (library,) = checks(diagnosis, "libcufft.so.12")
    assert (library.state, library.found) == ("warning", "not found; loaded only when a model needs it")
    assert diagnosis.can["cuda"]


def test_tensorrt_11_beside_an_onnxruntime_that_wants_10_is_called_out(diagnosis_of):
    packages = GPU_PACKAGES | {"tensorrt": "11.4.0.106"}
    missing = ["libnvinfer.so.10", "libnvonnxparser.so.10"]
    diagnosis = diagnosis_of(installation(missing=missing, tensorrt=None, packages=packages), packages=packages)

    (package,) = checks(diagnosis, "tensorrt")
    assert package.state == "missing"
    assert "loads TensorRT 10" in package.found
    assert package.remedy == "pip uninstall -y tensorrt; pip install 'tensorrt-cu13>=10.14,<11'"
    assert diagnosis.can["cuda"]
    assert "TensorRT 11.4.0.106 is installed" in diagnosis.why_not["tensorrt"]


def test_another_tensorrt_beside_the_right_library_is_a_warning_without_a_line(diagnosis_of):
    packages = GPU_PACKAGES | {"tensorrt": "11.4.0.106"}
    diagnosis = diagnosis_of(installation(packages=packages), packages=packages)

    (package,) = checks(diagnosis, "tensorrt")
    assert (package.state, package.remedy) == ("warning", "")
    assert diagnosis.can["tensorrt"]


def test_a_driver_that_is_too_old_is_told_with_the_one_that_is_needed(diagnosis_of):
    old = Driver(cuda="12.4", gpus=H200.gpus)
    diagnosis = diagnosis_of(installation(driver=old))

    (driver,) = checks(diagnosis, "NVIDIA driver")
    assert driver.state == "missing"
    assert "needs CUDA 13, so driver 580 or later" in driver.found
    assert not diagnosis.can["cuda"]


def test_a_gpu_that_the_release_does_not_support_is_told(diagnosis_of):
    volta = Driver(cuda="13.0", gpus=(Gpu(name="Tesla V100", compute_capability="7.0"),))
    diagnosis = diagnosis_of(installation(driver=volta))

    (gpu,) = checks(diagnosis, "NVIDIA GPU")
    assert gpu.state == "missing"
    assert "TensorRT 10.14.1 supports GPUs of compute capability 7.5 and higher" in gpu.found
    assert "Tesla V100" in diagnosis.why_not["tensorrt"]


def test_a_machine_without_a_gpu_says_so_for_each_provider(diagnosis_of):
    diagnosis = diagnosis_of(installation(driver=Driver(error="libcuda.so.1 is not found")))

    assert checks(diagnosis, "NVIDIA GPU")[0].state == "missing"
    assert "no NVIDIA GPU or driver" in diagnosis.why_not["cuda"]
    assert "no NVIDIA GPU or driver" in diagnosis.why_not["tensorrt"]


def test_a_tensorrt_that_does_not_fit_is_told_with_the_line(diagnosis_of):
    diagnosis = diagnosis_of(installation(undefined=("createInferBuilder_INTERNAL",)))

    (provider,) = checks(diagnosis, "tensorrt provider")
    assert "createInferBuilder_INTERNAL" in provider.found
    assert "tensorrt-cu13" in provider.remedy
    assert diagnosis.can["cuda"]


def test_both_runtime_packages_at_once_are_called_out(diagnosis_of, monkeypatch):
    monkeypatch.setattr(doctor, "_folder", lambda _: "the same")

    diagnosis = diagnosis_of(installation(), packages=GPU_PACKAGES | {"onnxruntime": "1.31.1"})
    assert checks(diagnosis, "two packages")[0].state == "warning"


def test_a_probe_that_dies_is_a_finding(monkeypatch):
    dead = subprocess.CompletedProcess([], -11, b"", b"Segmentation fault\n")
    monkeypatch.setattr(doctor, "native_check", lambda: (ABSENT, None))
    monkeypatch.setattr(doctor.subprocess, "run", lambda *_, **__: dead)

    diagnosis = diagnose()
    assert "status -11" in checks(diagnosis, "loading")[0].found
    assert "status -11" in diagnosis.why_not["tensorrt"]


def test_the_probe_finds_what_is_here():
    found = probe()
    assert found.error == ""
    assert (found.installation is not None) == ("CUDAExecutionProvider" in found.environment.providers)


def test_pytorch_is_told_with_its_cuda_and_is_not_imported(monkeypatch, tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise AssertionError")
    version = tmp_path / "torch" / "version.py"
    version.write_text("__version__ = '2.11.0'\ndebug = False\ncuda: Optional[str] = '12.8'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)

    assert doctor_others.torch_check({"torch": "2.11.0"}).found == "2.11.0, CUDA 12.8"
    version.write_text("cuda: Optional[str] = None\n")
    assert doctor_others.torch_check({"torch": "2.11.0"}).found == "2.11.0, for the CPU only"
    assert doctor_others.torch_check({}).remedy == install_line("torch")


def test_a_diagnosis_is_readable_in_80_columns_and_lines_to_copy_stay_whole(diagnosis_of, capsys, monkeypatch):
    from workbench.terminal.results import show_diagnosis

    monkeypatch.setenv("COLUMNS", "80")
    missing = ["libcublas.so.13", "libcudnn.so.9", "libnvinfer.so.10"]
    show_diagnosis(diagnosis_of(installation(missing=missing, tensorrt=None)))

    lines = capsys.readouterr().out.splitlines()
    copied = [line for line in lines if line.startswith("  pip install")]
    assert copied.count("  pip install 'onnxruntime-gpu[cuda,cudnn]==1.31.1'") == 1
    assert all(len(line) <= 80 for line in lines if line not in copied)
    assert any(line.startswith("tensorrt   no") for line in lines)


@pytest.mark.parametrize(
    ("release", "cuda", "tensorrt"),
    [("1.17.1", 11, 8), ("1.18.0", 11, 10), ("1.20.1", 12, 10), ("1.26.0", 12, 10), ("1.31.1", 13, 10)],
)
def test_each_release_needs_its_own_libraries(release, cuda, tensorrt):
    needs = needs_of(release)

    assert f"libcublas.so.{cuda}" in needs.cuda_libraries()
    assert needs.tensorrt_libraries()[0] == f"libnvinfer.so.{tensorrt}"


def test_what_the_installed_files_ask_for_goes_before_the_release():
    needs = needs_of_files("1.18.1", ["libcudart.so.12", "libnvinfer.so.10", "libc.so.6"])
    assert (needs.cuda, needs.cudnn, needs.tensorrt) == (12, 8, 10)
