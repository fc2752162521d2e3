"""Ask what a request of given shapes will do, before it is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.errors import InputError
from workbench.panels import markup
from workbench.panels.panel import Panel
from workbench.placement.requests import Answer, parse_requests
from workbench.runtime.engines.here import session_environment
from workbench.study.requests import answer_here

if TYPE_CHECKING:
    from workbench.model.model import Model
    from workbench.panels.state import WorkbenchState

LEVELS = {"runs": "success", "builds": "warning", "rebuilds": "warning", "fails": "error"}


class RequestPanel(Panel):
    """A line to type the shapes of a request in, and what it will do.

    Parameters
    ----------
    state : WorkbenchState
        Whose model and Settings the request meets.
    """

    def __init__(self, state: WorkbenchState) -> None:
        self.state = state
        self.answer: Answer | None = None
        super().__init__("A request", background=state.background)
        self.shapes = widgets.Text(layout=widgets.Layout(flex="1 1 260px", width="auto"), continuous_update=False)
        self.ask = widgets.Button(description="What will it do?", layout=widgets.Layout(width="140px"))
        self.ask.on_click(self.guard(lambda _: self._ask()))
        self.shapes.observe(self.guard(lambda _: self._ask()), "value")
        self.told = widgets.HTML()
        line = widgets.HBox([widgets.HTML(markup.label("A request of shapes")), self.shapes, self.ask])
        line.add_class("wb-line")
        self.body.children = (line, self.told)
        state.observe(self.redraw(self._draw), ["model", "settings"])
        self.redraw(self._draw)()

    def summary(self) -> str:
        """Return what was answered last."""
        return self.answer.result if self.answer is not None else "nothing asked"

    def _draw(self, _: object = None) -> None:
        model = self.state.model
        self.layout.display = "" if model is not None and any(spec.dynamic for spec in model.inputs) else "none"
        self.shapes.placeholder = _example(model) if model is not None else ""
        self._show(None)  # it was about other settings

    def _ask(self) -> None:
        model, settings, text = self.state.model, self.state.settings, self.shapes.value.strip()
        if model is None or not text:
            self._show(None)
            return
        given = text.split()
        if any("=" not in part for part in given) and len(model.inputs) > 1:
            raise InputError(f"{text!r} does not say which input has which shape.", remedy=f"Write {_example(model)}.")
        request = parse_requests(part if "=" in part else f"{model.inputs[0].name}={part}" for part in given)
        store, cache, known = self.state.store, self.state.cache, self.state.diagnosis

        def task() -> Answer:
            here = known.environment if known is not None and known.environment is not None else session_environment()
            return answer_here(model, settings, request, environment=here, cache=cache, store=store)

        def done(answer: Answer) -> None:
            if self.state.model is model and self.state.settings == settings:
                self._show(answer)

        self.run_in_thread(task, done)

    def _show(self, answer: Answer | None) -> None:
        self.answer = answer
        if answer is None:
            self.told.value = ""
            return
        notice = markup.notice(LEVELS[answer.result], answer.sentence, answer.remedy)
        self.told.value = notice + (markup.note(f"ONNX Runtime says: {answer.error}") if answer.error else "")


def _example(model: Model) -> str:
    """Return how a request of this model is written."""
    shapes = [
        f"{spec.name}={'x'.join(str(dim) if isinstance(dim, int) else '8' for dim in spec.shape)}"
        for spec in model.inputs
        if spec.dynamic and spec.shape
    ]
    return " ".join(shapes)
