import pytest

from tests.placement.build import node, proto, saved, value, weight
from workbench.errors import SettingsError
from workbench.model.model import Model
from workbench.options.profile import ShapeProfile
from workbench.options.settings import Settings
from workbench.placement.engine_inputs import complete_profile, engine_inputs, missing_inputs, profile_findings
from workbench.placement.predict import predict
from workbench.placement.tensor_ranges import tensor_ranges
from workbench.samples.catalogue import sample_path

INT64 = 7
RANGE = "image=1x3x64x64:1x3x320x480:1x3x640x960"
NMS = "/nms/NonMaxSuppression_output_0"


@pytest.fixture(scope="module")
def detector():
    return Model.load(sample_path("detector"))


@pytest.fixture(scope="module")
def split(detector):
    return predict(detector, tensorrt="8.6")


def chain(tmp_path, **given):
    """Relu and Exp on TensorRT, Hardmax between them on CUDA."""
    nodes = [node("Relu", ["x"], ["a"]), node("Hardmax", ["a"], ["b"]), node("Exp", ["b"], ["y"])]
    return saved(tmp_path, proto(nodes, **given))


def test_tensors_between_engines_are_inputs_of_the_next(tmp_path):
    model = chain(tmp_path)
    found = engine_inputs(predict(model, tensorrt="8.6"), model)
    assert [(each.engine, each.name, each.origin, each.shape) for each in found] == [
        (0, "x", "input", ("n", 4)),
        (1, "b", "tensor", ("n", 4)),
    ]
    assert all(each.dynamic and not each.shape_tensor and each.dtype == "float32" for each in found)


def test_a_tensor_of_fixed_shape_needs_no_range(tmp_path):
    model = chain(tmp_path, inputs=[value("x", shape=(2, 4))])
    found = engine_inputs(predict(model, tensorrt="8.6"), model)
    assert [each.named for each in found] == [False, False]


def test_weights_are_no_inputs(tmp_path):
    model = saved(tmp_path, proto([node("Add", ["x", "w"], ["y"])], weights=[weight("w", [1.0, 2.0, 3.0, 4.0])]))
    assert [each.name for each in engine_inputs(predict(model), model)] == ["x"]


def test_what_passes_through_an_identity_has_the_name_before_it(tmp_path):
    nodes = [node("Identity", ["x"], ["i"]), node("Relu", ["i"], ["y"])]
    model = saved(tmp_path, proto(nodes))
    assert [each.name for each in engine_inputs(predict(model), model)] == ["x"]


def test_values_that_decide_shapes_in_an_engine_are_told(tmp_path):
    inputs = [value("x"), value("target", INT64, (2,))]
    model = saved(tmp_path, proto([node("Reshape", ["x", "target"], ["y"])], inputs=inputs))
    found = {each.name: each.shape_tensor for each in engine_inputs(predict(model), model)}
    assert found == {"x": False, "target": True}


def test_a_model_that_is_one_engine_lacks_nothing(detector):
    placement = predict(detector, tensorrt="10.16")
    settings = Settings(profile=[RANGE])
    assert profile_findings(detector, settings, placement) == []
    assert complete_profile(detector, settings, placement) == (settings.profile, [])


def test_a_profile_that_onnxruntime_will_refuse_is_foretold(detector, split):
    (finding,) = profile_findings(detector, Settings(profile=[RANGE]), split)
    assert finding.level == "warning"
    assert "does not name 3 of their inputs" in finding.seen
    assert "User needs to provide all the dynamic shape inputs" in finding.meaning
    measured = split.model_copy(update={"evidence": "measured"})
    assert profile_findings(detector, Settings(profile=[RANGE]), measured)[0].level == "error"
    assert profile_findings(detector, Settings(), split) == []
    assert profile_findings(detector, Settings(provider="cuda", profile=[RANGE]), split) == []


def test_ranges_inside_the_model_follow_from_those_of_its_inputs(tmp_path):
    model = chain(tmp_path)
    settings = Settings(profile=["x=1x4:8x4:32x4"])
    completed, findings = complete_profile(model, settings, predict(model, tensorrt="8.6"))
    assert completed.to_arguments() == ["b=1x4:8x4:32x4", "x=1x4:8x4:32x4"]
    assert [finding.level for finding in findings] == ["info"]
    done = settings.replace(profile=completed)
    assert profile_findings(model, done, predict(model, tensorrt="8.6")) == []
    assert done.to_providers()[0][1]["trt_profile_max_shapes"] == "b:32x4,x:32x4"


def test_what_the_inputs_hold_decides_no_range(detector, split):
    completed, findings = complete_profile(detector, Settings(profile=[RANGE]), split)
    assert completed.of("/decode/boxes/Concat_output_0")[0].max == (1, 12000, 4)
    (error,) = [finding for finding in findings if finding.level == "error"]
    assert error.where == NMS
    assert "follows from what the inputs hold" in error.seen
    assert "leave the profile out" in error.action
    by_hand = ShapeProfile(ranges=(*completed.ranges, *ShapeProfile.from_arguments([f"{NMS}=1x3:20x3:60x3"]).ranges))
    assert profile_findings(detector, Settings(profile=by_hand), split) == []


def test_each_of_several_profiles_is_completed(tmp_path):
    model = chain(tmp_path)
    settings = Settings(profile=["x=1x4:2x4:4x4", "x=8x4:16x4:32x4"])
    completed, _ = complete_profile(model, settings, predict(model, tensorrt="8.6"))
    assert [given.max for given in completed.of("b")] == [(4, 4), (32, 4)]
    assert completed.check(model) == []


def test_a_name_that_the_options_cannot_express_is_an_error(tmp_path):
    nodes = [node("Relu", ["x"], ["a"]), node("Hardmax", ["a"], ["b:0"]), node("Exp", ["b:0"], ["y"])]
    model = saved(tmp_path, proto(nodes))
    completed, findings = complete_profile(model, Settings(profile=["x=1x4:8x4:32x4"]), predict(model, tensorrt="8.6"))
    assert [finding.where for finding in findings if finding.level == "error"] == ["b:0"]
    assert completed.names == ("x",)


def test_a_range_of_another_tensor_has_no_effect(tmp_path):
    model = chain(tmp_path)
    settings = Settings(profile=["x=1x4:8x4:32x4", "b=1x4:8x4:32x4", "a=1x4:8x4:32x4"])
    (finding,) = profile_findings(model, settings, predict(model, tensorrt="8.6"))
    assert (finding.level, "a: no input of an engine" in finding.seen) == ("info", True)


def test_a_profile_may_name_tensors_but_nothing_else(tmp_path):
    model = chain(tmp_path)
    assert ShapeProfile.from_arguments(["x=1x4:8x4:32x4", "b=1x4:8x4:32x4"]).check(model) == []
    with pytest.raises(SettingsError, match="has no input 'nobody'"):
        ShapeProfile.from_arguments(["x=1x4:8x4:32x4", "nobody=1:2:3"]).check(model)


def test_an_input_that_decides_shapes_must_be_given_and_decides_ranges(tmp_path):
    inputs = [value("x"), value("size", INT64, (1,))]
    nodes = [
        node("Expand", ["x", "size"], ["a"]),
        node("Hardmax", ["a"], ["b"]),
        node("Exp", ["b"], ["y"]),
    ]
    model = saved(tmp_path, proto(nodes, inputs=inputs))
    placement = predict(model, tensorrt="8.6")
    _, findings = complete_profile(model, Settings(profile=["x=1x4:8x4:32x4"]), placement)
    assert any(f.where == "size" and "values that decide shapes" in f.seen for f in findings)
    completed, _ = complete_profile(model, Settings(profile=["x=1x4:8x4:32x4", "size=4:4:4"]), placement)
    assert not missing_inputs(completed, engine_inputs(placement, model))
    with pytest.raises(SettingsError, match="holds 1 value that decides shapes"):
        ShapeProfile.from_arguments(["x=1x4:8x4:32x4", "size=4x4"]).check(model)


def test_a_size_inside_that_shrinks_while_one_outside_grows_is_seen(tmp_path):
    """The least size inside need not be at the least sizes outside."""
    inputs = [value("x", shape=("n",)), value("m", shape=("k",))]
    nodes = [
        node("Shape", ["x"], ["sx"]),
        node("Shape", ["m"], ["sm"]),
        node("Sub", ["sx", "sm"], ["d"]),
        node("Expand", ["one", "d"], ["e"]),
        node("Relu", ["e"], ["y"]),
    ]
    model = saved(tmp_path, proto(nodes, inputs=inputs, weights=[weight("one", [1.0])]))
    profile = ShapeProfile.from_arguments(["x=10:12:20", "m=1:2:5"])
    (found,) = tensor_ranges(model, profile.ranges, {"e": False})
    assert (found.given.min, found.given.opt, found.given.max) == ((5,), (10,), (19,))
    (values,) = tensor_ranges(model, profile.ranges, {"d": True})
    assert (values.given.min, values.given.max) == ((5,), (19,))


def test_inputs_that_share_a_dimension_have_one_size_of_it():
    model = Model.load(sample_path("encoder"))
    settings = Settings(
        profile=["input_ids=1x8:4x64:16x256", "attention_mask=1x8:4x64:16x256"],
        provider_options={"trt_op_types_to_exclude": "Softmax"},
    )
    placement = predict(model, settings, tensorrt="10.16")
    completed, findings = complete_profile(model, settings, placement)
    assert {finding.level for finding in findings} == {"info"}
    assert str(completed.of("/layer0/attention/Softmax_output_0")[0]).endswith("=1x4x8x8:4x4x64x64:16x4x256x256")
    assert profile_findings(model, settings.replace(profile=completed), placement) == []


def test_inputs_that_contradict_each_other_are_told(tmp_path):
    nodes = [node("Add", ["x", "z"], ["a"]), node("Hardmax", ["a"], ["b"]), node("Exp", ["b"], ["y"])]
    model = saved(tmp_path, proto(nodes, inputs=[value("x"), value("z")]))
    settings = Settings(profile=["x=1x4:8x4:32x4", "z=1x4:8x4:16x4"])
    completed, findings = complete_profile(model, settings, predict(model, tensorrt="8.6"))
    assert completed == settings.profile
    assert [finding.level for finding in findings] == ["error"]
