import pytest

from tests.panels.fakes import make_state
from tests.runtime.engines.entries import LAPTOP, PROFILE, build, machine
from tests.runtime.engines.ort_files import FUSED, write_engine
from workbench.options.settings import Settings
from workbench.panels.engines_panel import EnginesPanel
from workbench.runtime.engines.cache import EngineCache
from workbench.samples.catalogue import sample_path


@pytest.fixture
def here(monkeypatch):
    def be(environment):
        monkeypatch.setattr("workbench.panels.engines.session_environment", lambda: environment)

    be(machine())
    return be


@pytest.fixture
def state(here, tmp_path):
    made = make_state(tmp_path, settings=Settings(profile=[PROFILE]))
    made.cache = EngineCache(tmp_path / "engines")
    return made


@pytest.fixture
def two(state, tmp_path):
    """A cache with an engine of the digits sample in FP32, and one in FP16; the model is open."""
    state.load_model(sample_path("digits"))
    build(tmp_path / "engines", state.settings)
    build(tmp_path / "engines", state.settings.replace(precision="fp16"))
    return EnginesPanel(state)


def states(panel):
    return sorted(row.cells[-1] for row in panel.table.rows)


def pick(panel, browser_says, precision):
    name = next(engine.name for engine in panel.engines.listed if engine.precision == precision)
    browser_says(panel.table, selected=[name])
    return name


def test_an_empty_cache_says_where_it_is(state, tmp_path):
    panel = EnginesPanel(state)
    assert panel.failure is None
    assert panel.table.rows == ()
    assert f"{tmp_path / 'engines'} · 0 engines" in panel.about.value
    assert panel.notice.value == ""


def test_without_a_gpu_it_says_where_engines_are_built_and_what_can_be_read_here(state, here):
    here(LAPTOP)
    panel = EnginesPanel(state)
    assert "Engines are built on a machine with a GPU" in panel.notice.value


def test_engines_are_judged_by_the_settings_and_again_when_they_change(two):
    assert states(two) == ["reachable", "stale"]
    two.state.set_provider("cpu")
    assert states(two) == ["stale", "stale"]
    two.state.set_provider("tensorrt")
    two.state.set_precision("bf16")
    assert states(two) == ["stale", "stale"]


def test_details_say_why_an_engine_is_not_used(two, browser_says):
    assert two.detail.layout.display == "none"
    pick(two, browser_says, "fp16")
    assert "Other precision: built with fp16, asked for fp32." in two.why.value
    assert "image (axis 0): 1 to 32, tuned for 8" in two.facts.value
    assert "NVIDIA H200" in two.facts.value
    pick(two, browser_says, "fp32")
    assert "A session with the current settings loads it." in two.why.value


def test_checking_the_files_finds_a_damaged_one(two, browser_says, browser_clicks):
    key = pick(two, browser_says, "fp32")
    folder = two.state.cache.folder_of(key)
    next(folder.glob("*.engine")).write_bytes(b"x" * 128)
    browser_clicks(two.check_button)
    assert two.failure is None
    assert "is corrupt" in two.why.value
    assert states(two) == ["stale", "stale"]


def test_a_folder_of_onnxruntimes_own_can_be_opened_and_left(two, tmp_path, browser_clicks, browser_says):
    write_engine(tmp_path / "own", f"{FUSED}_fp16_sm86.engine", ranges={"x": [0, 1, 8, 4]})
    two.path.value = str(tmp_path / "own")
    browser_clicks(two.open)
    assert two.failure is None
    assert [row.cells[3] for row in two.table.rows] == ["x (axis 0): 1 to 8, tuned for 4"]
    assert two.pruner.layout.display == "none"  # what is not ours is not removed
    browser_says(two.table, selected=[two.engines.listed[0].name])
    assert "another model" in two.why.value
    assert two.check_button.layout.display == "none"
    browser_clicks(two.ours)
    assert len(two.table.rows) == 2
    assert two.pruner.layout.display == ""


def test_a_folder_that_does_not_exist_is_one_message(two, browser_clicks):
    two.path.value = "/none/at/all"
    browser_clicks(two.open)
    assert "is no folder" in two.status.value
    assert len(two.table.rows) == 2


def test_pruning_shows_what_would_go_and_then_removes_that(two, browser_clicks):
    assert two.remove.layout.display == "none"
    two.over.value = 1e-9
    browser_clicks(two.preview)
    assert "2 would go, 256 bytes; 0 stay" in two.previewed.value
    assert two.remove.description == "Remove 2, 256 bytes"
    browser_clicks(two.remove)
    assert two.failure is None
    assert "2 went, 256 bytes" in two.previewed.value
    assert two.table.rows == ()
    assert two.remove.layout.display == "none"


def test_an_engine_that_came_after_the_preview_is_not_removed(two, browser_clicks, tmp_path):
    two.over.value = 1e-9
    browser_clicks(two.preview)
    build(tmp_path / "engines", two.state.settings.replace(precision="int8"))
    browser_clicks(two.remove)
    assert [engine.precision for engine in two.engines.listed] == ["int8"]


def test_another_rule_takes_the_preview_back(two, browser_clicks):
    two.over.value = 1e-9
    browser_clicks(two.preview)
    two.unused.value = 30
    assert two.previewed.value == ""
    assert two.remove.layout.display == "none"


def test_no_rule_is_one_message(two, browser_clicks):
    browser_clicks(two.preview)
    assert "No rule is set." in two.status.value


def test_a_cache_that_cannot_be_read_is_told_here(two, monkeypatch, browser_clicks):
    from workbench.errors import EngineError

    def broken(*_, **__):
        raise EngineError("the engine cache cannot be read: access denied.")

    monkeypatch.setattr("workbench.panels.engines.list_cache", broken)
    browser_clicks(two.refresh)
    assert "access denied" in two.status.value
    assert not two.engines.reading


def test_without_a_cache_there_is_nothing_to_prune(state):
    state.cache = None
    panel = EnginesPanel(state)
    assert "none is in use" in panel.about.value
    assert panel.pruner.layout.display == "none"
