"""Calibrate a model on the user's data, in a process of its own; what was done outlives the process.

The state is kept by what decides the numbers: the model's content, the data, the batch and ONNX Runtime's release. It does
not depend on the method, so that another method costs no second pass over the samples.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pydantic import ValidationError

from workbench.errors import InputError, JobError
from workbench.measure.calibration import METHODS, Method
from workbench.options.releases import installed_release
from workbench.runtime.calibration.records import Answer, Calibration, Errand, Progress
from workbench.runtime.calibration.statistics import FORMAT
from workbench.runtime.data.dataset import DataSource, open_dataset
from workbench.runtime.process import end_group, how_it_ended, start_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from workbench.model.model import Model

POLL_S = 0.05


def calibrate(  # noqa: PLR0913
    model: Model,
    data: DataSource | str | Path | Iterable[object],
    *,
    method: Method = "entropy",
    compare: bool = True,
    samples: int | None = None,
    batch: int = 8,
    provider: str = "cpu",
    resume: bool = True,
    folder: Path | None = None,
    save_every: int = 100,
    limit_s: float | None = None,
    cancelled: threading.Event | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Calibration:
    """Find the ranges of a model's activations.

    Parameters
    ----------
    model, data
        The model, and the samples as :func:`workbench.runtime.data.dataset.open_dataset` takes them.
    method : str
        ``minmax``, ``entropy``, ``percentile`` (99.99 % of the magnitudes) or ``distribution``, which for INT8 is the whole
        range as the library's histogram has it.
    compare : bool
        Whether to find the thresholds of all methods; entropy takes a fifth of a second a tensor.
    samples, batch : int
        How many to use, from the first on, and how many to feed in one go: all activations of one feed are in memory.
    provider : str
        ``cpu`` or ``cuda``: who runs the model.
    resume, folder, save_every
        Whether to go on where an earlier calibration of the same model on the same data stopped; where its state is kept,
        by default in the user's cache; and after how many samples it is written.
    limit_s, cancelled
        Seconds that all may take, and what ends it once set.
    on_progress : callable, optional
        Called in this thread, now and then.

    Raises
    ------
    InputError
        When the data do not fit the model.
    JobError
        When the model cannot be run, the process died, or it was cancelled or took too long. What was done is kept.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="workbench-calibration-") as scratch:
        source = _described(data, model, samples, Path(scratch))
        state = (folder or state_folder()) / f"{state_key(model, source, batch, provider)}.npz"
        if not resume:
            state.unlink(missing_ok=True)
        fields = {"batch": batch, "methods": METHODS if compare else (method,), "save_every": save_every, "provider": provider}
        errand = Errand.model_validate({"model": str(model.path), "source": source, "state": str(state), **fields})
        answer = _perform(errand, limit_s, cancelled or threading.Event(), on_progress or (lambda _: None))
    return _calibration(model, answer, batch, method, time.monotonic() - began)


def _calibration(model: Model, answer: Answer, batch: int, method: Method, seconds: float) -> Calibration:
    """Return what the process found.

    Raises
    ------
    InputError, JobError
        When it found nothing.
    """
    if answer.kind == "inputs":
        raise InputError(answer.message, remedy=answer.remedy)
    if answer.kind:
        raise JobError(answer.message, kind=answer.kind, remedy=answer.remedy)
    return Calibration(
        model=model.name,
        content_hash=model.content_hash(),
        data=answer.data,
        samples=answer.samples,
        batch=batch,
        resumed=answer.resumed,
        method=method,
        onnxruntime=answer.onnxruntime,
        seconds=seconds,
        tensors=answer.tensors,
        findings=answer.findings,
    )


def state_folder() -> Path:
    """Return the folder of intermediate results."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("trt-workbench")) / "calibration"


def state_key(model: Model, source: DataSource, batch: int, provider: str = "cpu") -> str:
    """Return a name for what decides the numbers: model, data, batch and release.

    Raises
    ------
    InputError
        When the data cannot be read.
    """
    parts = {
        "format": FORMAT,
        "model": model.content_hash(),
        "data": _fingerprint(source),
        "limit": source.limit,
        "preprocessing": source.preprocessing.model_dump(mode="json") if source.preprocessing else None,
        "batch": batch,
        "provider": provider,
        "onnxruntime": installed_release(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _fingerprint(source: DataSource) -> str:
    """Return a hash of a file, or of the names, sizes and times of a folder's files."""
    path = Path(source.path).expanduser()
    try:
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file())
            listed = [(str(f.relative_to(path)), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
            return hashlib.sha256(json.dumps(listed).encode()).hexdigest()
        with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
            # By the arrays: two files of equal arrays differ in the times that the archive keeps
            members = [(info.filename, info.file_size, info.CRC) for info in archive.infolist()]
            return hashlib.sha256(json.dumps(members).encode()).hexdigest()
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.", remedy="Check the path.") from error


def _described(data: DataSource | str | Path | Iterable[object], model: Model, samples: int | None, scratch: Path) -> DataSource:
    """Return a source that the process can open; what only Python can make is written to a file first."""
    if isinstance(data, (str, Path)):
        data = DataSource(path=str(data))
    if isinstance(data, DataSource):
        return data.model_copy(update={"limit": samples or data.limit, "path": str(Path(data.path).expanduser().absolute())})
    from workbench.runtime.data.stream import write_dataset

    return write_dataset(open_dataset(data, model, limit=samples), model, scratch / "data.npz")


def _perform(
    errand: Errand, limit_s: float | None, cancelled: threading.Event, on_progress: Callable[[Progress], None]
) -> Answer:
    """Let the process do the errand."""
    with tempfile.TemporaryDirectory(prefix="workbench-calibration-") as folder, tempfile.TemporaryFile() as log:
        answer, progress = Path(folder, "answer.json"), Path(folder, "progress.json")
        process = start_module(
            "workbench.runtime.calibration.process", str(answer), str(progress), errand.model_dump_json(), log=log, cwd=folder
        )
        try:
            ended = _wait(process, limit_s, cancelled, lambda elapsed: on_progress(_progress(progress, elapsed)))
        finally:
            end_group(process)
        return ended or _answer(answer, process.returncode, log)


def _wait(
    process: subprocess.Popen[bytes], limit_s: float | None, cancelled: threading.Event, on_tick: Callable[[float], None]
) -> Answer | None:
    began = time.monotonic()
    remedy = "What was done is kept: the next calibration of the same data goes on from there."
    while process.poll() is None:
        if cancelled.wait(POLL_S):
            return Answer(kind="cancelled", message="The calibration was cancelled.", remedy=remedy)
        elapsed = time.monotonic() - began
        if limit_s is not None and elapsed > limit_s:
            return Answer(kind="timeout", message=f"The calibration took longer than {limit_s:g} s and was ended.", remedy=remedy)
        on_tick(elapsed)
    on_tick(time.monotonic() - began)
    return None


def _progress(path: Path, elapsed: float) -> Progress:
    with contextlib.suppress(OSError, ValidationError):
        return Progress.model_validate_json(path.read_text(encoding="utf-8")).model_copy(update={"elapsed_s": elapsed})
    return Progress(elapsed_s=elapsed)


def _answer(path: Path, code: int, log: IO[bytes]) -> Answer:
    try:
        return Answer.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        remedy = "What was done is kept: the next calibration of the same data goes on from there."
        return Answer(kind="crash", message=f"The calibration's process {how_it_ended(code, log)}.", remedy=remedy)
