"""A small convolutional classifier of handwritten digits, its data and its graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.samples.graph import Graph

if TYPE_CHECKING:
    import onnx

SPLIT_SEED = 0
TEST_SHARE = 0.25
LABELS = tuple("0123456789")


@dataclass(frozen=True)
class LabelledImages:
    """Images of digits and what they show.

    Attributes
    ----------
    image : ndarray of float32, shape (n_images, 1, 8, 8)
        Ink from 0 to 1.
    label : ndarray of int64, shape (n_images,)
        The digit.
    """

    image: np.ndarray
    label: np.ndarray


def load_digits() -> tuple[LabelledImages, LabelledImages]:
    """Return training and held-out images: scikit-learn's 1,797 digits, a stratified quarter of them held out.

    The data are the test part of the UCI set "Optical recognition of handwritten digits" (CC BY 4.0).
    """
    from sklearn.datasets import load_digits as load
    from sklearn.model_selection import train_test_split

    data = load()
    image = (data.images[:, None] / 16).astype(np.float32)  # scikit-learn counts ink from 0 to 16
    label = data.target.astype(np.int64)
    parts = train_test_split(image, label, test_size=TEST_SHARE, random_state=SPLIT_SEED, stratify=label)
    return LabelledImages(parts[0], parts[2]), LabelledImages(parts[1], parts[3])


def digits_model(weights: dict[str, np.ndarray], metadata: dict[str, str]) -> onnx.ModelProto:
    """Return the classifier as ONNX.

    Parameters
    ----------
    weights : dict of str to ndarray
        As trained: ``conv1.weight``, ``conv1.bias`` and so on (see ``workbench.samples.training.initial_weights``).
    metadata : dict of str to str
        How it was trained and how well it does.
    """
    graph = Graph(
        "digits",
        "Classifies 8x8 images of handwritten digits. Input: ink from 0 to 1. Outputs: logits and probabilities of 0 to 9.",
    )
    for name, values in weights.items():
        graph.weight(name, values)
    hidden = graph.input("image", ("batch", 1, 8, 8))
    for stage in (1, 2):
        channels = weights[f"conv{stage}.bias"].size
        inputs = [hidden, f"conv{stage}.weight", f"conv{stage}.bias"]
        dims = ("batch", channels, 8, 8)
        hidden = graph.node(f"/stage{stage}/conv/Conv", inputs, dims, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1])
        hidden = graph.node(f"/stage{stage}/activation/Relu", [hidden], dims)
    hidden = graph.node("/stage2/pool/MaxPool", [hidden], ("batch", channels, 4, 4), kernel_shape=[2, 2], strides=[2, 2])
    hidden = graph.node("/head/flatten/Flatten", [hidden], ("batch", channels * 16), axis=1)
    width = weights["dense1.bias"].size
    hidden = graph.node("/head/dense1/Gemm", [hidden, "dense1.weight", "dense1.bias"], ("batch", width), transB=1)
    hidden = graph.node("/head/activation/Relu", [hidden], ("batch", width))
    inputs = [hidden, "dense2.weight", "dense2.bias"]
    logits = graph.node("/head/dense2/Gemm", inputs, ("batch", len(LABELS)), output="logits", transB=1)
    graph.node("/head/Softmax", [logits], ("batch", len(LABELS)), output="probabilities", axis=1)
    return graph.model(["logits", "probabilities"], metadata)
