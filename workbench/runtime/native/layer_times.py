"""How long each layer of the companion's engine takes, and what that says of delivered precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import JobError
from workbench.measure.delivered import EngineDelivered, delivered
from workbench.measure.layers import EngineLayer, LayerTime
from workbench.measure.profile import NodeTime, Profile, ProviderTime
from workbench.placement.records import TENSORRT
from workbench.record import Finding
from workbench.runtime.native.look import PLACE, Looked
from workbench.runtime.native.messages import pack_arrays
from workbench.runtime.native.plans import PLAN

if TYPE_CHECKING:
    from workbench.runtime.native.companion import Companion
    from workbench.runtime.native.prepare import Native
    from workbench.runtime.prepared import Feeds

PROFILED_RUNS = 20
ABOUT_TIMES = (
    "TensorRT's own profiler: it waits after every layer, so that layers which otherwise run side by side count one after the "
    "other."
)


@dataclass(frozen=True, slots=True)
class Timed:
    """What TensorRT's profiler said.

    Attributes
    ----------
    times : tuple of LayerTime
        Of all runs together.
    runs : int
        How many there were.
    whole_ms : float
        Milliseconds of all of them.
    """

    times: tuple[LayerTime, ...]
    runs: int
    whole_ms: float


def time_layers(companion: Companion, feeds: Feeds, *, seconds: float, limit_s: float | None = None) -> Timed:
    """Time the layers of the engine that a companion holds.

    Parameters
    ----------
    companion : Companion
        Holds an engine.
    feeds : dict of str to ndarray
        Its inputs.
    seconds : float
        No further run begins after this long.
    limit_s : float or None
        Seconds after which the companion is ended.

    Raises
    ------
    JobError
        When TensorRT refuses, its process dies, or takes too long.
    """
    told, blobs = pack_arrays(feeds.items())
    fields = companion.ask("profile", blobs, arrays=told, runs=PROFILED_RUNS, seconds=seconds, limit_s=limit_s).fields
    times = tuple(LayerTime.model_validate(row) for row in fields["layers"])
    return Timed(times, fields["runs"], fields["run_ms"])


def own_engine(native: Native, feeds: Feeds, *, seconds: float, limit_s: float) -> Looked:
    """Return what the job's own engine computes in, its layers timed on the job's inputs; trouble is a finding.

    Parameters
    ----------
    native : Native
        Holds the engine; of a profile that was taken before, the times are used.
    feeds, seconds, limit_s
        As for :func:`time_layers`.
    """
    findings: tuple[Finding, ...] = ()
    if native.timed is None:
        try:
            native.take_times(time_layers(native.companion, feeds, seconds=seconds, limit_s=limit_s))
        except JobError as error:
            seen = f"the layers were not timed: {error.message}"
            findings = (Finding(level="info", where=PLACE, seen=seen, meaning="They are counted, without times."),)
    timed = native.timed
    engine = EngineDelivered(
        file=PLAN,
        bytes=int(native.about["bytes"]),
        tensorrt=native.companion.installed.tensorrt,
        found=delivered(native.layers, native.asked),
        layers=native.layers,
        runs=timed.runs if timed else 0,
        run_ms=timed.whole_ms / timed.runs if timed else None,
        inputs="the job's inputs" if timed else "",
    )
    return Looked((engine,), findings)


def profile_of_layers(timed: Timed, layers: tuple[EngineLayer, ...]) -> Profile:
    """Return layer times as the profile of a run."""
    kinds = {layer.name: layer.type for layer in layers}
    nodes = [
        NodeTime(name=t.name, op_type=kinds.get(t.name, "") or "layer", provider=TENSORRT, calls=t.calls, total_ms=t.total_ms)
        for t in sorted(timed.times, key=lambda time: -time.total_ms)
    ]
    total = sum(node.total_ms for node in nodes)
    provider = ProviderTime(
        provider=TENSORRT,
        nodes=len(nodes),
        calls=sum(node.calls for node in nodes),
        total_ms=total,
        share=1.0 if total else None,
    )
    return Profile(runs=timed.runs, run_ms=timed.whole_ms, nodes=tuple(nodes), providers=(provider,), notes=(ABOUT_TIMES,))
