"""What each ONNX Runtime release reads, and which one goes with which TensorRT."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.options import releases

FIRST_WITH_TENSORRT_10 = (1, 18)
TENSORRT_8_RELEASE = "1.17"  # the last release whose packages are built for TensorRT 8.6

# Release -> highest opset of ai.onnx and ai.onnx.ml, and highest IR version, that it loads. Found by loading one-node
# models of each version with the release's own package.
LIMITS = {
    (1, 17): (20, 4, 9),
    (1, 18): (21, 5, 10),
    (1, 19): (21, 5, 10),
    (1, 20): (21, 5, 10),
    (1, 21): (22, 5, 10),
    (1, 22): (22, 5, 10),
    (1, 23): (23, 5, 11),
    (1, 24): (25, 5, 13),
    (1, 25): (26, 5, 13),
}


@dataclass(frozen=True, slots=True)
class Release:
    """An ONNX Runtime release.

    Attributes
    ----------
    version : str
        As the package manager names it.
    number : tuple of int
        Major and minor version.
    installed : bool
        Whether it is the one that is installed here.
    """

    version: str
    number: tuple[int, int]
    installed: bool = False

    @property
    def opset(self) -> int:
        """The highest opset of ONNX's own operators that it loads."""
        return self._limits[0]

    @property
    def ml_opset(self) -> int:
        """The highest opset of ``ai.onnx.ml`` that it loads."""
        return self._limits[1]

    @property
    def ir_version(self) -> int:
        """The highest version of the file format that it loads."""
        return self._limits[2]

    @property
    def _limits(self) -> tuple[int, int, int]:
        known = [key for key in LIMITS if key <= self.number]
        return LIMITS[max(known) if known else min(LIMITS)]


def release(version: str, *, installed: bool = False) -> Release:
    """Return a release by its version.

    Raises
    ------
    SettingsError
        When `version` is no version number.
    """
    parsed = releases.parse_release(version)
    return Release(version, (parsed.major, parsed.minor), installed)


def release_for(tensorrt: str | None) -> Release:
    """Return the ONNX Runtime release that a prediction assumes.

    Parameters
    ----------
    tensorrt : str or None
        The TensorRT that it is to run with; ``None`` where TensorRT plays no part.

    Returns
    -------
    Release
        The installed one, unless it cannot be built for that TensorRT; then the nearest that is.
    """
    version = releases.installed_release()
    found = release(version, installed=True) if version is not None else None
    if tensorrt is None:
        return found or release(releases.NEWEST)
    wants_old = tensorrt.startswith("8.")
    if found is not None and (found.number < FIRST_WITH_TENSORRT_10) == wants_old:
        return found
    return release(TENSORRT_8_RELEASE if wants_old else releases.NEWEST)


def tensorrt_for(onnxruntime: str | None = None) -> str:
    """Return the TensorRT whose parser a prediction follows for a release of ONNX Runtime.

    Parameters
    ----------
    onnxruntime : str or None
        Such as ``1.17``; the installed release by default, or the newest known where none is installed.
    """
    number = release(onnxruntime or releases.installed_release() or releases.NEWEST).number
    return "8.6" if number < FIRST_WITH_TENSORRT_10 else "10.16"
