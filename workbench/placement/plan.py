"""What a prediction is about: the providers in order, the releases, and the options that decide placement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.options.effective import Effective
from workbench.placement.records import CPU, CUDA, TENSORRT
from workbench.placement.releases import Release, release, release_for
from workbench.placement.support import DATA_DEPENDENT, SupportTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.options.settings import Settings

CHAINS = {"tensorrt": (TENSORRT, CUDA, CPU), "cuda": (CUDA, CPU), "cpu": (CPU,)}
DEEPEST = 1000  # trt_max_partition_iterations


@dataclass(frozen=True)
class Plan:
    """What a prediction is about.

    Attributes
    ----------
    providers : tuple of str
        In the order in which ONNX Runtime asks them.
    support : SupportTable or None
        What TensorRT's parser takes; ``None`` where TensorRT plays no part.
    excluded : frozenset of str
        Operator types kept from TensorRT.
    smallest : int
        TensorRT gets no run of fewer nodes.
    deepest : int
        How often the parser may be asked about the parts of a part.
    optimised : bool
        Whether ONNX Runtime's basic graph optimisation runs.
    int8 : bool
        Whether TensorRT may use INT8.
    """

    providers: tuple[str, ...]
    runtime: Release
    support: SupportTable | None
    excluded: frozenset[str] = frozenset()
    smallest: int = 1
    deepest: int = DEEPEST
    optimised: bool = True
    int8: bool = False

    @property
    def old(self) -> bool:
        """Whether the release walks nodes depth first, and keeps groups whole around what it excludes (before 1.19)."""
        return self.runtime.number < (1, 19)


def plan_of(settings: Settings | None, tensorrt: str, exclude: Sequence[str], min_subgraph: int, onnxruntime: str | None) -> Plan:
    """Return the plan of a prediction.

    Raises
    ------
    SettingsError
        For a TensorRT that there is no operator table of, or an ONNX Runtime version that is none.
    """
    provider = settings.provider if settings is not None else "tensorrt"
    options = settings.provider_options if settings is not None else {}
    session = settings.session_options if settings is not None else {}
    with_tensorrt = provider == "tensorrt"
    chosen = release(onnxruntime) if onnxruntime is not None else release_for(tensorrt if with_tensorrt else None)
    listed = str(options.get("trt_op_types_to_exclude") or "").split(",")
    if chosen.number == (1, 20):  # this release keeps them from TensorRT itself
        listed += sorted(DATA_DEPENDENT)
    return Plan(
        providers=CHAINS[provider],
        runtime=chosen,
        support=SupportTable.load(tensorrt) if with_tensorrt else None,
        excluded=frozenset(filter(None, (*exclude, *listed))),
        smallest=max(min_subgraph, int(options.get("trt_min_subgraph_size", 1) or 1)),
        deepest=int(options.get("trt_max_partition_iterations", DEEPEST) or DEEPEST),
        int8=settings is not None and "int8" in Effective(settings).precisions,
        optimised=session.get("graph_optimization_level", "all") != "disable",
    )
