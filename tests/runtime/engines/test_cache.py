import errno
import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from tests.runtime.engines import ort_files
from tests.runtime.engines.builder import NAME, facts
from workbench.errors import EngineError
from workbench.options.settings import Settings
from workbench.runtime.engines import cache as cache_module
from workbench.runtime.engines import layout, opened, staging, working_files
from workbench.runtime.engines.cache import EngineCache
from workbench.runtime.engines.lock import ProcessLock
from workbench.runtime.engines.timing import SharedTimings


@pytest.fixture
def cache(tmp_path):
    return EngineCache(tmp_path / "engines")


def write(opened_entry, part=0, content=b"engine", ranges=None, timing=None):
    path = ort_files.write_engine(opened_entry.folder, NAME.format(part, part), content=content, ranges=ranges)
    if timing is not None:
        opened_entry.timing_file.write_bytes(timing)
    return path


def build(cache, **more):
    with cache.opened(facts()) as entry:
        write(entry, **more)
        entry.publish(3.0)
    return cache.folder_of(facts().key)


def left_over(cache):
    return list((cache.folder / "staging").glob("*"))


def test_what_was_built_is_there_next_time(cache):
    with cache.opened(facts()) as first:
        assert not first.had_engines
        assert not first.had_timing
        write(first, timing=b"t" * 10)
        first.publish(3.0)
        assert [use.origin for use in first.uses()] == ["built"]

    with cache.opened(facts()) as second:
        assert second.had_engines
        assert second.had_timing
        assert second.timing_file.read_bytes() == b"t" * 10
        assert (second.folder / NAME.format(0, 0)).read_bytes() == b"engine"
        second.publish(0.1)
        assert [use.origin for use in second.uses()] == ["cache"]
        assert second.findings == []
    (entry,) = cache.entries()
    assert entry == cache.find(facts().key)
    assert entry.build_seconds == 3.0
    assert [file.name for file in entry.files] == [NAME.format(0, 0)]
    assert entry.files[0].sha256
    assert left_over(cache) == []


def test_the_folder_can_be_read_by_people(cache):
    folder = build(cache, timing=b"t")
    assert folder == cache.folder / "sm90" / ("a" * 16) / "generation-0001"
    assert json.loads((folder.parent / "entry.json").read_text())["entry"]["model"] == "m.onnx"
    assert cache.timing_folder("sm90", "8.6.1").is_relative_to(cache.folder / "timing")
    assert [t.bytes for t in cache.timing_caches()] == [1]


def test_another_key_finds_nothing(cache):
    build(cache)
    with cache.opened(facts("b" * 64)) as entry:
        assert not entry.had_engines
    assert cache.find("b" * 64) is None
    assert cache.folder_of("b" * 64) is None


def test_a_build_that_fails_leaves_nothing(cache):
    def fail():
        with cache.opened(facts()) as entry:
            write(entry)
            raise RuntimeError("could not build")

    with pytest.raises(RuntimeError):
        fail()
    assert cache.entries() == []
    assert left_over(cache) == []
    with cache.opened(facts()) as entry:  # the lock is free
        assert not entry.had_engines


def test_grown_ranges_are_a_new_generation_and_a_reader_keeps_its_own(cache):
    build(cache, ranges={"x": [0, 1, 1, 1]})
    with cache.opened(facts()) as reader, cache.opened(facts()) as grower:
        assert write(grower, content=b"grown", ranges={"x": [0, 1, 8, 8]}).stat().st_ino
        grower.publish(2.0)
        assert (reader.folder / NAME.format(0, 0)).read_bytes() == b"engine"
        assert [use.origin for use in grower.uses()] == ["built"]
    folder = cache.folder_of(facts().key)
    assert folder.name == "generation-0002"
    assert (folder / NAME.format(0, 0)).read_bytes() == b"grown"
    assert [p.name for p in folder.parent.glob("generation-*")] == ["generation-0002"]


def test_the_wider_of_two_that_grew_at_once_stays(cache):
    build(cache, ranges={"x": [0, 1, 1, 1]})
    with cache.opened(facts()) as narrow, cache.opened(facts()) as wide:
        write(wide, content=b"wide", ranges={"x": [0, 1, 32, 32]})
        write(narrow, content=b"narrow", ranges={"x": [0, 1, 8, 8]})
        wide.publish(2.0)
        narrow.publish(2.0)
    assert (cache.folder_of(facts().key) / NAME.format(0, 0)).read_bytes() == b"wide"


def test_engines_of_two_parts_join(cache):
    build(cache)
    with cache.opened(facts()) as entry:
        write(entry, part=1, content=b"other")
        entry.publish(2.0)
        assert [use.origin for use in entry.uses()] == ["cache", "built"]
    assert len(cache.find(facts().key).files) == 2


def test_an_engine_under_another_name_stands_in_for_the_old_one(cache):
    build(cache)
    with cache.opened(facts()) as entry:  # another release of CUDA: ONNX Runtime's hash differs
        other = NAME.format(0, 0).replace("1234567", "7654321")
        ort_files.write_engine(entry.folder, other, content=b"other")
        assert [(use.name, use.origin) for use in entry.uses()] == [(other, "built")]


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_engine_is_set_aside_and_built_again(cache, damage):
    path = build(cache, content=b"engine" * 100) / NAME.format(0, 0)
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:100] if damage == "cut" else b"X" * 600)
    with cache.opened(facts()) as entry:
        assert not entry.had_engines
        assert NAME.format(0, 0) in entry.findings[0].seen
        write(entry, content=b"again")
        entry.publish(2.0)
    assert (cache.folder_of(facts().key) / NAME.format(0, 0)).read_bytes() == b"again"
    (aside,) = (cache.folder / "set-aside").iterdir()
    assert "TensorRT 8.6.1" in (aside / "reason.txt").read_text()


def test_of_two_engines_only_the_damaged_one_is_set_aside(cache):
    with cache.opened(facts()) as entry:
        write(entry, part=0)
        write(entry, part=1, ranges={"x": [0, 1, 8, 8]})
        entry.publish(2.0)
    (cache.folder_of(facts().key) / NAME.format(1, 1)).write_bytes(b"?")
    with cache.opened(facts()) as entry:
        assert entry.had_engines
        assert [path.name for path in entry.folder.iterdir()] == [NAME.format(0, 0)]
    (aside,) = (cache.folder / "set-aside").iterdir()
    assert {path.suffix for path in aside.iterdir()} == {".engine", ".profile", ".txt"}
    with cache.opened(facts()) as entry:
        assert entry.findings == []


def test_a_damaged_manifest_is_set_aside(cache):
    folder = build(cache).parent
    (folder / "entry.json").write_text('{"format": 1')
    assert cache.entries() == []
    with cache.opened(facts()) as entry:
        assert not entry.had_engines
        assert "damaged" in entry.findings[0].seen
        write(entry)
        entry.publish(1.0)
    assert len(cache.entries()) == 1


def test_engines_that_tensorrt_refuses_can_be_discarded(cache):
    build(cache)
    with cache.opened(facts()) as entry:
        entry.discard("could not deserialize engine")
        assert list(entry.folder.iterdir()) == []
        write(entry, content=b"again")
        entry.publish(1.0)
        assert [use.origin for use in entry.uses()] == ["built"]
    assert (cache.folder_of(facts().key) / NAME.format(0, 0)).read_bytes() == b"again"


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/disk/file")


def test_a_full_disk_while_opening_is_a_finding_and_no_cache(cache, monkeypatch):
    build(cache)
    monkeypatch.setattr(opened, "copy_hashed", full)
    with cache.opened(facts()) as entry:
        assert entry.folder is None
        assert "the disk is full" in entry.findings[0].seen
        entry.publish(1.0)
        assert entry.uses() == ()
    assert left_over(cache) == []
    monkeypatch.undo()
    with cache.opened(facts()) as entry:
        assert entry.had_engines


@pytest.mark.parametrize("place", ["copying", "renaming", "manifest"])
def test_a_full_disk_while_publishing_keeps_what_was_there(cache, monkeypatch, place):
    build(cache, content=b"old")
    with cache.opened(facts()) as entry:
        write(entry, content=b"new")
        if place == "copying":
            monkeypatch.setattr(opened, "copy_hashed", full)
        else:
            monkeypatch.setattr(Path, "rename" if place == "renaming" else "replace", full)
        entry.publish(1.0)
        assert "the disk is full" in entry.findings[0].seen
        assert "not kept" in entry.findings[0].meaning
        monkeypatch.undo()
    with cache.opened(facts()) as entry:
        assert (entry.folder / NAME.format(0, 0)).read_bytes() == b"old"
        assert entry.findings == []
    assert left_over(cache) == []


def test_an_engine_that_a_full_disk_may_have_cut_off_is_not_kept(cache, monkeypatch):
    with cache.opened(facts()) as entry:
        write(entry)
        monkeypatch.setattr(working_files.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
        entry.publish(1.0)
        assert "the disk is full" in entry.findings[0].seen
    monkeypatch.undo()
    with cache.opened(facts()) as entry:
        write(entry, content=b"")
        entry.publish(1.0)
        assert entry.findings
    assert cache.entries() == []


def test_a_folder_that_cannot_be_written_is_a_finding(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "engines"))

    monkeypatch.setattr(opened, "private_folder", refuse)
    with EngineCache(tmp_path / "engines").opened(facts()) as entry:
        assert entry.folder is None
        assert "permission denied" in entry.findings[0].seen


def test_a_folder_that_is_a_file_is_a_finding(tmp_path):
    (tmp_path / "file").write_text("")
    with EngineCache(tmp_path / "file").opened(facts()) as entry:
        assert entry.folder is None
        assert entry.findings


def test_a_file_is_no_empty_cache(tmp_path):
    (tmp_path / "cache").write_text("", encoding="utf-8")
    with pytest.raises(EngineError, match="is a file"):
        EngineCache(tmp_path / "cache").entries()


def test_a_folder_that_is_deleted_meanwhile_is_a_finding(cache):
    with cache.opened(facts()) as entry:
        write(entry)
        shutil.rmtree(cache.folder)
        entry.publish(1.0)
        assert "deleted" in entry.findings[0].seen
    with cache.opened(facts()) as entry:
        write(entry)
        entry.publish(1.0)
    assert len(cache.entries()) == 1


def test_staging_of_the_dead_goes_and_that_of_the_living_stays(cache):
    cache.folder.mkdir()
    mine = staging.private_folder(cache.folder)
    head, pid, started, end = mine.name.rsplit("-", 3)
    gone = [f"{head}-999999999-{started}-{end}", f"{head}-{pid}-{int(started) - 100_000}-{end}"]
    stays = [f"elsewhere-{pid}-{started}-{end}", "notes"]
    for name in gone + stays:
        (cache.folder / "staging" / name).mkdir()
    with cache.opened(facts()):
        pass
    assert {path.name for path in left_over(cache)} == {mine.name, *stays}
    old = cache.folder / "staging" / stays[0]
    os.utime(old, (0, 0))
    assert staging.remove_dead(cache.folder) == [old]


def test_a_timing_cache_never_becomes_smaller(cache):
    build(cache, timing=b"t" * 100)
    with cache.opened(facts("b" * 64)) as entry:
        assert entry.timing_file.read_bytes() == b"t" * 100
        write(entry, timing=b"u" * 50)
        entry.publish(1.0)
    timings = SharedTimings(cache.folder, "sm90", "8.6.1")
    assert timings.read().bytes == 100
    with cache.opened(facts("d" * 64)) as entry:
        write(entry, timing=b"v" * 150)
        entry.publish(1.0)
    assert timings.read().bytes == 150
    assert len(list(timings.folder.glob("*.timing"))) == 1


def test_a_damaged_timing_cache_is_set_aside(cache):
    build(cache, timing=b"t" * 100)
    (file,) = cache.timing_folder("sm90", "8.6.1").glob("*.timing")
    file.write_bytes(b"?" * 100)
    with cache.opened(facts()) as entry:
        assert not entry.had_timing
        assert not entry.timing_file.exists()
    assert cache.timing_caches() == []


def test_removing_takes_entries_that_nobody_builds(cache):
    build(cache)
    lock = ProcessLock(cache.folder, "a" * 16, "building")
    lock.acquire()
    assert cache.remove([facts().key, "b" * 64]) == []
    assert lock.path.with_suffix(".holder").exists()
    lock.release()
    assert [entry.key for entry in cache.remove([facts().key])] == [facts().key]
    assert cache.entries() == []
    assert left_over(cache) == []


def test_a_lock_says_who_holds_it(cache):
    lock, other = (ProcessLock(cache.folder, "k", "building the engines of m.onnx") for _ in range(2))
    assert lock.acquire() == 0.0
    with pytest.raises(TimeoutError, match=f"process {os.getpid()} on {socket.gethostname()} is building"):
        other.acquire(timeout_s=0.2)
    lock.release()
    assert other.acquire() == 0.0
    other.release()


def test_the_environment_can_name_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv(cache_module.VARIABLE, str(tmp_path / "here"))
    assert EngineCache().folder == tmp_path / "here"
    assert EngineCache(tmp_path / "there").folder == tmp_path / "there"
    monkeypatch.delenv(cache_module.VARIABLE)
    assert EngineCache().folder.parts[-2:] == ("trt-workbench", "engines")
    assert EngineCache(tmp_path / "absent").entries() == []


def test_a_native_plan_needs_nothing_of_onnx_runtime(cache):
    native = facts("e" * 64, provider="native", onnxruntime=None, settings=Settings(provider="native"))
    with cache.opened(native) as entry:
        (entry.folder / "model.plan").write_bytes(ort_files.plan())
        entry.publish(1.0)
    (found,) = cache.entries()
    assert found.provider == "native"
    assert found.files[0].tensorrt == "8.6.1.6"
    assert layout.unit_of("model.plan") == "model"
