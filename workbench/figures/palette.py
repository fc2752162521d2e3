"""What all figures share: colours, the names of providers for people, and the layout.

The colours are those of Okabe and Ito, which readers with any kind of colour vision can tell apart
(https://jfly.uni-koeln.de/color/). Figures bring their own white ground, so that they read the same on a dark page.
"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from workbench.placement.records import CPU, CUDA, TENSORRT

TENSORRT_COLOUR, CUDA_COLOUR, CPU_COLOUR = "#009E73", "#0072B2", "#E69F00"
REMOVED_COLOUR, OTHER_COLOUR = "#BBBBBB", "#CC79A7"
SERIES_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK, QUIET_INK, GRID, GROUND, ALARM = "#222222", "#666666", "#E5E5E5", "#FFFFFF", "#B22222"
PREDICTED_PATTERN = "/"

CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"],
}
"""How the page shows a figure: plotly.js takes it beside data and layout."""

_COLOURS = {TENSORRT: TENSORRT_COLOUR, CUDA: CUDA_COLOUR, CPU: CPU_COLOUR, None: REMOVED_COLOUR}
_LABELS = {TENSORRT: "TensorRT", CUDA: "CUDA", CPU: "CPU", None: "Removed"}


def provider_colour(provider: str | None) -> str:
    """Return the colour of a provider, or of nodes that no provider runs (``None``)."""
    return _COLOURS.get(provider, OTHER_COLOUR)


def provider_label(provider: str | None) -> str:
    """Return what people call a provider, such as ``TensorRT``; ``Removed`` for ``None``."""
    return _LABELS.get(provider) or str(provider).removesuffix("ExecutionProvider")


def text_colour(provider: str | None) -> str:
    """Return the colour of text on a provider's colour."""
    return GROUND if provider in (TENSORRT, CUDA) else INK


def series_colour(index: int) -> str:
    """Return the colour of one of several series; they repeat after seven."""
    return SERIES_COLOURS[index % len(SERIES_COLOURS)]


def faded(colour: str, opacity: float) -> str:
    """Return a ``#RRGGBB`` colour with an opacity from 0 to 1."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


_AXIS = {
    "automargin": True,
    "gridcolor": GRID,
    "linecolor": QUIET_INK,
    "showline": True,
    "ticks": "outside",
    "tickcolor": QUIET_INK,
    "ticklen": 4,
    "title": {"standoff": 8, "font": {"size": 12}},
    "zeroline": False,
}

TEMPLATE = go.layout.Template(
    layout={
        "colorway": list(SERIES_COLOURS),
        "font": {"family": "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif", "size": 12, "color": INK},
        "paper_bgcolor": GROUND,
        "plot_bgcolor": GROUND,
        "hoverlabel": {"align": "left", "bgcolor": GROUND, "font": {"color": INK, "size": 12}, "namelength": -1},
        "title": {
            "font": {"size": 14},
            "subtitle": {"font": {"size": 12, "color": QUIET_INK}},
            "x": 0,
            "xref": "container",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"l": 12, "t": 12},
        },
        "legend": {
            "itemclick": "toggle",
            "orientation": "h",
            "x": 0,
            "xref": "container",
            "xanchor": "left",
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
        },
        "xaxis": _AXIS,
        "yaxis": _AXIS,
    }
)


LINE_A_ENTRY: dict[str, Any] = {"entrywidthmode": "fraction", "entrywidth": 1}
"""Put each entry of the legend on a line of its own; a vertical legend would take room beside the plot instead."""


def styled(figure: go.Figure, title: str, subtitle: str = "", *, height: int, below: int = 0) -> go.Figure:
    """Give a figure the common layout, and return it.

    Parameters
    ----------
    title, subtitle : str
        Plain text and plotly's few tags; a subtitle may hold ``<br>``.
    height : int
        Pixels.
    below : int
        Pixels to keep free for a legend under the plot.
    """
    lines = subtitle.count("<br>") + 1 if subtitle else 0
    figure.update_layout(
        template=TEMPLATE,
        title={"text": title, "subtitle": {"text": subtitle}},
        height=height,
        margin={"l": 12, "r": 16, "t": 44 + 16 * lines, "b": 44 + below},
        showlegend=below > 0,
    )
    return figure


def empty(title: str, message: str, subtitle: str = "") -> go.Figure:
    """Return a figure without a plot, that says why there is none.

    Parameters
    ----------
    title, subtitle : str
        What would have been shown.
    message : str
        Why it is not; may hold ``<br>``.
    """
    figure = styled(go.Figure(), title, subtitle, height=150)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    place = {"x": 0, "xref": "paper", "xanchor": "left", "y": 0.5, "yref": "paper"}
    return figure.add_annotation(text=message, align="left", showarrow=False, font={"color": QUIET_INK, "size": 13}, **place)
