import pytest

from workbench.figures.palette import empty, faded, provider_colour, provider_label, styled, text_colour
from workbench.placement.records import CPU, CUDA, TENSORRT


def test_providers_have_their_names_and_colours():
    assert [provider_label(p) for p in (TENSORRT, CUDA, CPU, None)] == ["TensorRT", "CUDA", "CPU", "Removed"]
    assert [provider_colour(p) for p in (TENSORRT, CUDA, CPU, None)] == ["#009E73", "#0072B2", "#E69F00", "#BBBBBB"]


def test_a_provider_nobody_expected_is_named_without_its_ending():
    assert provider_label("DmlExecutionProvider") == "Dml"
    assert provider_colour("DmlExecutionProvider") not in {provider_colour(p) for p in (TENSORRT, CUDA, CPU, None)}


def _luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("provider", [TENSORRT, CUDA, CPU, None])
def test_text_on_a_providers_colour_is_readable(provider):
    dark, light = sorted(_luminance(colour) for colour in (provider_colour(provider), text_colour(provider)))
    assert (light + 0.05) / (dark + 0.05) >= 3  # WCAG 2, large text


def test_faded_keeps_the_colour():
    assert faded("#0072B2", 0.5) == "rgba(0,114,178,0.5)"


def test_an_empty_figure_says_why():
    figure = empty("Latency", "No Run is selected.")
    assert figure.layout.title.text == "Latency"
    assert [note.text for note in figure.layout.annotations] == ["No Run is selected."]


def test_the_margin_grows_with_the_subtitle():
    short, long = (styled(empty("t", ""), "t", subtitle, height=300).layout.margin.t for subtitle in ("a", "a<br>b<br>c"))
    assert long - short == 32
