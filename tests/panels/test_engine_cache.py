from tests.panels.fakes import FakeWorker
from workbench.panels.background import Background, InlineExecutor
from workbench.panels.state import WorkbenchState
from workbench.runtime.engines.cache import EngineCache
from workbench.study.store import Store


def test_runs_and_measured_placements_use_the_cache_of_the_state(digits, tmp_path):
    worker = FakeWorker()
    state = WorkbenchState(store=Store(tmp_path / "runs"), worker=worker, background=Background(InlineExecutor()))
    assert state.cache.folder == EngineCache().folder
    state.set_model(digits)
    state.cache = EngineCache(tmp_path / "engines")
    state.start_run()
    state.measure_placement()
    state.cache = None
    state.start_run()
    assert [job.cache for job in worker.jobs] == [str(tmp_path / "engines")] * 2 + [None]
