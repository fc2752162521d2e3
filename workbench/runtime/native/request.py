"""What TensorRT itself is asked to build, from Settings and the arrays at hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.model.shape_operands import shape_tensors
from workbench.options.effective import Effective
from workbench.options.profile import InputRange, ShapeProfile
from workbench.runtime.calibration.table import read_table, usable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from workbench.model.model import Model
    from workbench.options.settings import Settings

FLAGS = {"fp16": "FP16", "bf16": "BF16", "int8": "INT8"}
MOST_VALUES = 64  # TensorRT's shape tensors hold as many values at most (NvInfer.h, ITensor::isShapeTensor)


def build_request(settings: Settings, model: Model, onnx: str, feeds: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return what the companion's verb ``build`` takes.

    Parameters
    ----------
    settings : Settings
        Of them count precision, profile and the options that mean something to TensorRT itself.
    model : Model
        The model.
    onnx : str
        The file to read.
    feeds : mapping of str to ndarray
        The arrays it is to run on: an input without a range gets theirs.
    """
    now = Effective(settings)
    given = settings.provider_options
    return {
        "onnx": onnx,
        "flags": [FLAGS[precision] for precision in now.precisions],
        # as ONNX Runtime's provider does from TensorRT 10 on; TensorRT 11 has no other networks
        "strongly_typed": not now.precisions,
        "workspace": given.get("trt_max_workspace_size"),
        "level": given.get("trt_builder_optimization_level"),
        "sparsity": now.on("trt_sparsity_enable"),
        "aux_streams": _auxiliary(now),
        "tactics": _listed(now, "trt_tactic_sources", ","),
        "preview": _listed(now, "trt_preview_features", ","),
        "hardware_compatible": now.on("trt_engine_hw_compatible"),
        "dla_core": int(now.value("trt_dla_core") or 0) if now.on("trt_dla_enable") else None,
        "plugins": plugins_of(settings),
        **_table(now),
        "force_timing_cache": now.on("trt_force_timing_cache"),
        "profiles": _profiles(settings, model, feeds),
    }


def plugins_of(settings: Settings) -> list[str]:
    """Return the plugin libraries that Settings name."""
    return _listed(Effective(settings), "trt_extra_plugin_lib_paths", ";")


def _table(now: Effective) -> dict[str, Any]:
    """Return the calibration table where INT8 is on; ONNX Runtime, too, looks for it in the engine cache's folder.

    TensorRT reads a table in its own form itself; of one in ONNX Runtime's, each tensor is given its range.

    Raises
    ------
    SettingsError
        When there is no such table, or it cannot be read.
    """
    if not now.on("trt_int8_enable") or not now.on("trt_int8_calibration_table_name"):
        return {}
    path = Path(str(now.value("trt_engine_cache_path") or "")) / str(now.value("trt_int8_calibration_table_name"))
    found = read_table(path.absolute())
    if found.kind == "tensorrt":
        return {"table": str(path.absolute())}
    return {"ranges": [{"name": name, "range": amax} for name, amax in usable(found.ranges()).items()]}


def _auxiliary(now: Effective) -> int | None:
    streams = now.value("trt_auxiliary_streams")
    return int(streams) if streams is not None and int(streams) >= 0 else None


def _listed(now: Effective, key: str, separator: str) -> list[str]:
    return [part.strip() for part in str(now.value(key) or "").split(separator) if part.strip()]


def _profiles(settings: Settings, model: Model, feeds: Mapping[str, np.ndarray]) -> list[list[dict[str, Any]]]:
    holding = {spec.name for spec in shape_tensors(model)}
    count = max(1, settings.profile.count)
    return [
        [_row(name, array, settings.profile.of(name), number, holds=name in holding) for name, array in feeds.items()]
        for number in range(count)
    ]


def _row(name: str, array: np.ndarray, ranges: tuple[InputRange, ...], number: int, *, holds: bool) -> dict[str, Any]:
    """Return an input's range in one profile: its shapes and, where they may decide shapes, its values."""
    row: dict[str, Any] = {"name": name, "shapes": [list(array.shape)] * 3}
    if _may_hold(array):
        row["values"] = [[int(v) for v in array.ravel()]] * 3
    if ranges:
        given = ranges[min(number, len(ranges) - 1)]
        row["values" if holds else "shapes"] = [list(given.min), list(given.opt), list(given.max)]
    return row


def _may_hold(array: np.ndarray) -> bool:
    return array.dtype.kind in "iu" and array.ndim <= 1 and array.size <= MOST_VALUES


def settings_at(settings: Settings, model: Model, feeds: Mapping[str, np.ndarray]) -> Settings:
    """Return the Settings with a range for every dynamic input and shape tensor: that of the arrays at hand where none is given.

    Two jobs that differ in these shapes need two engines, and so two keys.
    """
    holding = {spec.name for spec in shape_tensors(model)}
    missing = []
    for spec in model.inputs:
        if settings.profile.of(spec.name) or spec.name not in feeds or not (spec.dynamic or spec.name in holding):
            continue
        array = feeds[spec.name]
        fixed = tuple(int(v) for v in array.ravel()) if spec.name in holding else array.shape
        if fixed and min(fixed) >= 0:
            missing.append(InputRange(name=spec.name, min=fixed, opt=fixed, max=fixed))
    return settings.replace(profile=ShapeProfile(ranges=(*settings.profile.ranges, *missing))) if missing else settings


def implied(settings: Settings, model: Model, feeds: Mapping[str, np.ndarray]) -> list[str]:
    """Return the dynamic inputs for which no range is given, in words: the engine takes the shapes at hand only."""
    open_ones = [spec.name for spec in model.inputs if spec.dynamic and not settings.profile.of(spec.name)]
    return [f"{name} {'x'.join(map(str, feeds[name].shape)) or 'scalar'}" for name in open_ones if name in feeds]
