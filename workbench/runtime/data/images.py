"""A folder of images as a data set. Pillow reads the files (extra ``images``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import InputError, Unavailable
from workbench.installing import install_line
from workbench.runtime.data.dataset import Dataset, DataSource, Feeds, Preprocessing, batch_dimension
from workbench.runtime.data.inputs import check_inputs
from workbench.runtime.data.labels import read_labels, read_named_labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.model.model import Model

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")


@dataclass(frozen=True)
class ImageDataset(Dataset):
    """Images that are read and prepared as they are needed.

    Attributes
    ----------
    files : tuple of Path
        In the order of the samples.
    dtype : str
        NumPy's name of the input's type.
    fixed : int or None
        The batch that the model insists on; ``None`` where it is free.
    """

    origin: str
    names: tuple[str, ...]
    size: int | None
    labels: np.ndarray | None
    files: tuple[Path, ...]
    preprocessing: Preprocessing
    dtype: str
    fixed: int | None

    def batches(self, batch: int = 1) -> Iterator[Feeds]:
        """Yield prepared images."""
        step = self.fixed or batch
        for start in range(0, len(self.files), step):
            part = self.files[start : start + step]
            if self.fixed is None or len(part) == step:
                yield {self.names[0]: np.stack([read_image(file, self.preprocessing, self.dtype) for file in part])}

    def sample(self, index: int) -> Feeds:
        """Return one feed: for a model of fixed batch, the one that starts with the sample."""
        part = self.files[index : index + (self.fixed or 1)] if index >= 0 else ()
        if len(part) < (self.fixed or 1):
            raise InputError(f"{self.origin}: there is no sample {index}.", remedy=f"There are {len(self.files):,}, from 0 on.")
        return {self.names[0]: np.stack([read_image(file, self.preprocessing, self.dtype) for file in part])}


def open_images(folder: Path, source: DataSource, model: Model) -> ImageDataset:
    """Open a folder of images.

    Parameters
    ----------
    folder : Path
        Images, or one subfolder of images for each class.
    source : DataSource
        With the preprocessing.
    model : Model
        What they must fit: a model of one input with four dimensions.

    Raises
    ------
    InputError, Unavailable
        As :func:`~workbench.runtime.data.dataset.open_dataset`.
    """
    if source.preprocessing is None:
        raise InputError(
            f"{folder}: how images become inputs is not declared.",
            remedy="Give a Preprocessing: size, mean, std, layout, channels, scale.",
        )
    if len(model.inputs) != 1 or len(model.inputs[0].shape or ()) != 4:
        shown = "; ".join(str(spec) for spec in model.inputs)
        remedy = "Write an .npz file with an array for each input."
        raise InputError(f"{folder}: images feed one input of four dimensions; the model has {shown}.", remedy=remedy)
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in ENDINGS and file.is_file())
    if not files:
        raise InputError(f"{folder}: there is no image in it ({', '.join(ENDINGS)}).")
    labels = _labels(folder, files, source.labels)
    files = files[: source.limit]
    leading = batch_dimension(model)
    spec = model.inputs[0]
    fixed = leading if isinstance(leading, int) else None
    kept = None if labels is None else labels[: len(files)]
    found = ImageDataset(folder.name, (spec.name,), len(files), kept, tuple(files), source.preprocessing, spec.dtype, fixed)
    check_inputs(found.sample(0), model, f"{folder.name}: {files[0].name}")
    return found


def _labels(folder: Path, files: list[Path], labels: str | None) -> np.ndarray | None:
    if labels is not None:
        path = Path(labels).expanduser()
        if path.suffix in (".csv", ".txt") and path.is_file():
            found = read_named_labels(path, [file.relative_to(folder).as_posix() for file in files])
        else:
            found = read_labels(labels, [], folder)
        if found.shape[:1] != (len(files),):
            raise InputError(f"{labels}: there are {found.shape[0] if found.ndim else 'no'} labels for {len(files):,} images.")
        return found
    classes = sorted({file.relative_to(folder).parts[0] for file in files if file.parent != folder})
    if not classes or any(file.parent == folder for file in files):
        return None
    return np.array([classes.index(file.relative_to(folder).parts[0]) for file in files], dtype=np.int64)


def read_image(file: Path, preprocessing: Preprocessing, dtype: str) -> np.ndarray:
    """Read and prepare one image.

    Parameters
    ----------
    file : Path
        The image.
    preprocessing : Preprocessing
        What is done to it.
    dtype : str
        NumPy's name of the type to return.

    Returns
    -------
    ndarray, shape (channels, height, width) or (height, width, channels)

    Raises
    ------
    InputError
        When the file cannot be read as an image.
    Unavailable
        When Pillow is missing.
    """
    image = _pillow()
    try:
        with image.open(file) as opened:
            pixels = _sized(opened.convert("L" if preprocessing.channels == "L" else "RGB"), preprocessing)
    except (OSError, ValueError, SyntaxError) as error:  # SyntaxError: what Pillow raises for broken PNG files
        raise InputError(f"{file}: cannot be read as an image: {error}.", remedy="Remove it, or replace it.") from error
    values = np.asarray(pixels, dtype=np.float32).reshape(*preprocessing.size, -1)
    if preprocessing.channels == "BGR":
        values = values[:, :, ::-1]
    mean, std = (np.asarray(row, dtype=np.float32) for row in (preprocessing.mean, preprocessing.std))
    values = (values * np.float32(preprocessing.scale) - mean) / std
    if preprocessing.layout == "NCHW":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values.astype(dtype))


def _sized(image: Any, preprocessing: Preprocessing) -> Any:  # noqa: ANN401
    height, width = preprocessing.size
    bilinear = _pillow().Resampling.BILINEAR
    if preprocessing.resize is None:
        return image.resize((width, height), bilinear)
    ratio = preprocessing.resize / min(image.size)
    resized = image.resize((max(width, round(image.width * ratio)), max(height, round(image.height * ratio))), bilinear)
    left, top = (resized.width - width) // 2, (resized.height - height) // 2
    return resized.crop((left, top, left + width, top + height))


def _pillow() -> Any:  # noqa: ANN401
    try:
        from PIL import Image
    except ImportError as error:
        message = f"Pillow, which reads images, cannot be imported: {error}."
        raise Unavailable(message, remedy=install_line("images")) from error
    return Image
