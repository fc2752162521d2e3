from datetime import timedelta

import pytest

from tests.runtime.engines.entries import LAPTOP, NOW, FakeCache, entry_of, machine
from workbench.model.model import Model
from workbench.runtime.engines.prune import ModelFile, Rules, choose_removals, prune
from workbench.samples.catalogue import sample_path

MONTH, FORTNIGHT = timedelta(days=30), timedelta(days=14)


@pytest.fixture(scope="module")
def model():
    return Model.load(sample_path("digits"))


def chosen(entries, rules, here=None, **more):
    return choose_removals(entries, rules, here=here or machine(), now=NOW, **more)


def test_without_rules_nothing_goes(model):
    assert not Rules()
    assert chosen([entry_of(model, days=999)], Rules()) == []


def test_age_and_disuse_are_told_in_days(model):
    entries = [entry_of(model, key="old", days=40), entry_of(model, key="idle", days=20, idle=15), entry_of(model, key="new")]
    found = chosen(entries, Rules(older_than=MONTH, unused_for=FORTNIGHT))
    assert [(removal.key, removal.because) for removal in found] == [
        ("old", "built 40 days ago"),
        ("idle", "not used for 15 days"),
    ]


@pytest.mark.parametrize(
    ("here", "because"),
    [
        (machine(), None),
        (machine(tensorrt="10.14.1"), "TensorRT 8.6.1 built it; here is 10.14.1"),
        (machine(compute_capability="8.6"), "It is for compute capability 9.0; this GPU has 8.6"),
        (LAPTOP, None),
    ],
)
def test_engines_of_other_machines_go_only_where_this_one_is_known(model, here, because):
    found = chosen([entry_of(model)], Rules(other_machine=True), here)
    assert [removal.because for removal in found] == ([because] if because else [])


def test_engines_of_a_model_that_has_gone_or_changed_go(model, tmp_path):
    entry = entry_of(model)
    there = ModelFile(path=str(model.path), content_hash=entry.content_hash)
    gone = ModelFile(path=str(tmp_path / "gone.onnx"), content_hash=entry.content_hash)
    other = ModelFile(path=str(sample_path("encoder")), content_hash=entry.content_hash)
    rules = Rules(gone=True)
    assert chosen([entry], rules, models=[gone, there]) == []
    assert chosen([entry], rules) == []  # nobody knows where the model was
    assert [r.because for r in chosen([entry], rules, models=[gone])] == ["the model's file has gone"]
    assert [r.because for r in chosen([entry], rules, models=[gone, other])] == ["the model's file has other content now"]


def test_over_the_limit_those_not_used_for_longest_go_first(model):
    sizes = [("a", 5, 400), ("b", 9, 300), ("c", 1, 300), ("d", 7, 100)]
    entries = [entry_of(model, key=key, idle=idle, size=size) for key, idle, size in sizes]
    assert [removal.key for removal in chosen(entries, Rules(over=800))] == ["b"]
    assert [removal.key for removal in chosen(entries, Rules(over=700))] == ["b", "d"]
    assert {removal.key for removal in chosen(entries, Rules(over=300))} == {"a", "b", "d"}
    assert chosen(entries, Rules(over=1100)) == []
    # what goes by another rule makes room
    assert [removal.key for removal in chosen(entries, Rules(over=800, unused_for=timedelta(days=8)))] == ["b"]


def test_a_dry_run_tells_what_would_go_and_leaves_it(model, tmp_path):
    cache = FakeCache(tmp_path, [entry_of(model, key="old", days=40_000, size=700), entry_of(model, key="new", size=300)])
    cache.kept[1] = cache.kept[1].model_copy(update={"created": NOW.replace(year=2999)})
    found = prune(cache, Rules(older_than=MONTH), here=machine())
    assert (found.dry_run, found.bytes, found.kept, found.kept_bytes) == (True, 700, 1, 300)
    assert len(cache.entries()) == 2
    found = prune(cache, Rules(older_than=MONTH), here=machine(), dry_run=False)
    assert (found.dry_run, found.bytes, found.kept) == (False, 700, 1)
    assert [entry.key for entry in cache.entries()] == ["new"]


def test_what_is_in_use_stays_and_is_told(model, tmp_path):
    cache = FakeCache(tmp_path, [entry_of(model, key="busy", days=40_000)], locked=["busy"])
    found = prune(cache, Rules(older_than=MONTH), here=machine(), dry_run=False)
    assert (found.removals, found.kept, found.bytes) == ((), 1, 0)
    assert found.problems == ("digits.onnx: cannot be removed: it is being built.",)


def test_what_was_set_aside_goes_with_its_folder(tmp_path):
    aside = tmp_path / "set-aside" / "20260601-digits"
    aside.mkdir(parents=True)
    (aside / "a.engine").write_bytes(b"x" * 500)
    cache = FakeCache(tmp_path)
    assert prune(cache, Rules(older_than=MONTH), here=machine()).removals == ()
    found = prune(cache, Rules(set_aside=True), here=machine())
    assert (found.bytes, found.removals[0].because) == (500, "set aside as damaged")
    assert aside.exists()
    prune(cache, Rules(set_aside=True), here=machine(), dry_run=False)
    assert not aside.exists()
