"""A look into engine files: what TensorRT, in a process of its own, tells of their layers. Trouble is a finding, no error."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import tempfile
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from workbench.errors import JobError, Unavailable
from workbench.measure.amounts import duration_text
from workbench.measure.delivered import EngineDelivered, told_by_weights
from workbench.record import Finding
from workbench.runtime.engines.file_name import read_name
from workbench.runtime.native.companion import INSTALL, PYTHON, Companion
from workbench.runtime.native.plan_report import PlanReport, read_plan

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

PLACE = "layers"
BUDGET_S = 240.0
PROFILE_RUNS = 20
MADE_UP = "made-up inputs of the best shapes"
UNKNOWN = "What its layers compute in is not known; what was measured before is not affected."


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found in engines, and what was in the way."""

    engines: tuple[EngineDelivered, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """How to look.

    Attributes
    ----------
    asked : tuple of str
        The precisions beside fp32 that TensorRT was allowed.
    known : collection of str
        The model's node names, where they are known.
    quantised : collection of str
        Its weights in 8 bits, as engines that tell only names may list them.
    device : int
        The GPU.
    plugins : tuple of str
        Libraries that the engines' own layers need.
    profile_runs : int
        How often to run each engine, on made-up inputs, to time its layers; 0 for not at all.
    budget_s : float
        Seconds that all of it may take; what is left then is not looked into.
    """

    asked: tuple[str, ...] = ()
    known: Collection[str] = ()
    quantised: Collection[str] = ()
    device: int = 0
    plugins: tuple[str, ...] = ()
    profile_runs: int = PROFILE_RUNS
    budget_s: float = BUDGET_S


def absent() -> str:
    """Return why no engine can be looked into, found out without starting anything; empty where it may be possible."""
    if os.environ.get(PYTHON):
        return ""
    try:
        found = importlib.util.find_spec("tensorrt") is not None
    except ValueError:  # a module that was put there without saying where it comes from
        found = True
    return "" if found else "TensorRT's Python package is not installed"


def look_into(paths: Sequence[Path], look: Look) -> Looked:
    """Look into engine files, one after the other, in one process that ends with the last.

    Parameters
    ----------
    paths : sequence of Path
        Plans, as TensorRT or ONNX Runtime's provider wrote them.
    look : Look
        How.
    """
    if paths and (reason := absent()):
        return Looked((), (untold(f"{reason}, so the engines were not looked into", INSTALL["tensorrt"], level="info"),))
    with contextlib.closing(_Looking(look)) as looking:
        for path in paths:
            looking.into(path)
        return Looked(tuple(looking.engines), tuple(looking.findings))


def untold(seen: str, action: str = "", *, level: str = "warning") -> Finding:
    """Return the finding that some engines do not tell what they compute in."""
    return Finding.model_validate({"level": level, "where": PLACE, "seen": seen, "meaning": UNKNOWN, "action": action})


def engine_of(report: PlanReport, name: str, asked: Sequence[str], inputs: str = "") -> EngineDelivered:
    """Return what a report says of delivered precision.

    Parameters
    ----------
    report : PlanReport
        Of the file.
    name : str
        The file's.
    asked : sequence of str
        The precisions beside fp32 that TensorRT was allowed.
    inputs : str
        What the layers were timed on.
    """
    return EngineDelivered(
        file=name,
        bytes=report.bytes,
        tensorrt=report.tensorrt,
        found=report.delivered(*asked),
        layers=report.layers,
        runs=report.runs,
        run_ms=report.run_ms,
        inputs=inputs if report.runs else "",
    )


class _Looking:
    """The process, the time that is left, and what was found."""

    def __init__(self, look: Look) -> None:
        self.look, self.deadline = look, time.monotonic() + look.budget_s
        self.engines: list[EngineDelivered] = []
        self.findings: list[Finding] = []
        self._companion: Companion | None = None
        self._log: IO[bytes] | None = None
        self._given_up = False

    def into(self, path: Path) -> None:
        """Look into one file; without times where it cannot be run."""
        form = read_name(path.name).form
        if form != "engine":
            self.findings.append(untold(f"{path.name} is {form}: TensorRT does not read it without more", level="info"))
            return
        if self._given_up:
            return
        try:
            report = self._report(path, self.look.profile_runs)
        except Unavailable as error:
            self._give_up(f"the engines were not looked into: {error.message}", error.remedy)
        except JobError as error:
            self.findings.append(untold(f"{path.name} could not be looked into: {error.message}", error.remedy))
        except (ValueError, OSError) as error:  # what the inspector said is not understood, or no log can be written
            self.findings.append(untold(f"{path.name} could not be looked into: {error}"))
        else:
            engine = engine_of(report, path.name, self.look.asked, MADE_UP)
            self.engines.append(told_by_weights(engine, self.look.quantised))

    def _report(self, path: Path, runs: int) -> PlanReport:
        try:
            return self._ask(path, runs)
        except JobError as error:
            # one that cannot be loaded cannot be described either
            if not runs or error.kind == "load":
                raise
            report = self._ask(path, 0)
            seen = f"the layers of {path.name} were not timed: {error.message}"
            self.findings.append(Finding(level="info", where=PLACE, seen=seen, meaning="They are counted, without times."))
            return report

    def _ask(self, path: Path, runs: int) -> PlanReport:
        look, companion = self.look, self._process()
        return read_plan(
            companion,
            path.absolute(),
            profile_runs=runs,
            known=look.known,
            device=look.device,
            plugins=look.plugins,
            limit_s=self._left(),
        )

    def _process(self) -> Companion:
        """Return the process; a new one after something went wrong in it."""
        if self._companion is not None and not (self._companion.sound and self._companion.alive()):
            self._end()
        if self._companion is None:
            left = self._left()
            self._end()  # the log of one that did not start
            self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
            self._companion = Companion(stderr=self._log, start_limit_s=left)
        return self._companion

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            self._given_up = True
            message = f"the {duration_text(self.look.budget_s)} for looking into engines were over."
            raise JobError(message, kind="timeout", remedy="Look into the file with `workbench engines layers`.")
        return left

    def _give_up(self, seen: str, action: str) -> None:
        self._given_up = True
        self.findings.append(untold(seen.removesuffix("."), action, level="info"))

    def _end(self) -> None:
        if self._companion is not None:
            self._companion.close()
        if self._log is not None:
            self._log.close()
        self._companion = self._log = None

    def close(self) -> None:
        """End the process."""
        self._end()
