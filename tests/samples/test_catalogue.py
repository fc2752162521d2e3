import numpy as np
import pytest

from workbench.errors import ModelError
from workbench.model.model import Model
from workbench.samples.catalogue import FOLDER, sample_path, samples


def test_three_samples_with_their_files():
    assert [sample.name for sample in samples()] == ["digits", "detector", "encoder"]
    for sample in samples():
        assert sample.path == sample_path(sample.name)
        assert sample.path.is_file()
        assert sample.title
        assert sample.description.endswith(".")


def test_a_range_for_each_dynamic_dimension():
    for sample in samples():
        assert tuple(r.dimension for r in sample.ranges) == Model.load(sample.path).dynamic_dimensions
        assert all(0 < r.min <= r.opt <= r.max for r in sample.ranges)


def test_data_files_hold_an_array_for_each_input():
    for sample in samples():
        names = {spec.name for spec in Model.load(sample.path).inputs}
        for file in filter(None, (sample.inputs, sample.test_set, sample.training_set)):
            assert names <= set(np.load(file).files)


def test_the_test_set_comes_with_a_name_for_each_label():
    digits = samples()[0]
    assert set(np.load(digits.test_set)["label"]) == set(range(len(digits.labels)))


def test_an_unknown_name_says_which_there_are():
    with pytest.raises(ModelError, match=r"'digit'\. Did you mean 'digits'\? The samples are digits, detector, encoder\."):
        sample_path("digit")


def test_all_samples_together_stay_small():
    assert sum(file.stat().st_size for file in FOLDER.iterdir() if file.is_file()) < 3_000_000
