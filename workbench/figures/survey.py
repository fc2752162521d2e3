"""The latency of a survey's configurations: bars with p99 as a whisker, grey where the outputs are wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from workbench.figures.palette import ALARM, OTHER_COLOUR, PREDICTED_PATTERN, REMOVED_COLOUR, empty, provider_colour, styled
from workbench.figures.words import escaped, milliseconds, shortened, wrapped
from workbench.placement.records import CPU, CUDA, TENSORRT

if TYPE_CHECKING:
    from workbench.record import Evidence
    from workbench.study.survey_rows import Survey, SurveyRow

ROW = 30
LOG_FROM = 30.0  # ratio of slowest to fastest from which bars from zero would hide the fast ones
NATIVE_COLOUR, TORCH_COLOUR = "#56B4E9", OTHER_COLOUR
COLOURS = {
    "tensorrt": provider_colour(TENSORRT),
    "cuda": provider_colour(CUDA),
    "cpu": provider_colour(CPU),
    "native": NATIVE_COLOUR,
    "torch": TORCH_COLOUR,
}
LABELS = {"tensorrt": "TensorRT", "cuda": "CUDA", "cpu": "CPU", "native": "TensorRT itself", "torch": "PyTorch"}
RECORDED_PATTERN = PREDICTED_PATTERN


@dataclass(frozen=True, slots=True)
class SurveyBar:
    """One configuration as it is drawn.

    Attributes
    ----------
    title : str
        The configuration, and the batch size where several were surveyed.
    provider : str
        The configuration's provider.
    run : str
        The Run's id; empty without one.
    median_ms, p99_ms : float or None
        The bar and the end of its whisker.
    note : str
        What stands beside it: the median and the speed-up, or why there is no bar.
    wrong : str
        How the outputs are wrong; empty where they are not.
    alarming : bool
        Whether the note tells of a failure or of wrong outputs.
    """

    title: str
    provider: str
    evidence: Evidence | None
    run: str
    median_ms: float | None
    p99_ms: float | None
    note: str
    wrong: str
    alarming: bool


@dataclass(frozen=True, slots=True)
class SurveyBars:
    """The bars, from the top down, and what the figure says of them."""

    model: str
    baseline: str
    tolerance: float
    bars: tuple[SurveyBar, ...]


def survey_data(survey: Survey) -> SurveyBars:
    """Return the bars of a survey, in its order."""
    several = len({row.batch for row in survey.rows}) > 1
    bars = tuple(_bar(row, several=several) for row in survey.rows)
    return SurveyBars(survey.model, survey.baseline, survey.tolerance, bars)


def survey_figure(data: SurveyBars, *, log: bool | None = None) -> go.Figure:
    """Draw a bar for each configuration.

    Each bar carries the Run's id as ``customdata``.

    Parameters
    ----------
    data : SurveyBars
        From :func:`survey_data`.
    log : bool, optional
        Whether the axis is logarithmic; by default when the configurations differ much. Bars are dots then, as a
        logarithmic axis has no zero for them to begin at.
    """
    title = f"Latency of {shortened(data.model)}"
    if not data.bars:
        return empty(title, "Nothing was surveyed.")
    drawn = [bar.median_ms for bar in data.bars if bar.median_ms is not None]
    logarithmic = bool(drawn) and (max(drawn) / min(drawn) >= LOG_FROM if log is None else log)
    figure = go.Figure()
    keys = dict.fromkeys(_key(bar) for bar in data.bars if bar.median_ms is not None)
    for key in keys:
        bars = [(at, bar) for at, bar in enumerate(data.bars) if bar.median_ms is not None and _key(bar) == key]
        (_add_dots if logarithmic else _add_bars)(figure, bars, key)
    _add_notes(figure, data)
    return _laid_out(figure, data, title, len(keys), drawn, logarithmic=logarithmic)


_Key = tuple[str, bool, bool]  # provider, whether recorded, whether wrong


def _key(bar: SurveyBar) -> _Key:
    return ("", False, True) if bar.wrong else (bar.provider, bar.evidence == "recorded", False)


def _bar(row: SurveyRow, *, several: bool) -> SurveyBar:
    wrong = row.wrong if row.right is False else ""
    batch = f" · batch {row.batch}" if several and row.batch is not None else ""
    return SurveyBar(
        title=row.configuration + batch,
        provider=row.configuration.partition(" ")[0],
        evidence=row.evidence,
        run=row.run or "",
        median_ms=row.median_ms,
        p99_ms=row.p99_ms,
        note=_note(row, wrong),
        wrong=wrong,
        alarming=bool(wrong) or row.status == "failed",
    )


def _note(row: SurveyRow, wrong: str) -> str:
    if row.median_ms is None:
        return f"{row.status}: {row.why}" if row.why else row.status
    parts = [milliseconds(row.median_ms)]
    if row.speedup is not None:
        parts.append(f"{'≈ ' if row.trusted is False else ''}{row.speedup:.2f}×")
    if wrong:
        parts.append(f"wrong: {wrong}")
    elif row.fastest:
        parts.append("fastest")
    return ", ".join(parts)


def _look(key: _Key) -> tuple[str, str]:
    """Return the name and the colour of a key."""
    provider, recorded, wrong = key
    if wrong:
        return "outputs wrong", REMOVED_COLOUR
    name = LABELS.get(provider, provider)
    return f"{name}, {'recorded' if recorded else 'measured'}", COLOURS.get(provider, OTHER_COLOUR)


def _common(bars: list[tuple[int, SurveyBar]], key: _Key) -> dict[str, Any]:
    name, colour = _look(key)
    beyond = [max(0.0, (bar.p99_ms or 0.0) - (bar.median_ms or 0.0)) for _, bar in bars]
    return {
        "x": [bar.median_ms for _, bar in bars],
        "y": [at for at, _ in bars],
        "error_x": {"type": "data", "array": beyond, "symmetric": False, "arrayminus": [0.0] * len(bars), "thickness": 1.5},
        "name": name,
        "customdata": [bar.run for _, bar in bars],
        "hovertext": [_hover(bar) for _, bar in bars],
        "hoverinfo": "text",
        "marker": {"color": colour},
    }


def _add_bars(figure: go.Figure, bars: list[tuple[int, SurveyBar]], key: _Key) -> None:
    figure.add_bar(**_common(bars, key), orientation="h", width=0.62)
    if key[1]:
        figure.data[-1].marker.pattern = {"shape": RECORDED_PATTERN, "fillmode": "overlay", "fgcolor": "#FFFFFF", "size": 6}


def _add_dots(figure: go.Figure, bars: list[tuple[int, SurveyBar]], key: _Key) -> None:
    figure.add_scatter(**_common(bars, key), mode="markers")
    figure.data[-1].marker.update({"size": 12, "symbol": "circle-open" if key[1] else "circle", "line": {"width": 2}})


def _hover(bar: SurveyBar) -> str:
    if bar.median_ms is None or bar.p99_ms is None:
        return ""
    wrong = f"<br>outputs wrong: {escaped(bar.wrong)}" if bar.wrong else ""
    head = f"<b>{wrapped(bar.title)}</b><br>{escaped(bar.run)}, {bar.evidence}"
    return f"{head}<br>median {milliseconds(bar.median_ms)}, p99 {milliseconds(bar.p99_ms)}{wrong}"


def _add_notes(figure: go.Figure, data: SurveyBars) -> None:
    for at, bar in enumerate(data.bars):
        place: dict[str, Any] = {"x": 1.0, "xref": "paper", "xanchor": "left", "xshift": 10, "y": at, "yref": "y"}
        figure.add_annotation(
            text=shortened(bar.note, 48),
            hovertext=wrapped(bar.note),
            showarrow=False,
            font={"size": 12, "color": ALARM if bar.alarming else None},
            **place,
        )


def _laid_out(  # noqa: PLR0913
    figure: go.Figure, data: SurveyBars, title: str, entries: int, drawn: list[float], *, logarithmic: bool
) -> go.Figure:
    below = 24 * math.ceil(entries / 3)
    subtitle = f"median, whisker to p99 · speed-up over {escaped(data.baseline)}" if data.baseline else ""
    subtitle += f" · right up to a relative L2 distance of {data.tolerance:g}" if subtitle else ""
    styled(figure, title, subtitle, height=130 + ROW * len(data.bars) + below, below=below)
    longest = max(min(48, len(bar.note)) for bar in data.bars)
    figure.update_layout(hovermode="closest", showlegend=entries > 0, margin={"r": 16 + 7 * longest}, barmode="overlay")
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(data.bars))),
        ticktext=[shortened(bar.title, 40) for bar in data.bars],
        range=[len(data.bars) - 0.5, -0.5],
        fixedrange=True,
        ticklabelstandoff=4,
    )
    if not drawn:
        return figure.update_xaxes(visible=False, range=[0, 1])
    most = max(max(bar.p99_ms or 0.0, bar.median_ms or 0.0) for bar in data.bars)
    if logarithmic:
        ends = [math.log10(min(drawn)) - 0.15, math.log10(most) + 0.1]
        ticks = [digit * 10.0**power for power in range(math.floor(ends[0]), math.ceil(ends[1])) for digit in (1, 2, 5)]
        figure.update_xaxes(type="log", range=ends, tickmode="array", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
        return figure.update_xaxes(title={"text": "latency (ms), logarithmic"})
    return figure.update_xaxes(title={"text": "latency (ms)"}, range=[0, 1.06 * most])
