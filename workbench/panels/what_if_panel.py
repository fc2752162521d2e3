"""What-if questions about the placement: controls, the answer as before → after, and its way into the Settings."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from workbench.panels import markup
from workbench.panels.answer_text import answer_text, proposal_text
from workbench.panels.choice_chips import Chip, ChoiceChips
from workbench.panels.dimensions import dimensions_of, suggested_sizes
from workbench.panels.panel import Panel
from workbench.panels.questions import question_name
from workbench.placement.records import TENSORRT
from workbench.placement.support import RELEASES

if TYPE_CHECKING:
    from collections.abc import Callable

    import traitlets

    from workbench.panels.dimensions import Dimension
    from workbench.panels.state import WorkbenchState
    from workbench.placement.records import Placement
    from workbench.placement.what_if import PlacementDifference

LARGEST = 1_000_000
THINKING = {"asking": "Asking …", "searching": "Searching for the smallest change …"}


class StaticDimension(widgets.HBox):  # type: ignore[misc]
    """Whether a dynamic dimension is made static, and at which size."""

    def __init__(self, dimension: Dimension, size: int) -> None:
        self.name = question_name(dimension.name)
        self.fixed = widgets.Checkbox(description=dimension.name, indent=False, layout=widgets.Layout(width="auto"))
        self.fixed.tooltip = ", ".join(dimension.places)
        self.size = widgets.BoundedIntText(value=size, min=1, max=2**31 - 1, layout=widgets.Layout(width="80px"))
        super().__init__([self.fixed, self.size])
        self.add_class("wb-static")

    def __repr__(self) -> str:
        return f"StaticDimension({self.name!r}, {self.chosen})"

    @property
    def chosen(self) -> tuple[tuple[str, int], ...]:
        """The dimension and its size, where it is made static; else nothing."""
        return ((self.name, int(self.size.value)),) if self.fixed.value else ()


class WhatIfPanel(Panel):
    """Ask what another option, TensorRT or size would change.

    Parameters
    ----------
    state : WorkbenchState
        Whose `questions` it shows and asks.
    on_moved : callable
        Called with the names of the nodes that move, when the user wants to see them.
    """

    def __init__(self, state: WorkbenchState, on_moved: Callable[[tuple[str, ...]], object]) -> None:
        self.state = state
        self.dimensions: tuple[StaticDimension, ...] = ()
        self._on_moved = on_moved
        self._drawing = False
        super().__init__("What if", background=state.background)
        self._make_controls()
        self._make_answer()
        self.columns = widgets.HBox([self.operators_field, self.numbers, self.result])
        self.columns.add_class("wb-what-if")
        self.body.children = (self.head, self.columns)
        self.add_class("wb-what-if-panel")
        questions = state.questions
        state.observe(self.redraw(self._draw_choices), ["model", "predicted"])
        state.observe(self.redraw(self._draw_dimensions), ["model", "settings"])
        questions.observe(self.redraw(self._draw_question), "question")
        questions.observe(self.redraw(self._draw_answer), ["question", "answer", "costs", "proposal", "thinking"])
        for draw in (self._draw_choices, self._draw_dimensions, self._draw_question, self._draw_answer, self._fold):
            self.redraw(draw)()

    def summary(self) -> str:
        """Return what is asked."""
        questions = self.state.questions
        return ", ".join(questions.question.changes_from(questions.base)) or "nothing asked"

    def _make_controls(self) -> None:
        self.toggle = widgets.ToggleButton(value=True, description="What if …", layout=widgets.Layout(width="auto"))
        self.toggle.add_class("wb-fold")
        self.toggle.observe(self.guard(self._fold), "value")
        self.hint = widgets.HTML()
        self.head = widgets.HBox([self.toggle, self.hint])
        self.head.add_class("wb-line")
        self.operators = ChoiceChips("Operators kept from TensorRT", "The model has no nodes.")
        self.operators_field = _field("Operators kept from TensorRT", self.operators)
        width = widgets.Layout(width="88px")
        self.smallest = widgets.BoundedIntText(value=1, min=1, max=LARGEST, layout=width)
        self.iterations = widgets.BoundedIntText(value=1000, min=1, max=LARGEST, layout=width)
        self.release = widgets.Dropdown(options=RELEASES, value=self.state.tensorrt, layout=width)
        for control in (self.operators, self.smallest, self.iterations, self.release):
            control.observe(self.guard(self._edited), "selected" if control is self.operators else "value")
        fields = [
            _field("Smallest engine", self.smallest, "trt_min_subgraph_size: TensorRT gets no run of fewer nodes"),
            _field("Iteration limit", self.iterations, "trt_max_partition_iterations: how often the parser may be asked again"),
            _field("TensorRT", self.release, "Whose parser is followed"),
        ]
        row = widgets.HBox(fields)
        row.add_class("wb-fields")
        self.statics = widgets.HBox()
        self.statics.add_class("wb-statics")
        self.statics_field = _field("Dimensions made static", self.statics)
        self.numbers = widgets.VBox([row, self.statics_field])
        self.numbers.add_class("wb-stack")

    def _make_answer(self) -> None:
        questions = self.state.questions
        self.answer = widgets.HTML()
        self.proposal = widgets.HTML()
        self.apply = _button("Apply to settings", "check", "Put this into the Settings", self.guard(self._apply))
        self.apply.button_style = "primary"
        pick = self.guard(self._pick_moved)
        self.moved = _button("Select the nodes that move", "", "In the table, the strip and the graph", pick)
        self.reset = _button("Reset", "", "Back to the Settings as they are", self._act(questions.reset))
        search = self._act(questions.search)
        self.search = _button("Smallest change", "search", "Search the smallest change that makes one engine", search)
        self.take = _button("Try it", "", "Ask what the proposal would change", self._act(questions.take))
        self.take.layout.align_self = "flex-start"
        self.buttons = widgets.HBox([self.apply, self.moved, self.reset, self.search])
        self.buttons.add_class("wb-line")
        self.result = widgets.VBox([self.answer, self.buttons, self.proposal, self.take])
        self.result.add_class("wb-stack")

    # Drawing

    def _fold(self, _: object = None) -> None:
        self.toggle.icon = "caret-down" if self.toggle.value else "caret-right"
        self.columns.layout.display = "" if self.toggle.value else "none"

    def _draw_choices(self, _: object = None) -> None:
        model = self.state.model
        chips = _operators(self.state.predicted) if model is not None else ()
        with self._quiet():
            self.operators.show(chips, self.state.questions.question.exclude)

    def _draw_dimensions(self, _: object = None) -> None:
        model = self.state.model
        found = dimensions_of(model, self.state.settings.profile) if model else ()
        if [question_name(d.name) for d in found] != [d.name for d in self.dimensions]:
            usual = suggested_sizes(model) if model is not None else {}
            self.dimensions = tuple(StaticDimension(d, (d.sizes or usual.get(d.name) or (1, 1, 1))[1]) for d in found)
            for field in (field for d in self.dimensions for field in (d.fixed, d.size)):
                field.observe(self.guard(self._edited), "value")
            self.statics.children = self.dimensions
        self.statics_field.layout.display = "" if found else "none"

    def _draw_question(self, _: object = None) -> None:
        question = self.state.questions.question
        static = dict(question.static)
        with self._quiet():
            self.operators.selected = [name for name in self.operators.values if name in question.exclude]
            self.smallest.value, self.iterations.value = question.min_subgraph, question.iterations
            self.release.value = question.tensorrt
            for dimension in self.dimensions:
                dimension.fixed.value = dimension.name in static
                dimension.size.value = static.get(dimension.name, dimension.size.value)

    def _draw_answer(self, _: object = None) -> None:
        questions = self.state.questions
        changes = "; ".join(questions.question.changes_from(questions.base))
        self.hint.value = markup.note(THINKING.get(questions.thinking, changes))
        answer, proposal = questions.answer, questions.proposal
        if questions.thinking == "searching":
            self.toggle.value = True  # the verdict's button asks too
        self.answer.value = self._told(answer) if answer else markup.note("Change something to see what it would move.")
        for button in (self.apply, self.reset):
            button.layout.display = "" if questions.asked else "none"
        self.apply.disabled = answer is None
        self.moved.layout.display = "" if answer and answer.moves else "none"
        self.proposal.value = proposal_text(proposal) if proposal else ""
        self.search.disabled = bool(questions.thinking) or self.state.model is None
        self.take.layout.display = "" if proposal and proposal.question and proposal.question != questions.question else "none"

    def _told(self, answer: PlacementDifference) -> str:
        before, after = self.state.questions.before, self.state.supposed
        return answer_text(answer, before, after, self.state.questions.costs) if before and after else ""

    # What the user does

    def _act(self, action: Callable[[], object]) -> Callable[[object], object]:
        """Return an action as what a button calls."""

        def clicked(_: object) -> None:
            action()

        return self.guard(clicked)

    def _quiet(self) -> _Quiet:
        """Return what to set controls under: that is no edit."""
        return _Quiet(self)

    def _edited(self, _: traitlets.Bunch) -> None:
        if self._drawing:
            return
        question = self.state.questions.question
        unseen = [name for name in question.exclude if name not in self.operators.values]
        self.state.questions.ask(
            exclude=(*self.operators.selected, *unseen),
            min_subgraph=self.smallest.value,
            iterations=self.iterations.value,
            tensorrt=self.release.value,
            static=tuple(pair for dimension in self.dimensions for pair in dimension.chosen),
        )

    def _apply(self, _: object) -> None:
        said = self.state.questions.apply()
        self.say(f"In the Settings now: {', '.join(said)}.", "success")

    def _pick_moved(self, _: object) -> None:
        answer = self.state.questions.answer
        self._on_moved(tuple(move.node for move in answer.moves) if answer else ())


class _Quiet:
    """While it lasts, what changes in the panel is drawing."""

    def __init__(self, panel: WhatIfPanel) -> None:
        self.panel = panel
        self.was = False

    def __enter__(self) -> None:
        self.was, self.panel._drawing = self.panel._drawing, True  # noqa: SLF001  # the panel's own

    def __exit__(self, *_: object) -> None:
        self.panel._drawing = self.was  # noqa: SLF001


def _operators(placement: Placement | None) -> tuple[Chip, ...]:
    """Return the operators of the model's nodes, those that TensorRT does not take last: keeping them from it is no news."""
    if placement is None:
        return ()
    counts = Counter(node.op_type for node in placement.nodes)
    ours = Counter(node.op_type for node in placement.nodes if node.provider == TENSORRT)
    ordered = sorted(counts, key=lambda op: (ours[op] == 0, -counts[op], op))
    return tuple(Chip(op, f"{counts[op]:,}", f"{ours[op]:,} of {counts[op]:,} on TensorRT now") for op in ordered)


def _field(label: str, control: widgets.Widget, tooltip: str = "") -> widgets.VBox:
    if tooltip:
        control.tooltip = tooltip
    box = widgets.VBox([widgets.HTML(markup.label(label)), control])
    box.add_class("wb-field")
    return box


def _button(text: str, icon: str, tooltip: str, act: Callable[..., Any]) -> widgets.Button:
    button = widgets.Button(description=text, icon=icon, tooltip=tooltip, layout=widgets.Layout(width="auto"))
    button.on_click(act)
    return button
