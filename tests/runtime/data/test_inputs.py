import numpy as np
import pytest

from workbench.errors import InputError
from workbench.options.profile import ShapeProfile
from workbench.runtime.data.inputs import check_inputs, input_shapes, random_inputs, read_inputs


def test_random_inputs_fit_the_model_and_repeat_with_their_seed(encoder):
    first, again = (random_inputs(encoder, ShapeProfile(), seed=3) for _ in range(2))

    check_inputs({given.name: given.array for given in first}, encoder, "random")
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.array, b.array)


def test_integers_that_index_a_table_stay_within_it(encoder):
    inputs = {given.name: given for given in random_inputs(encoder, ShapeProfile(), seed=0)}

    assert "rows of a table" in inputs["input_ids"].origin
    assert inputs["attention_mask"].array.max() <= 1 or "table" in inputs["attention_mask"].origin


def test_one_symbolic_dimension_has_one_size(encoder):
    profile = ShapeProfile.from_arguments(["input_ids=1x4:3x7:5x9"])

    shapes = input_shapes(encoder, profile)

    assert shapes == {"input_ids": (3, 7), "attention_mask": (3, 7)}


def test_image_sizes_default_to_what_image_models_take(detector):
    assert input_shapes(detector, ShapeProfile())[detector.inputs[0].name][2:] == (224, 224)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((1, 1, 8, 8)), "float64; the model wants float32"),
        (np.zeros((8, 8), np.float32), "4 dimensions"),
        (np.zeros((1, 3, 8, 8), np.float32), "axis 1 must be 1"),
    ],
)
def test_an_array_that_does_not_fit_names_the_input_and_what_was_expected(digits, array, message):
    name = digits.inputs[0].name
    with pytest.raises(InputError, match=message) as error:
        check_inputs({name: array}, digits, "a.npz")
    assert name in str(error.value)


def test_one_dimension_with_two_sizes_is_refused(encoder):
    arrays = {"input_ids": np.ones((1, 4), np.int64), "attention_mask": np.ones((1, 5), np.int64)}
    with pytest.raises(InputError, match="must be the same"):
        check_inputs(arrays, encoder, "a.npz")


def test_a_missing_input_is_named_with_what_the_file_holds(digits, tmp_path):
    np.savez(tmp_path / "a.npz", imagee=np.zeros(1))
    with pytest.raises(InputError, match=r"imagee.*Did you mean"):
        read_inputs(tmp_path / "a.npz", digits)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04broken"])
def test_a_broken_file_is_one_clear_error(digits, tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npz"):
        read_inputs(tmp_path / "a.npz", digits)


def test_a_missing_file_is_one_clear_error(digits, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_inputs(tmp_path / "none.npz", digits)
