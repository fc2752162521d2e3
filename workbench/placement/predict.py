"""Predict who runs each node, without a session and without a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.placement.assignment import Assignment
from workbench.placement.checks import context_source, malformed, refused_versions
from workbench.placement.failures import load_failure, no_kernel, no_shape, not_built, not_enabled
from workbench.placement.partition import NoShape
from workbench.placement.plan import plan_of
from workbench.placement.prepare import prepare
from workbench.placement.question import Question
from workbench.placement.records import TENSORRT
from workbench.placement.refusal import Refusal
from workbench.placement.result import compiled, failed, placement_of
from workbench.placement.tensorrt import NotBuilt
from workbench.record import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.placement.oracle import Oracle
    from workbench.placement.plan import Plan
    from workbench.placement.prepare import Prepared
    from workbench.placement.records import Placement


def predict(  # noqa: PLR0913 - each of them is a question that users ask
    model: Model,
    settings: Settings | None = None,
    *,
    tensorrt: str = "10.16",
    exclude: Sequence[str] = (),
    min_subgraph: int = 1,
    onnxruntime: str | None = None,
    oracle: Oracle | None = None,
) -> Placement:
    """Predict who runs each node of a model.

    Parameters
    ----------
    model : Model
        The model; its weights are not read.
    settings : Settings or None
        Provider, and options that decide placement; TensorRT with its defaults if ``None``.
    tensorrt : str
        Whose parser is followed: ``8.6``, ``10.1``, ``10.16`` or ``11.1``.
    exclude : sequence of str
        Operator types to keep from TensorRT, beside those of ``trt_op_types_to_exclude``.
    min_subgraph : int
        TensorRT gets no run of fewer nodes; the larger of this and ``trt_min_subgraph_size`` counts.
    onnxruntime : str or None
        The release that is followed. By default the installed one or, where that goes with another TensorRT, the one
        that goes with this.
    oracle : Oracle or None
        Who knows what TensorRT's parser takes (``workbench.placement.oracle``); it decides the TensorRT too. By default
        the table of the TensorRT.

    Returns
    -------
    Placement
        Every node of the file with a reason. A model that no session can be made of has the outcome ``error``.

    Raises
    ------
    SettingsError
        For a TensorRT without an operator table, or an ONNX Runtime version that is none.
    """
    question = Question.of(settings, tensorrt)
    question = question.replace(exclude=(*question.exclude, *exclude), min_subgraph=max(min_subgraph, question.min_subgraph))
    plan = plan_of(settings, question, onnxruntime, oracle)
    return without_graph(model, plan) or assigned(
        model, plan, prepare(model, optimised=plan.optimised, inlines_branches=plan.inlines_branches)
    )


def without_graph(model: Model, plan: Plan) -> Placement | None:
    """Return the placement of a model that is told from its file alone; ``None`` where its graph has to be looked into."""
    failure = refused_versions(model, plan.runtime) or malformed(model)
    if failure is not None:
        return failed(model, plan, failure)
    source = context_source(model)
    return None if source is None else _compiled(model, plan, source or TENSORRT)


def assigned(model: Model, plan: Plan, prepared: Prepared) -> Placement:
    """Return the placement of a model whose graph is prepared; the graph stays as it is."""
    failure = load_failure(model, plan, prepared)
    if failure is not None:
        return failed(model, plan, failure, prepared)
    assignment = Assignment(plan)
    try:
        assignment.run(prepared.graph)
        failure = no_kernel(model, prepared, assignment) or not_enabled(plan, assignment)
    except NoShape as missing:
        failure = no_shape(missing)
        assignment.refuse(
            missing.op, Refusal("shape", f"its input {missing.value!r} has no shape where TensorRT splits the graph")
        )
    except NotBuilt as broken:
        failure = not_built(broken)
    if failure is None:
        return placement_of(model, plan, prepared, assignment)
    refusals = {
        op.name: Refusal(cause, assignment.reason[op]) for op, cause in assignment.cause.items() if op not in assignment.provider
    }
    return failed(model, plan, failure, prepared, refusals)


def _compiled(model: Model, plan: Plan, provider: str) -> Placement:
    if provider in plan.providers:
        return compiled(model, plan, provider)
    message = f"The model was compiled for {provider}, which is not among the providers asked for."
    return failed(model, plan, Failure(kind="load", message=message, remedy="Run it with that provider."))
