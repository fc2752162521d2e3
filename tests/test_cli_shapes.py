"""``workbench shapes`` and ``workbench context`` from a shell: one document, and the exit status."""

import json

import pytest
from typer.testing import CliRunner

from tests.placement.build import node, proto, saved, value
from workbench.cli import app
from workbench.samples.catalogue import sample_path

RANGE = "image=1x3x64x64:1x3x320x480:1x3x640x960"


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))

    def run(*arguments):
        return CliRunner().invoke(app, [*map(str, arguments), "--json"])

    return run


def document(done):
    return json.loads(done.stdout)


def test_inputs_of_the_engines_are_listed(shell, tmp_path):
    done = shell("shapes", sample_path("detector"), "--trt", "8.6", "--profile", RANGE, "--store", tmp_path / "s")
    found = document(done)
    assert done.exit_code == 0
    assert (found["evidence"], found["engines"]) == ("predicted", 4)
    assert "/decode/boxes/Concat_output_0" in found["missing"]
    assert found["findings"][0]["level"] == "warning"


def test_a_profile_that_cannot_be_completed_is_the_exit_status(shell, tmp_path):
    done = shell("shapes", sample_path("detector"), "--trt", "8.6", "--profile", RANGE, "--complete", "--store", tmp_path / "s")
    found = document(done)
    assert done.exit_code == 1
    assert found["outcome"] == "error"
    assert any(text.startswith("/decode/boxes/Concat_output_0=1x80x4:") for text in found["arguments"])
    assert "/decode/boxes/Concat_output_0:1x80x4" in found["options"]["trt_profile_min_shapes"]


def test_a_profile_is_proposed_from_a_file(shell, tmp_path):
    (tmp_path / "shapes.csv").write_text("height,width\n64,64\n96,64\n96,64\n")
    done = shell("shapes", sample_path("detector"), "--from", tmp_path / "shapes.csv", "--store", tmp_path / "s")
    found = document(done)
    assert found["arguments"] == ["image=1x3x64x64:1x3x96x64:1x3x96x64"]
    assert found["proposal"]["requests"] == 3


def test_a_request_is_answered(shell, tmp_path):
    done = shell("shapes", sample_path("detector"), "--profile", RANGE, "--request", "image=1x3x32x64", "--store", tmp_path / "s")
    assert done.exit_code == 0
    assert document(done)["answer"]["result"] == "fails"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--from", "none.csv"], "cannot be read as CSV"),
        (["--from-runs"], "No kept Run of detector"),
        (["--from", "a.csv", "--from-runs"], "both say where"),
        (["--request", "1x3x8x8"], "names no input"),
        (["--profile", "nobody=1:2:3"], "has no input 'nobody'"),
        (["--run", "nothing"], "no Run has an id"),
    ],
)
def test_wrong_use_is_told(shell, tmp_path, arguments, told):
    done = shell("shapes", sample_path("detector"), *arguments, "--store", tmp_path / "s")
    assert done.exit_code == 2
    assert told in document(done)["error"]["message"]


def test_people_get_tables(tmp_path):
    (tmp_path / "shapes.csv").write_text("height,width\n64,64\n96,64\n96,64\n")
    command = ["shapes", str(sample_path("detector")), "--trt", "8.6", "--complete", "--from", str(tmp_path / "shapes.csv")]
    done = CliRunner().invoke(app, [*command, "--store", str(tmp_path / "s")])
    assert "4 TensorRT engine(s), predicted" in done.stdout
    assert "Completed profile" in done.stdout


def test_a_context_model_that_cannot_be_is_refused(shell):
    done = shell("context", sample_path("detector"))
    assert done.exit_code == 1
    assert document(done)["error"]["kind"] == "build"
    assert "No context model can be made" in document(done)["error"]["message"]


def test_a_check_wants_a_context_model(shell):
    done = shell("context", sample_path("detector"), "--check")
    assert done.exit_code == 1
    assert "no EP context model" in document(done)["error"]["message"]


def test_inspect_tells_what_is_wrong_with_a_context_model(shell, tmp_path):
    made = node("EPContext", ["x"], ["y"], domain="com.microsoft", embed_mode=0, ep_cache_context="gone.engine")
    model = saved(tmp_path, proto([made], inputs=[value("x", shape=(1, 4))], imports=[("com.microsoft", 1)]), "ctx")
    found = document(shell("inspect", model.path))
    assert any("'gone.engine' is missing" in finding["seen"] for finding in found["findings"])
    checked = shell("context", model.path, "--check")
    assert (checked.exit_code, document(checked)["outcome"]) == (1, "error")
    told = CliRunner().invoke(app, ["context", str(model.path), "--check"])
    assert "gone.engine" in told.stdout
