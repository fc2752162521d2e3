import threading

from workbench.options.settings import Settings
from workbench.runtime.building import Building
from workbench.runtime.job import EngineUse, Job
from workbench.runtime.prepared import Built
from workbench.runtime.worker import _Process, _Watch


class Fake:
    def __init__(self, built):
        self.now = built

    def origin(self):
        return self.now


def test_the_wait_for_another_process_is_no_building():
    build = Building(Fake(Built("engine", waited_s=30.0)), 31.0).build()
    assert build.seconds == 1.0
    assert [(stage.name, stage.seconds) for stage in build.stages] == [("waiting", 30.0), ("session", 1.0)]
    assert build.waited_s == 30.0


def test_a_first_run_counts_where_engines_were_built_in_it():
    fake = Fake(Built())
    plain, builds = Building(fake, 1.0), Building(fake, 1.0)
    plain.first_run(5.0)
    fake.now = Built("cold", (EngineUse(name="a", bytes=1, origin="built"),))
    builds.first_run(5.0)
    assert plain.build().seconds == 1.0
    assert builds.build().seconds == 6.0


def test_what_the_worker_itself_logs_is_shown_between_the_chatter_of_older_releases(digits):
    process, shown = _Process(), []
    job = Job(model=str(digits.path), settings=Settings())
    watch = _Watch(process, job, lambda event: shown.append(event.message), threading.Event())
    process.log.write_text(
        "2026-11-20 09:16:21.259349604 [V:onnxruntime:, a.cc:1 F] one\n"
        "[workbench] waiting for engines of m.onnx\nits second line\n"
    )
    watch.read_log()
    process.close()
    assert shown == ["[workbench] waiting for engines of m.onnx"]
