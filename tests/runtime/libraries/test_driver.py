import ctypes

from workbench.runtime.libraries.driver import Gpu, read_driver


def set_int(reference, value):
    ctypes.cast(reference, ctypes.POINTER(ctypes.c_int)).contents.value = value
    return 0


class FakeDriver:
    """What ctypes shows of libcuda, for some GPUs."""

    def __init__(self, gpus=(("NVIDIA H200", 9, 0),), status=0, name=b"CUDA_ERROR_NO_DEVICE", version=13000):
        self.gpus, self.status, self.name, self.version = gpus, status, name, version

    def cuInit(self, _):  # noqa: N802  # CUDA's
        return self.status

    def cuDriverGetVersion(self, version):  # noqa: N802
        return set_int(version, self.version)

    def cuGetErrorName(self, _, name):  # noqa: N802
        ctypes.cast(name, ctypes.POINTER(ctypes.c_char_p)).contents.value = self.name
        return 0

    def cuDeviceGetCount(self, count):  # noqa: N802
        return set_int(count, len(self.gpus))

    def cuDeviceGet(self, device, index):  # noqa: N802
        return set_int(device, index)

    def cuDeviceGetName(self, name, _, device):  # noqa: N802
        name.value = self.gpus[device.value][0].encode()

    def cuDeviceGetAttribute(self, value, attribute, device):  # noqa: N802
        return set_int(value, self.gpus[device.value][attribute - 74])


def missing(name):
    raise OSError(f"{name}: cannot open shared object file: No such file or directory")


def test_gpus_are_listed_in_cudas_order():
    found = read_driver(lambda _: FakeDriver((("NVIDIA H200", 9, 0), ("Tesla T4", 7, 5))))

    assert found.error == ""
    assert found.cuda == "13.0"
    assert found.gpus == (Gpu(name="NVIDIA H200", compute_capability="9.0"), Gpu(name="Tesla T4", compute_capability="7.5"))


def test_a_machine_without_a_driver_is_told():
    assert read_driver(missing).error == "libcuda.so.1 is not found"


def test_a_driver_without_a_gpu_is_told():
    found = read_driver(lambda _: FakeDriver(status=100))

    assert found.error == "the NVIDIA driver finds no GPU (cuInit: CUDA_ERROR_NO_DEVICE)"
    assert found.cuda == "13.0"


def test_a_driver_that_does_not_start_is_told_with_cudas_word():
    found = read_driver(lambda _: FakeDriver(status=803, name=b"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", version=12040))

    assert "does not start (cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH)" in found.error
    assert found.cuda == "12.4"


def test_hidden_gpus_are_no_gpus():
    assert read_driver(lambda _: FakeDriver(gpus=())).error == "the NVIDIA driver finds no GPU"


def test_this_machine_answers():
    found = read_driver()
    assert bool(found.gpus) != bool(found.error)
