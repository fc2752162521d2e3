from types import SimpleNamespace

import pytest

from tests.figures.test_layers import engine
from tests.panels.fakes import make_state, measured
from tests.runtime.engines.entries import PROFILE, build, machine
from workbench.errors import Unavailable
from workbench.measure.layers import EngineLayer
from workbench.options.settings import Settings
from workbench.panels.engines_panel import EnginesPanel
from workbench.panels.figure_view import Click
from workbench.panels.layers_view import LayersView
from workbench.panels.results_panel import ResultsPanel
from workbench.record import Finding
from workbench.runtime.engines.cache import EngineCache
from workbench.runtime.native.look import Looked
from workbench.samples.catalogue import sample_path


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.panels.engines.session_environment", machine)
    made = make_state(tmp_path, settings=Settings(provider="cpu", profile=[PROFILE]))
    made.cache = EngineCache(tmp_path / "engines")
    made.load_model(sample_path("digits"))
    return made


def of_digits(state):
    first, second = (node.name for node in state.model.nodes[:2])
    layers = (
        EngineLayer(name=f"{first} + {second}", type="Conv", nodes=(first, second), precision="fp16", ms=1.0),
        EngineLayer(name="other", type="Reformat", moving=True, ms=3.0),
    )
    return engine(layers)


def test_layers_are_listed_slowest_first(state):
    view = LayersView(state, lambda action: action)
    assert view.layout.display == "none"
    view.show([of_digits(state)])
    assert view.layout.display == ""
    assert view.table.rows[0].cells[0] == "other"
    assert [row.cells[2:5] for row in view.table.rows] == [("moves data", 3.0, 0.75), ("fp16", 1.0, 0.25)]
    assert "asked for fp16; delivered: fp16 in 1 of 1 layers (100% of the time)" in view.text.value
    view.show(())
    assert view.layout.display == "none"


def test_a_selected_layer_selects_its_nodes(state, browser_says):
    view = LayersView(state, lambda action: action)
    view.show([of_digits(state)])
    browser_says(view.table, selected=["0:0"])
    names = tuple(node.name for node in state.model.nodes[:2])
    assert (state.picked, state.node) == (names, names[0])
    assert "selected: " in view.told.value
    view.figure.clicked = Click(curve=0, point=1, customdata="0:1")
    assert view.table.selected == ["0:1"]
    assert "none of its nodes is in the open model" in view.told.value
    assert state.node == names[0]


def test_results_show_what_a_run_delivered(state):
    panel = ResultsPanel(state)
    assert panel.layers.layout.display == "none"
    job = SimpleNamespace(model=str(state.model.path), plan=state.plan)
    state.worker.outcome = measured(job).model_copy(update={"delivered": (of_digits(state),)})
    state.start_run()
    assert panel.failure is None
    assert len(panel.layers.table.rows) == 2
    state.chosen = ()
    assert panel.layers.layout.display == "none"


@pytest.fixture
def panel(state, browser_says, tmp_path):
    state.settings = Settings(profile=[PROFILE])
    build(tmp_path / "engines", state.settings)
    made = EnginesPanel(state)
    browser_says(made.table, selected=[made.engines.listed[0].name])
    return made


def test_an_engine_on_disk_is_looked_into(panel, state, monkeypatch, browser_clicks, browser_says):
    asked = []

    def look(listed, **more):
        asked.append((listed.name, more["entry"].key, more["model"] is state.model))
        return Looked((of_digits(state),), (Finding(level="info", where="layers", seen="one was encrypted"),))

    monkeypatch.setattr("workbench.panels.engines.engine_layers", look)
    browser_clicks(panel.look_button)
    key = panel.engines.chosen
    assert asked == [(key, key, True)]
    assert panel.failure is None
    assert len(panel.layers.table.rows) == 2
    assert "one was encrypted" in panel.looked.value
    assert not panel.look_button.disabled
    browser_says(panel.table, selected=[])
    assert panel.layers.layout.display == "none"


def test_why_it_cannot_be_looked_into_is_told(panel, monkeypatch, browser_clicks):
    def look(*_, **__):
        raise Unavailable("TensorRT's Python package is not installed.", remedy="Install it.")

    monkeypatch.setattr("workbench.panels.engines.engine_layers", look)
    browser_clicks(panel.look_button)
    assert "is not installed" in panel.status.value
    assert not panel.look_button.disabled
