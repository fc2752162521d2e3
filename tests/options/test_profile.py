import pytest

from workbench.errors import SettingsError
from workbench.options.profile import InputRange, ShapeProfile

DYNAMIC = ["x=1x3x224x224:8x3x224x224:32x3x512x512", "mask=1x77:8x77:32x77"]


def test_arguments_are_read_and_written():
    profile = ShapeProfile.from_arguments(DYNAMIC)
    assert profile.of("x") == (InputRange(name="x", min=(1, 3, 224, 224), opt=(8, 3, 224, 224), max=(32, 3, 512, 512)),)
    assert profile.of("y") == ()
    assert profile.names == ("mask", "x")
    assert ShapeProfile.from_arguments(profile.to_arguments()) == profile


def test_the_three_option_texts_are_written_and_read():
    profile = ShapeProfile.from_arguments(DYNAMIC)
    options = profile.to_options()
    assert options == {
        "trt_profile_min_shapes": "mask:1x77,x:1x3x224x224",
        "trt_profile_opt_shapes": "mask:8x77,x:8x3x224x224",
        "trt_profile_max_shapes": "mask:32x77,x:32x3x512x512",
    }
    assert ShapeProfile.from_options(*options.values()) == profile
    assert ShapeProfile().to_options() == {}


def test_equal_profiles_are_equal_in_any_order_of_inputs():
    one, other = ShapeProfile.from_arguments(DYNAMIC), ShapeProfile.from_arguments(DYNAMIC[::-1])
    assert one == other
    assert hash(one) == hash(other)


@pytest.mark.parametrize("name", ["x:0", "scope/x:12", "a=b", "a,b", "x:0:1", "größe", "a b", "x:1x"])
def test_names_with_colons_and_other_signs_are_held(name):
    profile = ShapeProfile.from_arguments([f"{name}=1x3:2x3:4x3", "y=1:2:3"])
    assert profile.of(name)[0].max == (4, 3)
    assert ShapeProfile.from_options(*profile.to_options().values()) == profile
    assert ShapeProfile.model_validate_json(profile.model_dump_json()) == profile


def test_a_repeated_name_has_several_profiles_in_order():
    profile = ShapeProfile.from_arguments(["x=8x3:9x3:10x3", "x=1x3:2x3:4x3"])
    assert [given.opt for given in profile.of("x")] == [(9, 3), (2, 3)]
    assert profile.to_options()["trt_profile_min_shapes"] == "x:8x3,x:1x3"
    assert ShapeProfile.from_options(*profile.to_options().values()) == profile


def test_option_texts_may_name_inputs_in_different_orders():
    profile = ShapeProfile.from_options("x:1,y:2", "y:2,x:3", "x:5,y:2")
    assert profile.of("x")[0].opt == (3,)


def test_one_shape_stands_for_all_three():
    given = ShapeProfile.from_arguments(["x=4x3"]).of("x")[0]
    assert given.fixed
    assert given.min == given.max == (4, 3)


def test_shapes_are_read_from_text_in_records():
    assert InputRange(name="x", min="1x3", opt="2x3", max="4×3").max == (4, 3)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("x", "has no '='"),
        ("=1:2:3", "names no input"),
        ("x=1x3:2x3", "holds 2 shapes"),
        ("x=1x3:2x3:3x3:4x3", "holds 4 shapes"),
        ("x=1x3:axb:4x3", "opt shape: 'axb'"),
        ("x=1x3::4x3", "opt shape: the shape is empty"),
        ("x=1x3:2x-3:4x3", "opt shape: '2x-3'"),
        ("x=1,3:2,3:4,3", "min shape: '1,3'"),
    ],
)
def test_malformed_arguments_say_which_part(text, part):
    with pytest.raises(SettingsError) as error:
        ShapeProfile.from_arguments([text])
    assert part in str(error.value)
    assert "1x3x224x224" in str(error.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("x=1x3:2x3:1x3", r"'x': axis 0 has min 1, opt 2, max 1; min ≤ opt ≤ max"),
        ("x=2x3:1x3:4x3", r"axis 0 has min 2, opt 1, max 4"),
        ("x=1x3:2:4x3", r"differ in rank: min has 2, opt 1, max 2"),
    ],
)
def test_ranges_that_cannot_be_name_the_axis_and_the_numbers(text, part):
    with pytest.raises(SettingsError, match=part):
        ShapeProfile.from_arguments([text])


def test_a_dimension_of_nothing_is_refused(dynamic):
    with pytest.raises(SettingsError, match="axis 0 has min 0, opt 8, max 32; dimensions must be 1 or more"):
        ShapeProfile.from_arguments(["x=0x3x224x224:8x3x224x224:32x3x512x512", DYNAMIC[1]]).check(dynamic)


def test_malformed_option_texts_say_from_where():
    with pytest.raises(SettingsError, match=r"trt_profile_opt_shapes: cannot read 'y\?3'"):
        ShapeProfile.from_options("x:1", "x:1,y?3", "x:1")
    with pytest.raises(SettingsError, match="do not name the same inputs: y"):
        ShapeProfile.from_options("x:1,y:1", "x:1", "x:1,y:1")


def test_a_fitting_profile_has_no_findings(dynamic):
    assert ShapeProfile.from_arguments(DYNAMIC).check(dynamic) == []
    assert ShapeProfile().check(dynamic) == []


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([*DYNAMIC, "musk=1:1:1"], r"no input 'musk'. Did you mean 'mask'"),
        (["x=1x3x224:8x3x224:32x3x224", DYNAMIC[1]], r"'x' has 3 dimensions, the model's input has 4"),
        (["x=1x4x224x224:8x4x224x224:32x4x224x224", DYNAMIC[1]], r"axis 1 has min 4, opt 4, max 4, but the model fixes it to 3"),
        (DYNAMIC[:1], r"dynamic inputs are missing: mask: float32 \[batch × 77\]"),
        ([*DYNAMIC, DYNAMIC[0]], r"different numbers of profiles: 'mask' has 1, 'x' has 2"),
    ],
)
def test_a_profile_that_does_not_fit_the_model_is_refused(dynamic, arguments, part):
    with pytest.raises(SettingsError, match=part):
        ShapeProfile.from_arguments(arguments).check(dynamic)


def test_a_profile_for_a_static_model_is_a_warning(static):
    findings = ShapeProfile.from_arguments(["x=1x3x8x8"]).check(static)
    assert [finding.level for finding in findings] == ["warning"]
    assert "fixed shapes" in findings[0].seen


def test_one_dimension_with_two_ranges_is_a_warning(dynamic):
    findings = ShapeProfile.from_arguments([DYNAMIC[0], "mask=1x77:8x77:16x77"]).check(dynamic)
    assert [finding.where for finding in findings] == ["batch"]
    assert "axis 0 of 'x' has 1:8:32" in findings[0].seen


def test_names_that_onnxruntime_splits_are_a_warning(make_model):
    model = make_model({"x:0": ["n", 2]})
    findings = ShapeProfile.from_arguments(["x:0=1x2:2x2:4x2"]).check(model)
    assert [finding.where for finding in findings] == ["x:0"]


def test_a_profile_of_dimensions_covers_every_dynamic_input(dynamic):
    profile = ShapeProfile.of_dimensions(dynamic, {"batch": (1, 8, 32), "height": 224, "width": (32, 224, 512)})
    assert str(profile) == "mask=1x77:8x77:32x77 x=1x3x224x32:8x3x224x224:32x3x224x512"
    assert profile.check(dynamic) == []
    assert ShapeProfile.of_dimensions(dynamic, {"batch": 1, "height": 2, "width": 2, "x[0]": 4}).of("x")[0].min[0] == 4


def test_a_profile_of_dimensions_says_what_is_missing_or_unknown(dynamic):
    with pytest.raises(SettingsError, match="no size for 'height', 'width'"):
        ShapeProfile.of_dimensions(dynamic, {"batch": (1, 8, 32)})
    with pytest.raises(SettingsError, match=r"no dynamic dimension 'heigth'. Did you mean 'height'"):
        ShapeProfile.of_dimensions(dynamic, {"batch": 1, "height": 1, "width": 1, "heigth": 1})
    with pytest.raises(SettingsError, match=r"needs one size or \(min, opt, max\)"):
        ShapeProfile.of_dimensions(dynamic, {"batch": (1, 2), "height": 1, "width": 1})


def test_dimensions_without_a_name_are_given_by_axis_or_together(make_model):
    model = make_model({"x": [None, 3, None]})
    assert ShapeProfile.of_dimensions(model, {"?": 2, "x[2]": (1, 2, 3)}).of("x")[0].max == (2, 3, 3)
    with pytest.raises(SettingsError, match="axis 0 of 'x', axis 2 of 'x'"):
        ShapeProfile.of_dimensions(model, {})


def test_an_input_of_unknown_rank_needs_its_own_shapes(make_model):
    model = make_model({"x": None})
    with pytest.raises(SettingsError, match="rank of 'x' is unknown"):
        ShapeProfile.of_dimensions(model, {"batch": 1})
    assert ShapeProfile.from_arguments(["x=1x2:1x2:3x2"]).check(model) == []


def test_the_samples_take_profiles_of_their_dimensions(digits, detector, encoder):
    for model in (digits, detector, encoder):
        profile = ShapeProfile.of_dimensions(model, dict.fromkeys(model.dynamic_dimensions, (32, 64, 64)))
        assert profile
        assert profile.check(model) == []
