"""The state of the panels as Python text that makes it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.options.settings import Settings
from workbench.runtime.job import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from workbench.options.profile import ShapeProfile

WIDTH = 110


def settings_text(settings: Settings) -> str:
    """Return the Python expression of Settings, with what differs from ``Settings()`` only.

    Evaluated with ``Settings`` and ``ShapeProfile`` at hand, it gives equal Settings.
    """
    default = Settings()
    arguments = [f"provider={settings.provider!r}"]
    if settings.precision != default.precision:
        arguments.append(f"precision={settings.precision!r}")
    for name in ("provider_options", "session_options"):
        options = getattr(settings, name)
        if options:
            arguments.append(f"{name}={_mapping(options)}")
    if settings.profile:
        arguments.append(f"profile={_profile(settings.profile)}")
    return _call("Settings", arguments)


def plan_text(plan: Plan) -> str:
    """Return the Python expression of a Plan, with what differs from ``Plan()`` only."""
    default = Plan()
    changed = [name for name in Plan.model_fields if getattr(plan, name) != getattr(default, name)]
    return _call("Plan", [f"{name}={getattr(plan, name)!r}" for name in changed])


def cell_text(model: Path | None, settings: Settings, plan: Plan) -> str:
    """Return a notebook cell that opens the workbench in this state.

    Parameters
    ----------
    model : Path or None
        The model that is open.
    settings, plan : Settings, Plan
        As they stand.
    """
    planned = plan != Plan()
    names = ["Settings", "Workbench"] + (["ShapeProfile"] if settings.profile else []) + (["Plan"] if planned else [])
    names += ["StageTimeout"] if plan.stage_timeouts else []
    arguments = [repr(str(model))] if model is not None else []
    arguments += ["settings=settings"] + (["plan=plan"] if planned else [])
    lines = [f"from workbench import {', '.join(sorted(names))}", "", f"settings = {settings_text(settings)}"]
    if planned:
        lines.append(f"plan = {plan_text(plan)}")
    return "\n".join([*lines, f"Workbench({', '.join(arguments)})"])


def _call(name: str, arguments: list[str]) -> str:
    line = f"{name}({', '.join(arguments)})"
    if len(line) <= WIDTH and "\n" not in line:
        return line
    inner = "".join(f"    {_indented(argument)},\n" for argument in arguments)
    return f"{name}(\n{inner})"


def _mapping(values: Mapping[str, object]) -> str:
    items = [f"{key!r}: {value!r}" for key, value in values.items()]
    line = "{" + ", ".join(items) + "}"
    if len(line) <= WIDTH - 24:
        return line
    return "{\n" + "".join(f"    {item},\n" for item in items) + "}"


def _profile(profile: ShapeProfile) -> str:
    items = [repr(argument) for argument in profile.to_arguments()]
    line = f"ShapeProfile.from_arguments([{', '.join(items)}])"
    if len(line) <= WIDTH - 24:
        return line
    return "ShapeProfile.from_arguments(\n    [\n" + "".join(f"        {item},\n" for item in items) + "    ]\n)"


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")
