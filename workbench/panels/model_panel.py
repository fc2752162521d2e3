"""The Model tab: pick a model, and see what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.errors import ModelError
from workbench.panels import markup
from workbench.panels.amounts import count_text, size_text
from workbench.panels.files import completions, keep_upload, listing
from workbench.panels.panel import Panel
from workbench.panels.path_field import PathField
from workbench.panels.table import Column, Row, Table
from workbench.panels.upload_button import UploadButton
from workbench.runtime.engines.context import context_findings
from workbench.runtime.environment import environment
from workbench.samples.catalogue import samples

if TYPE_CHECKING:
    from workbench.model.model import Model, TensorSpec
    from workbench.panels.state import WorkbenchState

UP = "↑ .."


class ModelPanel(Panel):
    """Pick a model by its path, from a folder, from this computer, or from the samples; see what is in it.

    Parameters
    ----------
    state : WorkbenchState
        Whose model it shows and changes.
    folder : Path or None
        The folder listed at first; the current one where it is ``None``.
    """

    def __init__(self, state: WorkbenchState, *, folder: Path | None = None) -> None:
        self.state = state
        self.folder = (folder or Path.cwd()).absolute()
        self._listing = False
        super().__init__("Model", background=state.background)
        self._make_chooser()
        self._make_facts()
        columns = widgets.HBox([self.chooser, self.shown])
        columns.add_class("wb-columns")
        self.body.children = (self.line, columns)
        state.observe(self.redraw(self._draw), "model")
        state.observe(self.redraw(self._draw_activity), "activity")
        self.follow(state, "model")
        self.redraw(self._list)()
        self.redraw(self._draw)()

    def summary(self) -> str:
        """Return which model is open."""
        return self.state.model.path.name if self.state.model else "no model"

    def _make_chooser(self) -> None:
        self.path = PathField("Path of an ONNX file", completions, self.guard(self.open_path))
        self.button = widgets.Button(description="Open", button_style="primary", layout=widgets.Layout(width="80px"))
        self.button.on_click(self.guard(lambda _: self.open_path(self.path.value)))
        self.upload = UploadButton(".onnx", self.guard(self._take_upload))
        self.line = widgets.HBox([self.path, self.button, self.upload])
        self.line.add_class("wb-line")
        self.samples = [self._sample_button(sample.name, sample.title, sample.description) for sample in samples()]
        self.where = widgets.HTML()
        self.files = widgets.Select(rows=11, layout=widgets.Layout(width="auto"))
        self.files.observe(self.guard(lambda change: self._pick(change.new)), "value")
        parts = [widgets.HTML(markup.heading("Samples")), *self.samples, self.where, self.files]
        self.chooser = widgets.VBox(parts)
        self.chooser.add_class("wb-side")

    def _sample_button(self, name: str, title: str, description: str) -> widgets.Button:
        button = widgets.Button(description=title, tooltip=description, layout=widgets.Layout(width="auto"))
        button.add_class("wb-left")
        path = next(sample.path for sample in samples() if sample.name == name)
        button.on_click(self.guard(lambda _: self.open_path(str(path))))
        return button

    def _make_facts(self) -> None:
        self.facts = widgets.HTML()
        self.tensors = widgets.HTML()
        self.findings = widgets.HTML()
        self.operators = Table(
            [
                Column(title="Operator", grow=True),
                Column(title="Domain"),
                Column(title="Nodes", kind="number", format=",d"),
                Column(title="Share", kind="number", format=".1%"),
            ],
            height=264,
            multiple=False,
        )
        self.detail = widgets.VBox(
            [self.facts, self.tensors, self.findings, widgets.HTML(markup.heading("Operators")), self.operators]
        )
        self.nothing = widgets.HTML(markup.note("Open a model: type its path, pick a file or a sample, or upload one."))
        self.shown = widgets.VBox([self.nothing])
        self.shown.add_class("wb-main")
        self.detail.add_class("wb-stack")

    def open_path(self, path: str) -> None:
        """Open a model, or list a folder."""
        if not path.strip():
            raise ModelError("No path is given.", remedy="Type the path of an ONNX file, or pick one below.")
        chosen = Path(path.strip()).expanduser()
        if chosen.is_dir():
            self.folder = chosen.absolute()
            self._list()
            return
        self.state.load_model(path.strip())

    def _take_upload(self, name: str, content: bytes) -> None:
        self.state.load_model(keep_upload(name, content))

    def _list(self) -> None:
        entries = listing(self.folder)
        shown = [(f"{e.name}/" if e.folder else f"{e.name}   {size_text(e.size_bytes)}", str(e.path)) for e in entries]
        self.where.value = markup.heading("Files", str(self.folder))
        self._listing = True  # a list picks its first entry by itself
        self.files.options = [(UP, str(self.folder.parent)), *shown]
        self.files.value = None
        self._listing = False

    def _pick(self, path: str | None) -> None:
        if path is not None and not self._listing:
            self.open_path(path)

    def _draw_activity(self, _: object = None) -> None:
        activity = self.state.activity
        if activity is not None and activity.task == "loading":
            self.say(f"Opening {activity.subject} …", "busy")
        elif self.failure is None:
            self.say("")

    def _draw(self, _: object = None) -> None:
        model = self.state.model
        self.shown.children = (self.detail if model else self.nothing,)
        if model is None:
            return
        self.path.value = str(model.path)
        self.facts.value = markup.facts(_facts(model))
        self.tensors.value = _tensor_table(model)
        known = self.state.diagnosis.environment if self.state.diagnosis is not None else None
        self.findings.value = markup.finding_list([*model.findings(), *context_findings(model, known or environment())])
        total = len(model.nodes)
        self.operators.rows = [
            Row(f"{o.domain}:{o.op_type}", (o.op_type, o.domain or "ai.onnx", o.count, o.count / total)) for o in model.operators
        ]


def _facts(model: Model) -> list[tuple[str, str]]:
    opsets = [f"{domain or 'ai.onnx'} {version}" for domain, version in model.opsets.items()]
    return [
        ("File", model.path.name),
        ("Size", size_text(model.size_bytes)),
        ("Parameters", count_text(model.parameters)),
        ("Nodes", f"{len(model.nodes):,}"),
        ("Opset", ", ".join(opsets) or "none"),
        ("IR version", str(model.ir_version)),
        ("Exporter", model.producer or "not said"),
        ("Dynamic dimensions", ", ".join(model.dynamic_dimensions) or "none"),
    ]


def _tensor_table(model: Model) -> str:
    rows = [("input", *_spec(spec)) for spec in model.inputs] + [("output", *_spec(spec)) for spec in model.outputs]
    return markup.grid(("", "Name", "Type", "Shape"), rows)


def _spec(spec: TensorSpec) -> tuple[str, str, str]:
    if spec.shape is None:
        return spec.name, spec.dtype, "unknown rank"
    dims = " × ".join("?" if dim is None else str(dim) for dim in spec.shape)
    return spec.name, spec.dtype, dims or "scalar"
