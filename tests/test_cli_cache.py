"""``workbench run`` and the engine cache."""

import json

import pytest
from typer.testing import CliRunner

from workbench.cli import app
from workbench.samples.catalogue import sample_path

ARGUMENTS = ["run", str(sample_path("digits")), "--provider", "cpu", "--iterations", "10", "--seconds", "0.1", "--no-accuracy"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*more):
        return CliRunner().invoke(app, [*ARGUMENTS, "--store", str(tmp_path / "runs.sqlite3"), "--json", *more])

    return call


def test_the_cpu_needs_no_engines_and_makes_no_folder(run, tmp_path):
    done = run("--cache", str(tmp_path / "engines"))
    assert done.exit_code == 0
    build = json.loads(done.stdout)["build"]
    assert (build["cache"], build["engines"], build["key"], build["waited_s"]) == ("cold", [], None, 0.0)
    assert not (tmp_path / "engines").exists()


def test_one_cannot_want_a_cache_and_none(run, tmp_path):
    done = run("--cache", str(tmp_path), "--no-cache")
    assert done.exit_code == 2
    assert "contradict" in json.loads(done.stdout)["error"]["message"]
