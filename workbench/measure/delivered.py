"""Asked and delivered: how much of an engine really runs in the precision that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.measure.layers import NARROWEST, EngineLayer, with_quantised
from workbench.record import Finding, Record

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

FEW = 0.25  # of the time, or of the layers where they were not timed: below it, INT8 that was asked for is called few


class PrecisionShare(Record):
    """The layers that compute in one precision.

    Attributes
    ----------
    precision : str
        ``fp32``, ``fp16``, ``bf16``, ``int8`` and so on; ``integer`` for whole numbers and truth values.
    layers : int
        How many.
    layer_share : float
        Of the layers whose precision is told, 0 to 1.
    ms : float or None
        Milliseconds an inference; ``None`` where they were not profiled.
    time_share : float or None
        Of those layers' time, 0 to 1; ``None`` where they were not profiled, or took no measurable time.
    """

    precision: str
    layers: int
    layer_share: float
    ms: float | None
    time_share: float | None


class Delivered(Record):
    """What an engine computes in.

    Attributes
    ----------
    asked : tuple of str
        The precisions beside fp32 that TensorRT was allowed.
    told : bool
        Whether the engine tells its layers' types; one built without detailed verbosity does not, and then nothing is known.
    shares : tuple of PrecisionShare
        The most layers first. Layers that only move data are not counted.
    moving : int
        Layers that only move data, or change its type or layout.
    moving_ms : float or None
        Their milliseconds an inference.
    untold : int
        Layers that compute, and whose types the engine does not tell.
    warnings : tuple of Finding
        Precisions that were asked for and are not there, or hardly.
    """

    asked: tuple[str, ...]
    told: bool
    shares: tuple[PrecisionShare, ...]
    moving: int
    moving_ms: float | None
    untold: int
    warnings: tuple[Finding, ...] = ()

    def share(self, precision: str) -> PrecisionShare | None:
        """Return the share of one precision; ``None`` where no layer has it, or it is not told."""
        return next((share for share in self.shares if share.precision == precision), None)

    def sentence(self) -> str:
        """Return the shares in words, such as ``fp16 in 50 of 60 layers (83 % of the time), fp32 in 10 (17 %)``."""
        if not self.told:
            return "the engine does not tell its layers' types"
        whole = sum(share.layers for share in self.shares)
        counts = [f"{self.shares[0].layers} of {whole} layers", *(str(share.layers) for share in self.shares[1:])]
        of = "their time" if self.untold else "the time"
        times = ["" if share.time_share is None else f" ({share.time_share:.0%} of {of})" for share in self.shares]
        rows = zip(self.shares, counts, times, strict=True)
        others = f"; {self.untold} others do not tell" if self.untold else ""
        return ", ".join(f"{share.precision} in {count}{time}" for share, count, time in rows) + others


class EngineDelivered(Record):
    """One engine, and what its layers compute in.

    Attributes
    ----------
    file : str
        The name of its file.
    bytes : int
        Its size.
    tensorrt : str or None
        The version of TensorRT that read it.
    found : Delivered
        The layers counted by precision.
    layers : tuple of EngineLayer
        In the engine's order.
    runs : int
        How often the layers were timed; 0 where they were not.
    run_ms : float or None
        Milliseconds of one such run, which the profiler slows down.
    inputs : str
        What they were timed on, in words; empty where they were not.
    """

    file: str
    bytes: int
    tensorrt: str | None = None
    found: Delivered
    layers: tuple[EngineLayer, ...] = ()
    runs: int = 0
    run_ms: float | None = None
    inputs: str = ""

    @property
    def told(self) -> bool:
        """Whether the engine tells its layers' types."""
        return self.found.told

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What was asked for and is not there, or hardly."""
        return self.found.warnings

    def slowest(self) -> tuple[EngineLayer, ...]:
        """Return the layers of the first shape profile, the slowest first; in the engine's order where they were not timed."""
        return tuple(sorted((layer for layer in self.layers if layer.profile == 0), key=lambda layer: -(layer.ms or 0.0)))


def told_by_weights(engine: EngineDelivered, weights: Collection[str]) -> EngineDelivered:
    """Return an engine that tells only names with what they say of INT8; any other engine as it is.

    Parameters
    ----------
    engine : EngineDelivered
        What was found.
    weights : collection of str
        The model's weights in 8 bits, as :func:`workbench.measure.layers.with_quantised` takes them.
    """
    if engine.told or not weights:
        return engine
    layers = with_quantised(engine.layers, weights)
    return engine.model_copy(update={"layers": layers, "found": delivered(layers, engine.found.asked)})


def delivered(layers: Sequence[EngineLayer], asked: Sequence[str] = ()) -> Delivered:
    """Count the layers, and their time, by the precision that they compute in.

    Parameters
    ----------
    layers : sequence of EngineLayer
        Those of one engine.
    asked : sequence of str
        The precisions beside fp32 that TensorRT was allowed: ``fp16``, ``bf16``, ``int8``.
    """
    first = [layer for layer in layers if layer.profile == 0]  # an engine of several profiles has its layers once for each
    moving = [layer for layer in first if layer.moving]
    computing = [layer for layer in first if not layer.moving]
    told = [layer for layer in computing if layer.precision is not None]
    shares = _shares(told)
    wanted = tuple(precision for precision in dict.fromkeys(asked) if precision != "fp32")
    return Delivered(
        asked=wanted,
        told=bool(told),
        shares=shares,
        moving=len(moving),
        moving_ms=_sum(moving),
        untold=len(computing) - len(told),
        warnings=_warnings(wanted, shares, told=bool(told), untold=len(computing) - len(told)),
    )


def _shares(layers: Sequence[EngineLayer]) -> tuple[PrecisionShare, ...]:
    whole = _sum(layers)
    found = []
    for precision in dict.fromkeys(layer.precision for layer in layers):
        own = [layer for layer in layers if layer.precision == precision]
        ms = _sum(own)
        found.append(
            PrecisionShare(
                precision=str(precision),
                layers=len(own),
                layer_share=len(own) / len(layers),
                ms=ms,
                time_share=ms / whole if ms is not None and whole else None,
            )
        )
    return tuple(sorted(found, key=lambda share: -share.layers))


def _sum(layers: Sequence[EngineLayer]) -> float | None:
    times = [layer.ms for layer in layers if layer.ms is not None]
    return sum(times) if times else None


def _warnings(asked: tuple[str, ...], shares: tuple[PrecisionShare, ...], *, told: bool, untold: int) -> tuple[Finding, ...]:
    if not told:
        return ()
    there = [share.precision for share in shares]
    found = [
        _absent(precision, shares[0], untold)
        for precision in asked
        if precision not in there and not _chosen(precision, asked, there)
    ]
    few = next((share for share in shares if share.precision == "int8" and "int8" in asked), None)
    if few is not None and _part(few) < FEW:
        found.append(_few(few, sum(share.layers for share in shares)))
    return tuple(found)


def _chosen(precision: str, asked: Sequence[str], there: Sequence[str]) -> bool:
    """Whether TensorRT chose another 16-bit type or a narrower one, which was asked for too: then nothing is amiss."""
    rivals = {"fp16", "bf16", *NARROWEST[: NARROWEST.index("fp16")]} - {precision}
    return precision in ("fp16", "bf16") and any(rival in there for rival in rivals & {*asked})


def _part(share: PrecisionShare) -> float:
    return share.layer_share if share.time_share is None else share.time_share


def _absent(precision: str, most: PrecisionShare, untold: int) -> Finding:
    return Finding(
        level="warning",
        where="precision",
        seen=f"{precision} was asked for, and no layer computes in it{_except(untold)}; {most.layers} are {most.precision}",
        meaning="TensorRT found it slower, or could not use it here: the flag did nothing.",
        action=ACTIONS.get(precision, ""),
    )


def _few(share: PrecisionShare, whole: int) -> Finding:
    time = "" if share.time_share is None else f", {share.time_share:.0%} of the time"
    return Finding(
        level="warning",
        where="precision",
        seen=f"int8 was asked for, and only {share.layers} of {whole} layers compute in it{time}",
        meaning="The others have no range, or TensorRT found INT8 slower there: most of the model runs as it would without.",
        action=ACTIONS["int8"],
    )


def _except(untold: int) -> str:
    return f" ({untold} do not tell)" if untold else ""


ACTIONS = {
    "int8": "Look at the calibration: ranges, or Q/DQ nodes, must reach the convolutions and matrix products.",
    "fp16": "Leave the flag out, or put the casts into the model.",
    "bf16": "Leave the flag out, or put the casts into the model.",
}
