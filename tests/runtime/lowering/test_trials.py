import numpy as np
import onnx
import pytest

from workbench.measure.halving import joined, range_of
from workbench.model.precision.half import to_half
from workbench.runtime.lowering.session import exact_session
from workbench.runtime.lowering.trials import Lowering, Prober
from workbench.runtime.lowering.weights import Weights
from workbench.samples.catalogue import sample_path
from workbench.samples.encoder import Encoder, Sizes

KEPT = ("/layer0/mlp/up/MatMul", "/embeddings/word/Gather")


@pytest.mark.parametrize("to", ["fp16", "bf16"])
@pytest.mark.parametrize("keep", [(), KEPT])
def test_weights_held_in_memory_change_no_number(to, keep):
    ort = pytest.importorskip("onnxruntime")
    proto = Encoder(Sizes(layers=1)).model()
    words = next(tensor for tensor in proto.graph.initializer if tensor.name == "embeddings.word.weight")
    values = np.where(np.arange(64000).reshape(1000, 64) % 999 == 0, 1e6, 0.5).astype(np.float32)
    words.CopyFrom(onnx.numpy_helper.from_array(values, words.name))  # one that overflows, and is clipped
    feeds = {"input_ids": np.arange(8).reshape(1, 8), "attention_mask": np.ones((1, 8), np.int64)}
    for clip in (False, True):
        weights = Weights(proto, to, clip=clip)
        assert weights.skeleton.ByteSize() < proto.ByteSize() / 3
        whole, _ = to_half(proto, to=to, keep=keep, clip=clip, emulate=True)
        light, _ = to_half(weights.skeleton, to=to, keep=keep, clip=clip, emulate=True)
        expected = exact_session(ort, whole).run(None, feeds)
        found = exact_session(ort, light, weights).run(None, feeds)
        for a, e in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, e)


def test_what_half_precision_does_to_numbers_is_what_numpy_does():
    values = np.array([0, 1, 65504, 65519, 65520, 7e4, -1e9, 5e-5, 1e-8, 2**-25, 1.1 * 2**-25], np.float32)
    with np.errstate(over="ignore"):
        halves = values.astype(np.float16)
    found = range_of(values)
    assert found.over == np.isinf(halves).sum()
    some = values != 0
    assert found.zeroed == pytest.approx((halves[some] == 0).mean())
    assert found.subnormal == pytest.approx((np.abs(values[some]) < 2**-14).mean())
    assert (found.largest, found.lowest) == (1e9, -1e9)


def test_ranges_join_and_nothing_finite_has_none():
    a, b = range_of(np.array([1.0, 2.0])), range_of(np.array([1e5]))
    assert (joined(a, b).largest, joined(a, b).over, joined(a, b).elements) == (1e5, 1, 3)
    assert range_of(np.array([np.nan, np.inf])) is None
    assert range_of(np.zeros(0)) is None
    assert joined(None, a) == a


def test_a_process_that_dies_is_answered_and_replaced():
    lowering = Lowering(model=str(sample_path("digits")))
    with Prober(lowering, lambda: False) as prober:
        ground = prober.open()
        whole = prober.measure([])
        prober._process.kill()
        prober._process.wait()
        assert prober.measure([]).accuracy == whole.accuracy
        failed = prober.measure(["no such node"])
        assert "no node 'no such node'" in failed.failure
        assert prober.measure([node.name for node in ground.candidates]).accuracy[0].rel_l2 < 1e-5


def test_real_graphs_run_on_the_provider():
    lowering = Lowering(model=str(sample_path("digits")))
    with Prober(lowering, lambda: False) as prober:
        prober.open()
        real, emulated = prober.measure([], emulate=False), prober.measure([], emulate=True)
    assert real.failure == emulated.failure == ""
    assert 0 < real.accuracy[0].rel_l2 < 1e-2
    assert 0 < emulated.accuracy[0].rel_l2 < 1e-2
