"""Show on a GPU machine what the engine cache is worth, and that nothing it holds is torn or stale.

    python benchmarks/engine_cache.py resnet50.onnx --out cache.json --precision fp16 --limit 540

Parts, chosen with --only: ``ladder`` (seconds to make a session: nothing cached, timing cache, engine, EP context model),
``stale`` (another model under the same file name: ONNX Runtime's own cache, and the workbench's), ``kill`` (kill -9 at ten random
moments of a build, then a clean run), ``twice`` (two processes build the same at once). With --provider cpu there are no engines:
it rehearses the script, and kills workers that measure.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from workbench.errors import WorkbenchError
from workbench.model.model import Model
from workbench.options.profile import ShapeProfile
from workbench.options.settings import Settings
from workbench.options.values import read_assignments
from workbench.placement.records import CPU, CUDA, TENSORRT
from workbench.runtime.data.inputs import random_inputs
from workbench.runtime.engines.cache import EngineCache
from workbench.runtime.engines.here import session_environment
from workbench.runtime.engines.layout import SET_ASIDE, hash_of
from workbench.runtime.engines.staging import STAGING
from workbench.runtime.job import Event, Plan
from workbench.runtime.process import python_environment
from workbench.runtime.worker import Worker
from workbench.samples.catalogue import sample_path
from workbench.study.context import dump_context
from workbench.study.execute import execute
from workbench.study.run import Run
from workbench.study.store import Store

KILLS = 10
QUICK = {"warmup": 1, "iterations": 50, "seconds": 0.5}
PARTS = ("ladder", "stale", "kill", "twice")


class Bench:
    """What the parts share: the model, how it is run, the time that is left, and a folder for all that is made."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self.arguments, self.folder = arguments, folder
        self.model = Model.load(arguments.model)
        self.settings = Settings(
            provider=arguments.provider,
            precision=arguments.precision if arguments.provider == "tensorrt" else "fp32",
            provider_options=read_assignments(arguments.option),
            profile=ShapeProfile.from_arguments(arguments.profile),
        )
        self.ends = time.monotonic() + arguments.limit
        self.store = Store(folder / "runs.sqlite3")

    def left(self) -> float:
        """Return how many seconds are left."""
        return self.ends - time.monotonic()

    def run(self, cache: EngineCache, worker: Worker, model: Model | None = None, **more: Any) -> Run:  # noqa: ANN401  # fields of a Plan
        """Run once, and print a line."""
        on_event: Callable[[Event], None] | None = more.pop("on_event", None)
        plan = Plan(**({"accuracy": False, "timeout_s": max(self.left(), 1.0)} | QUICK | more))
        run = execute(model or self.model, self.settings, plan, store=self.store, worker=worker, cache=cache, on_event=on_event)
        print(f"  {json.dumps(said(run))}", flush=True)
        return run


def said(run: Run) -> dict[str, Any]:
    """Return what matters here of a Run."""
    build = run.build
    return {
        "status": run.status,
        "error": run.error.message[:200] if run.error else None,
        "cache": build.cache if build else None,
        "seconds": round(build.seconds, 3) if build else None,
        "stages": {stage.name: round(stage.seconds, 3) for stage in build.stages} if build else {},
        "waited_s": round(build.waited_s, 3) if build else None,
        "engines": [use.origin for use in build.engines] if build else [],
        "findings": [str(finding)[:300] for finding in run.findings if finding.where in ("engine cache", "profile")],
    }


def ladder(bench: Bench) -> dict[str, Any]:
    """Make the session with nothing cached, an engine, a timing cache, an EP context model; and anew in another process."""
    cache = EngineCache(bench.folder / "ladder")
    context = bench.folder / f"{bench.model.path.stem}_ctx.onnx" if bench.settings.provider == "tensorrt" else None
    found: dict[str, Any] = {}
    with Worker() as worker:
        warm_up(bench, worker)  # the first session of a process pays for the start of CUDA and TensorRT
        found["cold"] = said(bench.run(cache, worker))
        found["engine"] = said(bench.run(cache, worker))
        cache.remove([entry.key for entry in cache.entries()])
        found["timing"] = said(bench.run(cache, worker))
        if context is not None:
            dumped = dump_context(bench.model, bench.settings, context, here=session_environment(), cache=cache, worker=worker)
            found["dump_s"] = dumped.seconds
            found["context"] = said(bench.run(cache, worker, Model.load(context)))
    with Worker() as worker:
        found["engine, new process"] = said(bench.run(cache, worker))
    if context is not None:
        with Worker() as worker:
            found["context, new process"] = said(bench.run(cache, worker, Model.load(context)))
    found["timing_cache_bytes"] = [timing.bytes for timing in cache.timing_caches()]
    found["engine_bytes"] = [entry.bytes for entry in cache.entries()]
    return found


def warm_up(bench: Bench, worker: Worker) -> None:
    """Make a first session in a process."""
    plan = Plan(latency=False, accuracy=False, timeout_s=max(bench.left(), 1.0))
    execute(Model.load(sample_path("digits")), Settings(provider=bench.settings.provider), plan, worker=worker)


def stale(bench: Bench) -> dict[str, Any]:
    """Run two models with the same file name and other weights, with ONNX Runtime's own cache and with the workbench's."""
    models = [bench.folder / each / "model.onnx" for each in ("a", "b")]
    for path, factor in zip(models, (1.0, 0.5), strict=True):
        scaled(bench.model.path, path, factor)
    plain = plain_runs(bench, models)
    cache = EngineCache(bench.folder / "stale")
    with Worker() as worker:
        runs = [bench.run(cache, worker, Model.load(path), accuracy=True, latency=False) for path in models]
    ours = [{"max_abs": [row.max_abs for row in run.accuracy], **said(run)} for run in runs]
    return {"plain": plain, "workbench": ours}


def scaled(source: Path, target: Path, factor: float) -> None:
    """Write a model whose floating-point weights are multiplied by a factor; all names stay."""
    proto = onnx.load(str(source))
    for tensor in proto.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype.kind == "f" and array.ndim > 1:
            tensor.CopyFrom(numpy_helper.from_array((array * factor).astype(array.dtype), tensor.name))
    target.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(proto, str(target))


def plain_runs(bench: Bench, models: list[Path]) -> dict[str, Any]:
    """Run both models with plain ONNX Runtime, each in a process of its own, with one folder for its engine cache."""
    folder = bench.folder / "plain"
    folder.mkdir()
    for index, path in enumerate(models):
        given = [str(path), str(folder), str(index), bench.settings.model_dump_json()]
        command = [sys.executable, __file__, "--plain", json.dumps(given)]
        done = subprocess.run(
            command, env=python_environment(), check=False, timeout=max(bench.left(), 1.0), capture_output=True, text=True
        )
        if done.returncode:
            return {"error": done.stderr[-500:]}
    outputs = [dict(np.load(folder / f"{index}.npz")) for index in range(len(models))]
    names = [name for name in outputs[0] if name.startswith("gpu ")]
    reference = [name.replace("gpu ", "cpu ", 1) for name in names]
    return {
        "second_against_its_cpu_reference": [
            max_abs(outputs[1][n], outputs[1][r]) for n, r in zip(names, reference, strict=True)
        ],
        "second_against_the_first": [max_abs(outputs[1][n], outputs[0][n]) for n in names],
        "first_against_its_cpu_reference": [max_abs(outputs[0][n], outputs[0][r]) for n, r in zip(names, reference, strict=True)],
        "engine_files": sorted(path.name for path in folder.glob("*.engine")),
    }


def max_abs(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return the greatest absolute difference; ``None`` where the shapes differ or nothing is left to compare."""
    if first.shape != second.shape or not first.size:
        return None
    found = float(np.max(np.abs(first.astype(np.float64) - second.astype(np.float64))))
    return found if np.isfinite(found) else None


def plain_run(path: str, folder: str, index: str, settings_text: str) -> None:
    """Run a model with ONNX Runtime alone, in this process, with its own engine cache; keep the outputs in the folder."""
    from workbench.runtime.libraries.prerequisites import require
    from workbench.runtime.session import load_onnxruntime

    settings = Settings.model_validate_json(settings_text)
    ort = load_onnxruntime(settings.provider)
    require(ort, settings)
    model = Model.load(path)
    feeds = {given.name: given.array for given in random_inputs(model, settings.profile, 0)}
    own = {"trt_engine_cache_enable": "True", "trt_engine_cache_path": folder}
    providers = [(name, options | own if name == TENSORRT else options) for name, options in settings.to_providers()]
    session = ort.InferenceSession(path, providers=providers, enable_fallback=0)
    wanted = {"tensorrt": TENSORRT, "cuda": CUDA, "cpu": CPU}[settings.provider]
    if wanted not in session.get_providers():
        raise SystemExit(f"the session has {session.get_providers()}")
    reference = ort.InferenceSession(path, providers=[CPU])
    found = {}
    for kind, each in (("gpu", session), ("cpu", reference)):
        for spec, array in zip(each.get_outputs(), each.run(None, feeds), strict=True):
            found[f"{kind} {spec.name}"] = array
    np.savez(Path(folder) / f"{index}.npz", **found)


def kill(bench: Bench) -> dict[str, Any]:
    """Kill the worker with -9 at random moments while it makes a session, then run once to the end."""
    cache, moments = EngineCache(bench.folder / "kill"), random.Random(1)  # noqa: S311  # moments, no secrets
    with Worker() as worker:
        bench.run(cache, worker)  # leaves a timing cache, which makes the builds below shorter
        cache.remove([entry.key for entry in cache.entries()])
        again = bench.run(cache, worker)
        expected = again.build.seconds if again.build else 1.0
        found: list[dict[str, Any]] = []
        while len(found) < KILLS and bench.left() > 3 * expected + 30:
            cache.remove([entry.key for entry in cache.entries()])
            after = moments.uniform(0, max(expected, 0.3))
            killer = Killer(worker, after)
            run = bench.run(cache, worker, on_event=killer.see)
            killer.stop()
            found.append({"after_s": round(after, 3), "status": run.status, "torn": torn(cache), "staging": staged(cache)})
        last = bench.run(cache, worker)
    with sqlite3.connect(bench.store.path) as connection:
        integrity = connection.execute("PRAGMA integrity_check").fetchone()[0]
    return {
        "kills": found,
        "torn": sum(len(each["torn"]) for each in found) + len(torn(cache)),
        "clean_run": said(last),
        "staging_after_it": staged(cache),
        "set_aside": len(list((cache.folder / SET_ASIDE).glob("*"))),
        "store": integrity,
        "runs_kept": len(bench.store),
    }


class Killer:
    """Kills a worker so long after it has begun to make a session, unless that has ended before."""

    def __init__(self, worker: Worker, seconds: float) -> None:
        self.worker = worker
        self.timer = threading.Timer(seconds, self.kill)
        self.begun = False

    def see(self, event: Event) -> None:
        """Take an event of the worker."""
        if event.stage == "session" and not self.begun:
            self.begun = True
            self.timer.start()

    def kill(self) -> None:
        """End the worker's process."""
        pid = self.worker.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """Do not kill any more."""
        self.timer.cancel()


def torn(cache: EngineCache) -> list[str]:
    """Return the engines that are not what the cache says they are."""
    found = []
    for entry in cache.entries():
        folder = cache.folder_of(entry.key)
        found += [file.name for file in entry.files if folder is None or hash_of(folder / file.name) != file.sha256]
    return found


def staged(cache: EngineCache) -> int:
    """Return how many private folders there are."""
    return len(list((cache.folder / STAGING).glob("*")))


def twice(bench: Bench) -> dict[str, Any]:
    """Let two workers want the same engines at once."""
    cache = EngineCache(bench.folder / "twice")
    with Worker() as first, Worker() as second, ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda worker: bench.run(cache, worker), (first, second)))
    return {"runs": [said(run) for run in runs], "entries": len(cache.entries()), "torn": torn(cache)}


def main() -> None:
    """Do the parts for which there is time, and write what was found after each."""
    arguments = _arguments()
    if arguments.plain:
        plain_run(*json.loads(arguments.plain))
        return
    found: dict[str, Any] = {"model": arguments.model.name, "provider": arguments.provider, "precision": arguments.precision}
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        bench = Bench(arguments, Path(folder))
        for part in arguments.only or PARTS:
            if bench.left() < arguments.reserve:
                found[part] = "not run for lack of time"
                continue
            print(part, flush=True)
            began = time.monotonic()
            try:
                found[part] = {"ladder": ladder, "stale": stale, "kill": kill, "twice": twice}[part](bench)
            except (WorkbenchError, subprocess.TimeoutExpired, OSError) as error:
                found[part] = {"error": str(error)[:500]}
            found[f"{part}_took_s"] = round(time.monotonic() - began, 1)
            arguments.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
        kept = bench.store.runs(limit=100)
        if arguments.runs is not None and kept:
            arguments.runs.unlink(missing_ok=True)
            bench.store.export([run.id for run in kept], arguments.runs)
        found["environment"] = [run.environment.model_dump(mode="json") for run in kept[:1] if run.environment]
    arguments.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(json.dumps({part: found.get(part) for part in PARTS}, indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?", default=sample_path("digits"), help="an ONNX file; the smallest sample")
    parser.add_argument("--out", type=Path, default=Path("engine_cache.json"), help="the JSON file to write")
    parser.add_argument("--runs", type=Path, help="also write the Runs to a file that the app opens as recorded ones")
    parser.add_argument("--provider", choices=("tensorrt", "cuda", "cpu"), default="tensorrt")
    parser.add_argument("--precision", choices=("fp32", "fp16", "int8"), default="fp32")
    parser.add_argument("--option", "-o", action="append", default=[], metavar="KEY=VALUE", help="a provider option; repeatable")
    parser.add_argument(
        "--profile", action="append", default=[], metavar="NAME=MIN:OPT:MAX", help="an input's shapes; repeatable"
    )
    parser.add_argument("--limit", type=float, default=540.0, help="seconds in all (%(default)s)")
    parser.add_argument("--reserve", type=float, default=30.0, help="begin no part with fewer seconds left (%(default)s)")
    parser.add_argument("--only", action="append", choices=PARTS, help="repeatable; all parts by default")
    parser.add_argument("--folder", type=Path, help="where to make the caches; a temporary folder by default")
    parser.add_argument("--plain", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
