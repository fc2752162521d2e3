"""Accuracy from a shell: data, labels, metrics, references, and what breaks lower precision."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from workbench.cli.data import preprocessing_of
from workbench.errors import InputError
from workbench.model.model import Model
from workbench.samples.catalogue import samples

DIGITS = samples()[0]


@pytest.fixture
def shell(tmp_path):
    def run(*arguments):
        command = [sys.executable, "-m", "workbench", *map(str, arguments)]
        environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=100, env=environment)

    return run


def quick(tmp_path, *more):
    given = ("--provider", "cpu", "--seconds", "0.2", "--iterations", "20", "--store", tmp_path / "runs.sqlite3")
    return ("run", DIGITS.path, *given, "--data", DIGITS.test_set, "--metric", "top1", *more)


def test_task_accuracy_is_measured_kept_and_told(shell, tmp_path):
    done = shell(*quick(tmp_path, "--samples", 100, "--keep-outputs", "--json"))
    found = json.loads(done.stdout)
    assert (done.returncode, found["task"]["samples"], found["task"]["difference"]) == (0, 100, 0)
    assert {"output", "max_abs", "rel_l2", "cosine", "sqnr_db", "reference"} <= found["accuracy"][0].keys()

    again = shell(*quick(tmp_path, "--samples", 100, "--reference", f"run:{found['id'][:18]}"))
    assert again.returncode == 0, again.stderr
    assert "identical to the stored outputs" in again.stdout
    assert "McNemar p = 1" in again.stdout


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--labels", "labls"), "Did you mean 'label'?"),
        (("--reference", "none.npz"), "no such file"),
        (("--reference", "run:2"), "no Run"),
        (("--preprocess", "sise=2x2"), "Did you mean 'size'"),
    ],
)
def test_wrong_use_has_status_2(shell, tmp_path, more, words):
    done = shell(*quick(tmp_path, *more, "--json"))
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 2
    assert words.lower() in f"{error['message']} {error['remedy']}".lower()


def test_labels_of_the_wrong_length_have_status_2(shell, tmp_path):
    np.savez(tmp_path / "data.npz", image=np.ones((3, 1, 8, 8), np.float32), label=np.zeros(2, int))
    done = shell("run", DIGITS.path, "--provider", "cpu", "--data", "data.npz", "--metric", "top1", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["message"]) == (2, "data.npz: there are 2 labels for 3 samples.")


def test_what_breaks_lower_precision_is_one_document_and_a_model(shell, tmp_path):
    given = ("--data", DIGITS.test_set, "--target", "top1-drop=0.5", "--store", tmp_path / "runs.sqlite3")
    done = shell("sensitivity", DIGITS.path, *given, "--samples", 50, "--out", "half.onnx", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["status"], found["keep"], found["evidence"]) == (0, "found", [], "measured")
    assert any(spec.op_type == "Cast" for spec in Model.load(tmp_path / "half.onnx").nodes)
    again = shell("sensitivity", DIGITS.path, *given, "--samples", 50)
    assert "The whole model can be fp16" in again.stdout
    assert "0 sets run" in again.stdout


def test_a_target_that_makes_no_sense_has_status_2(shell, tmp_path):
    done = shell("sensitivity", DIGITS.path, "--target", "rel=1", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["kind"]) == (2, "usage")


def test_preprocessing_is_read_from_text():
    found = preprocessing_of("size=224x192,resize=256,mean=0.5/0.4/0.3,std=0.2/0.2/0.2,scale=1/255,layout=NHWC,channels=BGR")
    assert (found.size, found.resize, found.mean, found.layout, found.channels) == (
        (224, 192),
        256,
        (0.5, 0.4, 0.3),
        "NHWC",
        "BGR",
    )
    assert found.scale == pytest.approx(1 / 255)


@pytest.mark.parametrize(
    "text",
    [
        "size=224",
        "mean=0.5",
        "size=axb",
        "size=2x2,layout=HWC",
        "size=2x2,scale=1/0",
        "size=2x2,std=0",
        "size=2x2,mean=1/2",
    ],
)
def test_preprocessing_that_makes_no_sense_is_explained(text):
    with pytest.raises(InputError, match="--preprocess"):
        preprocessing_of(text)
