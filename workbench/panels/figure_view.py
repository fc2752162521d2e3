"""A plotly figure in the page.

All figures of a page share one plotly.js, which a library widget brings along once for each kernel. A figure itself is
a few kilobytes of JSON, so that it can be drawn anew at every change and survives a reload of the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import anywidget
import traitlets
from ipywidgets import widget_serialization

if TYPE_CHECKING:
    import plotly.graph_objects as go

STATIC = Path(__file__).parent / "static"
EMPTY = "{}"


@dataclass(frozen=True, eq=False, slots=True)
class Click:
    """A point that was clicked: number of its trace, number in the trace, and the trace's ``customdata`` there."""

    curve: int
    point: int | None
    customdata: Any


class PlotlyLibrary(anywidget.AnyWidget):
    """Brings plotly.js into the page; shows nothing."""

    _esm = traitlets.Unicode("").tag(sync=True)
    _shared: ClassVar[PlotlyLibrary | None] = None

    def __init__(self) -> None:
        import plotly

        script = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
        super().__init__(_esm=script.read_text("utf-8") + (STATIC / "plotly_library.js").read_text("utf-8"))

    def __repr__(self) -> str:
        return "PlotlyLibrary()"

    @classmethod
    def shared(cls) -> PlotlyLibrary:
        """Return this kernel's library widget; it is made at the first call."""
        if cls._shared is None or cls._shared.comm is None:
            cls._shared = cls()
        return cls._shared


class FigureView(anywidget.AnyWidget):
    """A plotly figure as wide as its place in the page.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure or None
        What is shown; nothing at first where it is ``None``.
    height : int
        Height in pixels of figures whose layout gives none.

    Attributes
    ----------
    clicked : Click or None
        The point clicked last; changes at every click, at the same point too.
    """

    _esm = STATIC / "figure_view.js"
    _css = STATIC / "figure_view.css"

    spec = traitlets.Unicode(EMPTY).tag(sync=True)
    height = traitlets.Int(320).tag(sync=True)
    library = traitlets.Instance(anywidget.AnyWidget, allow_none=True).tag(sync=True, **widget_serialization)
    _inks: traitlets.Dict[str, str] = traitlets.Dict().tag(sync=True)
    _click = traitlets.Dict().tag(sync=True)
    clicked = traitlets.Instance(Click, allow_none=True)

    def __init__(self, figure: go.Figure | None = None, *, height: int = 320) -> None:
        super().__init__(height=height, library=PlotlyLibrary.shared(), _inks=_dark_inks())
        self._figure: go.Figure | None = None
        self.observe(self._note_click, "_click")
        if figure is not None:
            self.figure = figure

    def __repr__(self) -> str:
        traces = 0 if self._figure is None else len(self._figure.data)
        return f"FigureView({traces} {'trace' if traces == 1 else 'traces'})"

    @property
    def figure(self) -> go.Figure | None:
        """The figure shown. Set it, or a changed one again, to draw it; equal content is not sent twice."""
        return self._figure

    @figure.setter
    def figure(self, figure: go.Figure | None) -> None:
        self._figure = figure
        self.spec = EMPTY if figure is None else figure.to_json()

    def _note_click(self, change: traitlets.Bunch) -> None:
        where = change.new
        if where:
            self.clicked = Click(curve=where["curve"], point=where["point"], customdata=where["customdata"])


def _dark_inks() -> dict[str, str]:
    """Return which of JupyterLab's style variables takes the place of each ink of the figures on a dark page."""
    from workbench.figures.palette import ALARM, GRID, GROUND, INK, QUIET_INK

    return {
        INK: "--jp-ui-font-color1",
        QUIET_INK: "--jp-ui-font-color2",
        GRID: "--jp-border-color2",
        GROUND: "--jp-layout-color1",
        ALARM: "--jp-error-color1",
        "#000000": "--jp-ui-font-color0",
    }
