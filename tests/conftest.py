"""Fixtures that several folders share."""

import pytest

from workbench.model.model import Model
from workbench.samples.catalogue import sample_path


@pytest.fixture(scope="session")
def digits():
    return Model.load(sample_path("digits"))


@pytest.fixture(scope="session")
def detector():
    return Model.load(sample_path("detector"))


@pytest.fixture(scope="session")
def encoder():
    return Model.load(sample_path("encoder"))
