"""What is in a plan file: its layers, types and times, asked of TensorRT itself.

A plan is what TensorRT built: through its own interface, or for ONNX Runtime's provider, whose cached ``.engine`` files are plans
too.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import InputError
from workbench.measure.delivered import Delivered, delivered
from workbench.measure.layers import EngineLayer, LayerTime, layers_of, with_times
from workbench.record import Record
from workbench.runtime.engines.records import InputBounds
from workbench.runtime.native.companion import Companion

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

LIMIT_S = 300.0
PROFILE_SECONDS = 10.0


class PlanTensor(Record):
    """What goes into a plan, or comes out.

    Attributes
    ----------
    dtype : str
        NumPy's name, or ``bfloat16`` and the like where NumPy has none.
    shape : tuple of int
        -1 for a dimension that is open.
    values : bool
        Whether TensorRT takes its values, on the CPU, to compute shapes with.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    values: bool = False


class PlanReport(Record):
    """What is in a plan file.

    Attributes
    ----------
    path : str
        The file.
    bytes : int
        Its size.
    tensorrt : str
        The version that read it.
    compute_capability : str
        Of the GPU that it was read on.
    inputs, outputs : tuple of PlanTensor
        In the engine's order.
    profiles : tuple of InputBounds
        The ranges of inputs that are open, for each shape profile.
    layers : tuple of EngineLayer
        In the engine's order.
    device_bytes : int or None
        GPU memory that one execution takes beside the weights.
    runs : int
        How often the layers were timed; 0 where they were not.
    run_ms : float or None
        Milliseconds of one such run, which the profiler slows down; ``None`` where there was none.
    """

    path: str
    bytes: int
    tensorrt: str
    compute_capability: str
    inputs: tuple[PlanTensor, ...]
    outputs: tuple[PlanTensor, ...]
    profiles: tuple[InputBounds, ...]
    layers: tuple[EngineLayer, ...]
    device_bytes: int | None
    runs: int = 0
    run_ms: float | None = None

    @property
    def detailed(self) -> bool:
        """Whether it tells more of its layers than names; ONNX Runtime builds engines that do not."""
        return any(layer.type for layer in self.layers)

    def delivered(self, *asked: str) -> Delivered:
        """Return which share of layers and time is in which precision, beside what was asked for."""
        return delivered(self.layers, asked)


def inspect_plan(
    path: str | Path, *, python: str | None = None, profile_runs: int = 0, known: Collection[str] = (), device: int = 0
) -> PlanReport:
    """Load a plan and return what is in it.

    Parameters
    ----------
    path : str or Path
        The file; also an engine that ONNX Runtime's provider cached, unless it is encrypted or an EP context model.
    python : str or None
        The interpreter that has tensorrt; by default the one that ``WORKBENCH_TENSORRT_PYTHON`` names, else this.
    profile_runs : int
        How often to run it on made-up inputs of the best shapes, to time its layers.
    known : collection of str
        The model's node names, where they are known: layers' names are then read for certain.
    device : int
        The GPU.

    Raises
    ------
    InputError
        When there is no such file.
    Unavailable
        When TensorRT, CUDA or a GPU is missing.
    JobError
        When TensorRT does not take the plan, as when another version or another GPU built it, or its process dies.
    """
    path = Path(path).absolute()
    if not path.is_file():
        raise InputError(f"{path}: there is no such file.", remedy="Give a plan that TensorRT wrote: .engine, .plan or .trt.")
    with tempfile.TemporaryFile() as log, Companion(python=python, stderr=log) as companion:
        return read_plan(companion, path, profile_runs=profile_runs, known=known, device=device)


def read_plan(  # noqa: PLR0913
    companion: Companion,
    path: Path,
    *,
    profile_runs: int = 0,
    known: Collection[str] = (),
    device: int = 0,
    plugins: Sequence[str] = (),
    limit_s: float = LIMIT_S,
) -> PlanReport:
    """Let a companion load a plan, and return what is in it.

    Parameters
    ----------
    companion : Companion
        Holds the plan afterwards.
    path : Path
        The file, absolute.
    profile_runs, known, device
        As for :func:`inspect_plan`.
    plugins : sequence of str
        Libraries that the plan's own layers need.
    limit_s : float
        Seconds that each step may take.

    Raises
    ------
    JobError
        As :func:`inspect_plan`.
    """
    about = companion.ask("device", device=device, limit_s=limit_s).fields
    loaded = companion.ask("load", path=str(path), plugins=list(plugins), limit_s=limit_s).fields
    told = companion.ask("describe", limit_s=limit_s).fields
    layers = layers_of(companion.ask("inspect", limit_s=limit_s).blobs[0], known)
    runs, run_ms = 0, None
    if profile_runs:
        timed = companion.ask("profile", runs=profile_runs, seconds=PROFILE_SECONDS, limit_s=limit_s).fields
        runs, run_ms = timed["runs"], timed["run_ms"] / timed["runs"]
        layers = with_times(layers, [LayerTime.model_validate(row) for row in timed["layers"]], runs)
    return PlanReport(
        path=str(path),
        bytes=loaded["bytes"],
        tensorrt=companion.installed.tensorrt,
        compute_capability=about["compute_capability"],
        inputs=tuple(PlanTensor.model_validate(row) for row in told["inputs"]),
        outputs=tuple(PlanTensor.model_validate(row) for row in told["outputs"]),
        profiles=tuple(
            InputBounds.model_validate({**row, "profile": number}) for number, rows in enumerate(told["profiles"]) for row in rows
        ),
        layers=layers,
        device_bytes=told["device_bytes"],
        runs=runs,
        run_ms=run_ms,
    )
