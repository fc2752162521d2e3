from packaging.requirements import Requirement

from workbench.installing import install_line


def packages(line):
    assert line.startswith("pip install '")
    return {Requirement(part.strip("'")).name for part in line.removeprefix("pip install ").split()}


def test_the_line_of_an_extra_names_its_packages_and_their_limits():
    assert packages(install_line("cpu")) >= {"onnxruntime"}
    assert packages(install_line("gpu")) >= {"onnxruntime-gpu", "tensorrt-cu13"}
    assert "'tensorrt-cu13>=10.14,<11'" in install_line("gpu"), "TensorRT 11 loads in no ONNX Runtime"


def test_what_everybody_has_is_not_asked_for_again():
    assert not packages(install_line("torch")) & {"numpy", "onnx", "pytest"}
