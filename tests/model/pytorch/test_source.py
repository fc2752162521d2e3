import sys

import pytest

from workbench.errors import InputError, Unavailable
from workbench.model.pytorch.source import build_module, dynamic_of, example_of, is_module_source


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("torchvision.models:resnet18", True),
        ("nets:small", True),
        ("model.onnx", False),
        ("C:/models/x.onnx", False),
        ("a:", False),
    ],
)
def test_a_callable_is_told_from_a_file(text, expected):
    assert is_module_source(text) is expected


def test_a_module_is_made_by_a_callable_with_its_arguments(torch):
    assert build_module("torch.nn:Linear", "[3, 2]").in_features == 3
    assert build_module("torch.nn:Linear", '{"in_features": 4, "out_features": 1}').in_features == 4
    weights = [build_module("torch.nn:Linear", "[3, 2]", seed=seed).weight.tolist() for seed in (1, 1, 2)]
    assert weights[0] == weights[1] != weights[2]


@pytest.mark.parametrize(
    ("source", "arguments", "words"),
    [
        ("torch.nn:Linaer", None, "Did you mean 'Linear'"),
        ("no_such_package:net", None, "no_such_package cannot be imported"),
        ("torch.nn:Linear", '{"weights": null}', "fails: TypeError"),
        ("torch.nn:Linear", "{", "--args is no JSON"),
        ("torch.nn:Linear", "3", "a JSON int"),
        ("torch:zeros", "[3]", "gives a Tensor"),
    ],
)
def test_bad_sources_are_one_clear_message(torch, source, arguments, words):
    with pytest.raises(InputError) as told:
        build_module(source, arguments)

    assert words in str(told.value)


def test_examples_are_read_from_shapes(torch):
    named = example_of(["x=1x3x4x4", "ids=2x5:int64"])
    assert (tuple(named["x"].shape), named["x"].dtype) == ((1, 3, 4, 4), torch.float32)
    assert (tuple(named["ids"].shape), named["ids"].dtype) == ((2, 5), torch.int64)
    (image,) = example_of(["images[0]=3x8x8"])["images"]
    assert tuple(image.shape) == (3, 8, 8)
    assert [tuple(each.shape) for each in example_of(["2x3", "4"])] == [(2, 3), (4,)]
    assert torch.equal(example_of(["x=3"])["x"], example_of(["x=3"])["x"])


@pytest.mark.parametrize(
    ("texts", "words"),
    [(["x=axb"], "no shape"), (["x=2", "3"], "some have none"), ([], "needs an example"), (["x=2:float33"], "no type 'float33'")],
)
def test_bad_shapes_are_one_clear_message(torch, texts, words):
    with pytest.raises(InputError, match=words):
        example_of(texts)


def test_dynamic_axes_are_read():
    assert dynamic_of([]) is None
    assert dynamic_of(["batch"]) == "batch"
    assert dynamic_of(["x:0=batch", "x:2=height"]) == {"x": {0: "batch", 2: "height"}}
    for texts in (["batch", "height"], ["x=0"]):
        with pytest.raises(InputError, match="not understood"):
            dynamic_of(texts)


def test_without_pytorch_the_line_that_installs_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(Unavailable, match=r"torchvision\.models:resnet18 needs PyTorch") as told:
        build_module("torchvision.models:resnet18")
    assert "'torch>=" in told.value.remedy
