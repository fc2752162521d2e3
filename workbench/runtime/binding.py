"""Inputs and outputs of a session that stay on the GPU while it is timed (ONNX Runtime's I/O binding).

The interface is the same in ONNX Runtime 1.17 to 1.31.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import SettingsError
from workbench.record import Finding

if TYPE_CHECKING:
    from workbench.options.settings import Settings
    from workbench.runtime.job import Plan
    from workbench.runtime.prepared import Feeds

TENSOR, TEXT = "tensor(", "tensor(string)"
GRAPHS = {"tensorrt": "trt_cuda_graph_enable", "cuda": "enable_cuda_graph"}


class Binding:
    """A session with its inputs copied to a device once, and its outputs left there.

    ONNX Runtime allocates the outputs at the first run and writes into the same buffers from then on: a recorded CUDA graph
    needs that. Strings, sequences and maps cannot lie on a GPU; they stay with the host.

    Parameters
    ----------
    ort : module
        onnxruntime.
    session : onnxruntime.InferenceSession
        Whose inputs and outputs.
    feeds : dict of str to ndarray
        The inputs.
    device : str
        ONNX Runtime's name of the device: ``cuda``.
    index : int
        Which of them.
    """

    def __init__(self, ort: Any, session: Any, feeds: Feeds, *, device: str = "cuda", index: int = 0) -> None:  # noqa: ANN401
        self._session, self._binding = session, session.io_binding()
        for name, array in feeds.items():
            if array.dtype.kind in "OSU":
                self._binding.bind_cpu_input(name, array)
            else:
                self._binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array, device, index))
        for output in session.get_outputs():
            if output.type.startswith(TENSOR) and output.type != TEXT:
                self._binding.bind_output(output.name, device, index)
            else:
                self._binding.bind_output(output.name)

    def run(self) -> None:
        """Run once, and wait until the outputs are there."""
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()

    def outputs(self) -> list[Any]:
        """Return copies of the outputs of the last run, in the model's order."""
        copies: list[Any] = self._binding.copy_outputs_to_cpu()
        return copies


def check_buffers(plan: Plan, settings: Settings) -> list[Finding]:
    """Return what is doubtful about where a Plan wants the buffers.

    Raises
    ------
    SettingsError
        For device buffers on the CPU provider.
    """
    if plan.buffers == "device" and settings.provider == "cpu":
        raise SettingsError(
            "Device buffers were asked for, and the CPU provider has no device: its inputs and outputs are the host's.",
            remedy="Leave them out (buffers='host').",
        )
    key = GRAPHS.get(settings.provider, "")
    if plan.buffers == "device" or not settings.provider_options.get(key):
        return []
    finding = Finding(
        level="warning",
        where=key,
        seen="a CUDA graph is recorded, and inputs and outputs are NumPy arrays",
        meaning="A recorded graph reads and writes the addresses that it was recorded with: new values may never be read, and "
        "the outputs may stay those of an earlier run.",
        action="Measure with device buffers: buffers='device', or --buffers device.",
    )
    return [finding]
