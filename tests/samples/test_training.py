import numpy as np
import pytest

from workbench.samples.digits import LabelledImages, digits_model
from workbench.samples.training import Recipe, gradients_of, initial_weights, predict, train

SMALL = Recipe(epochs=1, batch=8, channels=(2, 3), width=5)


def images(count=16):
    rng = np.random.default_rng(0)
    return LabelledImages(rng.random((count, 1, 8, 8), dtype=np.float32), rng.integers(0, 10, count))


def loss(weights, data):
    logits = predict(weights, data.image)
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.mean(np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(data.label)), data.label])


@pytest.mark.parametrize("name", ["conv1.weight", "conv2.weight", "conv2.bias", "dense1.weight", "dense2.bias"])
def test_gradients_agree_with_finite_differences(name):
    data = images(4)
    data = LabelledImages(data.image.astype(np.float64), data.label)
    weights = {key: value.astype(np.float64) for key, value in initial_weights(SMALL, np.random.default_rng(1)).items()}
    gradient = gradients_of(weights, data.image, data.label)[name]
    for position in [(0,) * gradient.ndim, tuple(size - 1 for size in gradient.shape)]:
        sides = []
        for step in (1e-6, -1e-6):
            moved = {key: value.copy() for key, value in weights.items()}
            moved[name][position] += step
            sides.append(loss(moved, data))
        assert gradient[position] == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-4, abs=1e-8)


def test_training_is_deterministic_and_lowers_the_loss():
    data = images()
    recipe = Recipe(epochs=60, batch=8, channels=(2, 3), width=5, rate=1e-2)
    before = initial_weights(recipe, np.random.default_rng(recipe.seed))
    first, second = train(data, recipe), train(data, recipe)
    assert loss(first, data) < loss(before, data)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_the_exported_graph_computes_what_was_trained():
    reference = pytest.importorskip("onnx.reference")
    weights, data = initial_weights(SMALL, np.random.default_rng(2)), images(3)
    logits, _ = reference.ReferenceEvaluator(digits_model(weights, {"note": "untrained"})).run(None, {"image": data.image})
    np.testing.assert_allclose(logits, predict(weights, data.image), rtol=1e-4, atol=1e-5)
