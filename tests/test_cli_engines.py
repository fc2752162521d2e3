"""``workbench engines``: what it lists, judges and removes; one JSON document, and the exit status."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from tests.runtime.engines.entries import LAPTOP, NAME, PROFILE, build, machine
from tests.runtime.engines.ort_files import FUSED, write_engine
from workbench.cli import app
from workbench.options.settings import Settings
from workbench.runtime.engines.cache import EngineCache
from workbench.samples.catalogue import sample_path

DIGITS = str(sample_path("digits"))


@pytest.fixture
def here(monkeypatch):
    def be(environment):
        monkeypatch.setattr("workbench.runtime.engines.here.session_environment", lambda: environment)

    be(machine())
    return be


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "engines"


def call(*arguments, status=0):
    done = CliRunner().invoke(app, ["engines", *map(str, arguments)], env={"NO_COLOR": "1", "COLUMNS": "300"})
    assert done.exit_code == status, done.output
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


def test_an_empty_cache_says_where_it_would_be(here, folder):
    assert f"No engines in {folder}." in call("--cache", folder)
    assert call("list", "--cache", folder, "--json") == {"folder": str(folder), "bytes": 0, "engines": []}


def test_a_laptop_is_told_what_can_be_done_there(here, folder):
    here(LAPTOP)
    assert "there is no NVIDIA GPU here" in call("--cache", folder)


def test_the_list_tells_all_that_is_known(here, folder):
    build(folder)
    text = call("--cache", folder)
    for part in ("digits.onnx", "profile for 'image'", "image (axis 0): 1 to 32, tuned for 8", "9.0", "8.6.1", "unjudged", "128"):
        assert part in text


def test_with_a_model_it_says_which_engine_a_session_would_use(here, folder):
    reachable, stale = build(folder), build(folder, Settings(profile=[PROFILE], precision="fp16"))
    found = call("list", "--cache", folder, "--model", DIGITS, "--profile", PROFILE, "--json")
    states = {engine["name"]: engine["judgement"] for engine in found["engines"]}
    assert states[reachable]["state"] == "reachable"
    assert states[stale]["state"] == "stale"
    assert states[stale]["reasons"] == ["Other precision: built with fp16, asked for fp32."]
    assert found["bytes"] == sum(engine["bytes"] for engine in found["engines"])
    assert "Other precision" in call("--cache", folder, "--model", DIGITS, "--profile", PROFILE)


def test_a_folder_of_onnxruntimes_own_is_listed_and_judged(here, tmp_path):
    write_engine(tmp_path, f"{FUSED}_fp16_sm86.engine", ranges={"x": [0, 1, 8, 4]})
    write_engine(tmp_path, "torn.engine", content=b"")
    found = call("list", "--folder", tmp_path, "--json")["engines"]
    good, torn = found
    assert (good["precision"], good["architecture"], good["tensorrt"]) == ("fp16", "sm86", "8.6.1.6")
    assert good["judgement"]["reasons"] == ["It is for compute capability 8.6; this GPU has 9.0."]
    assert "The file is empty" in torn["judgement"]["reasons"][0]
    assert "The file is empty" in call("list", "--folder", tmp_path)


def test_show_checks_the_files(here, folder):
    key = build(folder)
    found = call("show", key[:8], "--cache", folder, "--model", DIGITS, "--profile", PROFILE, "--json")
    assert (found["name"], found["judgement"]["state"]) == (key, "reachable")
    (EngineCache(folder).folder_of(key) / f"{NAME}.engine").write_bytes(b"x" * 128)
    assert "is corrupt" in call("show", key[:8], "--cache", folder, "--model", DIGITS, "--profile", PROFILE)


def test_show_reads_a_file_of_any_folder(here, tmp_path):
    path = write_engine(tmp_path, ranges={"x": [0, 1, 8, 4]})
    assert call("show", path, "--json")["ranges"] == ["x (axis 0): 1 to 8, tuned for 4"]
    assert "TensorRT: 8.6.1.6" in call("show", path)


def test_pruning_is_dry_until_it_is_confirmed(here, folder):
    build(folder)
    kept = ("prune", "--cache", folder, "--over", "1B", "--json")
    found = call(*kept)
    assert (found["dry_run"], len(found["removals"]), found["kept"]) == (True, 1, 0)
    assert found["bytes"] == 128
    assert len(EngineCache(folder).entries()) == 1
    assert call(*kept, "--yes")["removals"] == found["removals"]
    assert EngineCache(folder).entries() == []
    assert "0 removed" in call("prune", "--cache", folder, "--over", "1B", "--yes")


def test_stale_engines_go_and_others_stay(here, folder, tmp_path):
    build(folder, here=machine(tensorrt="8.5.3"))
    good = build(folder)
    found = call("prune", "--stale", "--cache", folder, "--store", tmp_path / "runs.sqlite3", "--yes", "--json")
    assert [removal["because"] for removal in found["removals"]] == ["TensorRT 8.5.3 built it; here is 8.6.1"]
    assert [entry.key for entry in EngineCache(folder).entries()] == [good]


def test_an_engine_that_was_not_used_for_long_goes(here, folder):
    key = build(folder)
    manifest = EngineCache(folder).folder_of(key).parent / "entry.json"
    document = json.loads(manifest.read_text())
    long_ago = (datetime.now(UTC) - timedelta(days=20)).isoformat()
    document["entry"] |= {"created": long_ago, "last_used": long_ago}
    manifest.write_text(json.dumps(document))
    (manifest.parent / "used").unlink(missing_ok=True)
    found = call("prune", "--unused-for", "14d", "--older-than", "4w", "--cache", folder, "--json")
    assert found["removals"][0]["because"] == "not used for 20 days"


@pytest.mark.parametrize(
    "arguments",
    [
        ("prune",),
        ("prune", "--older-than", "soon"),
        ("prune", "--over", "ten"),
        ("prune", "--over", "10iB"),
        ("show", "nothing"),
        ("list", "--folder", "/none/at/all"),
    ],
)
def test_wrong_use_is_one_clear_message(here, folder, arguments):
    more = ("--cache", folder) if "--folder" not in arguments else ()
    found = call(*arguments, *more, "--json", status=2)
    assert found["status"] == "failed"
    assert found["error"]["message"]
    assert found["error"]["remedy"]
