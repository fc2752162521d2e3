"""What other processes see while one builds, waits or dies."""

import hashlib
import multiprocessing
import random
import threading
import time

from tests.runtime.engines import builder
from tests.runtime.engines.builder import NAME, data, facts
from workbench.runtime.engines.cache import EngineCache
from workbench.runtime.engines.key import SHORT
from workbench.runtime.engines.layout import hash_of, read_manifest
from workbench.runtime.engines.timing import SharedTimings

KILLS = 10


class Builder:
    """A process that opens the cache and builds where nothing is there."""

    def __init__(self, root, seed="seed", seconds=0.3):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([builder.__name__])
        self.told, other = context.Pipe()
        self.process = context.Process(target=builder.work, args=(root, seed, seconds, other), daemon=True)
        self.process.start()
        other.close()

    def next(self, what):
        assert self.told.poll(30)
        word, more = self.told.recv()
        assert word == what
        return more

    def result(self):
        while self.told.poll(30):
            word, more = self.told.recv()
            if word == "done":
                self.process.join()
                return more
        raise AssertionError

    def kill(self):
        self.process.kill()
        self.process.join()


def whole(cache):
    """Whether all that can be seen is as it was built, by someone."""
    for entry in cache.entries():
        folder = cache.folder_of(entry.key)
        for file in entry.files:
            assert hash_of(folder / file.name) == file.sha256
    for timing in cache.timing_caches():
        folder = SharedTimings(cache.folder, timing.architecture, timing.tensorrt).folder
        assert hash_of(folder / timing.file) == timing.sha256
        assert timing.bytes in {len(data("timing", 0)), 2 * len(data("timing", 1))}


class Watch(threading.Thread):
    """Opens the cache's files again and again while another process writes."""

    def __init__(self, cache):
        super().__init__(daemon=True)
        self.cache, self.stopped, self.seen, self.error = cache, threading.Event(), 0, None

    def run(self):
        while not self.stopped.is_set():
            entry = self.cache.folder / "sm90" / facts().key[:SHORT]
            manifest = read_manifest(entry)
            self.seen += 1
            if manifest is not None:
                folder = entry / manifest.generation
                try:
                    torn = [file.name for file in manifest.files if hash_of(folder / file.name) != file.sha256]
                except FileNotFoundError:  # the next generation is there
                    continue
                self.error = self.error or torn
            time.sleep(0.002)


def test_kill_9_at_ten_random_moments_leaves_nothing_torn(tmp_path):
    cache, moments = EngineCache(tmp_path / "engines"), random.Random(7)
    watch = Watch(cache)
    watch.start()
    for _ in range(KILLS):
        process = Builder(cache.folder, seconds=0.4)
        process.next("building")
        time.sleep(moments.uniform(0, 0.5))
        process.kill()
        whole(cache)
        assert len(list((cache.folder / "staging").iterdir())) <= 1
        if cache.find(facts().key) is not None:
            cache.remove([facts().key])
    found = Builder(cache.folder).result()
    watch.stopped.set()
    watch.join()
    assert not watch.error
    assert watch.seen > KILLS
    whole(cache)
    assert found["findings"] == []
    assert set(found["uses"]) == {"built"}
    assert list((cache.folder / "staging").iterdir()) == []
    assert not list(cache.folder.glob("set-aside/*"))


def test_two_processes_that_want_the_same_build_it_once(tmp_path):
    cache = EngineCache(tmp_path / "engines")
    first = Builder(cache.folder, "one", 1.0)
    first.next("building")
    second = Builder(cache.folder, "two", 1.0)
    found = [first.result(), second.result()]

    of_both = NAME.format(0, 0)
    assert found[0]["files"][of_both] == found[1]["files"][of_both] == hashlib.sha256(data("one", "0")).hexdigest()
    # The first let the second go on after its first run; then its ranges grew.
    assert found[0]["files"][NAME.format(1, 1)] == hashlib.sha256(data("one", "1grown")).hexdigest()
    assert found[1]["files"][NAME.format(1, 1)] == hashlib.sha256(data("one", "1")).hexdigest()
    assert found[0]["waited_s"] == 0
    assert found[1]["waited_s"] > 0.1
    assert set(found[1]["uses"]) == {"cache"}


def test_who_waits_for_one_that_dies_builds_itself(tmp_path):
    cache = EngineCache(tmp_path / "engines")
    first = Builder(cache.folder, "one", 30.0)
    first.next("building")
    second = Builder(cache.folder, "two", 0.1)
    holder = second.next("waiting")
    assert f"process {first.process.pid}" in holder
    assert "building the engines of m.onnx" in holder
    first.kill()
    found = second.result()
    assert set(found["uses"]) == {"built"}
    assert found["files"][NAME.format(0, 0)] == hashlib.sha256(data("two", "0")).hexdigest()
