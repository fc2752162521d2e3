import pytest

from workbench.placement import releases
from workbench.placement.releases import release, release_for


def test_limits_follow_the_release():
    assert (release("1.17.1").opset, release("1.17.1").ml_opset, release("1.17.1").ir_version) == (20, 4, 9)
    assert release("1.22.0").opset == 22
    assert release("1.40").opset == release("1.31").opset
    assert release("1.12").opset == 20


@pytest.mark.parametrize(
    ("installed", "tensorrt", "expected"),
    [
        ("1.31.1", "10.16", "1.31.1"),
        ("1.31.1", "8.6", "1.17"),
        ("1.17.1", "8.6", "1.17.1"),
        ("1.17.1", "10.1", "1.31"),
        (None, "10.16", "1.31"),
        ("1.22", None, "1.22"),
    ],
)
def test_the_installed_release_is_assumed_where_it_fits(monkeypatch, installed, tensorrt, expected):
    monkeypatch.setattr(releases.releases, "installed_release", lambda: installed)
    found = release_for(tensorrt)
    assert found.version == expected
    assert found.installed is (found.version == installed)
