"""The settings but for shapes: provider, precision, and every option of the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.errors import SettingsError
from workbench.options.canonical import PRECISE
from workbench.options.catalogue import PROVIDERS as PROVIDERS_WITH_OPTIONS
from workbench.options.catalogue import used_by
from workbench.options.effective import Effective, idle, idle_session
from workbench.panels import markup
from workbench.panels.option_form import Edit, OptionForm
from workbench.panels.panel import Panel

if TYPE_CHECKING:
    from workbench.options.effect import Change
    from workbench.panels.state import WorkbenchState

PROVIDERS = (
    ("TensorRT", "tensorrt", "ONNX Runtime with TensorRT, then CUDA, then the CPU"),
    ("CUDA", "cuda", "ONNX Runtime with CUDA, then the CPU"),
    ("CPU", "cpu", "ONNX Runtime on the CPU"),
    ("Native", "native", "TensorRT through its own interface, without ONNX Runtime"),
    ("PyTorch", "torch", "The PyTorch module that the model was exported from"),
)
PRECISIONS = (("FP32", "fp32"), ("FP16", "fp16"), ("BF16", "bf16"), ("INT8", "int8"))
HEADLINES = {
    "rebuild": ("warning", "The next run builds new engines."),
    "reuse": ("info", "The next run makes a new session; engines that are there stay valid."),
    "runtime": ("info", "The next run only runs in another way; engines stay valid."),
    "ignored": ("info", "The change does nothing."),
    "none": ("success", "As in the last run."),
}


class OptionsPanel(Panel):
    """Provider, precision and options, with what is wrong with them and what their change does.

    Parameters
    ----------
    state : WorkbenchState
        Whose Settings it shows and changes.
    shapes : Panel or None
        Shown between the precision and the options.
    """

    def __init__(self, state: WorkbenchState, shapes: Panel | None = None) -> None:
        self.state = state
        super().__init__("Options", background=state.background)
        self.provider = widgets.ToggleButtons(options=[(title, name) for title, name, _ in PROVIDERS])
        self.precision = widgets.ToggleButtons(options=PRECISIONS)
        for buttons in (self.provider, self.precision):
            buttons.style.button_width = "84px"
        self.provider.tooltips = [help_text for _, _, help_text in PROVIDERS]
        self.provider.observe(self.guard(lambda change: state.set_provider(change.new)), "value")
        self.precision.observe(self.guard(lambda change: state.set_precision(change.new)), "value")
        self.effect = widgets.HTML()
        self.findings = widgets.HTML()
        self.form = OptionForm(state.release, self.guard(self.edit))
        line = widgets.HBox([_labelled("Provider", self.provider), _labelled("Precision", self.precision)])
        line.add_class("wb-line")
        middle = (shapes,) if shapes is not None else ()
        note = f"of ONNX Runtime {state.release}" if state.release else "of the newest ONNX Runtime known; none is installed"
        heading = widgets.HTML(markup.heading("Options", note))
        self.body.children = (line, self.effect, self.findings, *middle, heading, self.form)
        state.observe(self.redraw(self._draw), ["settings", "model", "built"])
        self.follow(state, "options")
        self.redraw(self._draw)()

    def summary(self) -> str:
        """Return the Settings in short."""
        return str(self.state.settings.summary())

    def edit(self, edit: Edit) -> None:
        """Take over an edit of the form; what is wrong with it is shown beside the option."""
        if edit.reset:
            self.form.problems = {}
            self.state.reset_options()
            return
        try:
            self.state.set_option(edit.key, edit.value, session=edit.session)
        except SettingsError as error:
            self.form.complain(edit, str(error))
            return
        self.form.settle(edit)
        self._draw()  # an edit that leaves the Settings as they were, such as a default typed out, is taken back too

    def _draw(self, _: object = None) -> None:
        settings = self.state.settings
        self.provider.value, self.precision.value = settings.provider, settings.precision
        self.precision.disabled = settings.provider not in PRECISE
        now = Effective(settings, self.state.release)

        def why_idle(key: str, session: bool) -> str:  # noqa: FBT001  # the form's question
            found = idle_session(now, key) if session else idle(now, key)
            return found.because if found else ""

        used = used_by(settings.provider)
        self.form.unused = [provider for provider in PROVIDERS_WITH_OPTIONS if provider not in used]
        self.form.show(settings.provider_options, settings.session_options, why_idle)
        self.effect.value = effect_card(self.state.change())
        self._draw_findings()

    def _draw_findings(self) -> None:
        try:
            self.findings.value = markup.finding_list(self.state.findings())
        except SettingsError as error:
            self.findings.value = markup.notice("error", error.message, error.remedy)


def _labelled(label: str, field: widgets.Widget) -> widgets.HBox:
    box = widgets.HBox([widgets.HTML(markup.label(label)), field])
    box.add_class("wb-labelled")
    return box


def effect_card(change: Change | None) -> str:
    """Return what a change of the Settings does, as a line and one more for each option; empty without a Run before."""
    if change is None:
        return ""
    level, headline = HEADLINES[change.effect]
    lines = [f"{option.option}: {option.before} → {option.after}. {option.why}" for option in change.options]
    return markup.lines(level, headline, lines)
