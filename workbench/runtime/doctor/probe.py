"""What this interpreter can really load; run as a process of its own, because loading a library can end it.

Prints one JSON document on standard output: a :class:`Found`.
"""

from __future__ import annotations

import importlib
import os

from workbench.record import Record
from workbench.runtime.environment import environment
from workbench.runtime.job import Environment
from workbench.runtime.libraries.prerequisites import Installation, read_installation


class Found(Record):
    """What the probe found.

    Attributes
    ----------
    error : str
        Why onnxruntime cannot be imported; empty when it can.
    installation : Installation or None
        What a session on a GPU needs; ``None`` where onnxruntime was built without the CUDA provider.
    """

    environment: Environment | None = None
    error: str = ""
    installation: Installation | None = None


def main() -> None:
    """Print what was found."""
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    messages.write(probe().model_dump_json())
    messages.flush()


def probe() -> Found:
    """Import onnxruntime, load what its providers need, and return what was found."""
    try:
        ort = importlib.import_module("onnxruntime")
    except ImportError as error:
        return Found(environment=environment(), error=str(error))
    installation = read_installation(ort) if "CUDAExecutionProvider" in ort.get_available_providers() else None
    return Found(environment=environment(), installation=installation)


if __name__ == "__main__":
    main()
