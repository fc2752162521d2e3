"""The public names are few, documented, and all there."""

import importlib

import pytest

import workbench


def test_public_names_are_sorted_and_few():
    assert workbench.__all__ == sorted(workbench.__all__)
    assert len(workbench.__all__) <= 25
    assert set(workbench.__all__) == set(workbench._HOMES)


@pytest.mark.parametrize("name", workbench.__all__)
def test_a_public_name_is_importable_and_documented(name):
    value = getattr(workbench, name)
    assert value.__doc__
    module, attribute = workbench._HOMES[name]
    assert value is getattr(importlib.import_module(module), attribute)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Modell'"):
        workbench.Modell  # noqa: B018
