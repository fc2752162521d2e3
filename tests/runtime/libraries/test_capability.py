import pytest

from workbench.runtime.libraries.capability import unsupported_by_cuda, unsupported_by_tensorrt


@pytest.mark.parametrize(
    ("capability", "cuda", "supported"),
    [("9.0", 13, True), ("7.5", 13, True), ("7.0", 13, False), ("6.1", 12, True), ("3.7", 12, False), ("3.5", 11, True)],
)
def test_cuda_supports_what_its_release_notes_say(capability, cuda, supported):
    assert (unsupported_by_cuda(capability, cuda) == "") == supported


@pytest.mark.parametrize(
    ("capability", "tensorrt", "supported"),
    [
        ("9.0", "8.6.1", True),
        ("6.1", "8.6.1", True),
        ("7.0", "10.4.0", True),
        ("7.0", "10.5.0", False),
        ("6.1", "10.0.1", False),
        ("12.0", "10.14.1", True),
        ("12.0", "10.7.0", False),
        ("10.0", "8.6.1", False),
    ],
)
def test_tensorrt_supports_what_its_release_notes_say(capability, tensorrt, supported):
    assert (unsupported_by_tensorrt(capability, tensorrt) == "") == supported


def test_the_reason_names_both_sides():
    assert "7.5 and higher; this one has 7.0" in unsupported_by_cuda("7.0", 13)
    assert "from TensorRT 10.8 on; this is 10.7.0" in unsupported_by_tensorrt("12.0", "10.7.0")
