"""The sample models: what each is, which shapes to try, and the data that go with it."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import ModelError, nearest
from workbench.record import Record

FOLDER = Path(__file__).parent


class DimensionRange(Record):
    """A range worth trying for one symbolic dimension: least, typical and greatest size."""

    dimension: str
    min: int
    opt: int
    max: int


class Sample(Record):
    """A model that comes with the workbench.

    Attributes
    ----------
    name, path, title, description : str, Path, str, str
        What to call it, its file, and what it is: a few words, and a sentence.
    ranges : tuple of DimensionRange
        One for each symbolic dimension of its inputs.
    inputs : Path or None
        An ``.npz`` file with an array for each input; ``None`` where random inputs serve as well.
    test_set, training_set : Path or None
        ``.npz`` files with the inputs and ``label``, one row an example. The model was trained on the training set
        only, which also serves for calibration; figures of accuracy come from the test set.
    labels : tuple of str
        What the model's classes are called.
    """

    name: str
    path: Path
    title: str
    description: str
    ranges: tuple[DimensionRange, ...]
    inputs: Path | None = None
    test_set: Path | None = None
    training_set: Path | None = None
    labels: tuple[str, ...] = ()


def samples() -> tuple[Sample, ...]:
    """Return the sample models, the simplest first."""
    return _SAMPLES


def sample_path(name: str) -> Path:
    """Return the file of a sample model.

    Parameters
    ----------
    name : str
        Such as ``"digits"``.

    Raises
    ------
    ModelError
        When there is no sample of that name.
    """
    for sample in _SAMPLES:
        if sample.name == name:
            return sample.path
    names = [sample.name for sample in _SAMPLES]
    remedy = f"{nearest(name, names)} The samples are {', '.join(names)}.".strip()
    raise ModelError(f"no sample model is called {name!r}.", remedy=remedy)


_SAMPLES = (
    Sample(
        name="digits",
        path=FOLDER / "digits.onnx",
        title="Digits classifier",
        description="A small convolutional network trained on scikit-learn's 8×8 handwritten digits; any batch size.",
        ranges=(DimensionRange(dimension="batch", min=1, opt=16, max=64),),
        test_set=FOLDER / "digits_test.npz",
        training_set=FOLDER / "digits_train.npz",
        labels=tuple("0123456789"),
    ),
    Sample(
        name="detector",
        path=FOLDER / "detector.onnx",
        title="Disc detector",
        description=(
            "Finds red, green and blue discs in an image of any size; its last nodes, from NonMaxSuppression on, "
            "are those that TensorRT may leave to other providers."
        ),
        ranges=(
            DimensionRange(dimension="height", min=64, opt=320, max=640),
            DimensionRange(dimension="width", min=64, opt=480, max=960),
        ),
        inputs=FOLDER / "detector_image.npz",
        labels=("red", "green", "blue"),
    ),
    Sample(
        name="encoder",
        path=FOLDER / "encoder.onnx",
        title="Transformer encoder",
        description="Three encoder layers with random weights; batch size and sequence length are both free.",
        ranges=(
            DimensionRange(dimension="batch", min=1, opt=4, max=16),
            DimensionRange(dimension="sequence", min=8, opt=64, max=256),
        ),
    ),
)
