"""What a prediction is about: the providers in order, the releases, and the options that decide placement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.options.effective import Effective
from workbench.placement.question import ITERATIONS
from workbench.placement.records import CPU, CUDA, TENSORRT
from workbench.placement.releases import Release, release, release_for
from workbench.placement.support import DATA_DEPENDENT, SupportTable

if TYPE_CHECKING:
    from workbench.options.settings import Settings
    from workbench.placement.oracle import Oracle
    from workbench.placement.question import Question

CHAINS = {"tensorrt": (TENSORRT, CUDA, CPU), "cuda": (CUDA, CPU), "cpu": (CPU,)}


@dataclass(frozen=True)
class Plan:
    """What a prediction is about.

    Attributes
    ----------
    providers : tuple of str
        In the order in which ONNX Runtime asks them.
    support : Oracle or None
        What TensorRT's parser takes; ``None`` where TensorRT plays no part.
    excluded : frozenset of str
        Operator types kept from TensorRT by option.
    withheld : frozenset of str
        Those that the release itself keeps from it.
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
    support: Oracle | None
    excluded: frozenset[str] = frozenset()
    withheld: frozenset[str] = frozenset()
    smallest: int = 1
    deepest: int = ITERATIONS
    optimised: bool = True
    int8: bool = False

    @property
    def old(self) -> bool:
        """Whether the release walks nodes depth first, and keeps groups whole around what it excludes (before 1.19)."""
        return self.runtime.number < (1, 19)

    @property
    def inlines_branches(self) -> bool:
        """Whether the release replaces an If with a constant condition by its branch."""
        return self.runtime.number >= (1, 17)


def plan_of(settings: Settings | None, question: Question, onnxruntime: str | None = None, oracle: Oracle | None = None) -> Plan:
    """Return the plan of a prediction.

    Parameters
    ----------
    settings : Settings or None
        Of its options, those that a question does not ask about; TensorRT with its defaults if ``None``.
    onnxruntime : str or None
        The release that is followed; by default the one that goes with the question's TensorRT.
    oracle : Oracle or None
        Who knows what the parser takes; the table of the question's TensorRT if ``None``.

    Raises
    ------
    SettingsError
        For a TensorRT that there is no operator table of, or an ONNX Runtime version that is none.
    """
    provider = settings.provider if settings is not None else "tensorrt"
    session = settings.session_options if settings is not None else {}
    with_tensorrt = provider == "tensorrt"
    tensorrt = oracle.release if oracle is not None else question.tensorrt
    chosen = release(onnxruntime) if onnxruntime is not None else release_for(tensorrt if with_tensorrt else None)
    return Plan(
        providers=CHAINS[provider],
        runtime=chosen,
        support=(oracle or SupportTable.load(tensorrt)) if with_tensorrt else None,
        excluded=frozenset(question.exclude),
        withheld=frozenset(DATA_DEPENDENT) if chosen.number == (1, 20) else frozenset(),
        smallest=question.min_subgraph,
        deepest=question.iterations,
        int8=settings is not None and "int8" in Effective(settings).precisions,
        optimised=session.get("graph_optimization_level", "all") != "disable",
    )
