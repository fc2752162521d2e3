"""The engines on disk, as the panels show them: what is listed, what may go, what the next run will do. It knows no widget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import traitlets

from workbench.errors import EngineError
from workbench.panels.activity import Trouble
from workbench.runtime.engines.here import session_environment
from workbench.runtime.engines.layers import engine_layers
from workbench.runtime.engines.listing import ListedEngine, find_engine, list_cache, list_folder
from workbench.runtime.engines.prune import Pruning, Rules, prune
from workbench.runtime.native.look import PROFILE_RUNS, Looked
from workbench.study.expect import Expectation, expectation_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.panels.state import WorkbenchState
    from workbench.runtime.job import Environment

T = TypeVar("T")


class Engines(traitlets.HasTraits):
    """What is known of engines; read on threads, beside the jobs.

    Parameters
    ----------
    state : WorkbenchState
        Whose model, Settings, cache and store count.

    Attributes
    ----------
    listed : tuple of ListedEngine
        The engines of the workbench's cache, or of the user's own folder.
    folder : str
        The user's own folder; empty for the workbench's cache.
    chosen : str
        The name of the engine that is looked at.
    reading : bool
        Whether the list is being read.
    pruning : Pruning or None
        What a dry run said would go, or what went.
    expectation : Expectation or None
        What the next run will do, of the state's model with its Settings.
    doubt : str
        Why there is no expectation.
    gpu : bool or None
        Whether there is a GPU here; ``None`` until that is known.
    looked : Looked or None
        What the layers of the engine that is looked at compute in; ``None`` until that was asked.
    looking : bool
        Whether that is being found out.
    """

    listed = traitlets.Tuple(())
    folder = traitlets.Unicode("")
    chosen = traitlets.Unicode("")
    reading = traitlets.Bool(default_value=False)
    pruning = traitlets.Instance(Pruning, allow_none=True)
    expectation = traitlets.Instance(Expectation, allow_none=True)
    doubt = traitlets.Unicode("")
    gpu = traitlets.Bool(None, allow_none=True)
    looked = traitlets.Instance(Looked, allow_none=True)
    looking = traitlets.Bool(default_value=False)

    def __init__(self, state: WorkbenchState) -> None:
        super().__init__()
        self.state = state
        self._here: Environment | None = None
        self._rules = Rules()
        self._asked = 0
        self._again = False

    def __repr__(self) -> str:
        return f"Engines({len(self.listed)} in {self.where})"

    @property
    def where(self) -> str:
        """The folder that is listed; empty where the state has no cache."""
        return self.folder or (str(self.state.cache.folder) if self.state.cache else "")

    @property
    def engine(self) -> ListedEngine | None:
        """The engine that is looked at."""
        return next((engine for engine in self.listed if engine.name == self.chosen), None)

    # The list

    def open_folder(self, path: str) -> None:
        """List the engines of a folder where plain ONNX Runtime keeps them; those of the workbench's cache for an empty path.

        Raises
        ------
        EngineError
            When it is no folder.
        """
        folder = Path(path.strip()).expanduser()
        if path.strip() and not folder.is_dir():
            raise EngineError(f"{folder}: is no folder.", remedy="Name the one that trt_engine_cache_path names.")
        self.folder = str(folder.absolute()) if path.strip() else ""
        self.listed, self.pruning, self.chosen = (), None, ""
        self.refresh()

    def refresh(self) -> None:
        """Read the engines again; they arrive in `listed`. Asked for meanwhile, it is done once more."""
        if self.reading:
            self._again = True
            return
        self.reading, self._again = True, False
        folder, cache, model, settings = self.folder, self.state.cache, self.state.model, self.state.settings

        def task() -> list[ListedEngine]:
            here = self._environment()
            if folder:
                return list_folder(Path(folder), here, model=model, settings=settings)
            return list_cache(cache, here, model=model, settings=settings) if cache is not None else []

        def done(found: list[ListedEngine]) -> None:
            self.reading = False
            self.gpu = self._here is not None and self._here.gpu is not None
            if folder == self.folder:
                self.listed = tuple(found)
            if self._again:
                self.refresh()

        def failed(error: BaseException) -> None:
            self.reading = False
            self._fail(error)

        self.state.background.run(task, done, failed)

    def check(self) -> None:
        """Read the files of the engine that is looked at, and judge it anew by what is in them."""
        engine, cache, model, settings = self.engine, self.state.cache, self.state.model, self.state.settings
        if engine is None or cache is None:
            return
        wanted = engine.name if engine.source == "cache" else str(Path(engine.folder) / engine.name)

        def done(found: ListedEngine) -> None:
            self.listed = tuple(found if each.name == found.name else each for each in self.listed)

        def task() -> ListedEngine:
            return find_engine(wanted, cache, self._environment(), model=model, settings=settings)

        self._run(task, done)

    def look(self) -> None:
        """Find out what the layers of the engine that is looked at compute in, and time them; it arrives in `looked`.

        TensorRT does it in a process of its own. The time needs the GPU: while a job measures there, wait with this.
        """
        engine, cache, model = self.engine, self.state.cache, self.state.model
        if engine is None or self.looking:
            return
        self.looking, self.looked = True, None
        entry = cache.find(engine.name) if cache is not None and engine.source == "cache" else None
        same = model is not None and engine.model in (model.path.name, model.name)

        def done(found: Looked) -> None:
            self.looking = False
            if self.chosen == engine.name:
                self.looked = found

        def failed(error: BaseException) -> None:
            self.looking = False
            self._fail(error)

        self.state.background.run(
            lambda: engine_layers(engine, entry=entry, model=model if same else None, profile_runs=PROFILE_RUNS), done, failed
        )

    @traitlets.observe("chosen", "folder")
    def _forget_layers(self, _: object) -> None:
        self.looked = None

    # Pruning

    def preview(self, rules: Rules) -> None:
        """Find out what would go by these rules; it arrives in `pruning`.

        Raises
        ------
        EngineError
            When no rule is set.
        """
        if not rules:
            raise EngineError("No rule is set.", remedy="Give an age, a limit, or tick a box.")
        self._rules = rules
        self._prune(dry_run=True)

    def forget_preview(self) -> None:
        """Take back what was previewed: other rules are being set."""
        self.pruning = None

    def remove_previewed(self) -> None:
        """Remove what the preview named, and nothing else."""
        if self.pruning is not None and self.pruning.dry_run:
            self._prune(dry_run=False)

    def _prune(self, *, dry_run: bool) -> None:
        cache, store, rules, seen = self.state.cache, self.state.store, self._rules, self.pruning
        if cache is None:
            return
        only = None if dry_run or seen is None else {removal.key for removal in seen.removals}

        def task() -> Pruning:
            models = store.model_files() if rules.gone else []
            return prune(cache, rules, here=self._environment(), models=models, dry_run=dry_run, only=only)

        def done(found: Pruning) -> None:
            self.pruning = found
            if not dry_run:
                self.refresh()

        self._run(task, done)

    # Before the click

    def expect(self) -> None:
        """Find out what the next run will do and how long that took; it arrives in `expectation`. The last question counts."""
        self._asked += 1
        asked, state = self._asked, self.state
        model, settings, store, cache = state.model, state.settings, state.store, state.cache
        if model is None:
            self.expectation, self.doubt = None, ""
            return

        def task() -> Expectation | None:
            if asked != self._asked:
                return None
            return expectation_of(model, settings, store=store, cache=cache, environment=self._environment())

        def done(found: Expectation | None) -> None:
            if asked == self._asked:
                self.expectation, self.doubt = found, ""

        def failed(error: BaseException) -> None:
            if asked == self._asked:
                self.expectation, self.doubt = None, str(error)

        state.background.run(task, done, failed)

    def _environment(self) -> Environment:
        """Return this machine; what the diagnosis found where there is one, since it takes seconds where there is a GPU."""
        diagnosis = self.state.diagnosis
        if self._here is None:
            found: Environment | None = diagnosis.environment if diagnosis is not None else None
            self._here = found or session_environment()
        return self._here

    def _run(self, task: Callable[[], T], done: Callable[[T], None]) -> None:
        self.state.background.run(task, done, self._fail)

    def _fail(self, error: BaseException) -> None:
        self.state.trouble = Trouble("engines", error)
