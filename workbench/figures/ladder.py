"""How long making a session takes, by what was kept from before: nothing, kernel timings, engines, an EP context model."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from workbench.figures.palette import GRID, GROUND, empty, provider_colour, styled
from workbench.figures.words import counted, escaped, shortened, wrapped
from workbench.measure.amounts import duration_text
from workbench.options.effective import Effective
from workbench.placement.records import TENSORRT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.runtime.job import Cache
    from workbench.study.run import Run

TITLE = "Making a session"
ROW = 40
STEPS: tuple[tuple[Cache, str, str], ...] = (
    ("cold", "nothing kept", "with nothing kept"),
    ("timing", "timing cache", "from a timing cache"),
    ("engine", "engine cache", "from the engine cache"),
    ("context", "EP context model", "from an EP context model"),
)
BUILDING = ("tensorrt", "native")  # the providers that build engines

_Group = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rung:
    """One state of the caches.

    Attributes
    ----------
    cache, words : str
        The state as ``Build.cache`` has it, and in words.
    seconds : tuple of float
        How long making each session took, in the Runs' order.
    runs : tuple of str
        The Runs' ids, in the same order.
    recorded : bool
        Whether none of them was measured here and now.
    times_less : float or None
        The median of the rung with nothing kept over this one's; ``None`` without such a rung, and for it.
    """

    cache: Cache
    words: str
    seconds: tuple[float, ...]
    runs: tuple[str, ...]
    recorded: bool
    times_less: float | None

    @property
    def median_s(self) -> float:
        """The median, in seconds."""
        return statistics.median(self.seconds)


@dataclass(frozen=True, slots=True)
class Ladder:
    """What the figure shows.

    Attributes
    ----------
    rungs : tuple of Rung
        Those that there are Runs of, the slowest way first.
    place : str
        Provider, precision, GPU and versions, which all these Runs share; empty without Runs.
    left_out : int
        Runs with another provider or precision, on another GPU or with other versions.
    why_not : str
        Why there is no ladder; empty where there is one.
    """

    rungs: tuple[Rung, ...]
    place: str
    left_out: int
    why_not: str


def ladder_data(runs: Sequence[Run]) -> Ladder:
    """Return how long making a session took, of Runs of one model.

    Parameters
    ----------
    runs : sequence of Run
        Of one model and of EP context models made of it. Those without a session and those of providers that build no
        engines say nothing here. Only Runs of one provider, precision, GPU and set of versions are compared: of those
        the ones with the most states of the caches, and of equals the newest.
    """
    built = [run for run in runs if run.status == "ok" and run.build is not None and run.settings.provider in BUILDING]
    groups: dict[_Group, list[Run]] = {}
    for run in built:
        groups.setdefault(_group(run), []).append(run)
    if not groups:
        return Ladder((), "", 0, "There is no Run that made a session with TensorRT.")
    group, chosen = max(groups.items(), key=lambda item: (len(_states(item[1])), max(run.created for run in item[1])))
    rungs, place = _rungs(chosen), ", ".join(group)
    return Ladder(rungs, place, len(built) - len(chosen), _why_not(rungs, place))


def ladder_figure(data: Ladder) -> go.Figure:
    """Draw a dot for each state of the caches, on a logarithmic axis of seconds; with a line where Runs differ.

    Each dot carries the ids of its Runs as ``customdata``. With fewer than two states there is only a sentence.
    """
    if data.why_not:
        return empty(TITLE, wrapped(data.why_not))
    figure = go.Figure()
    _add_spread(figure, data)
    _add_medians(figure, data)
    for at, rung in enumerate(data.rungs):
        place: dict[str, Any] = {"x": 1.0, "xref": "paper", "xanchor": "left", "xshift": 10, "y": at, "yref": "y"}
        figure.add_annotation(text=_note(rung), showarrow=False, **place)
    return _laid_out(figure, data)


def _group(run: Run) -> _Group:
    """Return what Runs must share for their durations to be compared, in words."""
    where = run.environment
    provider = "TensorRT" if run.settings.provider == "tensorrt" else "TensorRT itself"
    precision = "+".join(Effective(run.settings).precisions) or "fp32"
    if where is None:
        return (f"{provider} {precision}", "unknown machine")
    versions = [f"TensorRT {where.tensorrt}"] if where.tensorrt else []
    versions += [f"ONNX Runtime {where.onnxruntime}"] if where.onnxruntime and run.settings.provider == "tensorrt" else []
    return (f"{provider} {precision}", where.gpu or "unknown GPU", *versions)


def _states(runs: Sequence[Run]) -> set[Cache]:
    return {run.build.cache for run in runs if run.build is not None}


def _rungs(runs: Sequence[Run]) -> tuple[Rung, ...]:
    cold = [run.build.seconds for run in runs if run.build is not None and run.build.cache == "cold"]
    found = []
    for cache, words, _ in STEPS:
        of = [(run, run.build.seconds) for run in runs if run.build is not None and run.build.cache == cache]
        if not of:
            continue
        seconds = tuple(taken for _, taken in of)
        less = statistics.median(cold) / statistics.median(seconds) if cold and cache != "cold" else None
        recorded = all(run.evidence == "recorded" for run, _ in of)
        found.append(Rung(cache, words, seconds, tuple(run.id for run, _ in of), recorded, less))
    return tuple(found)


def _why_not(rungs: Sequence[Rung], place: str) -> str:
    """Return why there is nothing to compare; empty where there is."""
    if len(rungs) > 1:
        return ""
    only = rungs[0]
    way = next(phrase for cache, _, phrase in STEPS if cache == only.cache)
    *others, last = [phrase for cache, _, phrase in STEPS if cache != only.cache]
    which = "the one Run made its session" if len(only.runs) == 1 else f"all {len(only.runs)} Runs made their sessions"
    return f"No ladder yet of {place}: {which} {way} ({duration_text(only.median_s)}), none {', '.join(others)} or {last}."


def _add_spread(figure: go.Figure, data: Ladder) -> None:
    """Add a line from the shortest to the longest, where a rung has several Runs."""
    several = [(at, rung) for at, rung in enumerate(data.rungs) if len(rung.runs) > 1]
    if not several:
        return
    figure.add_scatter(
        x=[x for _, rung in several for x in (min(rung.seconds), max(rung.seconds), None)],
        y=[y for at, _ in several for y in (at, at, None)],
        mode="lines",
        line={"color": provider_colour(TENSORRT), "width": 2},
        name="shortest to longest",
        hoverinfo="skip",
        showlegend=False,
    )


def _add_medians(figure: go.Figure, data: Ladder) -> None:
    colour = provider_colour(TENSORRT)
    figure.add_scatter(
        x=[rung.median_s for rung in data.rungs],
        y=list(range(len(data.rungs))),
        mode="lines+markers",
        line={"color": GRID, "width": 2},
        marker={
            "size": 12,
            "color": [GROUND if rung.recorded else colour for rung in data.rungs],
            "line": {"color": colour, "width": 2},
        },
        name="median",
        customdata=[list(rung.runs) for rung in data.rungs],
        hovertext=[_hover(rung) for rung in data.rungs],
        hoverinfo="text",
        showlegend=False,
    )


def _note(rung: Rung) -> str:
    if rung.times_less is None or rung.times_less < 1:
        return duration_text(rung.median_s)
    less = f"{rung.times_less:,.0f}" if rung.times_less >= 9.95 else f"{rung.times_less:.2g}"
    return f"{duration_text(rung.median_s)}, {less}× less"


def _hover(rung: Rung) -> str:
    lines = [f"<b>{rung.words}</b>", f"{duration_text(rung.median_s)}, {'recorded' if rung.recorded else 'measured'}"]
    if len(rung.runs) > 1:
        low, high = duration_text(min(rung.seconds)), duration_text(max(rung.seconds))
        lines.append(f"{counted(len(rung.runs), 'Run')}, {low} to {high}")
    return "<br>".join([*lines, *(escaped(run) for run in rung.runs[:5])])


def _laid_out(figure: go.Figure, data: Ladder) -> go.Figure:
    told = shortened(data.place, 110)
    if any(rung.recorded for rung in data.rungs):
        told += "<br>hollow: recorded" if not all(rung.recorded for rung in data.rungs) else " · recorded"
    if data.left_out:
        told += f"<br>{counted(data.left_out, 'Run')} left out: another provider, precision, GPU or version"
    styled(figure, TITLE, told, height=140 + ROW * len(data.rungs))
    figure.update_layout(hovermode="closest", margin={"r": 16 + 7 * max(len(_note(rung)) for rung in data.rungs)})
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(data.rungs))),
        ticktext=[rung.words for rung in data.rungs],
        range=[len(data.rungs) - 0.5, -0.5],
        fixedrange=True,
        ticklabelstandoff=4,
    )
    every = [taken for rung in data.rungs for taken in rung.seconds]
    low, high = math.log10(min(every)) - 0.2, math.log10(max(every)) + 0.2
    powers = range(math.floor(low), math.ceil(high) + 1)
    ticks = [10.0**power for power in powers] if len(powers) > 3 else [d * 10.0**power for power in powers for d in (1, 2, 5)]
    axis = {"tickmode": "array", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}
    return figure.update_xaxes(type="log", range=[low, high], title={"text": "seconds, logarithmic"}, **axis)
