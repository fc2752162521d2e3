import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import warnings

import platformdirs
import pytest

from workbench.errors import StoreError
from workbench.options.settings import Settings
from workbench.runtime.job import Build
from workbench.study.store import Store


def sql(store, statement, *values):
    connection = sqlite3.connect(store.path)
    with connection:
        found = connection.execute(statement, values).fetchall()
    connection.close()
    return found


def test_the_default_file_lies_in_the_users_data_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(platformdirs, "user_data_path", lambda name: tmp_path / name)
    assert Store().path == tmp_path / "trt-workbench" / "runs.sqlite3"


def test_reading_makes_no_file(store):
    assert (len(store), store.runs(), store.rows(), store.changed(), store.unreadable()) == (0, [], [], 0, [])
    with pytest.raises(StoreError, match="No Run is kept there yet"):
        store.get("2026")
    with pytest.raises(StoreError, match="No Run"):
        store.set_label("2026", "x")
    assert not store.path.parent.exists()


def test_an_empty_store_is_still_a_store(store):
    assert store


def test_a_run_comes_back_whole_and_as_recorded(store, run):
    kept = run()
    store.add(kept)
    found = store.get(kept.id)
    assert found == kept.recorded()
    assert (found.evidence, found.placement.evidence) == ("recorded", "recorded")
    assert found.latency.samples_ms == kept.latency.samples_ms
    assert len(store) == 1


def test_failures_are_kept_too(store, run):
    store.add(run(None, error="out of memory"))
    assert store.runs()[0].error.message == "out of memory"
    assert store.rows()[0].median_ms is None


def test_one_id_is_kept_once(store, run):
    kept = run()
    store.add(kept)
    with pytest.raises(StoreError, match="kept already"):
        store.add(kept.model_copy(update={"label": "another"}))
    assert store.get(kept.id).label == ""


def test_lists_begin_with_the_newest(store, run):
    runs = [run() for _ in range(5)]
    for kept in runs[::-1]:
        store.add(kept)
    assert [r.id for r in store.runs()] == [r.id for r in store.rows()] == [r.id for r in runs[::-1]]
    assert [r.id for r in store.runs(limit=2)] == [runs[4].id, runs[3].id]


def test_lists_are_filtered(store, run):
    fp16 = Settings(precision="fp16")
    runs = [run(), run(model="other", content_hash="bb"), run(settings=fp16), run(None, error="no")]
    for kept in runs:
        store.add(kept)

    def ids(**wanted):
        assert [r.id for r in store.rows(**wanted)] == [r.id for r in store.runs(**wanted)]
        return {runs.index(next(r for r in runs if r.id == row.id)) for row in store.rows(**wanted)}

    assert ids(model="other") == ids(model="bb") == {1}
    assert ids(provider="tensorrt") == ids(settings=fp16.fingerprint()) == {2}
    assert ids(status="failed") == {3}
    assert ids(model="net", provider="cpu", status="ok") == {0}
    assert ids(model="absent") == set()


def test_a_row_shows_what_lists_need(store, run):
    kept = run(label="mine", settings=Settings(precision="fp16"))
    store.add(kept)
    row = store.rows()[0]
    assert (row.id, row.created, row.model, row.content_hash, row.label) == (kept.id, kept.created, "net", "aa", "mine")
    assert (row.provider, row.precision, row.status) == ("tensorrt", "fp16", "ok")
    assert (row.median_ms, row.settings) == (kept.latency.median_ms, kept.settings.fingerprint())


def test_an_id_may_be_shortened_while_it_is_unique(store, run):
    one, two = run(), run()
    store.add(one)
    store.add(two)
    assert store.get(one.id[:15]).id == one.id
    with pytest.raises(StoreError, match="several Runs") as caught:
        store.get("2026")
    assert one.id in str(caught.value)
    assert two.id in str(caught.value)


def test_a_whole_id_wins_over_longer_ones(store, run):
    one = run()
    store.add(one)
    store.add(one.model_copy(update={"id": one.id + "0"}))
    assert store.get(one.id).id == one.id


@pytest.mark.parametrize("given", ["%", "_", "", "2026*", "nope", "'; DROP TABLE runs; --"])
def test_an_unknown_id_names_the_newest(store, run, given):
    kept = run()
    store.add(kept)
    with pytest.raises(StoreError, match="no Run has an id") as caught:
        store.get(given)
    assert kept.id in str(caught.value)


def test_a_misspelt_id_names_the_nearest(store, run):
    runs = [run() for _ in range(20)]
    for kept in runs:
        store.add(kept)
    wrong = runs[3].id[:-1] + "x"
    with pytest.raises(StoreError, match=f"Did you mean .*{runs[3].id}"):
        store.get(wrong)


def test_a_label_is_changed_in_lists_and_in_the_run(store, run):
    kept = run()
    store.add(kept)
    store.set_label(kept.id[:16], "größer 🚀")
    assert store.get(kept.id).label == store.rows()[0].label == "größer 🚀"
    with pytest.raises(StoreError, match="no Run"):
        store.set_label("absent", "x")


def test_every_change_is_noticed_by_another_store(store, run, tmp_path):
    other = Store(store.path)
    seen = [other.changed()]
    kept = run()
    store.add(kept)
    seen.append(other.changed())
    store.set_label(kept.id, "x")
    seen.append(other.changed())
    assert seen == sorted(set(seen))
    assert other.changed() == seen[-1]


def test_exported_runs_are_imported_elsewhere_once(store, run, tmp_path):
    runs = [run(label=str(i)) for i in range(3)]
    for kept in runs:
        store.add(kept)
    file = store.export([r.id for r in runs[:2]], tmp_path / "runs.json")
    other = Store(tmp_path / "other.sqlite3")
    assert other.import_file(file) == [r.id for r in runs[:2]]
    assert other.import_file(file) == []
    assert other.get(runs[0].id) == runs[0].recorded()


def test_an_imported_run_is_evidence_from_elsewhere(store, run, tmp_path):
    for index, wrap in enumerate((lambda d: d, lambda d: [d])):
        kept = run()
        file = tmp_path / f"{index}.json"
        file.write_text(json.dumps(wrap(json.loads(kept.model_dump_json()))))
        assert store.import_file(file) == [kept.id]
        assert sql(store, "SELECT json_extract(run, '$.evidence') FROM runs WHERE id = ?", kept.id) == [("recorded",)]


def test_exporting_overwrites_nothing(store, run, tmp_path):
    kept = run()
    store.add(kept)
    with pytest.raises(StoreError, match="exists already"):
        store.export([kept.id], store.path)
    with pytest.raises(StoreError, match="cannot be written"):
        store.export([kept.id], tmp_path / "no" / "folder.json")
    assert len(store) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ('{"id": 3}', "Run 1 cannot be read: .*Nothing was imported"),
        ("[1]", "Run 1 cannot be read"),
        ("3", "Run 1 cannot be read"),
        ('{"format": "trt-workbench runs", "version": 99, "runs": []}', "version 99"),
        ('{"format": "trt-workbench runs", "version": 1}', "version 1"),
    ],
)
def test_a_file_that_holds_no_runs_is_refused(store, tmp_path, content, message):
    (tmp_path / "runs.json").write_text(content)
    with pytest.raises(StoreError, match=message):
        store.import_file(tmp_path / "runs.json")
    assert not store.path.exists()


def test_import_is_all_or_nothing(store, run, tmp_path):
    good, bad = (json.loads(run().model_dump_json()) for _ in range(2))
    (tmp_path / "runs.json").write_text(json.dumps([good, bad | {"discovered": 1}]))
    with pytest.raises(StoreError, match="Run 2 cannot be read: discovered"):
        store.import_file(tmp_path / "runs.json")
    assert len(store) == 0


def test_importing_a_missing_file_is_an_error(store, tmp_path):
    with pytest.raises(StoreError, match="cannot be read"):
        store.import_file(tmp_path / "absent.json")


def test_a_run_of_the_future_is_reported_and_the_rest_is_listed(store, run):
    runs = [run() for _ in range(3)]
    for kept in runs:
        store.add(kept)
    sql(store, "UPDATE runs SET run = json_set(run, '$.quantum', 1) WHERE id = ?", runs[1].id)
    with pytest.warns(UserWarning, match=f"1 of the Runs cannot be read.*{runs[1].id}.*quantum"):
        assert [r.id for r in store.runs()] == [runs[2].id, runs[0].id]
    assert len(store.rows()) == len(store) == 3
    assert [f.where for f in store.unreadable()] == [f"Run {runs[1].id}"]
    with pytest.raises(StoreError, match=r"quantum.*newer version"):
        store.get(runs[1].id)
    store.set_label(runs[1].id, "later")
    assert sql(store, "SELECT json_extract(run, '$.quantum'), label FROM runs WHERE label != ''") == [(1, "later")]


@pytest.mark.parametrize("text", ["", "{", "null", "\x00", '{"settings": {"provider": "abacus"}}'])
def test_a_row_that_holds_no_run_is_reported(store, run, text):
    one, two = run(), run()
    store.add(one)
    store.add(two)
    sql(store, "UPDATE runs SET run = ? WHERE id = ?", text, one.id)
    with pytest.warns(UserWarning, match="cannot be read"):
        assert [r.id for r in store.runs()] == [two.id]
    with pytest.raises(StoreError, match="cannot be read"):
        store.get(one.id)


def test_a_run_with_an_option_that_nobody_knows_is_reported(store, run):
    kept = run()
    store.add(kept)
    sql(store, "UPDATE runs SET run = json_set(run, '$.settings.provider_options', json('{\"trt_unheard_of\": 1}'))")
    with pytest.warns(UserWarning, match="trt_unheard_of"):
        assert store.runs() == []


def test_a_row_with_a_broken_column_is_reported(store, run):
    one, two = run(), run()
    store.add(one)
    store.add(two)
    sql(store, "UPDATE runs SET median_ms = 'quick' WHERE id = ?", one.id)
    with pytest.warns(UserWarning, match="median_ms"):
        assert [r.id for r in store.rows()] == [two.id]


def every_use(store, kept):
    return (
        lambda: store.add(kept),
        lambda: len(store),
        store.runs,
        store.rows,
        store.changed,
        store.unreadable,
        lambda: store.get("2026"),
        lambda: store.set_label("2026", "x"),
    )


def refused(store, kept, message):
    """Expect every use to fail with one message, and the file to stay as it is."""
    before = store.path.read_bytes()
    for use in every_use(store, kept):
        with pytest.raises(StoreError, match=message) as caught:
            use()
        assert str(store.path) in str(caught.value)
        assert caught.value.remedy
    assert store.path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all, but a text\n" * 50, b"x", b"SQLite format 2\0" * 100])
def test_a_file_that_is_no_database_is_left_alone(store, run, content):
    store.path.parent.mkdir()
    store.path.write_bytes(content)
    refused(store, run(), "no SQLite database")


def test_another_programs_database_is_left_alone(store, run):
    store.path.parent.mkdir()
    sql(store, "CREATE TABLE songs (title TEXT)")
    refused(store, run(), "belongs to another program")
    for pragma in ("application_id = 7", "user_version = 3"):
        store.path.unlink()
        sql(store, f"PRAGMA {pragma}")
        refused(store, run(), "belongs to another program")


@pytest.mark.parametrize(("version", "remedy"), [(2, "Update the workbench"), (0, "Export its Runs"), (999, "Update")])
def test_another_format_of_the_store_is_refused_and_left_alone(store, run, version, remedy):
    store.add(run())
    sql(store, f"PRAGMA user_version = {version}")
    refused(store, run(), f"has format {version}.*{remedy}")


def test_a_store_whose_tables_have_gone_is_refused(store, run):
    store.add(run())
    sql(store, "DROP TABLE runs")
    sql(store, "DROP TABLE changes")
    refused(store, run(), "no such table")


@pytest.mark.parametrize("keep", [16, 50, 99, 100, 2000, 4096, 9000, 20_000])
def test_a_truncated_store_is_refused_and_left_alone(store, run, keep):
    for _ in range(8):
        store.add(run())
    content = store.path.read_bytes()
    store.path.write_bytes(content[:keep])
    with pytest.raises(StoreError, match=r"damaged|no SQLite") as caught:
        store.runs()
    assert "aside" in caught.value.remedy
    with pytest.raises(StoreError, match=r"damaged|no SQLite"):
        store.add(run())
    assert store.path.read_bytes()[:keep] == content[:keep]


def test_a_store_with_pages_of_garbage_is_refused(store, run):
    for _ in range(8):
        store.add(run())
    content = bytearray(store.path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    store.path.write_bytes(content)
    for use in every_use(store, run()):
        with pytest.raises(StoreError, match="damaged"):
            use()
    assert store.path.read_bytes() == bytes(content)


@pytest.mark.parametrize("where", ["page", "byte"])
def test_a_damaged_store_never_raises_anything_but_store_errors(store, run, where):
    import random

    rng = random.Random(0)
    for _ in range(6):
        store.add(run())
    content = store.path.read_bytes()
    for _ in range(40):
        damaged = bytearray(content)
        at = rng.randrange(100, len(damaged))
        size = 4096 if where == "page" else 1
        damaged[at : at + size] = rng.randbytes(len(damaged[at : at + size]))
        store.path.write_bytes(damaged)
        for use in every_use(store, run())[1:]:
            with contextlib.suppress(StoreError), warnings.catch_warnings(action="ignore"):
                use()


def test_a_folder_in_place_of_the_file_is_refused(tmp_path, run):
    store = Store(tmp_path)
    for use in every_use(store, run()):
        with pytest.raises(StoreError, match="must be a file"):
            use()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path, run):
    (tmp_path / "kept").touch()
    with pytest.raises(StoreError, match="cannot be used"):
        Store(tmp_path / "kept" / "runs.sqlite3").add(run())


def test_a_full_disk_says_so_and_loses_nothing(store, run, monkeypatch):
    from workbench.study import database

    kept = run()
    store.add(kept)
    connect = database._connect

    def small(path, mode):
        connection = connect(path, mode)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    monkeypatch.setattr(database, "_connect", small)
    with pytest.raises(StoreError, match=r"the disk is full .*Free some space"):
        store.add(run(count=100_000))
    monkeypatch.undo()
    assert [r.id for r in store.runs()] == [kept.id]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (sqlite3.SQLITE_READONLY, "cannot be written"),
        (sqlite3.SQLITE_CANTOPEN, "cannot be opened"),
        (sqlite3.SQLITE_IOERR, "disk reports an error"),
        (sqlite3.SQLITE_IOERR | 2 << 8, "disk reports an error"),
        (sqlite3.SQLITE_PROTOCOL, "locks do not work"),
        (sqlite3.SQLITE_ERROR, "SQLite refuses"),
    ],
)
def test_sqlites_errors_say_what_to_do(store, run, monkeypatch, code, message):
    from workbench.study import database

    def fail(*_):
        error = sqlite3.OperationalError("as SQLite puts it")
        error.sqlite_errorcode = code
        raise error

    store.add(run())
    monkeypatch.setattr(database, "_connect", fail)
    for use in every_use(store, run()):
        with pytest.raises(StoreError, match=message) as caught:
            use()
        assert caught.value.remedy


def test_a_store_that_nobody_can_write_is_read(store, run, monkeypatch):
    kept = run()
    store.add(kept)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert store.get(kept.id).id == kept.id
    assert [p.name for p in store.path.parent.iterdir()] == [store.path.name]


def test_a_writer_that_holds_the_file_too_long_is_told(store, run, monkeypatch):
    from workbench.study import database

    store.add(run())
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    holder = sqlite3.connect(store.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another process has held it"):
        store.add(run())
    assert len(store.runs()) == 1  # readers do not wait
    holder.execute("ROLLBACK")
    holder.close()
    store.add(run())


def test_an_interrupted_creation_is_finished_by_the_next_write(store, run):
    store.path.parent.mkdir()
    store.path.touch()
    assert store.runs() == []
    store.add(run())
    assert len(store) == 1


def test_threads_share_a_store(store, run):
    runs = [run(count=20) for _ in range(40)]
    threads = [threading.Thread(target=lambda part: [store.add(r) for r in part], args=(runs[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store) == 40


WRITE = """
import sys
from workbench.study.run import Run
from workbench.study.store import Store
store, name, count = Store(sys.argv[1]), sys.argv[2], int(sys.argv[3])
run = Run.model_validate_json(sys.stdin.read())
for index in range(count):
    store.add(run.model_copy(update={"id": f"{name}-{index:04}"}))
    print(index, flush=True)
"""


def writer(store, run, name, count):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(store.path), name, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdin.write(run.model_dump_json())
    process.stdin.close()
    process.stdin = None
    return process


def test_two_processes_write_a_hundred_runs_each_at_the_same_time(store, run):
    kept = run()
    processes = [writer(store, kept, name, 100) for name in ("one", "two")]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, "")
    assert len(store) == len(store.runs()) == 200
    assert sql(store, "PRAGMA integrity_check") == [("ok",)]
    assert store.changed() == 200


def test_a_writer_that_is_killed_leaves_an_intact_store(store, run):
    kept = run(count=5000)
    for attempt in range(3):
        process = writer(store, kept, f"try{attempt}", 100_000)
        done = int([process.stdout.readline() for _ in range(5 + 3 * attempt)][-1])
        time.sleep(0.003 * attempt)
        process.send_signal(signal.SIGKILL)
        rest = process.communicate(timeout=30)[0].split()
        done = int(rest[-1]) if rest else done
        ids = {row.id for row in store.rows()}
        assert {f"try{attempt}-{i:04}" for i in range(done + 1)} <= ids
        assert len(store.runs()) == len(ids)
        assert sql(store, "PRAGMA integrity_check") == [("ok",)]
        store.add(kept.model_copy(update={"id": f"after{attempt}"}))


def test_times_of_sessions_are_read_without_the_runs(store, run):
    store.add(run(build=Build(seconds=1.5, cache="cold")))
    store.add(run())  # made no session
    store.add(run(model="other", content_hash="bb", build=Build(seconds=9.0, cache="cold")))
    (found,) = store.session_times("aa", provider="cpu")
    assert (found.seconds, found.cache, found.host, found.onnxruntime, found.gpu) == (1.5, "cold", "h", "1.31.0", None)
    assert found.settings == Settings(provider="cpu").fingerprint()
    assert store.session_times("net", provider="cuda") == []


def test_places_of_models_are_told_once(store, run):
    for content in ("aa", "aa", "bb", None):
        store.add(run(content_hash=content))
    assert {(file.path, file.content_hash) for file in store.model_files()} == {("net.onnx", "aa"), ("net.onnx", "bb")}
    assert len(store.model_files()) == 2
