"""Accuracy against latency: what each Run gains in speed, and what it pays for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import plotly.graph_objects as go

from workbench.figures.palette import LINE_A_ENTRY, QUIET_INK, REMOVED_COLOUR, empty, provider_colour, provider_label, styled
from workbench.figures.runs import PROVIDERS
from workbench.figures.words import escaped, milliseconds, shortened, wrapped
from workbench.options.canonical import PRECISE
from workbench.study.target import DEFAULT_TARGET, Target, acceptable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.study.run import Run

Measure = Literal["task", "rel_l2"]
TITLE = "Accuracy against latency"
LETTERS = 24  # of a label
ROOM = (0.25, 0.08)  # shares of the plot's width and height that a label takes
LOG_FROM = 15  # ratio of slowest to fastest from which a linear axis would hide the fast ones
FLOOR = 1e-9  # where outputs that do not differ at all are drawn on a logarithmic axis


@dataclass(frozen=True, slots=True)
class TradeoffPoint:
    """One Run.

    Attributes
    ----------
    run, title, provider : str
        Its id, its title, and what it was asked for.
    label : str
        What stands beside its dot.
    median_ms : float
        Median latency.
    value : float
        Task accuracy, or the relative L2 distance of the worst output.
    low, high : float or None
        Interval of the task accuracy.
    why : str
        Why its outputs do not meet the target; empty where they do.
    best : bool
        Whether no Run that meets the target is both faster and more accurate.
    """

    run: str
    title: str
    provider: str
    median_ms: float
    value: float
    low: float | None
    high: float | None
    why: str
    label: str = ""
    best: bool = False


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """What the figure shows.

    Attributes
    ----------
    measure : str
        ``task`` where all Runs with a latency know the same task metric, else ``rel_l2``.
    name : str
        What the vertical axis measures.
    limit : float or None
        The target on that axis.
    missing : tuple of str
        Runs that are not drawn, and why.
    """

    points: tuple[TradeoffPoint, ...]
    measure: Measure
    name: str
    limit: float | None
    missing: tuple[str, ...]


def tradeoff_data(runs: Sequence[Run], *, target: Target = DEFAULT_TARGET, measure: Measure | None = None) -> Tradeoff:
    """Return the points of Runs.

    Parameters
    ----------
    runs : sequence of Run
        In any state.
    target : Target
        What outputs must meet.
    measure : str, optional
        ``rel_l2``, also where all Runs with a latency know the same task metric; that is drawn otherwise.
    """
    timed = [run for run in runs if run.latency is not None and run.status == "ok"]
    metrics = {run.task.metric if run.task else None for run in timed}
    metric = next(iter(metrics)) if len(metrics) == 1 else None
    metric = None if measure == "rel_l2" else metric
    measure = "task" if metric is not None else "rel_l2"
    points, missing = [], [f"{run.title}: no latency" for run in runs if run not in timed]
    for run in timed:
        point = _point(run, measure, target)
        if point is None:
            missing.append(f"{run.title}: its outputs were not compared")
        else:
            points.append(point)
    name = f"{metric}" if metric is not None else "relative L2 of the worst output"
    marked = tuple(_marked(point, points, measure) for point in points)
    return Tradeoff(marked, measure, name, _limit(timed, measure, target), tuple(missing))


def _point(run: Run, measure: Measure, target: Target) -> TradeoffPoint | None:
    assert run.latency is not None
    low = high = None
    if measure == "task" and run.task is not None:
        value = run.task.value
        if run.task.interval is not None:
            low, high = run.task.interval.low, run.task.interval.high
    else:
        known = [0.0 if row.identical else row.rel_l2 for row in run.accuracy if row.identical or row.rel_l2 is not None]
        if not known:
            return None
        value = max(each for each in known if each is not None)
    accepted = acceptable(run, target)
    provider = PROVIDERS.get(run.settings.provider, run.settings.provider)
    return TradeoffPoint(
        run.id, run.title, provider, run.latency.median_ms, value, low, high, accepted.why if not accepted.ok else "", _label(run)
    )


def _label(run: Run) -> str:
    """Return what tells a Run from others of the same model and provider: the user's name, or model and precision."""
    precision = run.settings.precision
    shown = f" {precision}" if run.settings.provider in PRECISE and precision != "fp32" else ""
    return run.label or f"{run.model.name}{shown}"


def _marked(point: TradeoffPoint, points: Sequence[TradeoffPoint], measure: Measure) -> TradeoffPoint:
    """Say whether a Run is on the front of those that meet the target."""
    sign = -1 if measure == "task" else 1

    def better(other: TradeoffPoint) -> bool:
        here, there = (point.median_ms, sign * point.value), (other.median_ms, sign * other.value)
        return not other.why and there != here and there[0] <= here[0] and there[1] <= here[1]

    best = not point.why and not any(better(other) for other in points)
    return TradeoffPoint(**{name: getattr(point, name) for name in TradeoffPoint.__slots__ if name != "best"}, best=best)


def _limit(runs: Sequence[Run], measure: Measure, target: Target) -> float | None:
    if measure == "rel_l2":
        return target.rel_l2
    known = {run.task.reference_value for run in runs if run.task is not None and run.task.reference_value is not None}
    if target.task_drop is None or len(known) != 1:
        return None
    return known.pop() - target.task_drop / 100


def tradeoff_figure(data: Tradeoff) -> go.Figure:
    """Draw a dot for each Run: fast ones to the left, accurate ones up; those that miss the target are grey and say why.

    Each dot carries the Run's id as ``customdata``.
    """
    if not data.points:
        return empty(TITLE, "<br>".join(wrapped(text) for text in data.missing) or "No Run is selected.")
    figure = go.Figure()
    for key in dict.fromkeys((point.provider, bool(point.why)) for point in data.points):
        _add(figure, data, [point for point in data.points if (point.provider, bool(point.why)) == key], _labelled(data))
    front = sorted((point for point in data.points if point.best), key=lambda point: point.median_ms)
    if len(front) > 1:
        line = {"color": QUIET_INK, "dash": "dot", "width": 1, "shape": "hv"}
        x, y = [point.median_ms for point in front], [_drawn(data, point.value) for point in front]
        figure.add_scatter(x=x, y=y, mode="lines", line=line, name="none is faster and more accurate", hoverinfo="skip")
    if data.limit is not None:
        line = {"color": QUIET_INK, "dash": "dash", "width": 1}
        note = {"text": f"target {data.limit:.4g}", "font": {"size": 11, "color": QUIET_INK}}
        figure.add_hline(y=data.limit, line=line, annotation=note)
    return _laid_out(figure, data)


def _labelled(data: Tradeoff) -> frozenset[str]:
    """Return the Runs that have room for a label: those whose label would not lie on one to the left of it."""
    slow = max(point.median_ms for point in data.points)
    fast = min(point.median_ms for point in data.points)
    log = data.measure == "rel_l2"
    heights = {point.run: math.log10(_drawn(data, point.value)) if log else point.value for point in data.points}
    spread = max(heights.values()) - min(heights.values()) or 1.0
    width = (math.log10(slow / fast) or 1.0) if slow > LOG_FROM * fast else slow
    found: list[tuple[str, float, float]] = []
    for point in sorted(data.points, key=lambda point: point.median_ms):
        x = math.log10(point.median_ms / fast) / width if slow > LOG_FROM * fast else point.median_ms / width
        y = heights[point.run] / spread
        if not any(x - left < ROOM[0] and abs(y - up) < ROOM[1] for _, left, up in found):
            found.append((point.run, x, y))
    return frozenset(run for run, _, _ in found)


def _add(figure: go.Figure, data: Tradeoff, points: list[TradeoffPoint], labelled: frozenset[str]) -> None:
    wrong = bool(points[0].why)
    label = provider_label(points[0].provider)
    bars = None
    if all(point.low is not None and point.high is not None for point in points):
        up = [(point.high or 0.0) - point.value for point in points]
        down = [point.value - (point.low or 0.0) for point in points]
        bars = {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1, "width": 3}
    figure.add_scatter(
        x=[point.median_ms for point in points],
        y=[_drawn(data, point.value) for point in points],
        error_y=bars,
        mode="markers+text",
        marker={"size": 11, "color": REMOVED_COLOUR if wrong else provider_colour(points[0].provider)},
        text=[shortened(point.label, LETTERS) if point.run in labelled else "" for point in points],
        textposition="top right",  # beside it, the next points of the row would lie on the text
        textfont={"size": 11},
        name=f"{label}, misses the target" if wrong else label,
        customdata=[point.run for point in points],
        hovertext=[_hover(data, point) for point in points],
        hoverinfo="text",
    )


def _drawn(data: Tradeoff, value: float) -> float:
    return value if data.measure == "task" else max(value, FLOOR)


def _hover(data: Tradeoff, point: TradeoffPoint) -> str:
    ends = f" ({point.low:.4g} to {point.high:.4g})" if point.low is not None and point.high is not None else ""
    lines = [f"<b>{shortened(point.title, 80)}</b>", f"median {milliseconds(point.median_ms)}"]
    lines.append(f"{escaped(data.name)} {point.value:.4g}{ends}")
    lines += [f"does not count: {wrapped(point.why)}"] if point.why else []
    return "<br>".join(lines)


def _laid_out(figure: go.Figure, data: Tradeoff) -> go.Figure:
    missing = "".join(f"<br>{wrapped(text)}" for text in data.missing)
    subtitle = ("up and to the left is better" if data.measure == "task" else "down and to the left is better") + missing
    below = 22 * len({trace.name for trace in figure.data})
    styled(figure, TITLE, subtitle, height=420 + below, below=below)
    figure.update_layout(hovermode="closest", legend=LINE_A_ENTRY)
    slowest, fastest = max(p.median_ms for p in data.points), min(p.median_ms for p in data.points)
    if slowest > LOG_FROM * fastest:
        ends = [math.log10(fastest) - 0.2, math.log10(slowest) + 0.5]
        figure.update_xaxes(type="log", range=ends, title={"text": "median latency (ms), logarithmic"})
    else:
        figure.update_xaxes(range=[0, 1.25 * slowest], title={"text": "median latency (ms)"})
    if data.measure == "rel_l2":
        return figure.update_yaxes(type="log", title={"text": f"{data.name}, logarithmic"}, tickformat=".0e")
    return figure.update_yaxes(title={"text": data.name})
