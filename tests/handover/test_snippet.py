from pathlib import Path

import pytest

from workbench.handover.snippet import cell_text, plan_text, settings_text
from workbench.options.profile import ShapeProfile
from workbench.options.settings import Settings
from workbench.runtime.job import Plan, StageTimeout

NAMES = {"Settings": Settings, "ShapeProfile": ShapeProfile, "Plan": Plan, "StageTimeout": StageTimeout}
LONG = Settings(
    precision="fp16",
    provider_options={"trt_builder_optimization_level": 5, "trt_op_types_to_exclude": "NonMaxSuppression,'\"", "use_tf32": False},
    session_options={"session.intra_op.allow_spinning": False, "intra_op_num_threads": 4},
    profile=ShapeProfile.from_arguments(["a:0=1x3:2x3:8x3", "mask=1x77:4x77:16x77", "the other one=1x77:4x77:16x77"]),
)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(provider="cpu"),
        Settings(provider_options={"trt_bf16_enable": True}, precision="int8"),
        Settings(profile=ShapeProfile.from_arguments(["x=1x3:8x3:32x3"])),
        LONG,
    ],
)
def test_text_of_settings_gives_equal_settings(settings):
    assert eval(settings_text(settings), NAMES) == settings


@pytest.mark.parametrize(
    "plan",
    [
        Plan(),
        Plan(iterations=5, inputs="a 'quoted' file.npz", accuracy=False),
        Plan(buffers="device", stage_timeouts=(StageTimeout(stage="session", seconds=1200),)),
    ],
)
def test_text_of_a_plan_gives_an_equal_plan(plan):
    assert eval(plan_text(plan), NAMES) == plan


def test_short_settings_stay_on_a_line():
    assert settings_text(Settings(provider="cpu")) == "Settings(provider='cpu')"


def test_long_settings_are_broken_into_readable_lines():
    lines = settings_text(LONG).splitlines()
    assert max(map(len, lines)) <= 110
    assert "    precision='fp16'," in lines


def run(cell):
    opened = []
    made = {"Workbench": lambda *given, **named: opened.append((given, named)), **NAMES}
    exec(cell.split("\n", 1)[1], made)
    return opened[0]


def test_cell_opens_the_model_with_its_settings_and_plan():
    cell = cell_text(Path("/models/my model.onnx"), LONG, Plan(seconds=1.5))
    assert cell.startswith("from workbench import Plan, Settings, ShapeProfile, Workbench\n")
    given, named = run(cell)
    assert given == ("/models/my model.onnx",)
    assert named == {"settings": LONG, "plan": Plan(seconds=1.5)}


def test_cell_names_only_what_it_needs():
    cell = cell_text(None, Settings(provider="cpu"), Plan())
    assert cell.startswith("from workbench import Settings, Workbench\n")
    assert run(cell) == ((), {"settings": Settings(provider="cpu")})


def test_cell_shows_gpu_buffers_and_limits_of_stages():
    plan = Plan(buffers="device", stage_timeouts=(StageTimeout(stage="session", seconds=1200),))
    cell = cell_text(None, Settings(), plan)
    assert cell.startswith("from workbench import Plan, Settings, StageTimeout, Workbench\n")
    assert "buffers='device'" in cell
    assert run(cell)[1]["plan"] == plan
