"""What is installed, what can load, what is missing, and the line that installs it."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version
from pydantic import ValidationError

from workbench.installing import install_line
from workbench.runtime.doctor.checks import Check, Diagnosis
from workbench.runtime.doctor.gpu import gpu_checks, library_checks
from workbench.runtime.doctor.others import native_check, torch_check
from workbench.runtime.doctor.probe import Found
from workbench.runtime.environment import RUNTIME_PACKAGES, installed_packages
from workbench.runtime.libraries.prerequisites import obstacles
from workbench.runtime.process import python_environment, python_module

if TYPE_CHECKING:
    from collections.abc import Iterable

PROBE_TIMEOUT_S = 120
OLDEST, NEWEST = Version("1.17"), Version("1.32")


def diagnose() -> Diagnosis:
    """Look at this installation, in a process of its own where libraries are loaded."""
    found, crash = _probe()
    packages = installed_packages()
    checks = [_python(), *_runtime(packages, found)]
    if crash:
        checks.append(Check(area="ONNX Runtime", name="loading", state="missing", found=crash, remedy="Reinstall onnxruntime."))
    checks += gpu_checks(found.installation, found.environment)
    checks += library_checks(found.installation) if found.installation is not None else _no_libraries(packages)
    native, native_tensorrt = native_check()
    others = [native, torch_check(packages)]
    checks += others
    checks += [_package("Notebook", name) for name in ("jupyterlab", "ipywidgets", "anywidget", "plotly", "netron", "onnx")]
    why_not = _why_not(found, crash, packages, others)
    can = {name: not why for name, why in why_not.items()}
    reasons = {name: why for name, why in why_not.items() if why}
    here = found.environment.model_copy(update={"native_tensorrt": native_tensorrt}) if found.environment is not None else None
    return Diagnosis(checks=tuple(checks), can=can, why_not=reasons, environment=here)


def _probe() -> tuple[Found, str]:
    """Return what the probe found, and how it died if it did."""
    try:
        command = python_module("workbench.runtime.doctor.probe")
        done = subprocess.run(command, capture_output=True, timeout=PROBE_TIMEOUT_S, check=False, env=python_environment())
    except subprocess.TimeoutExpired:
        return Found(), f"loading the libraries took more than {PROBE_TIMEOUT_S} s"
    try:
        return Found.model_validate_json(done.stdout), ""
    except ValidationError:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return Found(), f"loading the libraries ended the process (status {done.returncode}): {' '.join(last)}"


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check(area="Python", name="python", state="ok", found=f"{version} at {sys.executable}")


def _runtime(packages: dict[str, str], found: Found) -> list[Check]:
    installed = [p for p in RUNTIME_PACKAGES if p in packages]
    if not installed:
        remedy = f"{install_line('cpu')}  (with an NVIDIA GPU: {install_line('gpu')})"
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
                remedy=f"pip uninstall -y {' '.join(installed)}; then {install_line('gpu')} or {install_line('cpu')}",
            )
        )
    if found.error:
        remedy = f"pip install --force-reinstall {name}"
        checks.append(Check(area="ONNX Runtime", name="import", state="missing", found=found.error, remedy=remedy))
    return checks


def _folder(package: str) -> Path:
    return Path(str(importlib.metadata.distribution(package).locate_file("onnxruntime")))


def _release(name: str, release: str) -> Check:
    if OLDEST <= Version(release) < NEWEST:
        return Check(area="ONNX Runtime", name=name, state="ok", found=release)
    found = f"{release}: the workbench knows 1.17 to 1.31"
    return Check(area="ONNX Runtime", name=name, state="warning", found=found, remedy="pip install 'onnxruntime>=1.17,<1.32'")


def _no_libraries(packages: dict[str, str]) -> list[Check]:
    if "onnxruntime-gpu" in packages:
        return []
    text = "this onnxruntime has no GPU providers" if "onnxruntime" in packages else "not installed"
    return [Check(area="GPU", name="onnxruntime-gpu", state="missing", found=text, remedy=install_line("gpu"))]


def _package(area: str, name: str) -> Check:
    try:
        return Check(area=area, name=name, state="ok", found=importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(area=area, name=name, state="missing", found="not installed", remedy=f"pip install {name}")


def _why_not(found: Found, crash: str, packages: dict[str, str], others: Iterable[Check]) -> dict[str, str]:
    """Return for each provider of Settings why no job can be done on it; an empty text where one can."""
    providers = found.environment.providers if found.environment is not None else ()
    general = crash or found.error
    if not general and "CPUExecutionProvider" not in providers:
        general = "no onnxruntime is installed" if not set(packages) & set(RUNTIME_PACKAGES) else "onnxruntime has no provider"
    why = {"cpu": general}
    for provider in ("cuda", "tensorrt"):
        if general or found.installation is None:
            why[provider] = general or "onnxruntime-gpu is not installed"
        else:
            why[provider] = "; ".join(each.message for each in obstacles(found.installation, provider))
    return why | {check.name: "" if check.state == "ok" else check.found for check in others}
