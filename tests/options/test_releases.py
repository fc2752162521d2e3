import pytest
from packaging.version import Version

from workbench.errors import SettingsError
from workbench.options import releases


def test_the_installed_release_is_found_without_importing_onnxruntime(monkeypatch):
    monkeypatch.setattr(releases, "version", lambda name: {"onnxruntime-gpu": "1.31.1", "onnxruntime": "1.20.0"}[name])
    assert releases.installed_release() == "1.31.1"


def test_nothing_installed_is_none(monkeypatch):
    def missing(name):
        raise releases.PackageNotFoundError(name)

    monkeypatch.setattr(releases, "version", missing)
    assert releases.installed_release() is None


@pytest.mark.parametrize(
    ("text", "nearest"), [("1.31.1", "1.31.1"), ("1.17", "1.17"), ("1.16.3", "1.17"), ("1.32", "1.31"), ("2.0", "1.31")]
)
def test_releases_outside_count_as_the_nearest(text, nearest):
    assert releases.supported(text) == Version(nearest)
    assert bool(releases.findings_of_release(text)) == (text != nearest)


def test_a_last_release_includes_its_patches():
    assert releases.knows(Version("1.18.1"), None, "1.18")
    assert not releases.knows(Version("1.19"), None, "1.18")
    assert not releases.knows(Version("1.18.0"), "1.18.1", None)


def test_a_word_is_no_release():
    with pytest.raises(SettingsError, match=r"such as 1\.31"):
        releases.parse_release("latest")
