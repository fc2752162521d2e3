"""The Engines tab: what lies on disk, whether a session would use it, and what may go."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import ipywidgets as widgets

from workbench.measure.amounts import age_text, duration_text, size_text
from workbench.panels import markup
from workbench.panels.files import folder_completions
from workbench.panels.layers_view import LayersView
from workbench.panels.panel import Panel
from workbench.panels.path_field import PathField
from workbench.panels.table import Cell, Column, Row, Table
from workbench.runtime.engines.prune import Pruning, Rules

if TYPE_CHECKING:
    from datetime import datetime

    from workbench.panels.state import WorkbenchState
    from workbench.runtime.engines.listing import ListedEngine

STATES = {
    "reachable": "#009E73",
    "possible": "#56B4E9",
    "stale": "#E69F00",
    "elsewhere": "#BBBBBB",
    "unjudged": "#BBBBBB",
}
MEANING = {
    "reachable": ("success", "A session with the current settings loads it."),
    "possible": ("info", "Nothing speaks against it; ONNX Runtime's own cache does not record enough to be sure."),
    "stale": ("warning", "A session with the current settings does not use it."),
    "elsewhere": ("info", "Nothing speaks against it, but there is no GPU here to use it."),
    "unjudged": ("info", "Open a model to see whether a session would use it."),
}
NO_GPU = (
    "There is no NVIDIA GPU here. Engines are built on a machine with a GPU; what lies in a folder, such as one that was copied "
    "from there, can be read here: names, versions, ranges of shapes, sizes."
)


class EnginesPanel(Panel):
    """List engines, judge them by the state's model and Settings, and remove them by rule.

    Parameters
    ----------
    state : WorkbenchState
        Whose engines.
    """

    def __init__(self, state: WorkbenchState) -> None:
        self.state, self.engines = state, state.engines
        super().__init__("Engines", background=state.background)
        self._make_line()
        self._make_table()
        self._make_rules()
        self.notice, self.about = widgets.HTML(), widgets.HTML()
        self.body.children = (self.line, self.notice, self.about, self.table, self.detail, self.pruner)
        state.observe(self.redraw(self._refresh), ["model", "settings", "last"])
        self.engines.observe(self.redraw(self._draw), ["listed", "folder", "reading", "gpu"])
        self.engines.observe(self.redraw(self._draw_detail), ["listed", "chosen"])
        self.engines.observe(self.redraw(self._draw_pruning), "pruning")
        self.engines.observe(self.redraw(self._draw_layers), ["looked", "looking"])
        self.follow(state, "engines")
        for draw in (self._draw, self._draw_detail, self._draw_pruning, self.engines.refresh):
            self.redraw(draw)()

    def summary(self) -> str:
        """Return how many engines there are."""
        return f"{len(self.engines.listed)} engines"

    def _make_line(self) -> None:
        hint = "A folder where ONNX Runtime keeps engines of its own (trt_engine_cache_path)"
        self.path = PathField(hint, folder_completions, self.guard(self.engines.open_folder))
        self.open = widgets.Button(description="Open folder", layout=widgets.Layout(width="100px"))
        self.open.on_click(self.guard(lambda _: self.engines.open_folder(self.path.value)))
        self.ours = widgets.Button(description="Workbench's cache", layout=widgets.Layout(width="170px"))
        self.ours.on_click(self.guard(lambda _: self.engines.open_folder("")))
        self.refresh = widgets.Button(description="Refresh", layout=widgets.Layout(width="80px"))
        self.refresh.on_click(self.guard(lambda _: self.engines.refresh()))
        self.line = widgets.HBox([self.path, self.open, self.ours, self.refresh])
        self.line.add_class("wb-line")

    def _make_table(self) -> None:
        columns = [
            Column(title="Engine", ellipsis="start", width=150),
            Column(title="Model", filter=True),
            Column(title="Precision", help="What TensorRT was allowed"),
            Column(title="Ranges", grow=True),
            Column(title="GPU", help="Compute capability that it was built for"),
            Column(title="TensorRT"),
            Column(title="Size (MB)", kind="number", format=",.1f"),
            Column(title="Built"),
            Column(title="Last used"),
            Column(title="State", kind="chip", colours=STATES, filter=True),
        ]
        self.table = Table(columns, height=260, multiple=False, placeholder="No engines here.")
        self.table.observe(self.guard(self._choose), "selected")
        self.why, self.facts, self.files = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.check_button = widgets.Button(description="Check files", layout=widgets.Layout(width="110px"))
        self.check_button.tooltip = "Read the files whole, and compare them with what was built"
        self.check_button.on_click(self.guard(lambda _: self.engines.check()))
        self.look_button = widgets.Button(description="Layers", layout=widgets.Layout(width="110px"))
        self.look_button.tooltip = "Load the engine in a process of its own, run it on made-up inputs, and time its layers"
        self.look_button.on_click(self.guard(lambda _: self.engines.look()))
        self.looked = widgets.HTML()
        self.layers = LayersView(self.state, self.guard)
        buttons = widgets.HBox([self.check_button, self.look_button])
        buttons.add_class("wb-line")
        self.detail = widgets.VBox([self.why, self.facts, self.files, buttons, self.looked, self.layers])
        self.detail.add_class("wb-stack")

    def _make_rules(self) -> None:
        number = widgets.Layout(width="92px")
        self.older = widgets.BoundedIntText(min=0, max=100_000, layout=number)
        self.unused = widgets.BoundedIntText(min=0, max=100_000, layout=number)
        self.over = widgets.BoundedFloatText(min=0, max=1e6, step=1, layout=number)
        self.gone, self.other, self.aside = (
            widgets.Checkbox(description=text, indent=False, layout=widgets.Layout(width="auto"))
            for text in ("model gone or changed", "other TensorRT or GPU", "set aside as damaged")
        )
        for field in (self.older, self.unused, self.over, self.gone, self.other, self.aside):
            field.observe(self.guard(lambda _: self.engines.forget_preview()), "value")
        self.preview = widgets.Button(description="Preview", layout=widgets.Layout(width="100px"))
        self.preview.on_click(self.guard(lambda _: self.engines.preview(self.rules())))
        self.remove = widgets.Button(description="Remove", button_style="danger", layout=widgets.Layout(width="auto"))
        self.remove.on_click(self.guard(lambda _: self.engines.remove_previewed()))
        fields = [
            _field("Older than (days)", self.older),
            _field("Not used for (days)", self.unused),
            _field("Keep at most (GB)", self.over),
            _field("Also", widgets.HBox([self.gone, self.other, self.aside])),
        ]
        row = widgets.HBox(fields)
        row.add_class("wb-fields")
        self.previewed = widgets.HTML()
        buttons = widgets.HBox([self.preview, self.remove])
        buttons.add_class("wb-line")
        title = widgets.HTML(markup.heading("Remove engines", "0 leaves a rule out"))
        self.pruner = widgets.VBox([title, row, buttons, self.previewed])
        self.pruner.add_class("wb-plan")

    def rules(self) -> Rules:
        """Return the rules that the fields say."""
        return Rules(
            older_than=timedelta(days=self.older.value) if self.older.value else None,
            unused_for=timedelta(days=self.unused.value) if self.unused.value else None,
            gone=self.gone.value,
            other_machine=self.other.value,
            set_aside=self.aside.value,
            over=int(self.over.value * 1e9) if self.over.value else None,
        )

    def _refresh(self, _: object = None) -> None:
        self.engines.refresh()

    def _choose(self, change: object) -> None:
        selected = list(getattr(change, "new", ()))
        self.engines.chosen = selected[0] if selected else ""

    def _draw(self, _: object = None) -> None:
        engines = self.engines
        self.notice.value = markup.notice("info", NO_GPU) if engines.gpu is False else ""
        self.table.rows = [Row(engine.name, _cells(engine)) for engine in engines.listed]
        kind = "ONNX Runtime's own engines in" if engines.folder else "The workbench's cache:"
        total = f"{len(engines.listed)} engines, {size_text(sum(engine.bytes for engine in engines.listed))}"
        self.about.value = markup.note(
            f"{kind} {engines.where or 'none is in use'} · {'reading …' if engines.reading else total}"
        )
        self.ours.layout.display = "" if engines.folder else "none"
        self.pruner.layout.display = "none" if engines.folder or not engines.where else ""

    def _draw_detail(self, _: object = None) -> None:
        engine = self.engines.engine
        self.table.selected = [engine.name] if engine else []
        self.detail.layout.display = "" if engine else "none"
        if engine is not None:
            self.why.value, self.facts.value, self.files.value = why_text(engine), facts_text(engine), files_text(engine)
            # what ONNX Runtime's own files held when they were built, nobody knows
            self.check_button.layout.display = "" if engine.source == "cache" else "none"

    def _draw_layers(self, _: object = None) -> None:
        looked, looking = self.engines.looked, self.engines.looking
        self.look_button.disabled = looking
        told = markup.finding_list(looked.findings) if looked is not None else ""
        self.looked.value = markup.notice("busy", "Looking into the engine …") if looking else told
        self.layers.show(looked.engines if looked is not None else ())

    def _draw_pruning(self, _: object = None) -> None:
        pruning = self.engines.pruning
        self.previewed.value = pruning_text(pruning) if pruning else ""
        can = pruning is not None and pruning.dry_run and bool(pruning.removals)
        self.remove.layout.display = "" if can else "none"
        if pruning is not None and can:
            self.remove.description = f"Remove {len(pruning.removals)}, {size_text(pruning.bytes)}"


def why_text(engine: ListedEngine) -> str:
    """Return whether an engine is used, and why not or what is not known of it."""
    judgement = engine.judgement
    level, meaning = MEANING[judgement.state]
    return markup.lines(level, f"{judgement.state}: {meaning}", judgement.reasons or judgement.unknown)


def facts_text(engine: ListedEngine) -> str:
    """Return all that is known of an engine."""
    pairs = [
        ("Engine" if engine.source == "cache" else "File", engine.name),
        ("Folder", engine.folder),
        ("Model", engine.model),
        ("Settings", engine.settings),
        ("Precision", engine.precision),
        ("Ranges", "; ".join(engine.ranges)),
        ("GPU", engine.gpu or ""),
        ("Built for", engine.architecture or ""),
        ("TensorRT", engine.tensorrt or ""),
        ("ONNX Runtime", engine.onnxruntime or ""),
        ("Session and build", duration_text(engine.build_seconds) if engine.build_seconds is not None else ""),
        ("Built" if engine.source == "cache" else "Written", age_text(engine.created)),
        ("Last used", age_text(engine.last_used)),
    ]
    return markup.facts([(name, value) for name, value in pairs if value])


def files_text(engine: ListedEngine) -> str:
    """Return the files as a table."""
    rows = [(file.name, size_text(file.bytes), file.tensorrt or "–", file.problem or "–") for file in engine.files]
    return markup.grid(("File", "Size", "Written by TensorRT", "Problem"), rows)


def pruning_text(pruning: Pruning) -> str:
    """Return what goes, or has gone."""
    verb = "would go" if pruning.dry_run else "went"
    stay = f"{pruning.kept} stay with {size_text(pruning.kept_bytes)}"
    head = f"{len(pruning.removals)} {verb}, {size_text(pruning.bytes)}; {stay}."
    rows = [(r.key[:12], r.model or "–", size_text(r.bytes), r.because) for r in pruning.removals]
    table = markup.grid(("Engine", "Model", "Size", "Why"), rows) if rows else ""
    problems = "".join(markup.notice("error", problem) for problem in pruning.problems)
    return markup.notice("info" if pruning.dry_run else "success", head) + table + problems


def _cells(engine: ListedEngine) -> tuple[Cell, ...]:
    return (
        engine.title,
        engine.model or None,
        engine.precision or None,
        "; ".join(engine.ranges) or None,
        engine.architecture,
        engine.tensorrt,
        engine.bytes / 1e6,
        _date(engine.created),
        _date(engine.last_used),
        engine.judgement.state,
    )


def _date(moment: datetime | None) -> str | None:
    return moment.astimezone().strftime("%Y-%m-%d") if moment else None


def _field(label: str, field: widgets.Widget) -> widgets.VBox:
    box = widgets.VBox([widgets.HTML(markup.label(label)), field])
    box.add_class("wb-field")
    return box
