import pytest

from workbench.errors import InputError, SettingsError
from workbench.model.model import Model
from workbench.options.settings import Settings
from workbench.runtime.doctor.checks import Diagnosis
from workbench.study.configuration import (
    DEFAULTS,
    batched,
    configuration_name,
    parse_configuration,
    parse_configurations,
    why_not,
)


def compiled(mode):
    return {"torch_compile": mode}


def test_the_usual_configurations_have_their_own_names():
    assert [each.name for each in parse_configurations(None)] == list(DEFAULTS)
    assert [each.name for each in parse_configurations([", ".join(DEFAULTS)])] == list(DEFAULTS)


@pytest.mark.parametrize(
    ("text", "settings", "name"),
    [
        ("torch", Settings(provider="torch"), "torch eager"),
        ("torch compile fp16", Settings(provider="torch", precision="fp16", provider_options=compiled("reduce-overhead")),
         "torch compile fp16"),
        ("torch compile torch_compile=max-autotune", Settings(provider="torch", provider_options=compiled("max-autotune")),
         "torch compile torch_compile=max-autotune"),
        ("tensorrt", Settings(), "tensorrt fp32"),
        ("tensorrt fp16 trt_builder_optimization_level=5", Settings(precision="fp16",
         provider_options={"trt_builder_optimization_level": 5}), "tensorrt fp16 trt_builder_optimization_level=5"),
        ("cpu intra_op_num_threads=2", Settings(provider="cpu", session_options={"intra_op_num_threads": 2}),
         "cpu intra_op_num_threads=2"),
    ],
)  # fmt: skip
def test_words_become_settings_and_back(text, settings, name):
    found = parse_configuration(text)

    assert (found.settings, found.name) == (settings, name)
    assert configuration_name(settings) == name


def test_an_options_value_may_hold_commas():
    found = parse_configurations(["cpu,tensorrt trt_op_types_to_exclude=Conv,Relu,cuda"])

    assert [each.name for each in found] == ["cpu", "tensorrt fp32 trt_op_types_to_exclude=Conv,Relu", "cuda"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tensort", "Did you mean 'tensorrt'"),
        ("cpu eager", "'eager' is not understood"),
        ("tensorrt fp16 int8", "'int8' is not understood"),
        ("torch eager compile", "not understood"),
        ("cpu,cpu", "asked for twice"),
        ("tensorrt trt_fp16_enabel=1", "trt_fp16_enable"),
        ("torch torch_compile=fast", "off, default, reduce-overhead, max-autotune"),
    ],
)
def test_what_is_not_understood_is_one_clear_message(text, words):
    with pytest.raises(SettingsError) as told:
        parse_configurations([text])
    assert words in str(told.value)


def test_why_a_configuration_cannot_run_is_the_doctors_reason(digits):
    here = Diagnosis(checks=(), can={"cpu": True, "cuda": False, "torch": True}, why_not={"cuda": "no GPU"}, environment=None)

    assert why_not(Settings(provider="cpu"), digits, here) == ""
    assert why_not(Settings(provider="cuda"), digits, here) == "no GPU"
    assert "no PyTorch module beside it" in why_not(Settings(provider="torch"), digits, here)
    absent = here.model_copy(update={"can": {"torch": False}, "why_not": {"torch": "not installed"}})
    assert why_not(Settings(provider="torch"), digits, absent) == "PyTorch: not installed"


def test_a_batch_is_the_size_of_every_input_that_shares_it(digits, encoder):
    assert [str(each) for each in batched(Settings(), digits, 8).profile.ranges] == ["image=8x1x8x8:8x1x8x8:8x1x8x8"]
    for given in batched(Settings(), encoder, 3).profile.ranges:
        assert given.min == given.max
        assert given.opt[0] == 3
    assert not batched(Settings(), digits, None).profile


def test_a_fixed_batch_can_only_be_itself(tmp_path, digits):
    import onnx

    proto = onnx.load(digits.path)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    onnx.save(proto, tmp_path / "fixed.onnx")
    fixed = Model.load(tmp_path / "fixed.onnx")

    assert not batched(Settings(), fixed, 2).profile
    with pytest.raises(InputError, match="is fixed to 2; 8 was asked for"):
        batched(Settings(), fixed, 8)
