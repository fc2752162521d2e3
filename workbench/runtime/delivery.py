"""Asked and delivered: after a build, what the engines of a job compute in, and which flags did nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.options.effective import Effective
from workbench.record import Finding
from workbench.runtime.idle_flags import flag_findings
from workbench.runtime.native.look import BUDGET_S

if TYPE_CHECKING:
    from workbench.measure.delivered import EngineDelivered
    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.runtime.job import Job
    from workbench.runtime.prepared import Built, Feeds, Prepared
    from workbench.runtime.worker_process import Reporter

ENGINES = ("tensorrt", "native")
SHARE_OF_STAGE = 0.5  # of the stage's own limit: the look must end before the job does


def layers_wanted(job: Job, built: Built) -> bool:
    """Return whether a job is to tell its engines' layers.

    Where its plan leaves that open: where a precision below fp32 was asked for, and an engine was built for it.
    """
    if job.plan.layers is not None:
        return job.plan.layers
    lower = job.settings.provider in ENGINES and bool(Effective(job.settings).precisions)
    return lower and any(use.origin == "built" for use in built.engines)


def tell_layers(model: Model, prepared: Prepared, job: Job, feeds: Feeds, reporter: Reporter) -> None:
    """Report what a job's engines compute in, and which flags did nothing; nothing here fails a job.

    Parameters
    ----------
    model : Model
        The model.
    prepared : Prepared
        Holds the engines.
    job : Job
        Its settings say what was asked for.
    feeds : dict of str to ndarray
        What it ran on.
    reporter : Reporter
        Takes the part ``delivered``, and findings.
    """
    if not layers_wanted(job, prepared.origin()):
        return
    reporter.stage("layers")
    if job.settings.provider not in ENGINES:
        seen = f"the {job.settings.provider} provider builds no engines"
        reporter.part("findings", (Finding(level="info", where="layers", seen=seen),))
        return
    budget = min(BUDGET_S, SHARE_OF_STAGE * job.plan.limit_of("layers"))
    looked = prepared.look(model, job.plan, feeds, budget_s=budget)
    if looked.engines:
        reporter.part("delivered", looked.engines)
    told = (*looked.findings, *findings_of(model, job.settings, looked.engines))
    if told:
        reporter.part("findings", tuple(dict.fromkeys(told)))


def findings_of(model: Model, settings: Settings, engines: tuple[EngineDelivered, ...]) -> tuple[Finding, ...]:
    """Return what was delivered in words, what was asked for in vain, and what cannot be told.

    Parameters
    ----------
    model : Model
        The model.
    settings : Settings
        What was asked for.
    engines : tuple of EngineDelivered
        What came of it.
    """
    found = [_sentence(engine, several=len(engines) > 1) for engine in engines if engine.told]
    found += _in_vain(engines)
    found += _untold(settings, [engine for engine in engines if not engine.told and engine.layers])
    return (*found, *flag_findings(model, settings, engines))


def _sentence(engine: EngineDelivered, *, several: bool) -> Finding:
    name = f" by {engine.file}" if several else ""
    return Finding(level="info", where="precision", seen=f"what was delivered{name}: {engine.found.sentence()}")


def _in_vain(engines: tuple[EngineDelivered, ...]) -> list[Finding]:
    """Return the engines' warnings, those of several with their names."""
    if len(engines) < 2:
        return [warning for engine in engines for warning in engine.warnings]
    return [w.model_copy(update={"seen": f"{engine.file}: {w.seen}"}) for engine in engines for w in engine.warnings]


def _untold(settings: Settings, engines: list[EngineDelivered]) -> list[Finding]:
    """Say honestly that names are all there is, and what would tell more."""
    asked = Effective(settings).precisions
    if not engines or not asked:
        return []
    layers = sum(engine.found.untold for engine in engines)
    copies = sum(engine.found.moving for engine in engines)
    timed = "names and times" if all(engine.runs for engine in engines) else "names"
    seen = f"{'+'.join(asked)} was asked for, and the engines tell only the {timed} of their {layers + copies} layers"
    meaning = (
        "ONNX Runtime's provider builds engines that keep no more: in which precision a layer computes cannot be told from them."
    )
    flag = f" --precision {settings.precision}" if settings.precision != "fp32" else ""
    action = f"`workbench run MODEL --provider native{flag} --layers` builds the model through TensorRT itself, so that it tells."
    return [Finding(level="info", where="precision", seen=seen, meaning=meaning, action=action)]
