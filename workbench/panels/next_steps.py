"""What the app can do about a verdict."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from workbench.panels.dimensions import dimensions_of
from workbench.panels.verdict_card import NextStep

if TYPE_CHECKING:
    from workbench.panels.state import WorkbenchState
    from workbench.placement.records import Placement
    from workbench.placement.verdict import Verdict
    from workbench.study.ready_records import Readied


def next_steps(state: WorkbenchState, verdict: Verdict, placement: Placement) -> list[NextStep]:
    """Return the steps that the app can take about the verdict of a placement, the one to take first."""
    if state.model is None:
        return []
    if state.evidence == "what-if":
        return []  # that is a question: its panel has the buttons
    steps = []
    dimensions = dimensions_of(state.model, state.settings.profile)
    readied = state.readied
    if readied is not None and readied.outcome == "settings" and placement.outcome == "error":
        told = ", ".join(f"{key}={value}" for key, value in readied.options)
        steps.append(NextStep("Apply to settings", "check", told, lambda: _apply(state, readied)))
    elif verdict.step == "ready" and readied is None:
        help_ = "Infer the missing shapes, or convert what the runtime refuses, into a new file; the outputs are compared"
        steps.append(NextStep("Make it ready", "magic", help_, state.make_ready))
    proposal = state.questions.proposal
    if verdict.step == "change" and proposal is not None and proposal.changes:
        steps.append(NextStep(f"Try {', '.join(proposal.changes)}", "flask", proposal.sentence, state.questions.take))
    elif verdict.step == "change" and proposal is None:
        help_ = "Search the smallest change that makes the model one engine"
        steps.append(NextStep("Find the smallest change", "search", help_, state.questions.search))
    provider = "tensorrt" if placement.runtime.tensorrt else state.settings.provider
    if verdict.step == "run" and can_run(state, provider):
        steps.append(NextStep("Build and measure", "play", f"Run the model on {provider}", lambda: _run(state, provider)))
    if verdict.step in ("compare", "change") and can_run(state, "cuda"):
        steps.append(NextStep("Measure on CUDA alone", "play", "Run the model on CUDA", lambda: _run(state, "cuda")))
    if verdict.step in ("run", "change") and dimensions and not state.settings.profile:
        help_ = "Without a shape profile TensorRT builds again for each new shape"
        steps.append(NextStep("Set shape profile", "", help_, lambda: _go(state)))
    return steps


def can_run(state: WorkbenchState, provider: str) -> bool:
    """Return whether a session on a provider can be made here, as far as is known."""
    if state.diagnosis is not None:
        return bool(state.diagnosis.can.get(provider, False))
    if provider == "cpu":
        return True
    try:
        version("onnxruntime-gpu")
    except PackageNotFoundError:
        return False
    return True


def _run(state: WorkbenchState, provider: str) -> None:
    if state.settings.provider != provider:
        state.set_provider(provider)
    state.start_run()
    state.wanted = "build"


def _apply(state: WorkbenchState, readied: Readied) -> None:
    for key, value in readied.options:
        state.set_option(key, value)
    if not state.busy:
        state.predict()


def _go(state: WorkbenchState) -> None:
    state.wanted = "shapes"
