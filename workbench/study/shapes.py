"""All that can be said of a model's shapes before it is run: what a profile must name, what to give it, what a request does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.options.profile import ShapeProfile
from workbench.options.propose import Proposal
from workbench.placement.engine_inputs import (
    EngineInput,
    complete_profile,
    engine_inputs,
    missing_inputs,
    profile_findings,
)
from workbench.placement.releases import tensorrt_for
from workbench.placement.requests import Answer
from workbench.record import Evidence, Finding, Record

if TYPE_CHECKING:
    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.placement.records import Placement


class ShapesReport(Record):
    """What is known of the shapes of a model's engines.

    Attributes
    ----------
    evidence : str
        Of the placement that the engines are of.
    engines : int
        How many there are.
    inputs : tuple of EngineInput
        Of all engines.
    profile : ShapeProfile
        The given one, or the proposed one where a proposal was taken.
    missing : tuple of str
        Inputs of engines that the profile must name, and does not.
    completed : ShapeProfile or None
        The profile with what could be added; ``None`` where that was not asked for.
    proposal : Proposal or None
        From the shapes of requests; ``None`` without any.
    answer : Answer or None
        What the request will do; ``None`` without one.
    findings : tuple of Finding
        Errors for what ONNX Runtime will refuse.
    """

    model: str
    evidence: Evidence
    engines: int
    inputs: tuple[EngineInput, ...]
    profile: ShapeProfile
    missing: tuple[str, ...] = ()
    completed: ShapeProfile | None = None
    proposal: Proposal | None = None
    answer: Answer | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def wrong(self) -> bool:
        """Whether the profile cannot work as it is."""
        return any(finding.level == "error" for finding in self.findings)


def shapes_report(model: Model, settings: Settings, placement: Placement, *, complete: bool = False) -> ShapesReport:
    """Look at a profile in the light of a placement.

    Parameters
    ----------
    model, settings
        The model, and the Settings with the profile.
    placement : Placement
        Of this model, predicted or measured.
    complete : bool
        Whether to add what is missing, as far as it can be worked out.

    Raises
    ------
    SettingsError
        When the profile does not fit the model.
    """
    profile = settings.profile
    findings = profile.check(model)
    inputs = engine_inputs(placement, model)
    completed: ShapeProfile | None = None
    if complete and settings.provider == "tensorrt":
        completed, told = complete_profile(model, settings, placement)
        findings += told
    shown = settings.replace(profile=completed) if completed is not None else settings
    findings += profile_findings(model, shown, placement)
    return ShapesReport(
        model=model.name,
        evidence=placement.evidence,
        engines=placement.engines(),
        inputs=inputs,
        profile=profile,
        missing=tuple(each.name for each in missing_inputs(shown.profile, inputs)) if settings.provider == "tensorrt" else (),
        completed=completed,
        findings=tuple(findings),
    )


def foretold(model: Model, settings: Settings) -> list[Finding]:
    """Say before a run whether ONNX Runtime will take its explicit profile; the placement is predicted.

    Empty without a profile, without TensorRT, and for a model whose engines were built before.
    """
    if settings.provider != "tensorrt" or not settings.profile or any(n.op_type == "EPContext" for n in model.nodes):
        return []
    from workbench.placement.predict import predict

    placement = predict(model, settings, tensorrt=tensorrt_for())
    return profile_findings(model, settings, placement) if placement.outcome == "ok" else []
