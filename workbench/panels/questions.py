"""The what-if questions of the Placement tab: what was asked, and what it would change. It knows no widget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from workbench.errors import InputError, WorkbenchError
from workbench.options.profile import ShapeProfile
from workbench.panels.activity import Trouble
from workbench.panels.dimensions import Sizes, dimensions_of, profile_of_sizes, suggested_sizes
from workbench.placement.question import Question
from workbench.placement.records import Placement

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.panels.state import WorkbenchState
    from workbench.placement.cost import Cost
    from workbench.placement.smallest import Proposal
    from workbench.placement.what_if import PlacementDifference, WhatIf

OPTIONS = (
    ("trt_op_types_to_exclude", "exclude"),
    ("trt_min_subgraph_size", "min_subgraph"),
    ("trt_max_partition_iterations", "iterations"),
)


class Questions(traitlets.HasTraits):
    """What the user asks about a model, one question at a time; of several asked meanwhile, the last is answered.

    Parameters
    ----------
    state : WorkbenchState
        Whose model and Settings the questions are about. The placement of the last answer becomes its `supposed`.

    Attributes
    ----------
    question : Question
        What is asked; the Settings as they are until something is changed.
    answer : PlacementDifference or None
        What it would change; ``None`` where nothing is asked or no answer is there yet.
    before : Placement or None
        What the difference starts from.
    costs : pair of Cost or None
        Of both placements at the optimum shapes; comes after the answer.
    proposal : Proposal or None
        The smallest change that a search found.
    thinking : str
        ``asking`` or ``searching`` while that goes on; else empty.
    """

    question = traitlets.Instance(Question, ())
    answer = traitlets.Any(None, allow_none=True)
    before = traitlets.Instance(Placement, allow_none=True)
    costs = traitlets.Any(None, allow_none=True)
    proposal = traitlets.Any(None, allow_none=True)
    thinking = traitlets.Unicode("")

    def __init__(self, state: WorkbenchState) -> None:
        super().__init__()
        self.state = state
        self._what_if: WhatIf | None = None
        self._made_with: Settings | None = None
        self._waiting: Callable[[], None] | None = None
        state.observe(self._new_model, "model")
        state.observe(self._new_base, ["settings", "tensorrt"])
        self.question = self._start = self.base

    @property
    def base(self) -> Question:
        """The question that the Settings answer as they are."""
        return Question.of(self.state.settings.replace(provider="tensorrt"), self.state.tensorrt)

    @property
    def asked(self) -> bool:
        """Whether anything differs from the Settings."""
        return bool(self.question != self.base)

    def ask(self, **changes: Any) -> None:  # noqa: ANN401  # the fields' own types
        """Ask with some fields of the question changed; the answer arrives in `answer` and the state's `supposed`."""
        self.question = self.question.replace(**changes)
        if not self.asked:
            self._forget()
            return
        model, question, base = self.state.model, self.question, self.base
        if model is None:
            raise WorkbenchError("There is no model to ask about.", remedy="Open one in the Model tab.")

        def task() -> tuple[Placement, Placement, PlacementDifference]:
            what_if = self._prepared(model)
            before, after = what_if.ask(base), what_if.ask(question)
            return before, after, what_if.difference(before, after)

        def done(found: tuple[Placement, Placement, PlacementDifference]) -> None:
            if self.question != question or self.state.model is not model:
                return
            with self.hold_trait_notifications():
                self.before, self.costs, self.answer = found[0], None, found[2]
            with self.state.hold_trait_notifications():
                self.state.supposed, self.state.evidence = found[1], "what-if"
            self._price(model, found[0], found[1])

        self._think("asking", task, done)

    def search(self) -> None:
        """Search the smallest change that makes the model one engine; it arrives in `proposal`."""
        model = self.state.model
        if model is None:
            raise WorkbenchError("There is no model to search for.", remedy="Open one in the Model tab.")
        settings, base = self.state.settings.replace(provider="tensorrt"), self.base

        def task() -> Proposal:
            from workbench.placement.smallest import smallest_change

            return smallest_change(self._prepared(model), settings, start=base)

        def done(proposal: Proposal) -> None:
            if self.state.model is model:
                self.proposal = proposal

        self._think("searching", task, done)

    def take(self) -> None:
        """Ask what the proposal would change."""
        if self.proposal is not None and self.proposal.question is not None:
            self.ask(**dict(self.proposal.question))

    def reset(self) -> None:
        """Ask nothing: back to the Settings as they are."""
        self.question = self._start = self.base
        self._forget()

    def apply(self) -> tuple[str, ...]:
        """Put what is asked into the Settings; return what was changed, in words."""
        state, question, base = self.state, self.question, self.base
        said: tuple[str, ...] = question.changes_from(base)
        if not said:
            return ()
        options = dict(state.settings.provider_options)
        plain = Question()  # what ONNX Runtime does where an option is not set
        for key, field in OPTIONS:
            value = getattr(question, field)
            if value == getattr(base, field):
                continue
            options.pop(key, None)
            if value != getattr(plain, field):
                options[key] = ",".join(value) if isinstance(value, tuple) else value
        profile = state.settings.profile if not question.static or state.model is None else self._fixed_profile(state.model)
        settings = state.settings.replace(provider_options=options, profile=profile)
        with state.hold_trait_notifications():
            state.settings, state.tensorrt = settings, question.tensorrt
        self.reset()
        if not state.busy:
            state.predict()
        return said

    def _fixed_profile(self, model: Model) -> ShapeProfile:
        """Return the profile with the asked dimensions at one size."""
        sizes: dict[str, Sizes] = {d.name: d.sizes for d in dimensions_of(model, self.state.settings.profile) if d.sizes}
        sizes = suggested_sizes(model) | sizes
        for name, size in self.question.static:
            sizes[panel_name(name)] = (size, size, size)
        return profile_of_sizes(model, sizes)

    def _price(self, model: Model, before: Placement, after: Placement) -> None:
        """Find out what both placements cost, which takes longer than the answer."""
        profile = self.state.settings.profile
        if "error" in (before.outcome, after.outcome):
            return

        def task() -> tuple[Cost, Cost]:
            return cost_at_optimum(before, model, profile), cost_at_optimum(after, model, profile)

        def done(costs: tuple[Cost, Cost]) -> None:
            if self.before is before and self.state.supposed is after:
                self.costs = costs

        self.state.background.run(task, done, self._failed)

    def _failed(self, error: BaseException) -> None:
        self.state.trouble = Trouble("placement", error)

    def _forget(self) -> None:
        with self.hold_trait_notifications():
            self.answer = self.before = self.costs = None
        state = self.state
        with state.hold_trait_notifications():
            state.supposed = None
            if state.evidence == "what-if":
                state.evidence = "predicted"

    def _new_model(self, _: object) -> None:
        self._what_if = None
        self.proposal = None
        self.reset()

    def _new_base(self, _: object) -> None:
        """Take other Settings as the start; what was asked of the old ones is dropped."""
        if self.base != self._start:
            self.proposal = None
            self.reset()

    def _prepared(self, model: Model) -> WhatIf:
        """Return who answers about a model, made once for Settings that no question stands for; called on a thread.

        It serves every TensorRT, for the graphs that it keeps do: each question says where it starts from.
        """
        from workbench.placement.what_if import WhatIf

        settings = self.state.settings.replace(provider="tensorrt", profile=ShapeProfile())
        if self._what_if is None or self._what_if.model is not model or settings != self._made_with:
            self._what_if, self._made_with = WhatIf(model, settings), settings
        return self._what_if

    def _think(self, how: str, task: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run a task on a thread; while one runs, the last that was asked for waits."""
        if self.thinking:
            self._waiting = lambda: self._think(how, task, done)
            return
        self.thinking = how

        def end() -> None:
            self.thinking = ""
            waiting, self._waiting = self._waiting, None
            if waiting is not None:
                waiting()

        def answered(result: Any) -> None:  # noqa: ANN401  # whatever the task returns
            done(result)
            end()

        def failed(error: BaseException) -> None:
            self._failed(error)
            end()

        self.state.background.run(task, answered, failed)


def panel_name(name: str) -> str:
    """Return how the panels call a dimension that a question calls ``INPUT:AXIS``."""
    spec, colon, axis = name.rpartition(":")
    return f"{spec}[{axis}]" if colon and axis.isdigit() else name


def question_name(name: str) -> str:
    """Return how a question calls a dimension that the panels call ``INPUT[AXIS]``."""
    head, bracket, axis = name.removesuffix("]").rpartition("[")
    return f"{head}:{axis}" if bracket and axis.isdigit() and name.endswith("]") else name


def cost_at_optimum(placement: Placement, model: Model, profile: ShapeProfile) -> Cost:
    """Return the cost at the profile's optimum shapes, and at default sizes where it leaves some open."""
    from workbench.placement.cost import cost_of
    from workbench.runtime.data.inputs import input_shapes

    try:
        shapes = input_shapes(model, profile)
    except InputError:  # an input of unknown rank
        shapes = None
    return cost_of(placement, model, shapes)
