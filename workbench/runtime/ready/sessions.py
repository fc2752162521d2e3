"""CPU sessions for making a model ready. Imported by processes of their own only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.placement.records import CPU
from workbench.runtime.failures import told
from workbench.runtime.session import exceptions_of, load_onnxruntime

if TYPE_CHECKING:
    import numpy as np

    from workbench.runtime.data.inputs import ModelInput

SILENT = 4  # FATAL: inputs that do not suit are tried, and what ONNX Runtime says of them is in its exception


@dataclass(frozen=True)
class Runtime:
    """onnxruntime, and what it may raise."""

    ort: Any
    errors: tuple[type[BaseException], ...]

    @classmethod
    def load(cls) -> Runtime:
        """Import onnxruntime.

        Raises
        ------
        Unavailable
            When it is not installed.
        """
        ort = load_onnxruntime("cpu")
        return cls(ort, exceptions_of(ort))

    def options(self) -> Any:  # noqa: ANN401
        """Return session options that leave the graph as it is."""
        options = self.ort.SessionOptions()
        options.graph_optimization_level = self.ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = SILENT
        return options

    def default(self) -> Any:  # noqa: ANN401
        """Return session options with ONNX Runtime's own level of optimisation."""
        options = self.ort.SessionOptions()
        options.log_severity_level = SILENT
        return options

    def session(self, path: str, options: Any = None) -> Any:  # noqa: ANN401
        """Make a session on the CPU.

        Raises
        ------
        JobError
            When ONNX Runtime refuses the model.
        """
        with told(self.errors, "load"):
            return self.ort.InferenceSession(path, options or self.options(), providers=[CPU], enable_fallback=0)

    def run(self, session: Any, inputs: list[ModelInput]) -> list[np.ndarray]:  # noqa: ANN401
        """Run a session.

        Raises
        ------
        JobError
            When the run fails.
        """
        with told(self.errors, "run"):
            return list(session.run(None, {i.name: i.array for i in inputs}))
