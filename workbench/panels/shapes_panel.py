"""The shape profile: a range for each dynamic dimension of the inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.errors import SettingsError
from workbench.panels import markup
from workbench.panels.dimensions import (
    Dimension,
    Sizes,
    dimensions_of,
    profile_of_several,
    sizes_in,
    suggested_sizes,
    values_in,
)
from workbench.panels.engine_inputs_panel import EngineInputsPanel
from workbench.panels.fold import Fold
from workbench.panels.panel import Panel
from workbench.panels.real_shapes_panel import RealShapesPanel
from workbench.panels.request_panel import RequestPanel

if TYPE_CHECKING:
    import traitlets

    from workbench.panels.state import WorkbenchState

LIMIT = 2**31 - 1


class DimensionEditor(widgets.HBox):  # type: ignore[misc]
    """The editors of one dimension's min, opt and max."""

    def __init__(self, dimension: Dimension) -> None:
        self.name = dimension.name
        sizes = dimension.sizes or (1, 1, 1)
        least = 0 if dimension.value else 1
        self.fields = [self._field(which, size, least) for which, size in zip(("min", "opt", "max"), sizes, strict=True)]
        name = widgets.HTML(markup.dimension(dimension.name, ", ".join(dimension.places)))
        name.add_class("wb-dimension-name")
        super().__init__([name, *self.fields])
        self.add_class("wb-dimension")

    def __repr__(self) -> str:
        return f"DimensionEditor({self.name!r}, {self.sizes})"

    @property
    def sizes(self) -> Sizes:
        """What the fields hold."""
        low, opt, high = (int(field.value) for field in self.fields)
        return low, opt, high

    @staticmethod
    def _field(which: str, size: int, least: int) -> widgets.BoundedIntText:
        field = widgets.BoundedIntText(value=size, min=least, max=LIMIT, layout=widgets.Layout(width="90px"))
        field.tooltip = {"min": "The smallest size", "opt": "The size that TensorRT tunes for", "max": "The largest size"}[which]
        return field


class ShapesPanel(Panel):
    """A range for each dynamic dimension; one that occurs in several inputs is edited once.

    Below stand the inputs of the engines that a profile must name, a profile from real shapes, and what a request will do.

    Parameters
    ----------
    state : WorkbenchState
        Whose shape profile it shows and changes.

    Attributes
    ----------
    number : int
        Which profile is edited, from 0, where there are several.
    """

    def __init__(self, state: WorkbenchState) -> None:
        self.state = state
        self.editors: tuple[DimensionEditor, ...] = ()
        self.number = 0
        self._drawing = False
        super().__init__("Shape profile", background=state.background)
        self.heading = widgets.HTML()
        self.note = widgets.HTML()
        self.table = widgets.VBox()
        self.shapes = widgets.HTML()
        self.suggest = widgets.Button(description="Suggest", layout=widgets.Layout(width="90px"))
        self.suggest.tooltip = "Fill in ranges worth trying"
        self.suggest.on_click(self.guard(lambda _: self._suggest()))
        self.clear = widgets.Button(description="No profile", layout=widgets.Layout(width="100px"))
        self.clear.tooltip = "Let TensorRT build for the shapes it meets"
        self.clear.on_click(self.guard(lambda _: state.set_sizes({})))
        self.buttons = widgets.HBox([self.suggest, self.clear])
        self.buttons.add_class("wb-line")
        self._make_choice()
        left = widgets.VBox([self.choice, self.table, self.buttons])
        left.add_class("wb-stack")
        self.columns = widgets.HBox([left, self.shapes])
        self.columns.add_class("wb-shapes")
        self.engines, self.real, self.request = EngineInputsPanel(state), RealShapesPanel(state), RequestPanel(state)
        self.from_real = Fold("From real shapes", [self.real])
        self.body.children = (self.heading, self.note, self.columns, self.engines, self.from_real, self.request)
        state.observe(self.redraw(self._draw), ["model", "settings"])
        self.follow(state, "shapes")
        self.redraw(self._draw)()

    def _make_choice(self) -> None:
        """Make the line that chooses among several profiles."""
        self.numbers = widgets.ToggleButtons(options=[("Profile 1", 0)])
        self.numbers.style.button_width = "76px"
        self.numbers.observe(self.guard(self._chosen), "value")
        self.add = widgets.Button(description="Add profile", icon="plus", layout=widgets.Layout(width="120px"))
        self.add.tooltip = "A further range for other sizes, for which TensorRT tunes on its own"
        self.add.on_click(self.guard(lambda _: self._add()))
        self.remove = widgets.Button(description="Remove", icon="minus", layout=widgets.Layout(width="100px"))
        self.remove.tooltip = "Remove the profile that is shown"
        self.remove.on_click(self.guard(lambda _: self._remove()))
        self.choice = widgets.HBox([self.numbers, self.add, self.remove])
        self.choice.add_class("wb-line")

    def summary(self) -> str:
        """Return the profile in short."""
        return ", ".join(self.state.settings.profile.to_arguments()) or "no profile"

    def _suggest(self) -> None:
        if self.state.model is not None:
            self.state.set_sizes(suggested_sizes(self.state.model))

    def _edited(self, _: object) -> None:
        """Take over what the fields hold, once min ≤ opt ≤ max."""
        if self._drawing:
            return
        sizes = {editor.name: editor.sizes for editor in self.editors}
        for name, (low, opt, high) in sizes.items():
            if not low <= opt <= high:
                message = f"Dimension {name!r}: min {low}, opt {opt}, max {high} are not in order."
                raise SettingsError(message, remedy="Nothing is changed until min ≤ opt ≤ max holds.")
        several = self._several()
        self._take([*several[: self.number], sizes, *several[self.number + 1 :]])

    def _several(self) -> list[dict[str, Sizes]]:
        model = self.state.model
        return sizes_in(model, self.state.settings.profile) if model is not None else []

    def _take(self, several: list[dict[str, Sizes]]) -> None:
        """Take over profiles; ranges of tensors between engines go, as they were worked out for other sizes."""
        if self.state.model is not None:
            self.state.set_profile(profile_of_several(self.state.model, several))

    def _add(self) -> None:
        several = self._several()
        if several:
            self.number = len(several)
            self._take([*several, several[-1]])

    def _remove(self) -> None:
        gone = self.number
        self.number = max(gone - 1, 0)
        self._take([sizes for at, sizes in enumerate(self._several()) if at != gone])

    def _chosen(self, change: traitlets.Bunch) -> None:
        if not self._drawing:
            self.number = int(change.new)
            self._draw()

    def _draw(self, _: object = None) -> None:
        model, profile = self.state.model, self.state.settings.profile
        self.number = min(self.number, max(profile.count - 1, 0))
        dimensions = (*dimensions_of(model, profile, self.number), *values_in(model, profile, self.number)) if model else ()
        self.columns.layout.display = "" if dimensions else "none"
        self.from_real.layout.display = "" if dimensions else "none"
        self._draw_choice(profile.count)
        self.heading.value = markup.heading("Shape profile")
        self.note.value = markup.note(_remark(self.state, dimensions))
        self._draw_editors(dimensions)
        self.clear.disabled = not profile
        if model is not None:
            self.shapes.value = _input_shapes(self.state)

    def _draw_choice(self, count: int) -> None:
        self._drawing = True  # setting the choice is no edit
        self.choice.layout.display = "" if count else "none"
        self.numbers.layout.display = self.remove.layout.display = "" if count > 1 else "none"
        if len(self.numbers.options) != max(count, 1):
            self.numbers.options = [(f"Profile {at + 1}", at) for at in range(max(count, 1))]
        self.numbers.value = self.number
        self._drawing = False

    def _draw_editors(self, dimensions: tuple[Dimension, ...]) -> None:
        self._drawing = True  # setting a field is no edit
        given = tuple(dimension for dimension in dimensions if dimension.sizes is not None)
        if [editor.name for editor in self.editors] != [dimension.name for dimension in given]:
            self.editors = tuple(DimensionEditor(dimension) for dimension in given)
            for field in (field for editor in self.editors for field in editor.fields):
                field.observe(self.guard(self._edited), "value")
            self.table.children = (widgets.HTML(markup.dimension_head()), *self.editors) if given else ()
        for editor, dimension in zip(self.editors, given, strict=True):
            for field, size in zip(editor.fields, dimension.sizes or (1, 1, 1), strict=True):
                field.value = size
        self._drawing = False


def _remark(state: WorkbenchState, dimensions: tuple[Dimension, ...]) -> str:
    model = state.model
    if model is None:
        return "Open a model to give its inputs a range of shapes."
    if not dimensions:
        unknown = [spec.name for spec in model.inputs if spec.shape is None]
        return f"The rank of {', '.join(unknown)} is unknown." if unknown else "All inputs of this model have fixed shapes."
    if not state.settings.profile:
        return "No profile: TensorRT builds at the first run, and again when a shape leaves the range it has seen."
    if state.settings.profile.count > 1 and state.settings.provider == "tensorrt":
        return "ONNX Runtime builds for all profiles, and runs on the first only; TensorRT's own interface (native) chooses."
    if state.settings.provider not in ("tensorrt", "native"):
        return f"On {state.settings.provider.upper()} the opt sizes are those that are measured."
    return "Engines work between min and max, and are tuned for opt, which is also what is measured."


def _input_shapes(state: WorkbenchState) -> str:
    """Return the shapes that follow for each input; without a profile, the shapes of the model."""
    model, profile = state.model, state.settings.profile
    rows: list[tuple[str, ...]] = []
    for spec in model.inputs if model else ():
        ranges = profile.of(spec.name)
        plain = "?" if spec.shape is None else _text(spec.shape)
        rows += [(spec.name, plain, *map(_text, (given.min, given.opt, given.max))) for given in ranges]
        rows += [] if ranges else [(spec.name, plain, "–", "–", "–")]
    return markup.grid(("Input", "Shape in the model", "min", "opt", "max"), rows)


def _text(shape: tuple[int | str | None, ...]) -> str:
    return " × ".join("?" if dim is None else str(dim) for dim in shape)
