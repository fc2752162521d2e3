import pytest

from tests.runtime.engines.entries import FakeCache, entry_of, machine
from workbench.errors import InputError
from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.runtime.engines.records import EngineFile, InputBounds
from workbench.runtime.job import Build, InputUsed
from workbench.samples.catalogue import sample_path
from workbench.study.requests import answer_here, known_ranges, shapes_of_runs


@pytest.fixture(scope="module")
def digits():
    return Model.load(sample_path("digits"))


def engine(low, high):
    bounds = InputBounds(name="image", min=(low,), opt=(high,), max=(high,), axes=(0,))
    return EngineFile(name="a_sm90.engine", bytes=1, sha256="0" * 64, bounds=(bounds,))


def test_the_range_of_the_engine_at_hand_decides(digits, tmp_path):
    cache = FakeCache(tmp_path, [entry_of(digits, files=(engine(1, 8),))])
    for size, result in ((4, "runs"), (9, "rebuilds")):
        answer = answer_here(digits, Settings(), {"image": (size, 1, 8, 8)}, environment=machine(), cache=cache)
        assert answer.result == result
    assert answer_here(digits, Settings(), {"image": (4, 1, 8, 8)}, environment=machine()).result == "builds"


def test_building_is_told_with_this_machines_history(digits, run, store):
    built = run(
        model=digits.name,
        content_hash=digits.content_hash(),
        settings=Settings(),
        environment=machine(),
        build=Build(seconds=72.0, cache="cold"),
    )
    store.add(built)
    answer = answer_here(digits, Settings(), {"image": (4, 1, 8, 8)}, environment=machine(), store=store)
    assert "Building took 72 s in the one run of this model" in answer.sentence


def test_first_profiles_alone_are_ranges_that_a_session_uses():
    first = InputBounds(name="x", min=(1, 2), max=(3, 4))
    second = InputBounds(name="x", min=(5, 6), max=(7, 8), profile=1)
    (found,) = known_ranges([EngineFile(name="a.engine", bytes=1, bounds=(first, second))])
    assert (found.axes, found.min, found.max) == ((0, 1), (1, 2), (3, 4))


def used(batch, origin="inputs.npz"):
    return (InputUsed(name="image", dtype="float32", shape=(batch, 1, 8, 8), origin=origin),)


def test_shapes_are_learned_from_runs_on_real_inputs(digits, run, store):
    for batch in (1, 4, 4):
        store.add(run(model="digits", content_hash=digits.content_hash(), inputs=used(batch)))
    store.add(run(model="digits", content_hash=digits.content_hash(), inputs=used(16, "random, standard normal")))
    store.add(run(model="other", content_hash="bb", inputs=used(99)))
    seen, told = shapes_of_runs(store, digits)
    assert {request.sizes[0][1]: request.count for request in seen} == {1: 1, 4: 2}
    assert [finding.level for finding in told] == ["info"]


def test_runs_on_made_up_arrays_are_a_warning(digits, run, store):
    store.add(run(model="digits", content_hash=digits.content_hash(), inputs=used(16, "random, standard normal")))
    _, told = shapes_of_runs(store, digits)
    assert "all 1 Runs used made-up arrays" in told[0].seen


def test_runs_whose_inputs_do_not_fit_are_left_out(digits, run, store):
    store.add(run(model="digits", content_hash="of before", inputs=used(2)))
    store.add(run(model="digits", content_hash="of before"))
    seen, told = shapes_of_runs(store, digits)
    assert len(seen) == 1
    assert any("do not fit" in finding.seen or "made-up" in finding.seen for finding in told)


def test_without_runs_there_is_nothing_to_learn(digits, store):
    with pytest.raises(InputError, match="No kept Run of digits has inputs"):
        shapes_of_runs(store, digits)
