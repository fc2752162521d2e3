"""Which of two Runs is faster, and whether the difference can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workbench.measure.difference import Difference, difference_of
from workbench.record import Record
from workbench.study.doubt import barriers, caveats
from workbench.study.target import DEFAULT_TARGET, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.options.settings import Settings
    from workbench.study.run import Run

# A choice of this package. Two processes that do the same differ in memory layout, clocks and temperature, of which one
# run each shows nothing (Mytkowicz et al., "Producing wrong data without doing anything obviously wrong", 2009).
SMALLEST = 0.01
TIMES = 2.0  # from this factor on, "3.0 times as fast" says more than per cent

Side = Literal["A", "B"]


class SettingDifference(Record):
    """A setting that two Runs do not share; ``None`` where a Run leaves it at its default."""

    name: str
    a: str | None
    b: str | None

    def __str__(self) -> str:
        a, b = ("the default" if value is None else value for value in (self.a, self.b))
        return f"{self.name}: {a} against {b}"


class Comparison(Record):
    """Which of two Runs is faster.

    Attributes
    ----------
    a, b : str
        The Runs' ids; A is what B is compared with.
    a_title, b_title : str
        What tells them apart.
    faster : str or None
        ``A`` or ``B``; ``None`` where no claim is made.
    trusted : bool
        Whether the latencies differ by more than chance and `SMALLEST`, and nothing forbids to compare them.
    a_median_ms, b_median_ms : float or None
        Median latencies in milliseconds.
    latency : Difference or None
        Ratio of the medians (B over A) and its interval; ``None`` unless both Runs have latency samples.
    verdict : str
        One sentence.
    caveats : tuple of str
        What forbids a claim, or weakens it.
    differences : tuple of SettingDifference
        Which settings differ.
    method : str
        How the interval was found; empty without one.
    """

    a: str
    b: str
    a_title: str
    b_title: str
    faster: Side | None
    trusted: bool
    a_median_ms: float | None
    b_median_ms: float | None
    latency: Difference | None
    verdict: str
    caveats: tuple[str, ...]
    differences: tuple[SettingDifference, ...]
    method: str


def compare(a: Run, b: Run, *, seed: int = 0, target: Target = DEFAULT_TARGET) -> Comparison:
    """Say which of two Runs is faster, and whether the difference can be trusted.

    No claim is made when a Run failed or its outputs are wrong, or when models, inputs or environments differ. Models may
    differ where the outputs of both were held against one reference, as those of a converted model are against the original.

    Parameters
    ----------
    a, b : Run
        The Run to compare with, and the one to judge.
    seed : int
        Of the bootstrap.
    target : Target
        What the outputs of both must meet.

    Returns
    -------
    Comparison
        The same for the same Runs and seed.
    """
    found = difference_of(a.latency.samples_ms, b.latency.samples_ms, seed=seed) if a.latency and b.latency else None
    forbidden = barriers(a, b, target)
    trusted = not forbidden and found is not None and found.excludes_equality and abs(found.ratio - 1) >= SMALLEST
    return Comparison(
        a=a.id,
        b=b.id,
        a_title=a.title,
        b_title=b.title,
        faster=("B" if found.ratio < 1 else "A") if found is not None and trusted else None,
        trusted=trusted,
        a_median_ms=a.latency.median_ms if a.latency else None,
        b_median_ms=b.latency.median_ms if b.latency else None,
        latency=found,
        verdict=_verdict(found, forbidden, trusted=trusted),
        caveats=(*forbidden, *caveats(a, b)),
        differences=tuple(setting_differences(a.settings, b.settings)),
        method=_method(found),
    )


def _verdict(found: Difference | None, forbidden: list[str], *, trusted: bool) -> str:
    if forbidden:
        return f"no claim: {forbidden[0]}"
    if found is None:
        return "no claim: the latency was not measured in both Runs"
    if found.low is None or found.high is None:
        return "no difference that can be trusted (too few samples that do not depend on each other for an interval)"
    if trusted:
        return _claim(found.ratio, found.low, found.high)
    interval = f"B takes {_share(found.ratio)}; 95 % interval {_signed(found.low)} to {_signed(found.high)}"
    if found.excludes_equality:
        return f"no difference that can be trusted ({interval}: two runs of the same may differ by {100 * SMALLEST:.0f} %)"
    return f"no difference that can be trusted ({interval})"


def _claim(ratio: float, low: float, high: float) -> str:
    """Say how much faster or slower B is, from the ratio of the medians (B over A) and its interval."""
    if ratio <= 1 / TIMES:
        return f"B is {1 / ratio:.1f} times as fast as A (95 % interval {1 / high:.1f} to {1 / low:.1f})"
    if ratio >= TIMES:
        return f"B takes {ratio:.1f} times as long as A (95 % interval {low:.1f} to {high:.1f})"
    if ratio < 1:
        return f"B is faster by {_percent(1 - ratio)} % (95 % interval {_percent(1 - high)} to {_percent(1 - low)} %)"
    return f"B is slower by {_percent(ratio - 1)} % (95 % interval {_percent(low - 1)} to {_percent(high - 1)} %)"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _signed(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %"


def _share(ratio: float) -> str:
    return f"{_percent(abs(ratio - 1))} % {'less' if ratio < 1 else 'more'} time"


def _method(found: Difference | None) -> str:
    if found is None or found.low is None:
        return ""
    return (
        f"moving block bootstrap of the ratio of medians (Künsch 1989), blocks of {found.block_a} and {found.block_b} "
        f"samples, {found.resamples} resamples, seed {found.seed}"
    )


def setting_differences(a: Settings, b: Settings) -> Iterator[SettingDifference]:
    """Yield the settings in which two Runs differ: provider and precision, then options, then shape profiles."""
    for name in ("provider", "precision"):
        yield from _differing(name, getattr(a, name), getattr(b, name))
    for options in ("provider_options", "session_options"):
        ours, theirs = getattr(a, options), getattr(b, options)
        for key in sorted({*ours, *theirs}):
            yield from _differing(key, ours.get(key), theirs.get(key))
    for name in dict.fromkeys((*a.profile.names, *b.profile.names)):
        profiles = (", ".join(map(str, settings.profile.of(name))) or None for settings in (a, b))
        yield from _differing(f"profile of {name}", *profiles)


def _differing(name: str, a: object, b: object) -> Iterator[SettingDifference]:
    if a != b:
        yield SettingDifference(name=name, a=None if a is None else str(a), b=None if b is None else str(b))
