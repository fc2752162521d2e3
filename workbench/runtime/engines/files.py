"""Engine files as they lie in a folder: ours, and those that plain ONNX Runtime left in a user's own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.errors import EngineError
from workbench.runtime.engines.file_name import is_engine_name, read_name
from workbench.runtime.engines.plan_header import HEADER_BYTES, PlanHeader, read_header
from workbench.runtime.engines.profile_file import read_profile_file
from workbench.runtime.engines.records import EngineFile, InputBounds

if TYPE_CHECKING:
    from pathlib import Path

PROFILE = ".profile"


def read_engine_file(path: Path) -> EngineFile:
    """Return what an engine file's name, its header and the ``.profile`` file beside it say.

    Neither TensorRT nor a GPU is needed, and the plan itself is not loaded.

    Parameters
    ----------
    path : Path
        A file that ONNX Runtime's engine cache wrote, or any other TensorRT plan.

    Returns
    -------
    EngineFile
        Also for an empty, foreign or cut-off file: its `problem` says what is wrong. That a plan is cut off behind its header
        cannot be seen from outside.

    Raises
    ------
    EngineError
        When there is no such file, or it cannot be read.
    """
    name = read_name(path.name)
    try:
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES)
        status = path.stat()
    except OSError as error:
        message = f"{path}: the engine cannot be read: {error.strerror or error}."
        raise EngineError(message, remedy="Check the path and its permissions.") from error
    header = read_header(head)
    if name.form == "encrypted" and head:
        header = PlanHeader(None)  # its first bytes mean nothing
    bounds, profiled, profile_problem = _ranges(path.with_name(name.stem + PROFILE))
    return EngineFile(
        name=path.name,
        bytes=status.st_size,
        fused=name.fused,
        subgraph=name.subgraph,
        precisions=name.precisions,
        architecture=name.architecture,
        tensorrt=header.tensorrt,
        bounds=bounds,
        form=name.form,
        model_hash=name.model_hash,
        profiled=profiled,
        modified=datetime.fromtimestamp(status.st_mtime, UTC),
        problem=" ".join(filter(None, (header.problem, profile_problem))),
    )


def read_folder(folder: Path) -> list[EngineFile]:
    """Return the engines that lie in a folder, by name; its subfolders are left alone.

    Parameters
    ----------
    folder : Path
        Such as the one that ``trt_engine_cache_path`` names.

    Returns
    -------
    list of EngineFile
        A file that cannot be read is listed with its `problem`.

    Raises
    ------
    EngineError
        When the folder cannot be read.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if is_engine_name(path.name))
    except OSError as error:
        message = f"{folder}: the folder of engines cannot be read: {error.strerror or error}."
        raise EngineError(message, remedy="Name the folder that trt_engine_cache_path names.") from error
    return [_read_or_tell(path) for path in paths]


def _read_or_tell(path: Path) -> EngineFile:
    try:
        return read_engine_file(path)
    except EngineError as error:
        return EngineFile(name=path.name, bytes=0, form=read_name(path.name).form, problem=error.message)


def _ranges(path: Path) -> tuple[tuple[InputBounds, ...], bool, str]:
    """Return the ranges, whether they could be read, and what is wrong with their file."""
    if not path.exists():
        return (), False, ""
    try:
        return read_profile_file(path), True, ""
    except EngineError as error:
        return (), False, error.message
