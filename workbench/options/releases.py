"""Releases of ONNX Runtime: which are supported, and which one is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from packaging.version import InvalidVersion, Version

from workbench.errors import SettingsError
from workbench.record import Finding

OLDEST = "1.17"
NEWEST = "1.31"

# The distributions that hold the module `onnxruntime`, those with a TensorRT provider first
DISTRIBUTIONS = ("onnxruntime-gpu", "onnxruntime", "onnxruntime-directml", "onnxruntime-openvino")


def installed_release() -> str | None:
    """Return the installed ONNX Runtime's release without importing it, or ``None`` where there is none."""
    for name in DISTRIBUTIONS:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def parse_release(text: str) -> Version:
    """Read a release such as ``1.31`` or ``1.17.1``.

    Raises
    ------
    SettingsError
        When it is no version number.
    """
    try:
        return Version(Version(text).base_version)
    except InvalidVersion as error:
        raise SettingsError(
            f"{text!r} is no release of ONNX Runtime.", remedy="Write a version such as 1.31 or 1.17.1."
        ) from error


def supported(text: str) -> Version:
    """Return the release itself where it is supported, else the nearest that is."""
    release = parse_release(text)
    if release.release[:2] > parse_release(NEWEST).release:
        return parse_release(NEWEST)
    return max(release, parse_release(OLDEST))


def findings_of_release(text: str) -> list[Finding]:
    """Return a warning for a release that the catalogue says nothing of."""
    nearest = supported(text)
    if parse_release(text) == nearest:
        return []
    return [
        Finding(
            level="warning",
            where="onnxruntime",
            seen=f"release {text} is outside {OLDEST} to {NEWEST}",
            meaning=f"Its options are taken to be those of {nearest.major}.{nearest.minor}.",
            action=f"Install a release from {OLDEST} to {NEWEST} to be sure.",
        )
    ]


def knows(release: Version, since: str | None, until: str | None) -> bool:
    """Return whether a release lies between two others; patches of the last one belong to it."""
    if since is not None and release < Version(since):
        return False
    if until is None:
        return True
    last = Version(until).release
    return release.release[: len(last)] <= last
