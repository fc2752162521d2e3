"""The doctor's checks of what runs models beside ONNX Runtime: TensorRT itself, and PyTorch."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.installing import install_line
from workbench.runtime.doctor.checks import Check, State

if TYPE_CHECKING:
    from collections.abc import Mapping

CUDA = re.compile(r"^cuda\b[^=]*=\s*['\"](?P<version>[\d.]+)['\"]", re.MULTILINE)  # a line of torch/version.py


def torch_check(packages: Mapping[str, str]) -> Check:
    """Return whether PyTorch is installed, and for which CUDA; it is not imported."""
    version = packages.get("torch")
    if version is None:
        return Check(
            area="PyTorch", name="torch", state="missing", found="not installed (optional)", remedy=install_line("torch")
        )
    cuda = _torch_cuda()
    return Check(area="PyTorch", name="torch", state="ok", found=f"{version}, {f'CUDA {cuda}' if cuda else 'for the CPU only'}")


def _torch_cuda() -> str | None:
    spec = importlib.util.find_spec("torch")
    for place in (spec.submodule_search_locations if spec is not None else None) or ():
        try:
            found = CUDA.search((Path(place) / "version.py").read_text(encoding="utf-8"))
        except OSError:
            continue
        return found["version"] if found is not None else None
    return None


def native_check() -> tuple[Check, str | None]:
    """Return whether TensorRT itself can build and run engines, asked of the process that would do it, and its version."""
    from workbench.runtime.native.doctor_check import check_native

    found = check_native()
    remedy = "" if "doctor" in found.remedy else found.remedy  # here, the other checks are what it refers to
    state: State = "ok" if found.works else "missing"
    return Check(area="TensorRT", name="native", state=state, found=found.found, remedy=remedy), found.tensorrt
