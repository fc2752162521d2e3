"""Train the digits classifier with NumPy: forward and backward passes, and Adam.

The layers are written out so that the sample needs no deep-learning framework. Arrays are float32, shape
(batch, channels, height, width), or (batch, features) behind the last convolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from workbench.samples.digits import LabelledImages

Weights = dict[str, np.ndarray]


@dataclass(frozen=True)
class Recipe:
    """How the classifier is trained; fixed before the held-out images were looked at."""

    seed: int = 0
    epochs: int = 40
    batch: int = 64
    rate: float = 2e-3
    decay: float = 1e-4
    channels: tuple[int, int] = (16, 32)
    width: int = 64


def train(images: LabelledImages, recipe: Recipe) -> Weights:
    """Return trained weights.

    Each image is moved by up to a pixel every time it is seen, and the learning rate falls along a cosine to zero.
    """
    rng = np.random.default_rng(recipe.seed)
    weights = initial_weights(recipe, rng)
    adam = Adam(weights, recipe.decay)
    count = len(images.label)
    total = recipe.epochs * (count // recipe.batch)
    for step in range(total):
        at = step % (count // recipe.batch)
        if at == 0:
            order = rng.permutation(count)
        chosen = order[at * recipe.batch : (at + 1) * recipe.batch]
        gradients = gradients_of(weights, _shifted(images.image[chosen], rng), images.label[chosen])
        adam.update(weights, gradients, recipe.rate * (1 + np.cos(np.pi * step / total)) / 2)
    return weights


def initial_weights(recipe: Recipe, rng: np.random.Generator) -> Weights:
    """Return random weights, scaled as He et al. propose for rectifiers (https://arxiv.org/abs/1502.01852)."""
    first, second = recipe.channels
    shapes = {
        "conv1": (first, 1, 3, 3),
        "conv2": (second, first, 3, 3),
        "dense1": (recipe.width, second * 16),
        "dense2": (10, recipe.width),
    }
    weights: Weights = {}
    for name, shape in shapes.items():
        scale = np.sqrt(2 / np.prod(shape[1:]))
        weights[f"{name}.weight"] = (rng.standard_normal(shape) * scale).astype(np.float32)
        weights[f"{name}.bias"] = np.zeros(shape[0], np.float32)
    return weights


def predict(weights: Weights, image: np.ndarray) -> np.ndarray:
    """Return the logits, shape (batch, 10)."""
    return _forward(weights, image)[-1]


def gradients_of(weights: Weights, image: np.ndarray, label: np.ndarray) -> Weights:
    """Return the gradients of the mean cross-entropy."""
    columns1, hidden1, columns2, hidden2, pooled, flat, hidden3, logits = _forward(weights, image)
    found: Weights = {}
    grad = _softmax(logits)
    grad[np.arange(len(label)), label] -= 1
    grad /= len(label)
    found["dense2.weight"], found["dense2.bias"] = grad.T @ hidden3, grad.sum(0)
    grad = grad @ weights["dense2.weight"] * (hidden3 > 0)
    found["dense1.weight"], found["dense1.bias"] = grad.T @ flat, grad.sum(0)
    grad = (grad @ weights["dense1.weight"]).reshape(pooled.shape)
    grad = _unpool(grad, hidden2, pooled) * (hidden2 > 0)
    found["conv2.weight"], found["conv2.bias"] = _conv_gradients(grad, columns2, weights["conv2.weight"].shape)
    grad = _conv_input_gradient(grad, weights["conv2.weight"]) * (hidden1 > 0)
    found["conv1.weight"], found["conv1.bias"] = _conv_gradients(grad, columns1, weights["conv1.weight"].shape)
    return found


class Adam:
    """The optimiser of Kingma and Ba (https://arxiv.org/abs/1412.6980), with decoupled weight decay."""

    def __init__(self, weights: Weights, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self._mean = {name: np.zeros_like(w) for name, w in weights.items()}
        self._square = {name: np.zeros_like(w) for name, w in weights.items()}

    def update(self, weights: Weights, gradients: Weights, rate: float) -> None:
        """Move the weights, in place, by one step."""
        self.steps += 1
        for name, gradient in gradients.items():
            mean, square = self._mean[name], self._square[name]
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient**2 - square)
            step = mean / (1 - 0.9**self.steps) / (np.sqrt(square / (1 - 0.999**self.steps)) + 1e-8)
            weights[name] -= np.float32(rate) * (step + self.decay * weights[name]).astype(np.float32)


def _forward(weights: Weights, image: np.ndarray) -> tuple[np.ndarray, ...]:
    columns1 = _columns(image)
    hidden1 = _conv(columns1, weights["conv1.weight"], weights["conv1.bias"], image.shape)
    columns2 = _columns(hidden1)
    hidden2 = _conv(columns2, weights["conv2.weight"], weights["conv2.bias"], hidden1.shape)
    pooled = _blocks(hidden2).max(axis=(3, 5))
    flat = pooled.reshape(len(image), -1)
    hidden3 = np.maximum(flat @ weights["dense1.weight"].T + weights["dense1.bias"], 0)
    logits = hidden3 @ weights["dense2.weight"].T + weights["dense2.bias"]
    return columns1, hidden1, columns2, hidden2, pooled, flat, hidden3, logits


def _columns(x: np.ndarray) -> np.ndarray:
    """Return the 3x3 neighbourhood of each pixel, shape (batch * height * width, channels * 9)."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))  # (batch, channels, h, w, 3, 3)
    return np.ascontiguousarray(windows.transpose(0, 2, 3, 1, 4, 5)).reshape(-1, x.shape[1] * 9)


def _conv(columns: np.ndarray, weight: np.ndarray, bias: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the rectified convolution; `shape` is the input's."""
    flat = columns @ weight.reshape(len(weight), -1).T + bias
    rectified: np.ndarray = np.maximum(flat, 0)
    return rectified.reshape(shape[0], shape[2], shape[3], -1).transpose(0, 3, 1, 2)


def _conv_gradients(grad: np.ndarray, columns: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    flat = grad.transpose(0, 2, 3, 1).reshape(-1, shape[0])
    return (flat.T @ columns).reshape(shape), flat.sum(0)


def _conv_input_gradient(grad: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the gradient of the convolution's input: a convolution with the flipped, transposed kernel."""
    flipped = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    flat: np.ndarray = _columns(grad) @ flipped.reshape(len(flipped), -1).T
    return flat.reshape(grad.shape[0], grad.shape[2], grad.shape[3], -1).transpose(0, 3, 1, 2)


def _blocks(x: np.ndarray) -> np.ndarray:
    """Return a view of 2x2 blocks, shape (batch, channels, height / 2, 2, width / 2, 2)."""
    batch, channels, height, width = x.shape
    return x.reshape(batch, channels, height // 2, 2, width // 2, 2)


def _unpool(grad: np.ndarray, x: np.ndarray, pooled: np.ndarray) -> np.ndarray:
    """Send the gradient of a 2x2 maximum back to where the maximum was, in equal parts where several were equal."""
    winners: np.ndarray = (_blocks(x) == pooled[:, :, :, None, :, None]).astype(np.float32)
    winners /= winners.sum(axis=(3, 5), keepdims=True)
    winners *= grad[:, :, :, None, :, None]
    return winners.reshape(x.shape)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _shifted(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Move each image by -1, 0 or 1 pixels along both axes; what leaves on one side is lost."""
    padded = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
    size = image.shape[-1]
    moves = rng.integers(0, 3, (len(image), 2))
    return np.stack([p[:, y : y + size, x : x + size] for p, (y, x) in zip(padded, moves, strict=True)])
