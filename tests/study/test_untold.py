from datetime import UTC, datetime

import pytest

from tests.runtime.engines.entries import FakeCache, entry_of, machine
from workbench.errors import StoreError
from workbench.measure.delivered import EngineDelivered, delivered
from workbench.measure.latency import latency_of
from workbench.measure.layers import EngineLayer
from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.runtime.job import InputUsed, Outcome, Plan
from workbench.samples.catalogue import sample_path
from workbench.study.execute import reference_of
from workbench.study.run import Run
from workbench.study.store import Store
from workbench.study.untold import hints_of

FP16 = Settings(precision="fp16")


@pytest.fixture(scope="module")
def model():
    return Model.load(sample_path("digits"))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs.sqlite3")


def outcome(median=1.0, *, told=False, here=None, batch=8):
    layers = (EngineLayer(name="a", type="x" if told else "", precision="fp16" if told else None),)
    engine = EngineDelivered(file="e", bytes=500, found=delivered(layers, ["fp16"]), layers=layers)
    return Outcome(
        status="ok",
        environment=here or machine(),
        latency=latency_of([median] * 20),
        inputs=(InputUsed(name="image", dtype="float32", shape=(batch, 1, 8, 8), origin="random"),),
        delivered=(engine,),
    )


def keep(store, model, settings=None, **more):
    found = outcome(**more)
    run = Run(
        **{name: getattr(found, name) for name in Outcome.model_fields},
        id="fp32-run",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        evidence="measured",
        model=reference_of(model),
        settings=settings or Settings(),
        plan=Plan(),
    )
    store.add(run)


def hints(model, found=None, *, settings=FP16, store=None, cache=None):
    return hints_of(found or outcome(), model=reference_of(model), settings=settings, plan=Plan(), store=store, cache=cache)


def test_size_and_latency_stand_against_fp32(model, store, tmp_path):
    keep(store, model, median=2.0)
    size, latency = hints(model, store=store, cache=FakeCache(tmp_path, [entry_of(model, FP16, size=9), entry_of(model)]))
    assert size.seen == "the fp16 engines take 500 bytes, those of fp32 1.0 kB: 0.50 times"
    assert latency.seen == ("fp16 takes 1.000 ms at the median, fp32 took 2.000 ms (Run fp32-run): 2.00 times as fast")


def test_engines_that_tell_their_types_need_no_hints(model, store):
    keep(store, model)
    assert hints(model, outcome(told=True), store=store) == ()
    assert hints(model, settings=Settings(), store=store) == ()


@pytest.mark.parametrize("more", [{"here": machine(gpu="another")}, {"batch": 1}, {"settings": FP16}])
def test_runs_that_differ_in_more_than_precision_are_no_evidence(model, store, more):
    keep(store, model, **more)
    assert hints(model, store=store) == ()


def test_engines_of_another_machine_are_no_evidence(model, tmp_path):
    assert hints(model, cache=FakeCache(tmp_path, [entry_of(model, here=machine(tensorrt="10.14.1"))])) == ()


def test_a_store_that_cannot_be_read_takes_nothing_from_the_run(model, store, monkeypatch):
    def broken(*_, **__):
        raise StoreError("no.")

    monkeypatch.setattr(store, "runs", broken)
    assert hints(model, store=store) == ()
