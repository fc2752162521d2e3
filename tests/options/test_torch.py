import pytest

from workbench.errors import SettingsError
from workbench.options.catalogue import PROVIDERS, catalogue, keys_of, used_by
from workbench.options.effect import effect_of_change
from workbench.options.effective import Effective, idle
from workbench.options.settings import Settings

KEYS = ("torch_device", "torch_compile", "torch_channels_last", "torch_tf32")


def torch(**options):
    return Settings(provider="torch", provider_options=options)


def test_pytorch_has_a_catalogue_of_its_own_in_every_release():
    assert keys_of("torch") == keys_of("torch", "1.17") == KEYS
    assert used_by("torch") == ("torch",)
    assert "torch" in PROVIDERS
    assert all(spec.effect == "runtime" and spec.help for spec in catalogue("torch"))


def test_options_are_read_as_a_shell_gives_them():
    found = torch(torch_compile="Reduce-Overhead", torch_channels_last="true", torch_tf32="0")

    assert dict(found.provider_options) == {"torch_channels_last": True, "torch_compile": "reduce-overhead", "torch_tf32": False}
    assert found.check() == []
    assert found.summary() == "torch fp32, 3 options changed"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"torch_compile": "fast"}, "one of off, default, reduce-overhead, max-autotune. The default is off."),
        ({"torch_compil": "off"}, "Did you mean 'torch_compile'"),
        ({"torch_device": "gpu"}, "one of cuda, cpu"),
    ],
)
def test_wrong_options_name_what_is_right(options, words):
    with pytest.raises(SettingsError) as told:
        torch(**options)
    assert words in str(told.value)


def test_options_of_others_do_nothing_and_say_so():
    (finding,) = torch(trt_builder_optimization_level=5).check()
    assert "option of the TensorRT provider" in finding.meaning
    (finding,) = Settings(provider="cpu", provider_options={"torch_compile": "default"}).check()
    assert finding.meaning == "It is an option of the PyTorch provider, and the provider is 'cpu'."
    assert idle(Effective(torch()), "torch_compile") is None


def test_changes_build_no_engines():
    assert effect_of_change(torch(), torch(torch_compile="default")).effect == "runtime"
    change = effect_of_change(torch(), torch().replace(precision="fp16"))
    assert (change.effect, change.options[0].why) == ("runtime", "The module is converted; there are no engines.")


def test_the_module_is_converted_to_fp16_and_bf16_but_not_to_int8():
    for precision in ("fp16", "bf16"):
        assert torch().replace(precision=precision).check() == []
    with pytest.raises(SettingsError, match="int8"):
        torch().replace(precision="int8").check()
