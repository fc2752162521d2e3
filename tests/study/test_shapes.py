import pytest

from tests.placement.build import node, proto, saved
from workbench.options.settings import Settings
from workbench.placement import releases
from workbench.placement.predict import predict
from workbench.placement.releases import tensorrt_for
from workbench.record import Failure
from workbench.runtime.job import Outcome
from workbench.study.execute import execute
from workbench.study.shapes import foretold, shapes_report


@pytest.fixture
def split(tmp_path):
    return saved(tmp_path, proto([node("Relu", ["x"], ["a"]), node("Hardmax", ["a"], ["b"]), node("Exp", ["b"], ["y"])]))


def test_a_report_says_what_is_missing_and_completes_it(split):
    placement = predict(split, tensorrt="8.6")
    settings = Settings(profile=["x=1x4:8x4:32x4"])
    report = shapes_report(split, settings, placement)
    assert (report.engines, report.missing, report.completed) == (2, ("b",), None)
    completed = shapes_report(split, settings, placement, complete=True)
    assert completed.missing == ()
    assert completed.completed.names == ("b", "x")
    assert not completed.wrong


def test_the_failure_is_foretold_before_a_run(split, monkeypatch):
    monkeypatch.setattr(releases.releases, "installed_release", lambda: "1.17")
    assert tensorrt_for() == "8.6"
    assert "does not name 1 of their inputs: b" in foretold(split, Settings(profile=["x=1x4:8x4:32x4"]))[0].seen
    assert foretold(split, Settings()) == []
    assert foretold(split, Settings(provider="cpu", profile=["x=1x4:8x4:32x4"])) == []

    class Refusing:
        def run(self, *_):
            return Outcome(status="failed", error=Failure(kind="shape", message="provide all the dynamic shape inputs"))

    run = execute(split, Settings(profile=["x=1x4:8x4:32x4"]), worker=Refusing())
    assert any("does not name" in finding.seen for finding in run.findings)


def test_the_tensorrt_of_a_release_is_known():
    assert (tensorrt_for("1.17.1"), tensorrt_for("1.18"), tensorrt_for("1.31")) == ("8.6", "10.16", "10.16")
