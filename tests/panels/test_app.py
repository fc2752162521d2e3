import threading

import pytest

from tests.panels.fakes import make_state
from tests.panels.models import chain_model
from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.panels.app import MODEL_VARIABLE, TABS, Workbench
from workbench.panels.background import Background
from workbench.runtime.job import Plan
from workbench.samples.catalogue import sample_path


@pytest.fixture
def state(tmp_path):
    return make_state(tmp_path, settings=Settings(provider="cpu"))


@pytest.fixture(autouse=True)
def _no_given_model(monkeypatch):
    monkeypatch.delenv(MODEL_VARIABLE, raising=False)


def test_opens_the_digits_sample_when_nothing_is_named(state):
    app = Workbench(state=state)
    assert app.state.model.name == "digits"
    assert app.failure is None
    assert repr(app) == "Workbench(digits.onnx, cpu, profile for 'image')"


def test_cell_ends_while_the_model_is_still_being_opened(tmp_path):
    background, gate = Background(), threading.Event()
    for _ in range(2):
        background.executor.submit(gate.wait, 30)  # both threads are busy: a small model may be there at once otherwise
    app = Workbench(sample_path("digits"), state=make_state(tmp_path, settings=Settings(provider="cpu"), background=background))
    assert repr(app) == "Workbench(opening digits.onnx, cpu)"
    gate.set()
    assert app.state.wait(30)
    assert repr(app) == "Workbench(digits.onnx, cpu, profile for 'image')"


def test_opens_the_model_that_the_command_line_was_given(state, monkeypatch):
    monkeypatch.setenv(MODEL_VARIABLE, str(sample_path("encoder")))
    assert Workbench(state=state).state.model.name == "encoder"


def test_opens_a_loaded_model_and_a_path(state, tmp_path):
    assert Workbench(str(sample_path("detector")), state=state).state.model.name == "detector"
    chain_model(tmp_path / "chain.onnx")
    assert Workbench(Model.load(tmp_path / "chain.onnx"), state=state).state.model.name == "chain"


def test_given_settings_and_plan_are_not_changed_by_opening_the_model(state):
    settings, plan = Settings(provider="cuda"), Plan(seconds=1)
    app = Workbench(sample_path("digits"), settings, plan=plan, state=state)
    assert app.settings == settings
    assert app.state.plan == plan
    app.state.load_model(sample_path("encoder"))
    assert app.settings.profile


def test_settings_made_in_a_cell_open_in_the_panels(state):
    app = Workbench(state=state)
    panel = app.panel("Options & shapes")
    app.settings = Settings(precision="int8")
    assert panel.precision.value == "int8"
    assert "tensorrt int8" in app.about.value


def test_cell_makes_the_same_state_again(state, tmp_path):
    app = Workbench(sample_path("digits"), state=state)
    app.state.set_option("intra_op_num_threads", 2, session=True)
    app.state.plan = Plan(iterations=9)
    made = []
    text = (
        app.cell()
        .replace("Workbench", "again")
        .replace("import Plan, Settings, ShapeProfile, again", "import Plan, Settings, ShapeProfile")
    )

    def again(model, settings, plan):
        made.append(Workbench(model, settings, plan=plan, state=make_state(tmp_path / "other")))

    exec(text, {"again": again})
    assert made[0].settings == app.settings
    assert made[0].state.plan == app.state.plan
    assert made[0].cell() == app.cell()


def test_cell_is_shown_and_follows_the_state(state):
    app = Workbench(state=state)
    assert app.drawer.layout.display == "none"
    app.python.value = True
    assert app.drawer.layout.display != "none"
    assert app.code.text == app.cell()
    app.state.set_provider("cuda")
    assert "provider='cuda'" in app.code.text


def test_tabs_are_made_when_they_are_seen_first(state):
    app = Workbench(state=state)
    assert list(app._panels) == [0]
    app.tabs.selected_index = 3
    assert list(app._panels) == [0, 3]
    assert app.tabs.children[3] is app.panel("Build & measure")


@pytest.mark.parametrize("title", [title for title, _ in TABS])
def test_every_tab_opens_with_and_without_a_model(state, title, tmp_path):
    app = Workbench(tmp_path / "none.onnx", state=state)
    assert app.panel(title).failure is None or title == "Model"
    app.state.load_model(sample_path("detector"))
    assert app.panel(title).failure is None


def test_missing_model_is_told_in_the_model_tab(state, tmp_path):
    app = Workbench(tmp_path / "none.onnx", state=state)
    assert "none.onnx" in app.panel("Model").status.value
    assert app.panel("Build & measure").status.value == ""


def test_error_appears_in_the_panel_that_caused_it_only(state, browser_clicks):
    app = Workbench(state=state)
    panels = {title: app.panel(title) for title, _ in TABS}
    (state.store.path).write_bytes(b"no database" * 100)
    browser_clicks(panels["Build & measure"].start)
    assert "runs.sqlite3" in panels["Build & measure"].status.value
    assert [title for title, panel in panels.items() if panel.failure] == ["Build & measure"]


def test_panel_sends_the_user_to_another_tab(tmp_path):
    app = Workbench(sample_path("digits"), state=make_state(tmp_path))
    app.state.wanted = "shapes"
    assert app.tabs.selected_index == 2
    assert app.state.wanted == ""
