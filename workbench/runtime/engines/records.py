"""What is known of engines on disk."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from workbench.options.settings import Settings
from workbench.record import Record

Shape = tuple[int, ...]


class InputBounds(Record):
    """Between which shapes of one input an engine works.

    Attributes
    ----------
    name : str
        An input of the engine: of the model, or a tensor between two engines.
    min, opt, max : tuple of int
        Shapes, or for a shape tensor its values; `opt` is what TensorRT tuned for, empty where the file does not say.
    axes : tuple of int
        The axes that `min`, `opt` and `max` speak of, where a file holds the dynamic ones only; empty for all, in order.
    profile : int
        Which of the engine's optimisation profiles, from 0.
    values : bool
        Whether these are values of a shape tensor.
    """

    name: str
    min: Shape
    opt: Shape = ()
    max: Shape
    axes: Shape = ()
    profile: int = 0
    values: bool = False


class EngineFile(Record):
    """One engine file: what its name, its header and the file beside it say.

    Attributes
    ----------
    name : str
        The file's name, without its folder.
    bytes : int
        Its size.
    sha256 : str or None
        Of its contents; ``None`` where it was not taken.
    fused : str
        The fused node that it belongs to, such as ``TensorrtExecutionProvider_TRTKernel_graph_main_123_0_0``; empty where the
        name does not say.
    subgraph : int or None
        The number of the fused node among those of the model.
    precisions : tuple of str
        What TensorRT was allowed beside FP32, by the name's suffixes.
    architecture : str or None
        Compute capability as the name writes it, such as ``sm90`` or ``sm80+``.
    tensorrt : str or None
        The version that wrote it, by its header.
    bounds : tuple of InputBounds
        Empty for an engine of static shapes, and where they are not known.
    form : str
        ``engine``, ``stripped`` (without weights) or ``encrypted``.
    model_hash : str
        ONNX Runtime's hash in the name: over the model's file name, its tensors' names and the versions, not over its weights.
    profiled : bool
        Whether a ``.profile`` file that can be read stands beside it.
    modified : datetime or None
        When it was written last, UTC.
    problem : str
        What is wrong with it, in a sentence; empty where nothing was seen.
    """

    name: str
    bytes: int
    sha256: str | None = None
    fused: str = ""
    subgraph: int | None = None
    precisions: tuple[str, ...] = ()
    architecture: str | None = None
    tensorrt: str | None = None
    bounds: tuple[InputBounds, ...] = ()
    form: Literal["engine", "stripped", "encrypted"] = "engine"
    model_hash: str = ""
    profiled: bool = False
    modified: datetime | None = None
    problem: str = ""


class EngineEntry(Record):
    """The engines of one combination of model, settings and machine: one folder of the cache.

    Attributes
    ----------
    key : str
        SHA-256 (hexadecimal) over all below that an engine depends on.
    model, content_hash : str
        The file's name, and the hash of what is in it.
    settings : Settings
        Those that built it; others with the same key find it too.
    provider : str
        ``tensorrt``, or ``native`` for plans built through TensorRT's own interface.
    onnxruntime, tensorrt, gpu, compute_capability : str or None
        Where it was built.
    created, last_used : datetime
        UTC.
    build_seconds : float
        How long the session, with the building in it, took.
    files : tuple of EngineFile
        The engines.
    """

    key: str
    model: str
    content_hash: str
    settings: Settings
    provider: Literal["tensorrt", "native"] = "tensorrt"
    onnxruntime: str | None
    tensorrt: str | None
    gpu: str | None
    compute_capability: str | None
    created: datetime
    last_used: datetime
    build_seconds: float
    files: tuple[EngineFile, ...]

    @property
    def bytes(self) -> int:
        """Return what the engines take on disk."""
        return sum(file.bytes for file in self.files)
