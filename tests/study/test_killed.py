"""Processes that are killed at random moments: each job ends as a Run, the store stays whole, and no file is left behind."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

import psutil

from workbench.options.settings import Settings
from workbench.runtime.job import Plan
from workbench.runtime.process import python_environment
from workbench.runtime.worker import Worker
from workbench.study.execute import execute
from workbench.study.store import Store

CPU = Settings(provider="cpu")
PLAN = Plan(iterations=10**6, seconds=0.15, warmup=1)
KILLS = 10

KERNEL = """
import sys
from pathlib import Path
from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.runtime.job import Plan
from workbench.runtime.worker import Worker
from workbench.study.execute import execute
from workbench.study.store import Store

model, store = Model.load(sys.argv[1]), Store(sys.argv[2])
settings, plan = Settings(provider="cpu"), Plan(iterations=10**9, seconds=600.0)
with Worker() as worker:
    execute(model, settings, Plan(seconds=0.1), store=store, worker=worker)

    def tell(event):
        if event.stage == "measuring":
            print(worker.pid, flush=True)

    execute(model, settings, plan, store=store, worker=worker, on_event=tell)
"""


def kill_after(worker, seconds):
    """End the worker's process, once there is one."""

    def kill():
        time.sleep(seconds)
        pid = worker.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def integrity(path):
    with sqlite3.connect(path) as connection:
        found = connection.execute("PRAGMA integrity_check").fetchone()[0]
    connection.close()
    return found


def test_kill_9_of_the_worker_at_ten_random_moments(digits, tmp_path, monkeypatch):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    store, moments, runs = Store(tmp_path / "runs.sqlite3"), random.Random(3), []
    with Worker() as worker:
        runs.append(execute(digits, CPU, PLAN, store=store, worker=worker))
        for i in range(KILLS):
            # every other time a process that is there already, so that the kill does not always meet its start
            killer = kill_after(worker, moments.uniform(0, 0.6) if i % 2 else moments.uniform(0, 1.5))
            runs.append(execute(digits, CPU, PLAN, store=store, worker=worker))
            killer.join()
        runs.append(execute(digits, CPU, PLAN, store=store, worker=worker))

    assert {run.status for run in runs} == {"ok", "crashed"}
    assert runs[0].status == runs[-1].status == "ok"
    assert all("SIGKILL" in run.error.message for run in runs if run.status == "crashed")
    assert integrity(store.path) == "ok"
    assert {run.id for run in store.runs()} == {run.id for run in runs}
    assert list(temporary.iterdir()) == []


def test_kill_9_of_the_kernel_takes_its_worker_along_and_leaves_no_file(digits, tmp_path):
    temporary, path = tmp_path / "tmp", tmp_path / "runs.sqlite3"
    temporary.mkdir()
    environment = python_environment() | {"TMPDIR": str(temporary)}
    command = [sys.executable, "-c", KERNEL, str(digits.path), str(path)]
    kernel = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    worker = psutil.Process(int(kernel.stdout.readline()))
    kernel.kill()
    kernel.communicate()

    worker.wait(timeout=10)
    assert integrity(path) == "ok"
    assert [run.status for run in Store(path).runs()] == ["ok"]
    # ONNX Runtime keeps a file of its own there
    assert not list(temporary.glob("workbench*"))
