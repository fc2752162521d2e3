"""The ranges that an engine was built for, held against those asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.model.model import Model
    from workbench.options.profile import InputRange
    from workbench.options.settings import Settings
    from workbench.runtime.engines.records import EngineFile, InputBounds


def bounds_text(bounds: InputBounds) -> str:
    """Return a range as people read it, such as ``x: 1×3 to 8×3, tuned for 4×3``; with its axes where it speaks of some only."""
    where = f" (axis {', '.join(map(str, bounds.axes))})" if bounds.axes else ""
    opt = f", tuned for {_shape(bounds.opt)}" if bounds.opt else ""
    profile = f"profile {bounds.profile + 1} of " if bounds.profile else ""
    return f"{profile}{bounds.name}{where}: {_shape(bounds.min)} to {_shape(bounds.max)}{opt}"


def profile_differences(file: EngineFile, model: Model, settings: Settings) -> list[str]:
    """Return why ONNX Runtime would not take an engine for the shapes asked for.

    It takes one with an explicit profile only where the file beside it holds the same ranges for the same number of inputs
    (CompareProfiles in tensorrt_execution_provider_utils.h). Without an explicit profile any ranges will do: they grow, with
    a new build, when a shape lies outside.
    """
    dynamic = any(spec.dynamic for spec in model.inputs)
    if not dynamic or file.problem:
        return []
    if not file.profiled:
        return [
            "No .profile file lies beside it, and the model has dynamic inputs: it is built anew, unless it is of a static part."
        ]
    asked = settings.profile
    if not asked:
        return []
    names = list(dict.fromkeys(bounds.name for bounds in file.bounds))
    if len(names) != len(asked.names):
        counts = f"{len(names)} dynamic input{'s' if len(names) != 1 else ''}, the profile {len(asked.names)}"
        return [f"The file beside it speaks of {counts}: ONNX Runtime then builds it anew in every session."]
    return [reason for name in names if (reason := _input_difference(name, _of(file.bounds, name), asked.of(name)))]


def _input_difference(name: str, built: Sequence[InputBounds], asked: Sequence[InputRange]) -> str:
    if not asked:
        return f"It is built for a range of {name}, which the shape profile does not name."
    if len(built) != len(asked):
        return f"It has {len(built)} profile(s) for {name}; {len(asked)} asked for."
    for bounds, wanted in zip(built, asked, strict=True):
        axes = bounds.axes or tuple(range(len(wanted.min)))
        if max(axes) >= len(wanted.min):
            return f"It is built for axis {max(axes)} of {name}; the shape profile has {len(wanted.min)} dimensions."
        low, high = ([shape[axis] for axis in axes] for shape in (wanted.min, wanted.max))
        if any(w < b for w, b in zip(low, bounds.min, strict=True)) or any(w > b for w, b in zip(high, bounds.max, strict=True)):
            return f"Its ranges do not cover those asked for: {bounds_text(bounds)}; asked for {_shape(low)} to {_shape(high)}."
        opt = [wanted.opt[axis] for axis in axes]
        if (low, opt, high) != (list(bounds.min), list(bounds.opt), list(bounds.max)):
            return f"It is built for other ranges, and ONNX Runtime wants the same: {bounds_text(bounds)}."
    return ""


def _of(bounds: Sequence[InputBounds], name: str) -> list[InputBounds]:
    return sorted((b for b in bounds if b.name == name), key=lambda b: b.profile)


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "scalar"
