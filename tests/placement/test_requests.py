import pytest

from tests.placement.build import node, proto, saved, value
from workbench.errors import InputError, SettingsError
from workbench.options.settings import Settings
from workbench.placement.requests import KnownRange, answer_request, parse_requests

PROFILE = ["x=1x4:8x4:32x4"]
TWO = ["x=1x4:2x4:4x4", "x=8x4:16x4:32x4"]


@pytest.fixture
def model(tmp_path):
    return saved(tmp_path, proto([node("Relu", ["x"], ["y"])]))


def ask(model, shape, *, provider="tensorrt", profile=(), **more):
    return answer_request(model, Settings(provider=provider, profile=list(profile)), {"x": shape}, **more)


def test_requests_are_read_from_text():
    assert parse_requests(["x=3x4", "a=b=2"]) == {"x": (3, 4), "a=b": (2,)}
    with pytest.raises(InputError, match="names no input"):
        parse_requests(["3x4"])
    with pytest.raises(InputError, match="given twice"):
        parse_requests(["x=1", "x=2"])
    with pytest.raises(SettingsError, match="request for input 'x'"):
        parse_requests(["x=3xa"])


def test_inside_an_explicit_profile_it_runs(model):
    answer = ask(model, (8, 4), profile=PROFILE)
    assert (answer.result, answer.profile) == ("runs", 0)


def test_outside_an_explicit_profile_it_fails_with_the_text_that_onnxruntime_gives(model):
    answer = ask(model, (33, 4), profile=PROFILE)
    assert answer.result == "fails"
    assert "axis 0 of 'x' is 33, outside 1 to 32" in answer.sentence
    assert answer.error == "TensorRT EP failed to call nvinfer1::IExecutionContext::setInputShape() for input 'x'"


def test_onnxruntime_runs_on_the_first_profile_only(model):
    assert ask(model, (3, 4), profile=TWO).profile == 0
    second = ask(model, (9, 4), profile=TWO)
    assert (second.result, second.profile) == ("fails", 1)
    assert "runs on the first only" in second.sentence
    assert ask(model, (5, 4), profile=TWO).profile is None


def test_tensorrts_own_interface_chooses_the_profile(model):
    answer = ask(model, (9, 4), profile=TWO, provider="native")
    assert (answer.result, answer.profile) == ("runs", 1)
    assert ask(model, (5, 4), profile=TWO, provider="native").result == "fails"
    assert ask(model, (5, 4), provider="native").result == "builds"
    overlapping = ["x=1x4:2x4:32x4", "x=1x4:16x4:32x4"]
    assert [ask(model, (n, 4), profile=overlapping, provider="native").profile for n in (2, 16, 20)] == [0, 1, 0]


def test_without_a_profile_the_first_request_builds(model):
    answer = ask(model, (3, 4), expected="55 s in the one run of this model")
    assert answer.result == "builds"
    assert "Building took 55 s in the one run" in answer.sentence
    assert answer.range[0].min == answer.range[0].max == (3, 4)


def test_without_a_profile_the_range_grows(model):
    seen = [KnownRange(name="x", axes=(0,), min=(2,), opt=(4,), max=(8,))]
    assert ask(model, (8, 4), seen=seen).result == "runs"
    larger = ask(model, (9, 4), seen=seen)
    assert larger.result == "rebuilds"
    assert "not known yet" in larger.sentence
    assert (larger.range[0].min, larger.range[0].opt, larger.range[0].max) == ((2,), (9,), (9,))
    smaller = ask(model, (1, 4), seen=seen).range[0]
    assert (smaller.min, smaller.opt, smaller.max) == ((1,), (4,), (8,))


@pytest.mark.parametrize(("shape", "told"), [((3, 5), "index: 1 Got: 5 Expected: 4"), ((3,), "Invalid rank for input: x Got: 1")])
@pytest.mark.parametrize("provider", ["tensorrt", "cpu"])
def test_what_does_not_fit_the_model_is_refused_by_every_provider(model, shape, told, provider):
    answer = ask(model, shape, provider=provider)
    assert answer.result == "fails"
    assert told in answer.error


def test_other_providers_take_any_shape(model):
    assert ask(model, (999, 4), provider="cpu").result == "runs"
    assert ask(model, (999, 4), provider="cuda", profile=PROFILE).result == "runs"


def test_fixed_shapes_never_build_again(tmp_path):
    fixed = saved(tmp_path, proto([node("Relu", ["x"], ["y"])], inputs=[value("x", shape=(2, 4))]))
    assert answer_request(fixed, Settings(), {}).result == "runs"


def test_shapes_follow_from_each_other_where_they_share_a_dimension(tmp_path):
    inputs = [value("x"), value("z"), value("f", shape=(3,))]
    model = saved(tmp_path, proto([node("Add", ["x", "z"], ["y"])], inputs=inputs))
    settings = Settings(profile=["x=1x4:8x4:32x4", "z=1x4:8x4:16x4"])
    assert answer_request(model, settings, {"x": (20, 4)}).outside[0].name == "z"
    with pytest.raises(InputError, match="dimension 'n' is 2 in 'z' but 20 in 'x'"):
        answer_request(model, settings, {"x": (20, 4), "z": (2, 4)})
    with pytest.raises(InputError, match="input 'x' has no shape"):
        answer_request(model, settings, {})
    with pytest.raises(InputError, match="has no input 'nobody'"):
        answer_request(model, settings, {"nobody": (1,)})


def test_tensors_between_engines_are_looked_at_too(tmp_path):
    nodes = [node("Relu", ["x"], ["a"]), node("Hardmax", ["a"], ["b"]), node("Exp", ["b"], ["y"])]
    model = saved(tmp_path, proto(nodes))
    answer = answer_request(model, Settings(profile=["x=1x4:8x4:32x4", "b=1x4:8x4:16x4"]), {"x": (20, 4)})
    assert (answer.result, answer.outside[0].name, answer.outside[0].size) == ("fails", "b", 20)


def test_values_that_decide_shapes_have_a_range_too(tmp_path):
    inputs = [value("x"), value("size", 7, (1,))]
    model = saved(tmp_path, proto([node("Expand", ["x", "size"], ["y"])], inputs=inputs))
    settings = Settings(profile=["x=1x4:8x4:32x4", "size=0:4:8"])
    assert answer_request(model, settings, {"x": (2, 4), "size": (0,)}).result == "runs"
    assert answer_request(model, settings, {"x": (2, 4), "size": (9,)}).outside[0].name == "size"
    with pytest.raises(InputError, match="it holds 1, not 2"):
        answer_request(model, settings, {"x": (2, 4), "size": (1, 2)})
