"""Make the sample models and their data again: ``python -m workbench.samples.make [FOLDER]``.

Needs scikit-learn (the ``dev`` extra). Seeds are fixed; trained weights may differ in their last bits where NumPy uses
another linear algebra library.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.samples.detector import detector_model, disc_image
from workbench.samples.digits import SPLIT_SEED, TEST_SHARE, digits_model, load_digits
from workbench.samples.encoder import encoder_model
from workbench.samples.training import Recipe, predict, train

if TYPE_CHECKING:
    import onnx

DISCS = [
    ("red", 60.0, 70.0, 6.0),
    ("green", 200.0, 100.0, 12.0),
    ("blue", 330.0, 200.0, 16.0),
    ("red", 400.0, 60.0, 21.0),
    ("green", 80.0, 250.0, 20.0),
    ("blue", 210.0, 260.0, 8.0),
    ("red", 430.0, 270.0, 10.0),
]


def make(folder: Path) -> None:
    """Write the models and their data into a folder, and say what was written."""
    _make_digits(folder)
    _save(detector_model(), folder / "detector.onnx")
    np.savez_compressed(folder / "detector_image.npz", image=disc_image(320, 480, DISCS))
    _save(encoder_model(), folder / "encoder.onnx")
    for file in sorted([*folder.glob("*.onnx"), *folder.glob("*.npz")]):
        print(f"{file.name:22} {file.stat().st_size:10,} bytes")


def _make_digits(folder: Path) -> None:
    recipe = Recipe()
    training, held_out = load_digits()
    weights = train(training, recipe)
    accuracy = float(np.mean(predict(weights, held_out.image).argmax(axis=1) == held_out.label))
    metadata = {
        "data": "scikit-learn digits (UCI, CC BY 4.0), ink scaled to 0..1",
        "split": f"stratified, {TEST_SHARE:.0%} held out, random_state={SPLIT_SEED}",
        "training": str(recipe),
        "accuracy": f"{accuracy:.4f} of {len(held_out.label)} held-out images",
    }
    _save(digits_model(weights, metadata), folder / "digits.onnx")
    np.savez_compressed(folder / "digits_test.npz", image=held_out.image, label=held_out.label)
    np.savez_compressed(folder / "digits_train.npz", image=training.image, label=training.label)
    print(f"digits: {metadata['accuracy']}")


def _save(model: onnx.ModelProto, path: Path) -> None:
    path.write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
