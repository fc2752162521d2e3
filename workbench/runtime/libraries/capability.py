"""Which GPUs the releases of CUDA and TensorRT support, by compute capability.

Only what NVIDIA's documents say is judged; what they do not say counts as supported:

- CUDA 12.0 release notes: Kepler (3.5, 3.7) removed. CUDA 13.0 release notes: Maxwell, Pascal and Volta (below 7.5) removed.
- TensorRT 8.5.2 release notes: the last release for Kepler. 10.1 support matrix: 7.0 and higher. 10.5.0 release notes: Volta
  (7.0) removed. 10.8.0 release notes: Blackwell (10.0 and higher) added.
"""

from __future__ import annotations

from packaging.version import Version

CUDA_FROM = {12: "5.0", 13: "7.5"}
TENSORRT_FROM = (("10.5", "7.5"), ("10.0", "7.0"), ("8.6", "5.0"))  # the newest first: release, lowest capability
BLACKWELL, BLACKWELL_SINCE = Version("10.0"), Version("10.8")


def unsupported_by_cuda(capability: str, cuda: int) -> str:
    """Return why a major release of CUDA does not support a GPU; empty where it does, or nothing is known.

    Parameters
    ----------
    capability : str
        The GPU's compute capability, such as ``9.0``.
    cuda : int
        The major release.
    """
    lowest = CUDA_FROM.get(cuda)
    if lowest is None or Version(capability) >= Version(lowest):
        return ""
    return f"CUDA {cuda} supports GPUs of compute capability {lowest} and higher; this one has {capability}"


def unsupported_by_tensorrt(capability: str, tensorrt: str) -> str:
    """Return why a release of TensorRT does not support a GPU; empty where it does, or nothing is known.

    Parameters
    ----------
    capability : str
        As for :func:`unsupported_by_cuda`.
    tensorrt : str
        The release, such as ``8.6.1``.
    """
    release, has = Version(tensorrt), Version(capability)
    lowest = next((low for since, low in TENSORRT_FROM if release >= Version(since)), None)
    if lowest is not None and has < Version(lowest):
        return f"TensorRT {tensorrt} supports GPUs of compute capability {lowest} and higher; this one has {capability}"
    if has >= BLACKWELL and release < BLACKWELL_SINCE:
        return f"GPUs of compute capability {capability} are supported from TensorRT {BLACKWELL_SINCE} on; this is {tensorrt}"
    return ""
