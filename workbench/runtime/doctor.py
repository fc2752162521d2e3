"""What is installed, what can load, what is missing, and the line that installs it."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

from packaging.version import Version

from workbench.record import Record
from workbench.runtime.environment import RUNTIME_PACKAGES, installed_packages
from workbench.runtime.job import Environment
from workbench.runtime.libraries import Needs, needs_of
from workbench.runtime.process import python_environment, python_module

PROBE_TIMEOUT_S = 120
OLDEST, NEWEST = Version("1.17"), Version("1.32")
CPU_LINE = "pip install 'trt-workbench[cpu]'"
GPU_LINE = "pip install 'trt-workbench[gpu]'"


class Check(Record):
    """One thing that was looked at.

    Attributes
    ----------
    state : str
        ``ok``, ``warning`` (works, but not all of it, or not as expected) or ``missing``.
    found : str
        What is there.
    remedy : str
        The line that mends it; empty when all is well.
    """

    area: str
    name: str
    state: Literal["ok", "warning", "missing"]
    found: str
    remedy: str = ""


class Diagnosis(Record):
    """All checks, and what they mean together.

    Attributes
    ----------
    can : dict of str to bool
        For ``cpu``, ``cuda`` and ``tensorrt``, whether a session can be made here.
    """

    checks: tuple[Check, ...]
    can: dict[str, bool]
    environment: Environment | None


def diagnose() -> Diagnosis:
    """Look at this installation, in a process of its own where libraries are loaded."""
    found, crash = _probe()
    packages = installed_packages()
    environment = Environment.model_validate(found["environment"]) if "environment" in found else None
    checks = [_python(), *_runtime(packages, found)]
    if crash:
        checks.append(Check(area="ONNX Runtime", name="loading", state="missing", found=crash, remedy="Reinstall onnxruntime."))
    gpu = _gpu(environment)
    checks.append(gpu)
    libraries = _libraries(packages, found)
    checks += libraries
    checks += _tensorrt_package(packages)
    checks += [_package("Notebook", name) for name in ("jupyterlab", "ipywidgets", "anywidget", "plotly", "netron", "onnx")]
    return Diagnosis(checks=tuple(checks), can=_can(environment, gpu, found), environment=environment)


def _probe() -> tuple[dict[str, Any], str]:
    """Return what the probe found, and how it died if it did."""
    try:
        command = python_module("workbench.runtime.probe")
        done = subprocess.run(command, capture_output=True, timeout=PROBE_TIMEOUT_S, check=False, env=python_environment())
    except subprocess.TimeoutExpired:
        return {}, f"loading the libraries took more than {PROBE_TIMEOUT_S} s"
    try:
        return json.loads(done.stdout), ""
    except ValueError:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return {}, f"loading the libraries ended the process (status {done.returncode}): {' '.join(last)}"


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check(area="Python", name="python", state="ok", found=f"{version} at {sys.executable}")


def _runtime(packages: dict[str, str], found: dict[str, Any]) -> list[Check]:
    installed = [p for p in RUNTIME_PACKAGES if p in packages]
    if not installed:
        remedy = f"{CPU_LINE}  (with an NVIDIA GPU: {GPU_LINE})"
        return [Check(area="ONNX Runtime", name="onnxruntime", state="missing", found="not installed", remedy=remedy)]
    name, release = installed[0], packages[installed[0]]
    checks = [_release(name, release)]
    if len(installed) == 2 and len({_folder(package) for package in installed}) == 1:
        checks.append(
            Check(
                area="ONNX Runtime",
                name="two packages",
                state="warning",
                found=f"{' and '.join(f'{p} {packages[p]}' for p in installed)} share one folder: the last installed wins",
                remedy=f"pip uninstall -y {' '.join(installed)}; then {GPU_LINE} or {CPU_LINE}",
            )
        )
    if "onnxruntime_error" in found:
        error = found["onnxruntime_error"]
        checks.append(
            Check(
                area="ONNX Runtime", name="import", state="missing", found=error, remedy=f"pip install --force-reinstall {name}"
            )
        )
    return checks


def _folder(package: str) -> Path:
    return Path(str(importlib.metadata.distribution(package).locate_file("onnxruntime")))


def _release(name: str, release: str) -> Check:
    if OLDEST <= Version(release) < NEWEST:
        return Check(area="ONNX Runtime", name=name, state="ok", found=release)
    found = f"{release}: the workbench knows 1.17 to 1.31"
    return Check(area="ONNX Runtime", name=name, state="warning", found=found, remedy="pip install 'onnxruntime>=1.17,<1.32'")


def _gpu(environment: Environment | None) -> Check:
    if environment is None or environment.gpu is None:
        found = "no NVIDIA GPU, or no driver: TensorRT and CUDA cannot run here; placement is predicted instead"
        return Check(area="GPU", name="NVIDIA GPU", state="missing", found=found)
    driver = f"driver {environment.driver} (CUDA {environment.cuda})"
    text = f"{environment.gpu}, compute capability {environment.compute_capability}, {driver}"
    return Check(area="GPU", name="NVIDIA GPU", state="ok", found=text)


def _libraries(packages: dict[str, str], found: dict[str, Any]) -> list[Check]:
    release = packages.get("onnxruntime-gpu")
    if release is None:
        text = "this onnxruntime has no GPU providers" if "onnxruntime" in packages else "no onnxruntime-gpu"
        return [Check(area="GPU", name="onnxruntime-gpu", state="missing", found=text, remedy=GPU_LINE)]
    needs = needs_of(release)
    return [_library(name, error, needs, release) for name, error in found.get("libraries", {}).items()]


def _library(name: str, error: str, needs: Needs, release: str) -> Check:
    tensorrt = name in needs.tensorrt_libraries()
    area = "TensorRT" if tensorrt else "CUDA"
    if not error:
        return Check(area=area, name=name, state="ok", found="loads")
    remedy = needs.install_tensorrt() if tensorrt else needs.install_cuda(release)
    return Check(area=area, name=name, state="missing", found=error, remedy=remedy)


def _tensorrt_package(packages: dict[str, str]) -> list[Check]:
    """Compare the major version of the tensorrt package with the one that ONNX Runtime loads."""
    release = packages.get("onnxruntime-gpu")
    name = next((p for p in ("tensorrt", "tensorrt-cu13", "tensorrt-cu12") if p in packages), None)
    if name is None or release is None:
        return []
    wanted = needs_of(release)
    major = Version(packages[name]).major
    if major == wanted.tensorrt:
        return [Check(area="TensorRT", name=name, state="ok", found=packages[name])]
    text = (
        f"{packages[name]}, but onnxruntime-gpu {release} loads only TensorRT {wanted.tensorrt} (libnvinfer.so.{wanted.tensorrt})"
    )
    return [
        Check(
            area="TensorRT",
            name=name,
            state="missing",
            found=text,
            remedy=f"pip uninstall -y {name}; {wanted.install_tensorrt()}",
        )
    ]


def _package(area: str, name: str) -> Check:
    try:
        return Check(area=area, name=name, state="ok", found=importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(area=area, name=name, state="missing", found="not installed", remedy=f"pip install {name}")


def _can(environment: Environment | None, gpu: Check, found: dict[str, Any]) -> dict[str, bool]:
    providers = environment.providers if environment else ()
    loads = {name for name, error in found.get("providers", {}).items() if not error}
    return {
        "cpu": "CPUExecutionProvider" in providers,
        "cuda": gpu.state == "ok" and "cuda" in loads,
        "tensorrt": gpu.state == "ok" and "tensorrt" in loads,
    }
