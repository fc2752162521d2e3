"""``workbench survey``: one JSON document, the exit status, a Run in the store for each configuration."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.samples.catalogue import sample_path
from workbench.study.survey_rows import Survey, SurveyRow
from workbench.terminal.survey import reasons_of, show_survey

QUICK = ("--iterations", "20", "--seconds", "0.2", "--no-cache")
NET = "import torch\n\ndef small(width=4):\n    return torch.nn.Sequential(torch.nn.Linear(8, width), torch.nn.ReLU())\n"


@pytest.fixture
def shell(tmp_path):
    def run(*arguments):
        command = [sys.executable, "-m", "workbench", "survey", *map(str, arguments), "--store", str(tmp_path / "r.sqlite3")]
        environment = {"PYTHONPATH": str(Path(__file__).parents[1])}
        import os

        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=110, env={**os.environ, **environment}
        )

    return run


def test_a_survey_is_one_document_with_a_row_for_each_configuration(shell):
    done = shell(sample_path("digits"), "--config", "cpu,cuda", "--batch", "1", "--batch", "4", *QUICK, "--json")

    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert found["source"] == str(sample_path("digits"))
    assert [(row["configuration"], row["batch"]) for row in found["rows"]] == [("cpu", 1), ("cuda", 1), ("cpu", 4), ("cuda", 4)]
    assert found["rows"][0]["fastest"]
    assert found["rows"][0]["run"]
    assert "cpu · batch 4: median" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--config", "tensort"), "Did you mean 'tensorrt'"),
        (("--config", "cpu", "--baseline", "cuda"), "not among the configurations"),
        (("--config", "cpu", "--tolerance", "0"), "more than 0"),
        (("--args", "{}"), "taken for an ONNX file"),
        (("--cache", "c"), "contradict"),
    ],
)
def test_wrong_use_has_status_2_and_names_what_is_right(shell, arguments, words):
    done = shell(sample_path("digits"), *arguments, *QUICK, "--json")

    assert done.returncode == 2, done.stderr
    error = json.loads(done.stdout)["error"]
    assert words in error["message"] + error["remedy"]


def test_a_module_is_exported_and_surveyed_by_one_command(shell, tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "nets.py").write_text(NET)
    arguments = ("--args", '{"width": 3}', "--input", "input=1x8", "--dynamic", "batch", "--batch", "2", *QUICK)

    done = shell("nets:small", *arguments, "--config", "torch eager, torch bf16, cpu", "--json")

    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert [row["status"] for row in found["rows"]] == ["ok", "ok", "ok"]
    assert found["baseline"] == "torch eager"
    assert "TorchScript exporter" in found["notes"][0]
    assert (tmp_path / "small.onnx").is_file()


def test_a_module_without_pytorch_says_what_to_install(shell, tmp_path):
    try:
        import torch  # noqa: F401

        pytest.skip("torch is installed")
    except ImportError:
        pass
    done = shell("nets:small", "--input", "input=1x8", "--json")

    assert done.returncode == 1
    assert "'torch>=" in json.loads(done.stdout)["error"]["remedy"]


def test_people_get_a_table_and_reasons(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    common = {"batch": 1, "evidence": "measured", "median_ms": 2.0, "p99_ms": 3.0, "throughput_per_s": 500.0, "speedup": 1.0}
    rows = (
        SurveyRow(configuration="cpu", status="ok", run="a", right=True, fastest=True, rel_l2=1e-7, **common),
        SurveyRow(configuration="tensorrt fp16", status="ok", run="b", right=False, wrong="NaN in y", trusted=False, **common),
        SurveyRow(configuration="native fp16", status="ok", run="c", right=None, wrong="the outputs were not compared", **common),
        SurveyRow(configuration="cuda", batch=1, status="not possible", why="no GPU"),
        SurveyRow(configuration="cuda", batch=8, status="not possible", why="no GPU"),
        SurveyRow(configuration="torch eager", batch=1, status="failed", why="It failed."),
    )
    found = Survey(source="net.onnx", model="net", baseline="cpu", tolerance=0.01, rows=rows)

    show_survey(found)
    printed = capsys.readouterr().out

    assert "fastest, baseline" in printed
    assert "WRONG" in printed
    assert "≈ 1.00" in printed
    assert reasons_of(found) == [
        "tensorrt fp16: its outputs are wrong (batch 1): NaN in y; its latency does not count",
        "native fp16: the outputs were not compared (batch 1): it cannot be the fastest",
        "cuda: not possible here: no GPU",
        "torch eager: failed: It failed.",
    ]
