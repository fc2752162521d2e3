"""The engines of an ONNX Runtime session: from the workbench's cache, from the user's own, or from an EP context model.

Engines of fixed shapes, and those with an explicit profile, are built or loaded while the session is made; those whose ranges
grow at the first run, and again whenever a shape lies outside. So they are kept after each.
"""

from __future__ import annotations

import re
import shutil
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import JobError
from workbench.options.mapping import Options
from workbench.placement.records import TENSORRT
from workbench.record import Finding
from workbench.runtime.engines.cache import EngineCache, EntryFacts, Opened
from workbench.runtime.engines.context import refuse_unusable
from workbench.runtime.engines.file_name import is_engine_name
from workbench.runtime.engines.key import engine_key
from workbench.runtime.engines.working_files import stamp_of
from workbench.runtime.environment import environment, tensorrt_version
from workbench.runtime.job import EngineUse
from workbench.runtime.libraries.driver import read_driver
from workbench.runtime.prepared import Built
from workbench.runtime.session import LogTail, Made, make_session

if TYPE_CHECKING:
    from workbench.model.model import Model
    from workbench.options.settings import Settings
    from workbench.runtime.job import Cache, Job
    from workbench.runtime.worker_process import Reporter

PLACE = "engine cache"
CONTEXT_NODE = "EPContext"
# Options with which a user says himself what is kept, and where
OWN = ("trt_engine_cache_enable", "trt_engine_cache_path", "trt_timing_cache_enable", "trt_timing_cache_path")
# Options with which ONNX Runtime writes engines elsewhere, or wants a relative path
ELSEWHERE = ("trt_dump_ep_context_model", "trt_weight_stripped_engine_enable")
DETAILED = "trt_detailed_build_log"
TABLE = "trt_int8_calibration_table_name"
UNREADABLE = re.compile(r"could not deserialize engine|failed to deserialize engine", re.IGNORECASE)
# Logged with trt_detailed_build_log where the default logger shows its level (tensorrt_execution_provider.cc)
TOOK = re.compile(r"TensorRT engine build for (\S.*?) took: (\d+)\s*ms")
TRAP = (
    "ONNX Runtime's own cache knows a model by its file's name and its tensors' names: after a change of weights, attributes or "
    "most options it loads the old engine without a word, and results may be wrong."
)


@dataclass(frozen=True)
class OwnFolder:
    """The folder of ONNX Runtime's own cache, as it was before the session was made.

    Attributes
    ----------
    folder : Path or None
        Where engines are kept; ``None`` where none are.
    before : dict of str to tuple of int
        Size and time of the engines that were there.
    timing : bool
        Whether there was a timing cache.
    """

    folder: Path | None
    before: dict[str, tuple[int, int]]
    timing: bool

    def uses(self) -> tuple[EngineUse, ...]:
        """Return the engines that were written since; which of the others were read is not known."""
        now = _engines_in(self.folder)
        return tuple(EngineUse(name=n, bytes=s[0], origin="built") for n, s in now.items() if self.before.get(n) != s)


@dataclass
class SessionEngines:
    """Where a session's engines come from, and what is to be told of them.

    Attributes
    ----------
    reporter : Reporter
        Gets the findings.
    settings : Settings
        What the session is made with: the job's, with the folders of the cache.
    opened : Opened or None
        The entry in the workbench's cache.
    own : OwnFolder or None
        What the user's own options keep.
    context : tuple of EngineUse
        The engines of an EP context model.
    taken : bool
        Whether TensorRT took any nodes.
    """

    reporter: Reporter
    settings: Settings
    log: LogTail
    opened: Opened | None = None
    own: OwnFolder | None = None
    context: tuple[EngineUse, ...] = ()
    taken: bool = False
    told: list[Finding] = field(default_factory=list)

    def built(self) -> Built:
        """Return which engines were there and which were built, by the files."""
        if self.context:
            return Built("context", self.context)
        if self.own is not None:
            uses = self._timed(self.own.uses())
            found = bool(self.own.before) and not uses and self.taken
            return Built("engine" if found else _less(timing=self.own.timing), uses, timing_cache=self.own.timing)
        if self.opened is None or self.opened.folder is None:
            return Built()
        uses = self._timed(self.opened.uses()) if self.taken else ()
        had = self.opened.had_timing
        cache = "engine" if uses and all(use.origin == "cache" for use in uses) else _less(timing=had)
        return Built(cache, uses, self.opened.facts.key, self.opened.waited_s, had)

    def keep(self, seconds: float, *, more: bool = False) -> None:
        """Publish what was built, and tell what there is to tell."""
        if self.opened is None:
            return
        uses = self.opened.uses() if self.taken else ()
        self.opened.publish(seconds, more=more)
        found = [*self.opened.findings]
        if not more:
            found += _findings(uses, self.settings, had=self.opened.had_engines)
        self.tell(found)

    def failed(self, error: JobError) -> bool:
        """Set the engines aside where an error says that TensorRT could not load one; return whether it does.

        Engines whose ranges grow are loaded at the first run: then the next job builds them.
        """
        opened = self.opened
        if opened is None or not opened.had_engines or not UNREADABLE.search(error.message):
            return False
        opened.discard(f"TensorRT cannot load an engine of {opened.facts.model}: {error.message}")
        self.tell(opened.findings)
        return True

    def tell(self, findings: list[Finding]) -> None:
        """Report findings that were not reported before."""
        new = tuple(finding for finding in findings if finding not in self.told)
        self.told += new
        if new:
            self.reporter.part("findings", new)

    def close(self) -> None:
        """Let go of the entry."""
        if self.opened is not None:
            self.opened.close()

    def _timed(self, uses: tuple[EngineUse, ...]) -> tuple[EngineUse, ...]:
        """Add how long building took, where the log says so."""
        took = [(name, int(ms) / 1e3) for name, ms in TOOK.findall(self.log.text())]

        def seconds(use: EngineUse) -> float | None:
            found = [s for name, s in took if use.origin == "built" and use.name.startswith((f"{name}_sm", f"{name}.engine"))]
            return found[-1] if found else None

        return tuple(use.model_copy(update={"seconds": seconds(use)}) for use in uses)


def make_with_engines(ort: Any, model: Model, job: Job, reporter: Reporter) -> Made:  # noqa: ANN401
    """Make a TensorRT session whose engines come from the cache, where they are there, and are kept in it.

    TensorRT's libraries are loaded already: their versions are part of the key.

    Raises
    ------
    JobError
        As :func:`workbench.runtime.session.make_session`. Trouble with the cache is a finding, and the session is made without.
    """
    if hasattr(ort, "set_default_logger_severity"):
        # The default logger tells how long each engine took, at the level of information.
        ort.set_default_logger_severity(1 if job.settings.provider_options.get(DETAILED) else 2)
    with ExitStack() as stack:
        engines = _engines_of(ort, model, job, reporter)
        stack.callback(engines.close)
        if engines.opened is not None:
            engines.tell(engines.opened.findings)
        made = _make(ort, model, job, engines)
        engines.taken = any(group.provider == TENSORRT for group in made.placement.groups)
        stack.pop_all()
    return replace(made, engines=engines)


def _make(ort: Any, model: Model, job: Job, engines: SessionEngines) -> Made:  # noqa: ANN401
    """Make the session; once more with no engines where TensorRT cannot load those that were there."""
    opened = engines.opened

    def make() -> Made:
        return make_session(ort, model, engines.settings, engines.reporter.log, buffers=job.plan.buffers)

    try:
        return make()
    except JobError as error:
        if opened is None or opened.folder is None:
            raise
        if opened.folder.is_dir():
            if not engines.failed(error):
                raise
            return make()
    seen = f"{opened.root}: it was deleted while it was in use"
    engines.tell([Finding(level="warning", where=PLACE, seen=seen, meaning="The session was made without it.")])
    opened.close()
    engines.settings = job.settings
    return make()


def _engines_of(ort: Any, model: Model, job: Job, reporter: Reporter) -> SessionEngines:  # noqa: ANN401
    settings, log = job.settings, LogTail(reporter.log)
    context = tuple(_context_engine(model, node.proto) for node in model.nodes if node.op_type == CONTEXT_NODE)
    if context:
        refuse_unusable(model, environment())
        return SessionEngines(reporter, settings, log, context=context)
    options = settings.provider_options
    own = [*(key for key in OWN if key in options), *(key for key in ELSEWHERE if options.get(key))]
    if own:
        engines = SessionEngines(reporter, settings, log, own=_own_folder(settings))
        engines.tell([_own_rules(own)] if job.cache is not None else [])
        return engines
    tensorrt = tensorrt_version()
    if job.cache is None or tensorrt is None:
        return SessionEngines(reporter, settings, log)
    opened = _open(EngineCache(job.cache), _facts(model, settings, ort.__version__, tensorrt), reporter)
    return SessionEngines(reporter, _with_folders(settings, opened), log, opened=opened)


def _facts(model: Model, settings: Settings, onnxruntime: str, tensorrt: str) -> EntryFacts:
    gpus, device = read_driver().gpus, int(settings.provider_options.get("device_id", 0))
    gpu = gpus[device] if device < len(gpus) else None
    content, capability = model.content_hash(), gpu.compute_capability if gpu else None
    key = engine_key(
        content, model.path.name, settings, onnxruntime=onnxruntime, tensorrt=tensorrt, compute_capability=capability
    )
    return EntryFacts(
        key=key,
        model=model.path.name,
        content_hash=content,
        settings=settings,
        onnxruntime=onnxruntime,
        tensorrt=tensorrt,
        gpu=gpu.name if gpu else None,
        compute_capability=capability,
    )


def _open(cache: EngineCache, facts: EntryFacts, reporter: Reporter) -> Opened:
    """Open the entry; say so while another process is waited for."""
    waiting: list[str] = []

    def say(holder: str) -> None:
        if not waiting:
            reporter.stage("waiting")
        waiting.append(holder)
        sys.stderr.write(f"[workbench] waiting for engines of {facts.model}: {holder}\n")
        sys.stderr.flush()

    opened = cache.opened(facts, say)
    if waiting:
        reporter.stage("session")
    return opened


def _with_folders(settings: Settings, opened: Opened) -> Settings:
    """Return the Settings with the options that make ONNX Runtime use the private folders."""
    if opened.folder is None or opened.timing_file is None:
        return settings
    options = {
        **settings.provider_options,
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(opened.folder),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(opened.timing_file.parent),
    }
    if table := settings.provider_options.get(TABLE):
        options[TABLE] = _copy_table(Path(str(table)), opened.folder)
    return settings.model_copy(update={"provider_options": Options(options)})


def _copy_table(table: Path, folder: Path) -> str:
    """Put the calibration table where ONNX Runtime looks for it, beside the engines; return its name there."""
    try:
        shutil.copyfile(table, folder / table.name)
    except OSError as error:
        message = f"{table.absolute()}: the calibration table cannot be read: {error.strerror or error}."
        raise JobError(message, kind="inputs", remedy=f"Name it with its folder in {TABLE}.") from error
    return table.name


def _own_folder(settings: Settings) -> OwnFolder:
    options = settings.provider_options
    named = str(options.get("trt_engine_cache_path") or ".")
    by_context = options.get("trt_dump_ep_context_model") and not options.get("trt_ep_context_embed_mode")
    folder = Path(named) if options.get("trt_engine_cache_enable") or by_context else None
    timing = Path(str(options.get("trt_timing_cache_path") or named)) if options.get("trt_timing_cache_enable") else None
    return OwnFolder(folder, _engines_in(folder), timing is not None and any(timing.glob("*.timing")))


def _engines_in(folder: Path | None) -> dict[str, tuple[int, int]]:
    if folder is None or not folder.is_dir():
        return {}
    return {path.name: stamp_of(path) for path in sorted(folder.iterdir()) if is_engine_name(path.name)}


def _context_engine(model: Model, node: Any) -> EngineUse:  # noqa: ANN401
    """Return the engine of an EPContext node: a file beside the model, or bytes in the node."""
    values = {attribute.name: attribute for attribute in node.attribute}
    held = values["ep_cache_context"].s if "ep_cache_context" in values else b""
    if "embed_mode" not in values or values["embed_mode"].i:  # the operator's default is 1: within the node
        return EngineUse(name=f"in {model.path.name}", bytes=len(held), origin="context")
    path = model.path.parent / held.decode(errors="replace")
    return EngineUse(name=path.name, bytes=path.stat().st_size if path.is_file() else 0, origin="context")


def _own_rules(keys: list[str]) -> Finding:
    seen = f"{' and '.join(keys)} {'are' if len(keys) > 1 else 'is'} given, so the workbench's own engine cache stays off"
    action = "Leave the option out, and the workbench keeps the engines, and knows them by the model's content."
    return Finding(level="info", where=keys[0], seen=seen, meaning=TRAP, action=action)


def _findings(uses: tuple[EngineUse, ...], settings: Settings, *, had: bool) -> list[Finding]:
    """Return what is worth knowing where some engines were built although there were some."""
    built = [use for use in uses if use.origin == "built"]
    if not had or not built:
        return []
    if settings.profile and len(uses) > 1:
        seen = f"{len(built)} of {len(uses)} engines were built again, though nothing has changed"
        meaning = "With a shape profile and several engines, ONNX Runtime compares the number of inputs wrongly, and builds anew."
        action = "Leave the profile out and warm up with the smallest and the largest shapes; or keep the graph in one engine."
        return [Finding(level="warning", where="profile", seen=seen, meaning=meaning, action=action)]
    seen = f"{len(uses) - len(built)} of {len(uses)} engines came from the cache, {len(built)} were built"
    meaning = "Their ranges had to grow, or they were not there." if not settings.profile else "They were not there."
    return [Finding(level="info", where=PLACE, seen=seen, meaning=meaning)]


def _less(*, timing: bool) -> Cache:
    return "timing" if timing else "cold"
