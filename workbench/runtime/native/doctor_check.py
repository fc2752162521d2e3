"""Whether TensorRT's own interface can be used here, for the doctor."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NamedTuple

from workbench.errors import JobError, Unavailable
from workbench.runtime.native.companion import PYTHON, Companion


class NativeCheck(NamedTuple):
    """What was found.

    Attributes
    ----------
    works : bool
        Whether models can be built and run.
    found : str
        What is there, or what is missing.
    remedy : str
        What mends it; empty when all is well.
    tensorrt : str or None
        The package's version.
    """

    works: bool
    found: str
    remedy: str
    tensorrt: str | None = None


def check_native(python: str | None = None) -> NativeCheck:
    """Start the process that would hold TensorRT, and look at what it finds.

    Parameters
    ----------
    python : str or None
        The interpreter; by default the one that ``WORKBENCH_TENSORRT_PYTHON`` names, else this.
    """
    chosen = python or os.environ.get(PYTHON) or sys.executable
    try:
        with Companion(python=python, stderr=subprocess.DEVNULL) as companion:
            found = companion.installed
            capability = companion.ask("device", device=0).fields["compute_capability"]
    except (Unavailable, JobError) as error:
        return NativeCheck(works=False, found=error.message, remedy=error.remedy)
    text = (
        f"TensorRT {found.tensorrt} under {chosen} (Python {found.python}), CUDA runtime {found.cuda} ({found.cudart}), "
        f"{found.gpus} GPU{'s' * (found.gpus != 1)}, the first of compute capability {capability}"
    )
    return NativeCheck(works=True, found=text, remedy="", tensorrt=found.tensorrt)
