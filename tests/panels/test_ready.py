import threading

import pytest

from tests.panels.fakes import make_state
from tests.panels.test_next_steps import readied
from workbench.errors import SettingsError
from workbench.options.settings import Settings
from workbench.panels.background import Background
from workbench.panels.ready_text import ready_text
from workbench.runtime.job import Event
from workbench.samples.catalogue import sample_path
from workbench.study.ready_records import Step


@pytest.fixture
def state(tmp_path):
    made = make_state(tmp_path, settings=Settings())
    made.load_model(sample_path("digits"))
    return made


def fake(monkeypatch, made):
    given = {}

    def make_ready(model, settings, **options):
        given.update(options, model=model, settings=settings)
        options["on_event"](Event(stage="ONNX shape inference", elapsed_s=0.1))
        return made(**options) if callable(made) else made

    monkeypatch.setattr("workbench.study.ready.make_ready", make_ready)
    return given


def test_new_file_is_opened_and_told_about(state, monkeypatch):
    path = str(sample_path("encoder"))
    given = fake(monkeypatch, readied(outcome="ready", path=path, changes=("Added 3 shapes.",), equal=True))
    state.tensorrt = "8.6"
    state.make_ready()
    assert given["tensorrt"] == "8.6"
    assert state.model.name == "encoder"
    assert state.readied.changes == ("Added 3 shapes.",)


def test_another_model_ends_the_tale(state, monkeypatch):
    fake(monkeypatch, readied(outcome="failed"))
    state.make_ready()
    assert state.readied.outcome == "failed"
    state.load_model(sample_path("encoder"))
    assert state.readied is None


def test_file_that_cannot_be_written_is_trouble_of_the_placement(state, monkeypatch):
    def refuse(**_):
        raise SettingsError("cannot be written")

    fake(monkeypatch, refuse)
    state.make_ready()
    assert state.trouble.place == "placement"
    assert not state.busy


def test_making_ready_can_be_cancelled(tmp_path, monkeypatch):
    state = make_state(tmp_path, settings=Settings(), background=Background())
    state.load_model(sample_path("digits"))
    assert state.wait(30)
    started = threading.Event()

    def wait(cancelled, **_):
        started.set()
        return readied(outcome="cancelled" if cancelled.wait(10) else "failed")

    fake(monkeypatch, wait)
    state.make_ready()
    assert started.wait(10)
    state.cancel()
    assert state.wait(10)
    assert state.readied.outcome == "cancelled"
    assert not state.worker.cancelled.is_set()


def test_outcome_changes_and_steps_are_told():
    step = Step(remedy="infer", outcome="enough", seconds=0.5, why="3 shapes <found>")
    text = ready_text(readied(outcome="ready", message="Ready.", equal=True, changes=("Added 3 shapes.",), steps=(step,)))
    assert "All outputs are equal" in text
    assert "Added 3 shapes." in text
    assert "3 shapes &lt;found&gt;" in text
